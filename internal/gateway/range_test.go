package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/job"
)

// http.ServeContent reads several ranges in a goroutine that may outlive it, and a store may be surprised by a read after
// its Close.
func TestAClosedSourceLeavesItsFileAlone(t *testing.T) {
	s := &source{content: nopCloser{strings.NewReader("sound")}}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(make([]byte, 5)); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read = %d, %v", n, err)
	}
	if _, err := s.Seek(0, io.SeekStart); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Seek: %v", err)
	}
}

// FuzzRange asks for whatever ranges: the answer is the file, the parts of it that it says, or a refusal.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{
		"", "bytes=0-0", "bytes=-1", "bytes=5-", "bytes=0-0,-1", "bytes=9-0", "bytes=100-", "bytes=0-,0-", "bytes=--1",
		"lines=0-1", "bytes=0-99999999999999999999", "bytes= 1 - 2 , 3-4", strings.Repeat("bytes=0-0,", 20),
	} {
		f.Add(seed)
	}
	content := []byte("0123456789abcdef")
	s := &Service{cfg: Config{Stall: time.Second}}
	f.Fuzz(func(t *testing.T, spec string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Range", spec)
		w := httptest.NewRecorder()
		src := &source{content: nopCloser{bytes.NewReader(content)}}
		answers.Handle(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "audio/mpeg")
			return s.send(w, r, job.File{ID: "id", Bytes: int64(len(content)), Stored: time.Unix(1e9, 0)}, src)
		})(w, r)
		switch w.Code {
		case http.StatusOK:
			if !bytes.Equal(w.Body.Bytes(), content) {
				t.Fatalf("%q: %q", spec, w.Body)
			}
		case http.StatusPartialContent:
			wantRange(t, w, content)
		case http.StatusRequestedRangeNotSatisfiable:
		default:
			t.Fatalf("%q: status %d", spec, w.Code)
		}
	})
}

func wantRange(t *testing.T, w *httptest.ResponseRecorder, content []byte) {
	t.Helper()
	if n := w.Header().Get("Content-Length"); n != fmt.Sprint(w.Body.Len()) {
		t.Fatalf("Content-Length = %s of %d bytes", n, w.Body.Len())
	}
	said := w.Header().Get("Content-Range")
	if said == "" { // several
		return
	}
	var from, to, size int
	if _, err := fmt.Sscanf(said, "bytes %d-%d/%d", &from, &to, &size); err != nil || size != len(content) {
		t.Fatalf("Content-Range = %q", said)
	}
	if !bytes.Equal(w.Body.Bytes(), content[from:to+1]) {
		t.Fatalf("%s is %q", said, w.Body)
	}
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }
