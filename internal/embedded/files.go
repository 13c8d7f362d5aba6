package embedded

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/partial"
)

// Files keeps videos or MP3s in a folder, a subfolder for each, named by its id:
//
//	<id>/data        the bytes
//	<id>/meta.json   the description
//	parts/<id>.*     what is being written or removed
//	arriving/<id>    what has arrived of a resumable upload
//
// A subfolder is made under parts, brought to the disk, and moved to its name in one step: so a file is there whole or
// not at all, and an id is taken once.
type Files struct {
	root *os.Root // keeps every path, whatever it says, inside the folder
	lock io.Closer

	fences sync.Map // *fence by id, of the resumable uploads that this process has written
}

// The names of the layout.
const (
	partsDir = "parts"
	dataName = "data"
	metaName = "meta.json"
)

// copyBuffer is what one Put holds in memory, in bytes, and what one of the sums in meta.json is of.
const copyBuffer = 256 << 10

// meta is the description on disk: job.File under names that stay when the code is renamed.
type meta struct {
	ID     string    `json:"id"`
	Job    string    `json:"job"`
	Owner  string    `json:"owner"`
	Name   string    `json:"name"`
	Type   string    `json:"type"`
	Bytes  int64     `json:"bytes"`
	SHA256 string    `json:"sha256"`
	Stored time.Time `json:"stored"`
}

// description is what meta.json holds.
type description struct {
	meta
	Sums partial.Sums `json:"crc32c,omitempty"` // of copyBuffer bytes each
}

// OpenFiles returns the store in dir, which it creates if need be and locks: see Lock. It removes what processes that
// died have left half written. The caller must Close it when no method runs any more.
func OpenFiles(dir string) (*Files, error) {
	lock, err := Lock(dir)
	if err != nil {
		return nil, err
	}
	s, err := openFiles(dir, lock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the files in %s: %w", dir, err), lock.Close())
	}
	return s, nil
}

func openFiles(dir string, lock io.Closer) (*Files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	err = errors.Join(root.RemoveAll(partsDir), root.Mkdir(partsDir, 0o700), root.MkdirAll(arrivingDir, 0o700))
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Files{root: root, lock: lock}, nil
}

// Close gives the folder back. Files that are open stay readable.
func (s *Files) Close() error { return errors.Join(s.root.Close(), s.lock.Close()) }

// Put stores what r yields under f.ID, on the terms of porttest.Files.
func (s *Files) Put(ctx context.Context, f job.File, r io.Reader) (job.File, error) {
	f, err := s.put(ctx, f, r)
	if err != nil {
		return job.File{}, fmt.Errorf("store file %.40q: %w", f.ID, err)
	}
	return f, nil
}

func (s *Files) put(ctx context.Context, f job.File, r io.Reader) (_ job.File, err error) {
	if !job.IsID(f.ID) {
		return f, errors.New("not an id")
	}
	if _, err := s.root.Lstat(f.ID); err == nil {
		return f, fs.ErrExist // now rather than after gigabytes; commit decides
	}
	part := newPart(f.ID)
	if err := s.root.Mkdir(part, 0o700); err != nil {
		return f, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.root.RemoveAll(part))
		}
	}()
	hash, sums := sha256.New(), summer{}
	f.Bytes, err = s.write(part+"/"+dataName, under(ctx, r), io.MultiWriter(hash, &sums))
	if err != nil {
		return f, err
	}
	f.SHA256, f.Stored = hex.EncodeToString(hash.Sum(nil)), time.Now().UTC().Truncate(time.Millisecond)
	return f, s.finish(part, description{meta(f), sums.Sums})
}

// summer makes a sum of each write: write's are of copyBuffer bytes, but for the last.
type summer struct{ partial.Sums }

func (s *summer) Write(p []byte) (int, error) {
	s.Sums = s.Add(p)
	return len(p), nil
}

// finish adds the description to the part and moves it to its name.
func (s *Files) finish(part string, d description) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = s.write(part+"/"+metaName, bytes.NewReader(text), io.Discard)
	if err == nil {
		err = s.commit(part, d.ID)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("deleted while it was being stored") // our part is gone; callers would take absence for an answer
	}
	return err
}

// commit moves the part to its name. If that cannot be made durable it is undone.
func (s *Files) commit(part, id string) error {
	if err := s.sync(part); err != nil {
		return err
	}
	if err := s.root.Rename(part, id); err != nil { // fs.ErrExist if the id is taken: no folder replaces one that is not empty
		return err
	}
	if err := s.sync("."); err != nil {
		return errors.Join(err, s.root.RemoveAll(id))
	}
	return nil
}

