package slots

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// use has n callers take a slot one after the other, keep it for so long, and say that err came of it. It returns what Take
// has told each.
func use(t *testing.T, s *Slots, n int, keep time.Duration, err error) []error {
	t.Helper()
	told := make([]error, n)
	var g sync.WaitGroup
	for i := range n {
		g.Go(func() {
			if told[i] = s.Take(t.Context()); told[i] == nil {
				time.Sleep(keep)
				s.Give(err)
			}
		})
		synctest.Wait() // so that they come in this order
	}
	g.Wait()
	return told
}

func TestWhoeverWaitsForASlotWaitsAsLongAsOthersGetThrough(t *testing.T) {
	const patience = 10 * time.Second
	for name, tt := range map[string]struct {
		keep time.Duration
		err  error
		good int // of ten
	}{
		"a slow server":                {9 * time.Second, nil, 10},
		"a server that answers nobody": {30 * time.Second, errors.New("timeout"), 2},
		"one that refuses all":         {6 * time.Second, errors.New("refused"), 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := use(t, New(2, patience), 10, tt.keep, tt.err)
				for i, err := range told {
					want := error(nil)
					if i >= tt.good {
						want = ErrStuck
					}
					if !errors.Is(err, want) {
						t.Errorf("caller %d is told %v, want %v", i+1, err, want)
					}
				}
			})
		})
	}
}

func TestWhoeverIsCancelledWaitsForNoSlot(t *testing.T) {
	s, gone := New(1, time.Hour), errors.New("the client has gone")
	if err := s.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := s.Take(ctx); !errors.Is(err, gone) {
		t.Errorf("Take = %v, want %v", err, gone)
	}
	s.Give(nil)
	if err := s.Take(t.Context()); err != nil {
		t.Errorf("after that the slot is lost: %v", err)
	}
}
