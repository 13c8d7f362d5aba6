package mongodb

import (
	"bytes"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

// Put and Read against the plainest thing that could be done with the driver: one batch of the same size after the
// other, and one cursor. Run with -benchtime=5x or so: the server scans all that it has.

const benchChunks = 256 // 64 MiB

func BenchmarkPut(b *testing.B) {
	s := open(b).Videos()
	content := porttest.Bytes(1, ChunkSize)
	b.SetBytes(benchChunks * ChunkSize)
	b.ReportAllocs()
	for b.Loop() {
		f, err := s.Put(b.Context(), porttest.NewFile("a"), repeat(content, benchChunks))
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		remove(b, s, f.ID)
		b.StartTimer()
	}
}

func BenchmarkRawInsert(b *testing.B) {
	s := open(b).Videos()
	content := porttest.Bytes(1, ChunkSize)
	b.SetBytes(benchChunks * ChunkSize)
	b.ReportAllocs()
	for b.Loop() {
		file := bson.NewObjectID()
		for n := int32(0); n < benchChunks; {
			var batch []chunkDoc
			for len(batch) < batchChunks && n < benchChunks {
				batch = append(batch, chunkDoc{ID: bson.NewObjectID(), File: file, N: n, Data: content})
				n++
			}
			if _, err := s.chunks.InsertMany(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		remove(b, s, file.Hex())
		b.StartTimer()
	}
}

func BenchmarkRead(b *testing.B) {
	s, f := stored(b)
	b.SetBytes(f.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		_, r, err := s.Open(b.Context(), f.ID)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); err != nil || n != f.Bytes {
			b.Fatal(n, err)
		}
		_ = r.Close()
	}
}

func BenchmarkRawFind(b *testing.B) {
	s, f := stored(b)
	id, _ := objectID(f.ID)
	b.SetBytes(f.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		cursor, err := s.chunks.Find(b.Context(), by("files_id", id), options.Find().SetSort(bson.D{{Key: "n", Value: 1}}).SetBatchSize(readAhead/ChunkSize))
		if err != nil {
			b.Fatal(err)
		}
		var n int
		for cursor.Next(b.Context()) {
			_, data, _ := cursor.Current.Lookup("data").BinaryOK()
			n += len(data)
		}
		if err := cursor.Err(); err != nil || n != int(f.Bytes) {
			b.Fatal(n, err)
		}
	}
}

func stored(b *testing.B) (*Files, job.File) {
	s := open(b).Videos()
	f, err := s.Put(b.Context(), porttest.NewFile("a"), repeat(porttest.Bytes(1, ChunkSize), benchChunks))
	if err != nil {
		b.Fatal(err)
	}
	return s, f
}

func remove(b *testing.B, s *Files, id string) {
	if err := s.Delete(b.Context(), id); err != nil {
		b.Fatal(err)
	}
}

// repeat yields content n times, in reads of 4 KiB, as multipart bodies do.
func repeat(content []byte, n int) io.Reader {
	readers := make([]io.Reader, n)
	for i := range readers {
		readers[i] = bytes.NewReader(content)
	}
	return small{io.MultiReader(readers...)}
}

type small struct{ r io.Reader }

func (s small) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 4096)]) }
