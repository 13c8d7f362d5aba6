package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/arrival"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
)

// A resumable upload has many writers, one after the other; that one takes over while the last is only believed to be dead
// is what the fence is for. Each chunk carries its writer's number, and an id of that writer's alone. Of a chunk's number in
// a file there is one only, by a unique index. So of two writers one is told that it is taken:
//
//	the lower number is stale, and stops;
//	the higher removes the other's chunk, by its id, and stores its own.
//
// Nothing is overwritten, and a removal that is late finds nothing: a server that compares and then changes in two steps, as
// FerretDB 1.24, does no harm. What is removed never counts yet: a chunk counts when the ledger has the offset behind it, and
// the ledger gives the next writer an offset that is not before it.

// saveEvery is how much time at most the death of a process costs the client, and not more often is the ledger asked.
const saveEvery = time.Second

const _ = uint(arrival.MaxBatch - batchChunks*ChunkSize) // a larger batch does not compile

// outOfOrder is how many stretches may be there before one that was begun earlier: it takes long, and nobody waits for it.
const outOfOrder = 64

// Append adds what r yields to the chunks of the file, on the terms of porttest.Arrivals.
func (s *Files) Append(ctx context.Context, f job.File, a job.Arrival, r io.Reader, save func(context.Context, job.Arrival) error) error {
	w, err := newAppending(s, f, a, save)
	if err == nil {
		err = w.run(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("append to file %s at %d: %w", f.ID, a.Offset, err)
	}
	return nil
}

// appending is one Append.
type appending struct {
	*upload
	size  int64 // of the whole file
	from  int64 // number of the first chunk that is this writer's
	count *arrival.Count
	runs  runs // of the writers before
	save  func(context.Context, job.Arrival) error

	mine     chan struct{} // one for each insert under way
	clearing sync.Mutex
	cleared  atomic.Int32 // how often, of what stale writers have left
	good     job.Arrival  // all of it is stored
	stored   int64        // bytes in chunks that are
	saved    int64        // the offset that the ledger has
}

func newAppending(to *Files, f job.File, a job.Arrival, save func(context.Context, job.Arrival) error) (*appending, error) {
	u, err := newUpload(to, f.ID)
	if err != nil {
		return nil, err
	}
	count, err := arrival.Resume(a, ChunkSize)
	if err != nil {
		return nil, err
	}
	u.writer = a.Writer
	return &appending{
		upload: u, size: f.Bytes, from: count.Pieces, count: count, runs: a.Runs, save: save, mine: make(chan struct{}, inFlight),
		good: a, stored: count.Bytes, saved: a.Offset,
	}, nil
}

// stretch is some chunks on their way to the server, and how far the upload is once they are there.
type stretch struct {
	done <-chan error
	to   job.Arrival
}

// run stores what r yields. The ledger hears of what is stored even if r fails or ctx is over.
func (w *appending) run(ctx context.Context, r io.Reader) error {
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	under, settled := make(chan stretch, outOfOrder), make(chan error, 1)
	go func() { settled <- w.settle(ctx, under, stop) }()
	tail, read := w.read(reading, r, under)
	close(under)
	if err := <-settled; err != nil {
		return err // which has ended the reading too
	}
	at, err := w.good, error(nil)
	if w.stored == w.count.Bytes {
		at, err = w.count.At(tail)
	} // else the reading has ended with chunks that it could not hand on
	if err == nil {
		err = w.tell(ctx, at)
	}
	return errors.Join(read, err)
}

// read hands all full chunks that r yields to insertion, and the last one of the file whatever its size. It returns the bytes
// after them and r's error, nil for io.EOF.
func (w *appending) read(ctx context.Context, r io.Reader, under chan<- stretch) (tail []byte, err error) {
	for err == nil {
		var batch []chunkDoc
		batch, tail, err = w.collect(ctx, r)
		if len(batch) == 0 {
			break
		}
		to, failed := w.count.At(nil)
		if failed == nil {
			w.mine <- struct{}{}
			failed = w.to.inserts.Take(ctx)
		}
		if failed != nil {
			w.recycle(batch)
			return nil, failed
		}
		under <- stretch{w.begin(ctx, batch), to}
	}
	if err == io.EOF { //nolint:errorlint // as io.Reader has it: a wrapped io.EOF is no clean end
		err = nil
	}
	return tail, err
}

// collect returns the next chunks, and with r's error what is left after them.
func (w *appending) collect(ctx context.Context, r io.Reader) (batch []chunkDoc, tail []byte, err error) {
	for len(batch) < batchChunks && err == nil {
		switch {
		case w.count.Bytes == w.size:
			return batch, nil, io.EOF // there is no room for more
		case w.count.Pieces == maxChunks:
			return batch, nil, fmt.Errorf("more than %d chunks", maxChunks)
		}
		buffer := w.to.buffers.Get().(*[ChunkSize]byte)
		n := copy(buffer[:], w.count.Tail)
		var more int
		more, err = arrival.Fill(ctx, r, buffer[n:min(ChunkSize, w.size-w.count.Bytes)])
		n += more
		if n < ChunkSize && w.count.Bytes+int64(n) < w.size || n == 0 {
			tail = slices.Clone(buffer[:n])
			w.to.buffers.Put(buffer)
			continue
		}
		batch = append(batch, w.chunk(buffer[:n]))
	}
	return batch, tail, err
}

// chunk counts a chunk. The first makes a run of the writer's.
func (w *appending) chunk(data []byte) chunkDoc {
	n := w.count.Pieces
	if !w.inserted {
		w.inserted = true
		w.count.Runs(w.runs.add(n, w.first))
	}
	w.count.Add(data)
	return chunkDoc{ID: chunkID(w.first, n), File: w.id, N: int32(n), Data: data, Writer: w.writer} //nolint:gosec // at most maxChunks
}

// begin inserts a batch beside whatever else goes on.
func (w *appending) begin(ctx context.Context, batch []chunkDoc) <-chan error {
	done := make(chan error, 1)
	go func() {
		err := w.insert(ctx, batch)
		w.to.inserts.Give(err)
		<-w.mine
		done <- err
	}()
	return done
}

// insert stores a batch in place of what stale writers have there. Like upload.insert it ends by its own deadlines only.
func (w *appending) insert(ctx context.Context, batch []chunkDoc) error {
	defer w.recycle(batch)
	ctx = context.WithoutCancel(ctx)
	rest := slices.Clone(batch)
	seen := w.cleared.Load()
	err := w.insertMany(ctx, &rest)
	for mongo.IsDuplicateKeyError(err) {
		rest, err = w.clear(ctx, rest, seen)
		if seen = w.cleared.Load(); err == nil && len(rest) > 0 {
			err = w.insertMany(ctx, &rest)
		}
	}
	if err != nil {
		return fmt.Errorf("insert chunks from %d on: %w", batch[0].N, unsettled(err))
	}
	return failpoint.At(failpoint.ChunksStored)
}

// insertMany inserts chunks in their order. After a failure those remain that the server does not say it has stored.
func (w *appending) insertMany(ctx context.Context, chunks *[]chunkDoc) error {
	ctx, cancel := context.WithTimeout(ctx, w.to.client.insertTime())
	defer cancel()
	_, err := w.to.chunks.InsertMany(ctx, *chunks)
	if refused, ok := errors.AsType[mongo.BulkWriteException](err); ok && len(refused.WriteErrors) > 0 {
		*chunks = (*chunks)[refused.WriteErrors[0].Index:]
	}
	return err
}

// clear is oust, unless another batch has done that since so many times were seen: what it removes is removed for all.
func (w *appending) clear(ctx context.Context, batch []chunkDoc, seen int32) ([]chunkDoc, error) {
	w.clearing.Lock()
	defer w.clearing.Unlock()
	if w.cleared.Load() != seen {
		return batch, nil
	}
	defer w.cleared.Add(1)
	return w.oust(ctx, batch)
}

// oustTimeout is for looking through the chunks of the file from one on: MongoDB has an index for it, FerretDB reads all
// that are in the database, a gigabyte in some minutes.
const oustTimeout = 10 * time.Minute

// oust removes what writers before this one have behind the bytes that count, and returns what of the batch is not there yet. It is
// job.ErrLost if a later writer has been there.
func (w *appending) oust(ctx context.Context, batch []chunkDoc) ([]chunkDoc, error) {
	ctx, cancel := context.WithTimeout(ctx, oustTimeout)
	defer cancel()
	filter := append(by("files_id", w.id), bson.E{Key: "n", Value: bson.D{{Key: "$gte", Value: w.from}}})
	found, err := w.to.chunks.Find(ctx, filter, options.Find().
		SetProjection(bson.D{{Key: "n", Value: 1}, {Key: "writer", Value: 1}}))
	var there []chunkDoc
	if err == nil {
		err = found.All(ctx, &there)
	}
	if err != nil {
		return nil, fmt.Errorf("find out whose they are: %w", err)
	}
	for _, c := range there {
		switch {
		case c.ID == chunkID(w.first, int64(c.N)):
			batch = slices.DeleteFunc(batch, func(mine chunkDoc) bool { return mine.ID == c.ID })
			continue
		case c.Writer >= w.writer:
			return nil, job.ErrLost
		}
		if _, err := w.to.chunks.DeleteOne(ctx, by("_id", c.ID)); err != nil {
			return nil, fmt.Errorf("remove a stale one: %w", err)
		}
	}
	return batch, nil
}

// settle tells the ledger of stretches in their order, now and then, also while nothing comes. A failure stops the reading;
// the ledger hears of what was stored before. When settle returns no insert is under way any more.
func (w *appending) settle(ctx context.Context, under <-chan stretch, stop context.CancelCauseFunc) (err error) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for open := true; open; {
		var failed error
		select {
		case <-tick.C:
			if err == nil {
				failed = w.tell(ctx, w.good)
			}
		case s, more := <-under:
			if open = more; more {
				failed = w.take(ctx, s, err == nil)
			}
		}
		if failed != nil && err == nil {
			err = failed
			stop(err)
		}
	}
	return err
}

