package mongodb

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

// read returns a file whole.
func read(t *testing.T, s *Files, id string) (job.File, []byte) {
	t.Helper()
	f, r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return f, b
}

func put(t *testing.T, s *Files, content []byte) job.File {
	t.Helper()
	f, err := s.Put(t.Context(), porttest.NewFile("a.mp4"), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDamagedFilesNeverEndCleanly(t *testing.T) {
	s := open(t).Videos()
	ctx := t.Context()
	for name, data := range map[string]any{
		"a chunk is missing":   nil,
		"a chunk is short":     []byte("shor"),
		"a chunk is long":      make([]byte, ChunkSize+1),
		"a chunk is no binary": "text",
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int32{0, 2, 4} { // first, in the middle, last
				content := porttest.Bytes(1, 4*ChunkSize+5)
				f := put(t, s, content)
				id, _ := objectID(f.ID)
				if _, err := s.chunks.DeleteOne(ctx, bson.D{{Key: "files_id", Value: id}, {Key: "n", Value: n}}); err != nil {
					t.Fatal(err)
				}
				if data != nil {
					doc := bson.D{{Key: "files_id", Value: id}, {Key: "n", Value: n}, {Key: "data", Value: data}}
					if _, err := s.chunks.InsertOne(ctx, doc); err != nil {
						t.Fatal(err)
					}
				}
				_, r, err := s.Open(ctx, f.ID)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(content, got) {
					t.Errorf("chunk %d: %d bytes read, error %v, want the right ones and io.ErrUnexpectedEOF", n, len(got), err)
				}
				_ = r.Close()
			}
		})
	}
}

func TestOddDescriptions(t *testing.T) {
	s := open(t).Videos()
	for name, tt := range map[string]struct {
		doc  bson.D
		want string // what is read, "" if Open fails
	}{
		"numbers are doubles":          {bson.D{{Key: "length", Value: 3.0}, {Key: "chunkSize", Value: 2.0}}, "abc"},
		"numbers are 32 and 64 bit":    {bson.D{{Key: "length", Value: int32(3)}, {Key: "chunkSize", Value: int64(2)}}, "abc"},
		"metadata is a string":         {bson.D{{Key: "length", Value: 3}, {Key: "chunkSize", Value: 2}, {Key: "metadata", Value: "x"}}, "abc"},
		"the name is a number":         {bson.D{{Key: "length", Value: 3}, {Key: "chunkSize", Value: 2}, {Key: "filename", Value: 7}}, "abc"},
		"no length":                    {bson.D{{Key: "chunkSize", Value: 2}}, ""},
		"no chunk size":                {bson.D{{Key: "length", Value: 3}}, ""},
		"the chunk size is huge":       {bson.D{{Key: "length", Value: 3}, {Key: "chunkSize", Value: int64(1) << 62}}, ""},
		"the chunk size is 0":          {bson.D{{Key: "length", Value: 3}, {Key: "chunkSize", Value: 0}}, ""},
		"the length is negative":       {bson.D{{Key: "length", Value: -3}, {Key: "chunkSize", Value: 2}}, ""},
		"the length is no number":      {bson.D{{Key: "length", Value: "3"}, {Key: "chunkSize", Value: 2}}, ""},
		"the chunks are of other size": {bson.D{{Key: "length", Value: 3}, {Key: "chunkSize", Value: 1}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			id := bson.NewObjectID()
			if _, err := s.files.InsertOne(t.Context(), append(bson.D{{Key: "_id", Value: id}}, tt.doc...)); err != nil {
				t.Fatal(err)
			}
			for n, data := range []string{"ab", "c"} {
				doc := bson.D{{Key: "files_id", Value: id}, {Key: "n", Value: n}, {Key: "data", Value: []byte(data)}}
				if _, err := s.chunks.InsertOne(t.Context(), doc); err != nil {
					t.Fatal(err)
				}
			}
			var got []byte
			_, r, err := s.Open(t.Context(), id.Hex())
			if err == nil {
				got, err = io.ReadAll(r)
				_ = r.Close()
			}
			if errors.Is(err, fs.ErrNotExist) || (err == nil) != (tt.want != "") || tt.want != "" && string(got) != tt.want {
				t.Errorf("read %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestReadingOutlivesItsCursor(t *testing.T) {
	s := open(t).Videos()
	content := porttest.Bytes(1, 12*ChunkSize)
	f := put(t, s, content)
	_, r, err := s.Open(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 10)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	cursor := r.(*reader).stream.cursor.ID()
	if cursor == 0 {
		t.Fatal("there is no cursor to kill: the first batch was the last")
	}
	kill := bson.D{{Key: "killCursors", Value: s.chunks.Name()}, {Key: "cursors", Value: bson.A{cursor}}}
	if err := s.chunks.Database().RunCommand(t.Context(), kill).Err(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(slices.Concat(got, rest), content) {
		t.Errorf("%d bytes after the cursor was killed, error %v", len(rest), err)
	}
}

func TestReadingAfterCloseFails(t *testing.T) {
	s := open(t).Videos()
	_, r, err := s.Open(t.Context(), put(t, s, []byte("abc")).ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close: %v, want fs.ErrClosed", err)
	}
}
