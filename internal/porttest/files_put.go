package porttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
)

// What a store of files must do with what it is given: keep all of it, or nothing.

func filesComeBack(t *testing.T, s Files) {
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 13*chunk + 7} {
		content := Bytes(uint64(size), size)
		f := mustPut(t, s, content)
		if f.Bytes != int64(size) {
			t.Errorf("Put of %d bytes says %d", size, f.Bytes)
		}
		wantContent(t, s, f.ID, content)
	}
}

func filesDescribed(t *testing.T, s Files) {
	for _, name := range []string{"vid_1.mp4", "Ünï cödé 視頻 🎬.mkv", `"quoted" & <b>; $x.mov`, strings.Repeat("n", 255)} {
		want := NewFile(name)
		want.Owner, want.Type, want.Job = "o'neil+x@example.com", "audio/mpeg", job.NewID(time.Now())
		before := time.Now().UTC().Truncate(time.Millisecond)
		put, err := s.Put(t.Context(), want, strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		if put.Stored.Before(before) || put.Stored.After(time.Now()) || put.Stored.Location() != time.UTC {
			t.Errorf("Stored is %v, want the time of the call, in UTC", put.Stored)
		}
		want.Bytes, want.Stored = 3, put.Stored
		want.SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
		if diff := cmp.Diff(want, put); diff != "" {
			t.Errorf("Put returned (-want +got):\n%s", diff)
		}
		got, _, err := load(t.Context(), s, put.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(put, got); diff != "" {
			t.Errorf("Open returned (-as put +got):\n%s", diff)
		}
	}
}

func filesOddReaders(t *testing.T, s Files) {
	content := Bytes(2, chunk+100)
	for name, r := range map[string]io.Reader{
		"at most 4 KiB a read, as a multipart reader": limitReads{bytes.NewReader(content), 4096},
		"half of what is asked":                       iotest.HalfReader(bytes.NewReader(content)),
		"io.EOF together with the last bytes":         iotest.DataErrReader(bytes.NewReader(content)),
		"nothing and no error now and then":           &stutter{r: bytes.NewReader(content)},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := s.Put(t.Context(), NewFile("a.mp4"), r)
			if err != nil {
				t.Fatal(err)
			}
			wantContent(t, s, f.ID, content)
		})
	}
}

// limitReads yields at most max bytes at a time.
type limitReads struct {
	r   io.Reader
	max int
}

func (l limitReads) Read(p []byte) (int, error) { return l.r.Read(p[:min(len(p), l.max)]) }

// stutter returns 0, nil at every other call, as readers may.
type stutter struct {
	r    io.Reader
	calm bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.calm = !s.calm; s.calm {
		return 0, nil
	}
	return s.r.Read(p)
}

func filesReaderFails(t *testing.T, s Files) {
	broken := errors.New("the line is cut")
	for name, tt := range map[string]struct {
		before int
		err    error
	}{
		"at the first byte":             {0, broken},
		"within a chunk":                {1000, broken},
		"at a chunk's end":              {chunk, broken},
		"after many chunks":             {16*chunk + 5, broken},
		"with io.ErrUnexpectedEOF":      {chunk + 5, io.ErrUnexpectedEOF}, // what a client that hangs up looks like
		"with a wrapped io.EOF":         {chunk + 5, fmt.Errorf("part: %w", io.EOF)},
		"with ErrUnexpectedEOF at once": {0, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			f := NewFile("a.mp4")
			_, err := s.Put(t.Context(), f, io.MultiReader(bytes.NewReader(Bytes(3, tt.before)), iotest.ErrReader(tt.err)))
			if !errors.Is(err, tt.err) || errors.Is(err, fs.ErrExist) {
				t.Errorf("Put = %v, want %v in the chain", err, tt.err)
			}
			wantNothing(t, s, f.ID)
		})
	}
}