// take waits for a stretch and counts it, if all is well.
func (w *appending) take(ctx context.Context, s stretch, well bool) error {
	err := <-s.done
	switch {
	case !well:
		return nil
	case err != nil:
		return errors.Join(err, w.tell(ctx, w.good))
	}
	w.good, w.stored = s.to, s.to.Offset
	return nil
}

// tell has the ledger note how far the upload is, if it does not know.
func (w *appending) tell(ctx context.Context, a job.Arrival) error {
	if a.Offset == w.saved {
		return nil
	}
	if err := failpoint.At(failpoint.OffsetDue); err != nil {
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
		return job.File{}, fmt.Errorf("complete file %s: %w", f.ID, err)
	}
	return whole, nil
}

func (s *Files) complete(ctx context.Context, f job.File, a job.Arrival) (job.File, error) {
	f, err := arrival.Describe(f, a)
	if err != nil {
		return f, err
	}
	u, err := newUpload(s, f.ID)
	if err != nil {
		return f, err
	}
	u.first, u.sums, u.runs = runs(a.Runs).of(0), a.Sums, a.Runs
	f.Stored = time.Now().UTC().Truncate(time.Millisecond)
	err = u.describe(ctx, f)
	if errors.Is(err, fs.ErrExist) { // it was completed before, and from the same chunks: no writer comes after the last
		f, _, err = s.find(ctx, f.ID)
	}
	return f, err
}
