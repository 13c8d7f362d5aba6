package partial_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
	"mp3converter/internal/partial"
)

const piece = 100

// store keeps one file and counts what is fetched of it.
type store struct {
	data    []byte
	sums    partial.Sums
	fail    func(n int64) error
	mu      sync.Mutex
	fetched []int64
}

func newStore(pieces int) *store {
	s := &store{data: make([]byte, pieces*piece-7)} // the last piece is shorter
	_, _ = rand.NewChaCha8([32]byte{1}).Read(s.data)
	for p := range slices.Chunk(s.data, piece) {
		s.sums = s.sums.Add(p)
	}
	return s
}

func (s *store) fetch(_ context.Context, n int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched = append(s.fetched, n)
	if s.fail != nil {
		if err := s.fail(n); err != nil {
			return nil, err
		}
	}
	return s.data[n*piece : min((n+1)*piece, int64(len(s.data)))], nil
}

// copy copies to a fresh file and returns what is in it.
func (s *store) copy(t *testing.T, choose func(io.ReaderAt) []job.Span) (int64, []byte, error) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(s.data))); err != nil {
		t.Fatal(err)
	}
	n, err := partial.File{Size: int64(len(s.data)), Piece: piece, Sums: s.sums, Fetch: s.fetch}.Copy(t.Context(), f, choose)
	got := make([]byte, len(s.data))
	if _, err := f.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	slices.Sort(s.fetched)
	return n, got, err
}

// holding is the data of the pieces, and nothing in place of the rest.
func (s *store) holding(pieces []int64) []byte {
	out := make([]byte, len(s.data))
	for _, n := range pieces {
		copy(out[n*piece:], s.data[n*piece:min(int(n+1)*piece, len(s.data))])
	}
	return out
}

func choose(spans ...job.Span) func(io.ReaderAt) []job.Span {
	return func(io.ReaderAt) []job.Span { return spans }
}

func TestThePiecesAroundWhatIsChosen(t *testing.T) {
	s := newStore(40)
	n, got, err := s.copy(t, choose(job.Span{From: 0, To: 1}, job.Span{From: 350, To: 350}, job.Span{From: 599, To: 601}, job.Span{From: 602, To: 650}, job.Span{From: 3900, To: 3993}))
	if want := []int64{0, 5, 6, 39}; err != nil || n != 3*piece+93 || !slices.Equal(s.fetched, want) || !bytes.Equal(got, s.holding(want)) {
		t.Errorf("%d bytes of the pieces %v, error %v, want %v", n, s.fetched, err, want)
	}
}

func TestWhatChoosingReadsIsFetchedOnce(t *testing.T) {
	s := newStore(100)
	n, got, err := s.copy(t, func(r io.ReaderAt) []job.Span {
		for _, at := range []int64{0, 90, 30 * piece, 31*piece + 50, 31 * piece, 9950} {
			b := make([]byte, 20)
			if _, err := r.ReadAt(b, at); err != nil || !bytes.Equal(b, s.data[at:at+20]) {
				t.Errorf("read at %d: %v", at, err)
			}
		}
		return []job.Span{{From: 0, To: 50}, {From: 3000, To: 3200}, {From: 5000, To: 5001}}
	})
	// What goes on what came before takes one more: 2 behind 1, 32 behind 31.
	if want := []int64{0, 1, 2, 30, 31, 32, 50, 99}; err != nil || n != 7*piece+93 || !slices.Equal(s.fetched, want) || !bytes.Equal(got, s.holding(want)) {
		t.Errorf("%d bytes of the pieces %v, error %v, want %v", n, s.fetched, err, want)
	}
}

func TestALongTableIsFetchedAhead(t *testing.T) {
	s := newStore(2000)
	searches := 0
	_, _, err := s.copy(t, func(r io.ReaderAt) []job.Span {
		for at := int64(0); at < 200*piece; at += 10 {
			before := len(s.fetched)
			if _, err := r.ReadAt(make([]byte, 10), at); err != nil {
				t.Fatal(err)
			}
			if len(s.fetched) > before {
				searches++
			}
		}
		return []job.Span{}
	})
	if err != nil || searches > 18 || len(s.fetched) > 216 {
		t.Errorf("%d waits for %d pieces, error %v", searches, len(s.fetched), err)
	}
}

