package mongodb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
	"mp3converter/internal/slots"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
)

// counting returns the store as a client sees it whose server's answers are counted: the chunks in them.
func counting(t *testing.T, s *Files) (*Files, *atomic.Int64) {
	t.Helper()
	chunks := new(atomic.Int64)
	pool, err := mongo.Connect(options.Client().ApplyURI(testserver.MongoDB(t)).SetMonitor(&event.CommandMonitor{
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			for _, batch := range []string{"firstBatch", "nextBatch"} {
				docs, _ := e.Reply.Lookup("cursor", batch).ArrayOK()
				values, _ := docs.Values()
				for _, v := range values {
					if _, err := v.Document().LookupErr("files_id"); err == nil {
						chunks.Add(1)
					}
				}
			}
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Disconnect(context.WithoutCancel(t.Context())) })
	return newFiles(&Client{mongo: pool, prefix: s.client.prefix, timeout: s.client.timeout}, Videos), chunks
}

// copyPart copies what choose names of the file to a fresh one, and returns what is in that.
func copyPart(t *testing.T, s *Files, id string, choose func(io.ReaderAt) []job.Span) (int64, []byte, error) {
	t.Helper()
	f, r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	to, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := to.Truncate(f.Bytes); err != nil {
		t.Fatal(err)
	}
	n, copyErr := r.(*reader).Copy(to, choose)
	got := make([]byte, f.Bytes)
	if _, err := to.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	return n, got, copyErr
}

func TestOfAPhonesVideoThePicturesStayInTheStore(t *testing.T) {
	s := open(t).Videos()
	video, err := os.ReadFile(testmedia.Phone(t))
	if err != nil {
		t.Fatal(err)
	}
	f := put(t, s, video)
	seen, chunks := counting(t, s)
	n, got, err := copyPart(t, seen, f.ID, func(r io.ReaderAt) []job.Span { return container.Sound(r, f.Bytes) })
	if err != nil {
		t.Fatal(err)
	}
	all := (f.Bytes + ChunkSize - 1) / ChunkSize
	if sent := chunks.Load(); sent == 0 || sent*100 > all*15 || n > sent*ChunkSize || n < (sent-1)*ChunkSize {
		t.Errorf("the server sent %d chunks of %d, %d bytes were read, want at most 15 %%", sent, all, n)
	}
	t.Logf("%d chunks of %d", chunks.Load(), all)
	for _, span := range container.Sound(bytes.NewReader(video), f.Bytes) {
		if !bytes.Equal(got[span.From:span.To], video[span.From:span.To]) {
			t.Errorf("from %d to %d other bytes came", span.From, span.To)
		}
	}
}

func TestWhatCannotBeReadInPart(t *testing.T) {
	s := open(t).Videos()
	head := func(io.ReaderAt) []job.Span { return []job.Span{{From: 0, To: ChunkSize + 1}} }
	content := porttest.Bytes(1, 16*ChunkSize+5)
	chunk := func(t *testing.T, id string, n int64, change bson.D) {
		t.Helper()
		_, where, err := s.find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.chunks.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: chunkID(where.first, n)}}, bson.D{{Key: "$set", Value: change}})
		if err != nil || r.ModifiedCount != 1 {
			t.Fatalf("%d changed, %v", r.ModifiedCount, err)
		}
	}
	file := func(t *testing.T, id string, change bson.D) {
		t.Helper()
		oid, _ := objectID(id)
		if _, err := s.files.UpdateOne(t.Context(), by("_id", oid), change); err != nil {
			t.Fatal(err)
		}
	}
	flipped := bytes.Clone(content[ChunkSize : 2*ChunkSize])
	flipped[7] ^= 1
	for name, spoil := range map[string]func(t *testing.T, id string){
		"a bit of a chunk is another":  func(t *testing.T, id string) { chunk(t, id, 1, bson.D{{Key: "data", Value: flipped}}) },
		"a chunk is short":             func(t *testing.T, id string) { chunk(t, id, 1, bson.D{{Key: "data", Value: flipped[:9]}}) },
		"a chunk has another's number": func(t *testing.T, id string) { chunk(t, id, 1, bson.D{{Key: "n", Value: 77}}) },
		"a chunk has become another's": func(t *testing.T, id string) { chunk(t, id, 1, bson.D{{Key: "files_id", Value: bson.NewObjectID()}}) },
		"it was stored before the sums": func(t *testing.T, id string) {
			file(t, id, bson.D{{Key: "$unset", Value: bson.D{{Key: "metadata.crc32c", Value: ""}}}})
		},
		"its first chunk is unknown": func(t *testing.T, id string) {
			file(t, id, bson.D{{Key: "$unset", Value: bson.D{{Key: "metadata.firstChunk", Value: ""}}}})
		},
		"its first chunk is another's": func(t *testing.T, id string) {
			file(t, id, bson.D{{Key: "$set", Value: bson.D{{Key: "metadata.firstChunk", Value: bson.NewObjectID()}}}})
		},
		"its chunks are of other size": func(t *testing.T, id string) {
			file(t, id, bson.D{{Key: "$set", Value: bson.D{{Key: "chunkSize", Value: 1000}}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := put(t, s, content)
			defer func() { _ = s.Delete(t.Context(), f.ID) }() // or the next would wait for FerretDB to look through this one
			if n, got, err := copyPart(t, s, f.ID, head); n != 2*ChunkSize || err != nil || !bytes.Equal(got[:n], content[:n]) {
				t.Fatalf("before: %d bytes, %v", n, err)
			}
			spoil(t, f.ID)
			if n, _, err := copyPart(t, s, f.ID, head); n != 0 || err != nil {
				t.Errorf("%d bytes, %v, want 0", n, err)
			}
		})
	}
}

func TestCopyFetchesInTurnToo(t *testing.T) {
	s := open(t).Videos()
	f := put(t, s, porttest.Bytes(1, 16*ChunkSize))
	head := func(io.ReaderAt) []job.Span { return []job.Span{{From: 0, To: 1}} }
	s.fetches = slots.New(1, time.Millisecond)
	for range 2 { // and gives the slot back
		if n, _, err := copyPart(t, s, f.ID, head); n != ChunkSize || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	if err := s.fetches.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := copyPart(t, s, f.ID, head); !errors.Is(err, slots.ErrStuck) {
		t.Errorf("while others have all slots: %v, want %v", err, slots.ErrStuck)
	}
}

func TestServerDiesDuringCopy(t *testing.T) {
	server, c := mortal(t, impatient)
	content := porttest.Bytes(1, 40*ChunkSize)
	f := put(t, c.Videos(), content)
	_, _, err := copyPart(t, c.Videos(), f.ID, func(r io.ReaderAt) []job.Span {
		if _, err := r.ReadAt(make([]byte, 1), 0); err != nil {
			t.Error(err)
		}
		server.Kill()
		return []job.Span{{From: 5 * ChunkSize, To: 10 * ChunkSize}}
	})
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("copy from a dead server: %v", err)
	}
	restart(t, server, c)
	if n, got, err := copyPart(t, c.Videos(), f.ID, func(io.ReaderAt) []job.Span { return []job.Span{{From: 0, To: 10 * ChunkSize}} }); n != 10*ChunkSize || err != nil || !bytes.Equal(got[:n], content[:n]) {
		t.Errorf("%d bytes after the restart, %v", n, err)
	}
}
