package porttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mp3converter/internal/job"
)

// What a store of files must do for those who read and delete.

func filesAbsent(t *testing.T, s Files) {
	for _, id := range []string{
		job.NewID(time.Now()), "", "x", strings.Repeat("g", 24), strings.Repeat("A", 24), strings.Repeat("a", 23),
		strings.Repeat("a", 25), "../../../../../etc/passwd", "../aaaaaaaaaaaaaaaaaaaaa",
	} {
		if _, _, err := s.Open(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q): %v, want fs.ErrNotExist", id, err)
		}
		if err := s.Delete(t.Context(), id); err != nil {
			t.Errorf("Delete(%q): %v, want nil", id, err)
		}
		if job.IsID(id) {
			continue
		}
		if _, err := s.Put(t.Context(), job.File{ID: id}, strings.NewReader("x")); err == nil {
			t.Errorf("Put under %q, which is no id, succeeded", id)
		}
	}
}

func filesSeek(t *testing.T, s Files) {
	content := Bytes(6, 2*chunk+100)
	f := mustPut(t, s, content)
	_, r, err := s.Open(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := iotest.TestReader(r, content); err != nil {
		t.Error(err)
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek before the start succeeded")
	}
	if at, err := r.Seek(10, io.SeekEnd); err != nil || at != int64(len(content))+10 {
		t.Errorf("Seek beyond the end = %d, %v", at, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("Read beyond the end = %d, %v, want 0, io.EOF", n, err)
	}
}

func filesRanges(t *testing.T, s Files) {
	content := Bytes(7, 3*chunk)
	f := mustPut(t, s, content)
	for spec, want := range map[string][]byte{
		"":                      content,
		"bytes=0-9":             content[:10],
		"bytes=-5":              content[len(content)-5:],
		"bytes=261110-261130":   content[261110:261131],
		"bytes=522240-":         content[522240:],
		"bytes=261120-261120":   content[261120:261121],
		"bytes=783360-":         nil, // 416
		"bytes=0-0,522240-8000": nil, // malformed: 416
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		status := http.StatusOK
		if spec != "" {
			r.Header.Set("Range", spec)
			status = http.StatusPartialContent
		}
		if want == nil {
			status = http.StatusRequestedRangeNotSatisfiable
		}
		w := serve(t, s, f.ID, r)
		if w.Code != status || want != nil && !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("range %q: status %d and %d bytes, want %d and %d right ones", spec, w.Code, w.Body.Len(), status, len(want))
		}
	}
	w := serve(t, s, f.ID, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", nil))
	if got := w.Header().Get("Content-Length"); got != "783360" || w.Body.Len() != 0 {
		t.Errorf("HEAD says %s bytes and sends %d", got, w.Body.Len())
	}
}

// serve answers r with the file, as the gateway does.
func serve(t *testing.T, s Files, id string, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	f, content, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", f.Type)
	http.ServeContent(w, r, "", f.Stored, content)
	return w
}

func filesDelete(t *testing.T, s Files) {
	kept := mustPut(t, s, Bytes(8, chunk+1))
	for _, size := range []int{0, 5, 3 * chunk} {
		f := mustPut(t, s, Bytes(9, size))
		for range 2 {
			if err := s.Delete(t.Context(), f.ID); err != nil {
				t.Errorf("Delete: %v", err)
			}
		}
		wantNothing(t, s, f.ID)
	}
	wantContent(t, s, kept.ID, Bytes(8, chunk+1))
}

func filesDeleteWhileRead(t *testing.T, s Files) {
	content := Bytes(10, 16*chunk)
	f := mustPut(t, s, content)
	_, r, err := s.Open(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), f.ID); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	got := slices.Concat(head, rest)
	if !bytes.HasPrefix(content, got) {
		t.Error("wrong bytes were read")
	}
	if err == nil && len(got) != len(content) {
		t.Errorf("a clean end after %d of %d bytes", len(got), len(content))
	}
}

func filesReadCancelled(t *testing.T, s Files) {
	f := mustPut(t, s, Bytes(11, 16*chunk))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, r, err := s.Open(ctx, f.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading after the context's end: %v, want context.Canceled", err)
	}
}

func filesPart(t *testing.T, s Files) {
	content := Bytes(12, 40*chunk)
	wantPart(t, s, mustPut(t, s, content).ID, content)
}

// wantPart checks that of a file of 40 chunks, which has that content, a part can be copied.
func wantPart(t *testing.T, s Files, id string, content []byte) {
	t.Helper()
	_, r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	to, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := to.Truncate(int64(len(content))); err != nil {
		t.Fatal(err)
	}
	parts := []job.Span{{From: 0, To: 10}, {From: 5*chunk - 1, To: 5*chunk + 1}, {From: 40*chunk - 1, To: 40 * chunk}}
	n, err := r.(Parts).Copy(to, func(r io.ReaderAt) []job.Span {
		b := make([]byte, 2)
		if _, err := r.ReadAt(b, chunk-1); err != nil || !bytes.Equal(b, content[chunk-1:chunk+1]) {
			t.Errorf("choosing reads %x, %v", b, err)
		}
		return parts
	})
	if err != nil || n == 0 || n > 8*chunk {
		t.Errorf("%d bytes were read, %v", n, err)
	}
	got := make([]byte, len(content))
	if _, err := to.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if !bytes.Equal(got[p.From:p.To], content[p.From:p.To]) {
			t.Errorf("from %d to %d other bytes came", p.From, p.To)
		}
	}
	if middle := got[20*chunk : 30*chunk]; !bytes.Equal(middle, make([]byte, len(middle))) {
		t.Error("more was written than was chosen")
	}
}