func TestWhatIsReadWhole(t *testing.T) {
	readEvery := func(step, to int64) func(io.ReaderAt) []job.Span {
		return func(r io.ReaderAt) []job.Span {
			for at := int64(0); at < to; at += step {
				if _, err := r.ReadAt(make([]byte, 1), at); err != nil {
					return nil
				}
			}
			return []job.Span{}
		}
	}
	cutOff := func(n int64) error {
		if n == 3 {
			return fmt.Errorf("piece 3: %w", io.ErrUnexpectedEOF)
		}
		return nil
	}
	for name, tt := range map[string]struct {
		pieces  int
		spoil   func(s *store)
		choose  func(io.ReaderAt) []job.Span
		fetched int // at most
	}{
		"nothing is chosen":            {40, nil, choose(), 0},
		"nearly all is chosen":         {40, nil, choose(job.Span{From: 0, To: 24 * piece}), 0},
		"it is small":                  {15, nil, choose(job.Span{From: 0, To: 1}), 0},
		"there are no sums":            {40, func(s *store) { s.sums = nil }, choose(job.Span{From: 0, To: 1}), 0},
		"there are too few sums":       {40, func(s *store) { s.sums = s.sums[4:] }, choose(job.Span{From: 0, To: 1}), 0},
		"a sum is another":             {40, func(s *store) { s.sums[5]++ }, choose(job.Span{From: 0, To: 150}), 2},
		"the last piece is another":    {40, func(s *store) { s.data[3990]++ }, choose(job.Span{From: 3950, To: 3960}), 1},
		"a piece is too long":          {40, func(s *store) { s.data = append(s.data, 0) }, choose(job.Span{From: 3950, To: 3960}), 1},
		"a piece is missing":           {40, func(s *store) { s.fail = cutOff }, choose(job.Span{From: 300, To: 310}), 1},
		"choosing meets a missing one": {40, func(s *store) { s.fail = cutOff }, func(r io.ReaderAt) []job.Span { _, _ = r.ReadAt(make([]byte, 1), 300); return []job.Span{} }, 1},
		"choosing reads all over":      {100, nil, readEvery(2*piece, 9900), 12}, // an eighth
		"choosing reads nearly all":    {40, nil, readEvery(piece, 3900), 5},
		"choosing reads on and on":     {100, nil, readEvery(piece, 9900), 12},
		"choosing reads a large file":  {16448, nil, readEvery(20*piece, 16447*piece), 256},
		"choosing reads a small one":   {16, nil, readEvery(piece, 1500), 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(tt.pieces)
			if tt.spoil != nil {
				tt.spoil(s)
			}
			if n, _, err := s.copy(t, tt.choose); n != 0 || err != nil || len(s.fetched) > tt.fetched {
				t.Errorf("%d bytes, error %v, fetched %v", n, err, s.fetched)
			}
		})
	}
}

var errAway = errors.New("connection refused")

func TestAStoreThatIsAwayIsNoReasonToReadMore(t *testing.T) {
	for name, pick := range map[string]func(io.ReaderAt) []job.Span{
		"while choosing": func(r io.ReaderAt) []job.Span {
			if _, err := r.ReadAt(make([]byte, 1), 700); !errors.Is(err, errAway) {
				t.Errorf("ReadAt: %v", err)
			}
			return nil
		},
		"after": choose(job.Span{From: 0, To: 800}),
	} {
		s := newStore(40)
		s.fail = func(n int64) error {
			if n == 7 {
				return errAway
			}
			return nil
		}
		if _, _, err := s.copy(t, pick); !errors.Is(err, errAway) {
			t.Errorf("%s: %v, want %v", name, err, errAway)
		}
	}
}

func TestAnEndIsObeyed(t *testing.T) {
	s := newStore(40)
	ctx, cancel := context.WithCancel(t.Context())
	f := partial.File{Size: int64(len(s.data)), Piece: piece, Sums: s.sums, Fetch: func(ctx context.Context, n int64) ([]byte, error) {
		cancel()
		return s.fetch(ctx, n)
	}}
	_, err := f.Copy(ctx, scratch{}, choose(job.Span{From: 0, To: 2000}))
	if !errors.Is(err, context.Canceled) || len(s.fetched) > 8 {
		t.Errorf("%v, and %d pieces were fetched after the end", err, len(s.fetched))
	}
}

// scratch takes everything.
type scratch struct{ io.ReaderAt }

func (scratch) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func TestNoMoreThanAFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, running, gate := newStore(100), atomic.Int64{}, make(chan struct{})
		f := partial.File{Size: int64(len(s.data)), Piece: piece, Sums: s.sums, Fetch: func(ctx context.Context, n int64) ([]byte, error) {
			running.Add(1)
			<-gate
			return s.fetch(ctx, n)
		}}
		done := make(chan error)
		go func() {
			_, err := f.Copy(t.Context(), scratch{}, choose(job.Span{From: 0, To: 5000}))
			done <- err
		}()
		synctest.Wait() // as many are at work as ever will be
		if got := running.Load(); got != 4 {
			t.Errorf("%d at once, want 4", got)
		}
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestSumsAreCRC32C(t *testing.T) {
	if diff := cmp.Diff(partial.Sums{0x83, 0x92, 0x06, 0xe3, 0, 0, 0, 0}, partial.Sums{}.Add([]byte("123456789")).Add(nil)); diff != "" {
		t.Error(diff)
	}
}