// endless yields zeros for ever and calls at once when `after` bytes were taken.
type endless struct {
	after int
	at    func()
}

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	if e.after -= len(p); e.after <= 0 && e.at != nil {
		e.at()
		e.at = nil
	}
	return len(p), nil
}

func filesCancelled(t *testing.T, s Files) {
	for name, after := range map[string]int{"before it begins": 0, "within the first chunk": 1, "after many chunks": 16 * chunk} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if after == 0 {
				cancel()
			}
			f := NewFile("a.mp4")
			if _, err := s.Put(ctx, f, &endless{after: after, at: cancel}); err == nil || errors.Is(err, fs.ErrExist) {
				t.Errorf("Put = %v, want the context's error", err)
			}
			wantNothing(t, s, f.ID)
		})
	}
}

func filesTaken(t *testing.T, s Files) {
	for _, first := range []int{0, 10, 2*chunk + 1} {
		for _, second := range []int{0, 10, 8 * chunk} {
			content := Bytes(4, first)
			f := mustPut(t, s, content)
			if _, err := s.Put(t.Context(), f, bytes.NewReader(Bytes(5, second))); !errors.Is(err, fs.ErrExist) {
				t.Errorf("Put of %d bytes under the id of %d: %v, want fs.ErrExist", second, first, err)
			}
			wantContent(t, s, f.ID, content)
		}
	}
}

func filesTakenAtOnce(t *testing.T, s Files) {
	for range 4 {
		f := NewFile("a.mp4")
		const rivals = 4
		var errs [rivals]error
		var g errgroup.Group
		for i := range rivals {
			g.Go(func() error {
				_, errs[i] = s.Put(t.Context(), f, bytes.NewReader(Bytes(uint64(i), 2*chunk+i)))
				return nil
			})
		}
		_ = g.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Errorf("Put %d and %d both succeeded under one id", winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("Put of a loser: %v, want fs.ErrExist", err)
			}
		}
		if winner >= 0 {
			wantContent(t, s, f.ID, Bytes(uint64(winner), 2*chunk+winner))
		} else {
			wantNothing(t, s, f.ID)
		}
	}
}

func filesParallel(t *testing.T, s Files) {
	const uploads = 50
	size := func(i int) int { // small in all: there are stores that read everything to find one
		if i%5 == 0 {
			return chunk + i*2_000
		}
		return i * 2_000
	}
	ids := make([]string, uploads)
	var g errgroup.Group
	for i := range uploads {
		g.Go(func() error {
			content := Bytes(uint64(i), size(i))
			f, err := s.Put(t.Context(), NewFile(fmt.Sprint(i)), limitReads{bytes.NewReader(content), 4096})
			ids[i] = f.ID
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	g.SetLimit(8)
	for i, id := range ids {
		g.Go(func() error {
			f, got, err := load(t.Context(), s, id)
			if err == nil && (!bytes.Equal(got, Bytes(uint64(i), size(i))) || f.Name != fmt.Sprint(i)) {
				err = fmt.Errorf("upload %d came back as %d other bytes, named %q", i, len(got), f.Name)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func filesFailBesideOthers(t *testing.T, s Files) {
	good, bad := make([]job.File, 4), make([]job.File, 4)
	content := Bytes(12, 2*chunk+9)
	var g errgroup.Group
	for i := range good {
		good[i], bad[i] = NewFile("good"), NewFile("bad")
		g.Go(func() error {
			_, err := s.Put(t.Context(), good[i], bytes.NewReader(content))
			return err
		})
		g.Go(func() error {
			r := io.MultiReader(bytes.NewReader(content), iotest.ErrReader(io.ErrClosedPipe))
			if _, err := s.Put(t.Context(), bad[i], r); !errors.Is(err, io.ErrClosedPipe) {
				return fmt.Errorf("a broken reader was put: %w", err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	for i := range good {
		wantContent(t, s, good[i].ID, content)
		wantNothing(t, s, bad[i].ID)
	}
}
