package mongodb

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// readAhead is how many bytes of chunks a batch has. Up to three are in memory: the one being read, the one fetched
	// ahead, and the driver's own copy of that.
	readAhead = 5 * ChunkSize
	// firstBatch is small: a client that asks for a few bytes does not wait for a megabyte.
	firstBatch = 2
	// maxBatch bounds a batch of tiny chunks, which others may have stored.
	maxBatch = 1000
	// farewell is how long closing may take to tell the server, which else forgets a cursor by itself, later.
	farewell = 2 * time.Second
)

// stream yields a file's chunks in order, each checked, and fetches a batch while the one before is read. It is one
// cursor, not a query for each batch, because FerretDB scans the whole collection for a query. Not for parallel use.
type stream struct {
	files *Files
	where layout

	ctx    context.Context // the reader's, until close
	cancel context.CancelFunc

	cursor  *mongo.Cursor // nil before the first fetch and after a failed one; owned by whoever fetches
	n       int64         // the next chunk to fetch
	begun   bool          // the first batch is read: whoever reads on will go on reading
	ready   [][]byte      // fetched, not yet handed out
	last    []byte        // handed out
	pending chan batch    // yields the batch being fetched; nil if none is
}

// batch is the bytes of some chunks, or why there are none.
type batch struct {
	chunks [][]byte
	err    error
}

func newStream(ctx context.Context, from *Files, where layout, n int64) *stream {
	ctx, cancel := context.WithCancel(ctx)
	return &stream{files: from, where: where, ctx: ctx, cancel: cancel, n: n}
}

// next returns the next chunk, which is valid until the next call. The caller knows the length and does not ask for more
// than there are.
func (s *stream) next() ([]byte, error) {
	s.recycle()
	if len(s.ready) == 0 {
		b := s.await()
		if b.err != nil {
			return nil, b.err
		}
		s.ready = b.chunks
	}
	c := s.ready[0]
	s.ready, s.last = s.ready[1:], c
	s.begun = s.begun || len(s.ready) == 0
	if s.begun && s.pending == nil && s.left() > 0 {
		s.fetchAhead()
	}
	return c, nil
}

// left is how many bytes are still to be fetched.
func (s *stream) left() int64 { return s.where.length - s.n*s.where.chunkSize }

func (s *stream) await() batch {
	if s.pending == nil {
		return s.fetch(firstBatch)
	}
	b := <-s.pending
	s.pending = nil
	return b
}

func (s *stream) fetchAhead() {
	size := min(max(readAhead/s.where.chunkSize, 1), maxBatch)
	s.pending = make(chan batch, 1)
	go func(to chan<- batch) { to <- s.fetch(size) }(s.pending) // await receives, at the latest in close
}

// fetch returns the next chunks, at most size. A cursor that fails midway is replaced once: the server may be another
// one now, or have lost patience with a slow reader. (The driver repeats a find by itself, never a getMore.)
func (s *stream) fetch(size int64) batch {
	var b batch
	if b.err = s.files.fetches.Take(s.ctx); b.err != nil {
		return b
	}
	defer func() { s.files.fetches.Give(b.err) }()
	midway := s.cursor != nil
	if b.err = s.fill(&b, size); b.err != nil && midway && s.ctx.Err() == nil {
		b.err = s.fill(&b, size)
	}
	return b
}

// fill appends chunks to b until there are size, or no more. After an error the next call asks anew.
func (s *stream) fill(b *batch, size int64) (err error) {
	defer func() {
		if err != nil {
			s.closeCursor(0)
		}
	}()
	if err := s.find(size); err != nil {
		return err
	}
	ctx, cancel := s.files.client.bound(s.ctx)
	defer cancel()
	for int64(len(b.chunks)) < size && s.left() > 0 {
		if !s.cursor.Next(ctx) {
			return cmp.Or(s.cursor.Err(), s.missing())
		}
		data, err := s.check(s.cursor.Current)
		if err != nil {
			return err
		}
		b.chunks = append(b.chunks, s.keep(data))
		s.n++
	}
	return nil
}

// keep copies a chunk, which is the driver's own and valid until its Next only, into a buffer that recycle gives back.
func (s *stream) keep(data []byte) []byte {
	if len(data) > ChunkSize {
		return bytes.Clone(data)
	}
	buffer := s.files.buffers.Get().(*[ChunkSize]byte)
	return buffer[:copy(buffer[:], data)]
}

// recycle gives the buffer of the last chunk back, which has been read.
func (s *stream) recycle() {
	if cap(s.last) == ChunkSize {
		s.files.buffers.Put((*[ChunkSize]byte)(s.last[:ChunkSize]))
	}
	s.last = nil
}

// find sees to it that there is a cursor, and that it fetches size chunks at a time.
func (s *stream) find(size int64) error {
	if s.cursor != nil {
		s.cursor.SetBatchSize(int32(size)) //nolint:gosec // at most maxBatch
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, longTimeout)
	defer cancel()
	filter := append(by("files_id", s.where.file), bson.E{Key: "n", Value: bson.D{{Key: "$gte", Value: s.n}}})
	cursor, err := s.files.chunks.Find(ctx, filter, options.Find().
		SetSort(bson.D{{Key: "n", Value: 1}}).
		SetBatchSize(int32(size))) //nolint:gosec // at most maxBatch
	if err != nil {
		return fmt.Errorf("find chunks from %d on: %w", s.n, err)
	}
	s.cursor = cursor
	return nil
}

// check returns the bytes of the chunk that is due, which doc must be, and whole.
func (s *stream) check(doc bson.Raw) ([]byte, error) {
	if n, ok := number(doc, "n"); !ok || n != s.n {
		return nil, s.missing()
	}
	_, data, ok := doc.Lookup("data").BinaryOK()
	if want := min(s.where.chunkSize, s.left()); !ok || int64(len(data)) != want {
		return nil, fmt.Errorf("chunk %d has %d bytes instead of %d: %w", s.n, len(data), want, io.ErrUnexpectedEOF)
	}
	return data, nil
}

func (s *stream) missing() error {
	return fmt.Errorf("chunk %d is missing: %w", s.n, io.ErrUnexpectedEOF)
}

// close ends the stream and waits for what is being fetched.
func (s *stream) close() {
	s.cancel()
	if s.pending != nil {
		s.await()
	}
	s.closeCursor(farewell)
}

// closeCursor tells the server, if it can be told within patience.
func (s *stream) closeCursor(patience time.Duration) {
	if s.cursor != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), patience)
		defer cancel()
		_ = s.cursor.Close(ctx) // a courtesy
		s.cursor = nil
	}
}
