package mongodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
	"mp3converter/internal/testserver"
)

// pattern returns the same bytes as pattern in testdata/gridfs_client.py.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*i + i/251)
	}
	return b
}

// pymongo runs testdata/gridfs_client.py against the database of s.
func pymongo(t *testing.T, command string, s *Files, args ...string) []byte {
	t.Helper()
	args = append([]string{"testdata/gridfs_client.py", command, testserver.MongoDB(t), s.files.Database().Name()}, args...)
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("%v (install python3-pymongo and python3-gridfs): %s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPyMongoReadsWhatWeStore(t *testing.T) {
	s := open(t).Videos()
	for _, size := range []int{0, ChunkSize, 600_000} {
		f, err := s.Put(t.Context(), porttest.NewFile("größe.mp4"), bytes.NewReader(pattern(size)))
		if err != nil {
			t.Fatal(err)
		}
		want := append(fmt.Appendf(nil, "größe.mp4 %d\n", size), pattern(size)...)
		if got := pymongo(t, "get", s, f.ID); !bytes.Equal(got, want) {
			t.Errorf("PyMongo read %d bytes: %.40q …, want %d: %.40q …", len(got), got, len(want), want)
		}
	}
}

// Parts of any size, and chunks of a writer that died, are to PyMongo what comes at once.
func TestPyMongoReadsWhatHasArrivedInParts(t *testing.T) {
	s := open(t).Videos()
	f := porttest.NewFile("größe.mp4")
	f.Bytes = 5*ChunkSize + 7
	content := pattern(int(f.Bytes))
	var a job.Arrival
	add := func(part []byte, told error) {
		a.Writer++
		err := s.Append(t.Context(), f, a, bytes.NewReader(part), func(_ context.Context, now job.Arrival) error {
			if told == nil {
				a = now
			}
			return told
		})
		if !errors.Is(err, told) {
			t.Fatalf("Append at %d: %v", a.Offset, err)
		}
	}
	add(content[:100], nil)
	add(make([]byte, 3*ChunkSize), errors.New("dead"))
	add(content[100:2*ChunkSize+1], nil)
	add(content[2*ChunkSize+1:], nil)
	f, err := s.Complete(t.Context(), f, a)
	if err != nil {
		t.Fatal(err)
	}
	want := append(fmt.Appendf(nil, "größe.mp4 %d\n", f.Bytes), content...)
	if got := pymongo(t, "get", s, f.ID); !bytes.Equal(got, want) {
		t.Errorf("PyMongo read %d bytes: %.40q …, want %d: %.40q …", len(got), got, len(want), want)
	}
}

func TestWeServeWhatPyMongoStores(t *testing.T) {
	s := open(t).Videos()
	want := map[string]job.File{
		"plain":        {Bytes: 600_000},
		"empty":        {},
		"small chunks": {Bytes: 10_001},
		"large chunks": {Bytes: 1_500_000},
		"typed":        {Bytes: 5, Type: "video/mp4", Owner: "sid@gmail.com"},
		"odd metadata": {Bytes: 5},
	}
	lines := strings.Split(strings.TrimSpace(string(pymongo(t, "put", s))), "\n")
	if len(lines) != len(want) {
		t.Fatalf("PyMongo stored %q", lines)
	}
	for _, line := range lines {
		name, id, _ := strings.Cut(line, "\t")
		t.Run(name, func(t *testing.T) {
			f, got := read(t, s, id)
			want := want[name]
			want.ID, want.Name, want.Stored = id, name, f.Stored
			if diff := cmp.Diff(want, f); diff != "" || time.Since(f.Stored) > time.Hour {
				t.Errorf("described, stored %v (-want +got):\n%s", f.Stored, diff)
			}
			if !bytes.Equal(got, pattern(int(want.Bytes))) {
				t.Errorf("%d other bytes came back", len(got))
			}
		})
	}
}
