package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"sync"
	"time"

	"mp3converter/internal/arrival"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/partial"
)

// arrivingDir holds what has arrived of resumable uploads, one file for each, named by its id. Unlike parts it outlives the
// process: what counts of a file the ledger says, and what lies behind that is written over.
const arrivingDir = "arriving"

// What the death of the process costs the client at most, in time of sending and in bytes. Not more often is the disk waited for.
const (
	saveEvery = time.Second
	saveBytes = 64 << 20
)

const _ = uint(arrival.MaxBatch - copyBuffer) // a larger piece does not compile

// fence lets the last writer of an upload write, and nobody else. One process has the folder, so it need not be on the disk.
type fence struct {
	mu     sync.Mutex
	writer int // the highest number seen
}

// closed is the number beyond those of all writers.
const closed = math.MaxInt

// pass lets do happen if no later writer has been here, and keeps earlier ones out from now on.
func (f *fence) pass(writer int, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if writer < f.writer {
		return job.ErrLost
	}
	f.writer = writer
	return do()
}

// fence returns the one of an upload.
func (s *Files) fence(id string) *fence {
	f, _ := s.fences.LoadOrStore(id, &fence{})
	return f.(*fence)
}

// Append adds what r yields to what has arrived of the file, on the terms of porttest.Arrivals.
func (s *Files) Append(ctx context.Context, f job.File, a job.Arrival, r io.Reader, save func(context.Context, job.Arrival) error) error {
	if err := s.append(ctx, f, a, r, save); err != nil {
		return fmt.Errorf("append to file %.40q at %d: %w", f.ID, a.Offset, err)
	}
	return nil
}

func (s *Files) append(ctx context.Context, f job.File, a job.Arrival, r io.Reader, save func(context.Context, job.Arrival) error) (err error) {
	if !job.IsID(f.ID) {
		return errors.New("not an id")
	}
	count, err := arrival.Resume(a, copyBuffer)
	if err != nil {
		return err
	}
	fence := s.fence(f.ID)
	var file *os.File
	err = fence.pass(a.Writer, func() error { file, err = s.arriving(f.ID, count.Bytes); return err })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := &appending{
		file: file, fence: fence, size: f.Bytes, count: count, writer: a.Writer,
		save: save, saved: a.Offset, next: time.Now().Add(saveEvery), buffer: make([]byte, copyBuffer),
	}
	return w.run(ctx, r)
}

// arriving opens the file of an upload of which so many bytes are to be there.
func (s *Files) arriving(id string, bytes int64) (*os.File, error) {
	file, err := s.root.OpenFile(path.Join(arrivingDir, id), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() < bytes {
		err = fmt.Errorf("%d of its %d bytes are lost", bytes-info.Size(), bytes)
	}
	if err == nil && bytes == 0 {
		err = s.sync(arrivingDir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// appending is one Append.
type appending struct {
	file   *os.File
	fence  *fence
	size   int64 // of the whole file
	count  *arrival.Count
	writer int
	save   func(context.Context, job.Arrival) error
	saved  int64     // the offset that the ledger has
	next   time.Time // of saving
	buffer []byte
}

// run stores what r yields. The ledger hears of what is stored even if r fails or ctx is over.
func (w *appending) run(ctx context.Context, r io.Reader) error {
	for {
		piece := w.buffer[:min(copyBuffer, w.size-w.count.Bytes)]
		n := copy(piece, w.count.Tail)
		more, read := arrival.Fill(ctx, r, piece[n:])
		tail := piece[:n+more]
		if full := len(tail) == len(piece) && len(tail) > 0; full {
			if err := w.write(piece); err != nil {
				return err
			}
			tail = nil
		}
		if read != nil || w.count.Bytes == w.size {
			if read == io.EOF { //nolint:errorlint // as io.Reader has it: a wrapped io.EOF is no clean end
				read = nil
			}
			return errors.Join(read, w.tell(ctx, tail))
		}
		if time.Now().After(w.next) || w.count.Bytes-w.saved >= saveBytes {
			if err := w.tell(ctx, nil); err != nil {
				return err
			}
			w.next = time.Now().Add(saveEvery)
		}
	}
}

// write stores a piece, and counts it at the same time.
func (w *appending) write(piece []byte) error {
	at := w.count.Bytes
	var counting sync.WaitGroup
	counting.Go(func() { w.count.Add(piece) })
	defer counting.Wait()
	return w.fence.pass(w.writer, func() error {
		_, err := w.file.WriteAt(piece, at)
		return err
	})
}

// tell has the ledger note how far the upload is, if it does not know, once that is on the disk.
func (w *appending) tell(ctx context.Context, tail []byte) error {
	a, err := w.count.At(tail)
	if err != nil || a.Offset == w.saved {
		return err
	}
	if err := errors.Join(w.file.Sync(), failpoint.At(failpoint.OffsetDue)); err != nil {
		return err
	}
	if err := w.save(context.WithoutCancel(ctx), a); err != nil {
		return err
	}
	w.saved = a.Offset
	return failpoint.At(failpoint.OffsetSaved)
}

// Complete makes a file of what has arrived, on the terms of porttest.Arrivals.
func (s *Files) Complete(ctx context.Context, f job.File, a job.Arrival) (job.File, error) {
	whole, err := s.complete(ctx, f, a)
	if err != nil {
		return job.File{}, fmt.Errorf("complete file %.40q: %w", f.ID, err)
	}
	return whole, nil
}

func (s *Files) complete(ctx context.Context, f job.File, a job.Arrival) (whole job.File, err error) {
	if err := ctx.Err(); err != nil {
		return f, err
	}
	f, err = arrival.Describe(f, a)
	if err != nil {
		return f, err
	}
	f.Stored = time.Now().UTC().Truncate(time.Millisecond)
	err = s.fence(f.ID).pass(closed, func() error {
		d, file, err := s.open(f.ID)
		if err == nil { // it was completed before
			f = job.File(d.meta)
			return errors.Join(file.Close(), s.forget(f.ID))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return s.assemble(f, a.Sums)
	})
	return f, err
}

// assemble moves what has arrived to its name. Until that is done the upload stays as it is: the part has its bytes too.
func (s *Files) assemble(f job.File, sums partial.Sums) (err error) {
	part := newPart(f.ID)
	if err := s.root.Mkdir(part, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.root.RemoveAll(part))
		}
	}()
	if err := s.root.Link(path.Join(arrivingDir, f.ID), path.Join(part, dataName)); err != nil {
		return err
	}
	if err := s.finish(part, description{meta(f), sums}); err != nil {
		return err
	}
	return s.forget(f.ID)
}

// forget removes the upload, be it whole or dead.
func (s *Files) forget(id string) error {
	err := s.root.Remove(path.Join(arrivingDir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, s.sync(arrivingDir))
}
