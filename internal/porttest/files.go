package porttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"mp3converter/internal/job"
)

// Pieces is for stores under test: how many pieces, of whatever kind, lie under an id. A store that TestFiles gets and
// that has this method is asked after everything that must leave nothing behind.
type Pieces interface {
	Pieces(t *testing.T, id string) int
}

// chunk is GridFS's chunk size, the one border at which some store may go wrong.
const chunk = 261120

// TestFiles holds a store to the terms of Files. open returns an empty store and registers its end with t.Cleanup; it is
// called once per test.
func TestFiles(t *testing.T, open func(t *testing.T) Files) {
	for name, test := range map[string]func(*testing.T, Files){
		"what is put comes back, at every size around a border":      filesComeBack,
		"the description comes back, whatever the name":              filesDescribed,
		"readers that yield oddly":                                   filesOddReaders,
		"a reader's error leaves nothing and is in the chain":        filesReaderFails,
		"a context that ends leaves nothing":                         filesCancelled,
		"an id that is taken keeps its first file":                   filesTaken,
		"of parallel puts under one id at most one succeeds":         filesTakenAtOnce,
		"what is absent or no id is not found":                       filesAbsent,
		"a reader can seek":                                          filesSeek,
		"http.ServeContent answers ranges":                           filesRanges,
		"a deleted file is gone, and deleting twice is no error":     filesDelete,
		"deleting during a read gives all bytes or an error":         filesDeleteWhileRead,
		"reading obeys the context":                                  filesReadCancelled,
		"a part is copied to its place, and the rest is not":         filesPart,
		"50 parallel uploads come back byte for byte":                filesParallel,
		"a failed put does not touch the files put at the same time": filesFailBesideOthers,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Bytes returns n pseudo-random bytes that depend on seed only.
func Bytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// NewFile describes a file that is about to be put.
func NewFile(name string) job.File {
	id := job.NewID(time.Now())
	return job.File{ID: id, Job: id, Owner: "sid@gmail.com", Name: name, Type: "video/mp4"}
}

// mustPut stores content under a fresh id.
func mustPut(t *testing.T, s Files, content []byte) job.File {
	t.Helper()
	f, err := s.Put(t.Context(), NewFile("a.mp4"), bytes.NewReader(content))
	if err != nil {
		t.Fatalf("Put of %d bytes: %v", len(content), err)
	}
	return f
}

// load reads the whole file; it is an error if it does not have the length its description says.
func load(ctx context.Context, s Files, id string) (job.File, []byte, error) {
	f, r, err := s.Open(ctx, id)
	if err != nil {
		return f, nil, err
	}
	b, err := io.ReadAll(r)
	if err == nil && f.Bytes != int64(len(b)) {
		err = fmt.Errorf("Bytes is %d, but %d were read", f.Bytes, len(b))
	}
	return f, b, errors.Join(err, r.Close())
}

// wantContent checks that the file has exactly that content.
func wantContent(t *testing.T, s Files, id string, want []byte) {
	t.Helper()
	_, got, err := load(t.Context(), s, id)
	if err != nil {
		t.Errorf("read %s: %v", id, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("read %s: %d bytes came back that differ from the %d stored", id, len(got), len(want))
	}
}

// wantNothing checks that nothing is readable under the id, that no piece is left, and that the id is free again.
func wantNothing(t *testing.T, s Files, id string) {
	t.Helper()
	if _, _, err := load(t.Context(), s, id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of what must not be there: %v, want fs.ErrNotExist", err)
	}
	if p, ok := s.(Pieces); ok {
		if n := p.Pieces(t, id); n != 0 {
			t.Errorf("%d pieces left under %s", n, id)
		}
	}
	again := NewFile("again.mp4")
	again.ID = id
	content := Bytes(1, 2*chunk)
	if _, err := s.Put(t.Context(), again, bytes.NewReader(content)); err != nil {
		t.Errorf("Put under the same id afterwards: %v", err)
		return
	}
	wantContent(t, s, id, content)
}