// write makes a durable file of what r yields, which besides goes to hash, and returns its length.
func (s *Files) write(name string, r io.Reader, hash io.Writer) (n int64, err error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(both{f, hash}, copyBuffer) // readers may yield a few KB at a time
	if n, err = w.ReadFrom(r); err != nil {
		return n, err
	}
	if err := w.Flush(); err != nil {
		return n, err
	}
	return n, f.Sync()
}

// both writes to a file and to a hash at the same time: a Put takes as long as the slower, not as both.
type both struct{ file, hash io.Writer }

func (b both) Write(p []byte) (int, error) {
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		_, _ = b.hash.Write(p) // a hash never fails
	}()
	n, err := b.file.Write(p)
	<-hashed
	return n, err
}

// sync makes the entries of a folder durable.
func (s *Files) sync(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open returns a file and its bytes, on the terms of porttest.Files. A file that is deleted then stays readable.
func (s *Files) Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error) {
	d, data, err := s.open(id)
	if err != nil {
		return job.File{}, nil, fmt.Errorf("open file %.40q: %w", id, err)
	}
	c := content{ctx, data}
	return job.File(d.meta), &reader{io.NewSectionReader(c, 0, d.Bytes), data, c, d}, nil
}

func (s *Files) open(id string) (description, *os.File, error) {
	var d description
	if !job.IsID(id) {
		return d, nil, fs.ErrNotExist
	}
	dir, err := s.root.OpenRoot(id) // both files of one and the same Put, even if the id is deleted and stored anew meanwhile
	if err != nil {
		return d, nil, err
	}
	defer dir.Close()
	text, err := dir.ReadFile(metaName)
	if err != nil {
		return d, nil, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, nil, fmt.Errorf("%s: %w", metaName, err)
	}
	data, err := dir.Open(dataName)
	if err != nil {
		return d, nil, err
	}
	if info, err := data.Stat(); err != nil || info.Size() != d.Bytes {
		return d, nil, errors.Join(fmt.Errorf("%s does not have the %d bytes of %s", dataName, d.Bytes, metaName), err, data.Close())
	}
	return d, data, nil
}

// reader is an open file.
type reader struct {
	*io.SectionReader
	io.Closer
	content     content
	description description
}

// Copy copies a part of the file, as partial.File has it: 0 for what was stored before there were sums.
func (r *reader) Copy(to partial.Scratch, choose func(io.ReaderAt) []job.Span) (int64, error) {
	f := partial.File{Size: r.description.Bytes, Piece: copyBuffer, Sums: r.description.Sums, Fetch: r.piece}
	n, err := f.Copy(r.content.ctx, to, choose)
	if err != nil {
		return n, fmt.Errorf("copy of file %s: %w", r.description.ID, err)
	}
	return n, nil
}

func (r *reader) piece(_ context.Context, n int64) ([]byte, error) {
	piece := make([]byte, min(copyBuffer, r.description.Bytes-n*copyBuffer))
	_, err := r.content.ReadAt(piece, n*copyBuffer)
	return piece, err
}

// Delete removes the file and whatever lies in parts under the id, on the terms of porttest.Files. A Put of the id that
// still runs fails.
func (s *Files) Delete(ctx context.Context, id string) error {
	if !job.IsID(id) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete file %s: %w", id, err)
	}
	if err := s.delete(id); err != nil {
		return fmt.Errorf("delete file %s: %w", id, err)
	}
	return nil
}

func (s *Files) delete(id string) error {
	if err := s.fence(id).pass(closed, func() error { return s.forget(id) }); err != nil {
		return err
	}
	s.fences.Delete(id)
	err := s.root.Rename(id, newPart(id)) // so that a crash leaves no half of it under the id
	if err == nil {
		err = s.sync(".")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parts, err := fs.Glob(s.root.FS(), partsDir+"/"+id+".*")
	for _, part := range parts {
		err = errors.Join(err, s.removePart(part))
	}
	return err
}

// removePart removes a part whose Put may be adding to it: the one more file of two that it can find in the way.
func (s *Files) removePart(part string) error {
	for {
		if err := s.root.RemoveAll(part); !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
}

// newPart returns a fresh name under parts.
func newPart(id string) string { return path.Join(partsDir, id+"."+rand.Text()) }

// under makes the reads from r obey ctx.
func under(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// content is the bytes of an open file. Its reader knows how many there are and asks for no more.
type content struct {
	ctx  context.Context //nolint:containedctx // of Open: an io.Reader has no other place for it
	data io.ReaderAt
}

func (c content) ReadAt(p []byte, off int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.data.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // somebody has cut the file
	}
	return n, err
}
