package porttest

import (
	"context"
	"slices"
	"testing"
	"time"

	"mp3converter/internal/user"
)

// Failures counts failed logins, for everybody who uses the store.
type Failures interface {
	// Failures returns the slots' tallies in the slots' order, zero where there is none.
	Failures(ctx context.Context, slots ...user.Slot) ([]user.Tally, error)
	// Fail counts one more and returns how many that makes: each caller gets a number of its own. A slot in which nothing
	// has happened for longer than forget begins anew.
	Fail(ctx context.Context, slot user.Slot, forget time.Duration) (int, error)
	// Clear empties a slot.
	Clear(ctx context.Context, slot user.Slot) error
}

// TestFailures shows that a store keeps the port's terms. open returns an empty store.
func TestFailures(t *testing.T, open func(t *testing.T) Failures) {
	for name, test := range map[string]func(*testing.T, Failures){
		"failures are counted, slot by slot":    failuresCounted,
		"of many at once each has its number":   failuresAtOnce,
		"an old tally begins anew":              failuresForgotten,
		"a slot is emptied":                     failuresCleared,
		"a context that is over counts nothing": failuresCancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const highest = user.Slot(1<<32 - 1)

func failuresCounted(t *testing.T, s Failures) {
	wantTallies(t, s, 0, 0, 0)
	for want := range 3 {
		if got, err := s.Fail(t.Context(), highest, time.Hour); err != nil || got != want+1 {
			t.Errorf("Fail = %d, %v, want %d", got, err, want+1)
		}
	}
	if got, err := s.Fail(t.Context(), 0, time.Hour); err != nil || got != 1 {
		t.Errorf("Fail in another slot = %d, %v, want 1", got, err)
	}
	wantTallies(t, s, 1, 0, 3)
}

func failuresAtOnce(t *testing.T, s Failures) {
	numbers := make([]int, 8)
	for i, err := range atOnce(len(numbers), func(i int) (err error) {
		numbers[i], err = s.Fail(t.Context(), 0, time.Hour)
		return err
	}) {
		if err != nil {
			t.Errorf("Fail, the %dth at once: %v", i, err)
		}
	}
	if slices.Sort(numbers); !slices.Equal(numbers, []int{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("the numbers are %v, want each once", numbers)
	}
	wantTallies(t, s, 8, 0, 0)
}

func failuresForgotten(t *testing.T, s Failures) {
	for _, forget := range []time.Duration{time.Hour, time.Hour, -time.Hour, time.Hour} { // the third is always too late
		if _, err := s.Fail(t.Context(), 0, forget); err != nil {
			t.Fatal(err)
		}
	}
	wantTallies(t, s, 2, 0, 0)
}

func failuresCleared(t *testing.T, s Failures) {
	for _, slot := range []user.Slot{0, 0, highest} {
		if _, err := s.Fail(t.Context(), slot, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second finds nothing to do
		if err := s.Clear(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	wantTallies(t, s, 0, 0, 1)
}

func failuresCancelled(t *testing.T, s Failures) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Fail(ctx, 0, time.Hour); err == nil {
		t.Error("Fail returns no error")
	}
	if _, err := s.Failures(ctx, 0); err == nil {
		t.Error("Failures returns no error")
	}
	if err := s.Clear(ctx, 0); err == nil {
		t.Error("Clear returns no error")
	}
	wantTallies(t, s, 0, 0, 0)
}

// wantTallies looks at the lowest slot, another, and the highest.
func wantTallies(t *testing.T, s Failures, lowest, other, top int) {
	t.Helper()
	got, err := s.Failures(t.Context(), 0, 7, highest)
	if err != nil || len(got) != 3 {
		t.Fatalf("Failures = %+v, %v, want three", got, err)
	}
	for i, want := range []int{lowest, other, top} {
		if got[i].Failures != want || got[i].Age < 0 || got[i].Age > time.Hour || want == 0 && got[i].Age != 0 {
			t.Errorf("tally %d = %+v, want %d failures of just now", i, got[i], want)
		}
	}
}
