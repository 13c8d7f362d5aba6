package porttest

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mp3converter/internal/hook"
	"mp3converter/internal/job"
)

// TestHooks holds a store to the terms of Hooks. open returns an empty one, as for TestLedger.
func TestHooks(t *testing.T, open func(t *testing.T) Hooks) {
	for name, test := range map[string]func(*testing.T, Hooks){
		"every field comes back":                                   hooksFields,
		"an id or a slot of the owner's is taken once":             hooksTaken,
		"of hooks at once each has a slot of its own":              hooksAtOnce,
		"an update stores the change, and an error of it nothing":  hooksUpdate,
		"of parallel claims one wins":                              hooksClaims,
		"of wakes at once none is lost":                            hooksWakes,
		"what is removed is gone and its slot free":                hooksRemove,
		"an owner's are by slot, and nobody else's":                hooksOf,
		"due is what has a time, the longest first":                hooksDue,
		"a context that is over fails every call, storing nothing": hooksCancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var hookRules = hook.Rules{Steps: []time.Duration{time.Second}, Lease: time.Minute, Skew: time.Second}

func newHook(slot int) hook.Hook { return hook.New(noon, owner, "https://example.com/x?y=z", slot) }

func insertHook(t *testing.T, s Hooks, h hook.Hook) hook.Hook {
	t.Helper()
	return insertRecord(t, s, h, func(h *hook.Hook) *int64 { return &h.Version })
}

func wantHook(t *testing.T, s Hooks, want hook.Hook) {
	t.Helper()
	wantRecord(t, s, want.ID, want)
}

func hooksFields(t *testing.T, s Hooks) {
	for _, h := range []hook.Hook{newHook(1), filled(t, newHook(2))} {
		wantHook(t, s, insertHook(t, s, h))
	}
	if _, err := s.Get(t.Context(), job.NewID(noon)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of none: %v, want fs.ErrNotExist", err)
	}
}

func hooksTaken(t *testing.T, s Hooks) {
	first := insertHook(t, s, newHook(3))
	sameID, sameSlot, elsewhere := newHook(4), newHook(3), newHook(3)
	sameID.ID = first.ID
	elsewhere.Owner = "someone@else.com"
	for name, h := range map[string]hook.Hook{"id": sameID, "slot": sameSlot} {
		if err := s.Insert(t.Context(), h); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Insert with a taken %s: %v, want fs.ErrExist", name, err)
		}
	}
	insertHook(t, s, elsewhere)
	wantHook(t, s, first)
}

func hooksAtOnce(t *testing.T, s Hooks) {
	errs := atOnce(6, func(i int) error { return s.Insert(t.Context(), newHook(i%3)) })
	refused := 0
	for _, err := range errs {
		if errors.Is(err, fs.ErrExist) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	all, err := s.Of(t.Context(), owner)
	if refused != 3 || len(all) != 3 || err != nil {
		t.Errorf("%d refused, %d there, %v; want 3 and 3", refused, len(all), err)
	}
}

func hooksUpdate(t *testing.T, s Hooks) {
	h, other := insertHook(t, s, newHook(0)), insertHook(t, s, newHook(1))
	want := filled(t, h)
	want.Version = 2
	got, err := s.Update(t.Context(), h.ID, func(now *hook.Hook) error {
		*now = want
		now.ID, now.Version = "the store's", 99 // not the change's business
		return nil
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Update: %v\n%s", err, diff)
	}
	wantHook(t, s, want)
	refusal := errors.New("no")
	got, err = s.Update(t.Context(), h.ID, func(now *hook.Hook) error { now.URL = "x"; return refusal })
	if err != refusal || got.URL != want.URL { //nolint:errorlint // as it is, not wrapped
		t.Errorf("Update that is refused: %v, %+v", err, got)
	}
	wantHook(t, s, want)
	wantHook(t, s, other)
	if _, err := s.Update(t.Context(), job.NewID(noon), func(*hook.Hook) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Update of none: %v, want fs.ErrNotExist", err)
	}
}

func hooksClaims(t *testing.T, s Hooks) {
	h := newHook(0)
	if err := h.Wake(noon); err != nil {
		t.Fatal(err)
	}
	insertHook(t, s, h)
	won := 0
	for _, err := range atOnce(6, func(int) error {
		_, err := s.Update(t.Context(), h.ID, func(h *hook.Hook) error { return h.Claim(noon, hookRules) })
		return err
	}) {
		if err == nil {
			won++
		} else if !errors.Is(err, job.ErrBusy) {
			t.Errorf("Claim of a loser: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d claims won, want 1", won)
	}
}

func hooksWakes(t *testing.T, s Hooks) {
	h := insertHook(t, s, newHook(0))
	for _, err := range atOnce(6, func(int) error {
		_, err := s.Update(t.Context(), h.ID, func(h *hook.Hook) error { return h.Wake(noon) })
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got, err := s.Get(t.Context(), h.ID); err != nil || got.Wakes != 6 {
		t.Errorf("%d wakes, %v, want 6", got.Wakes, err)
	}
}

func hooksRemove(t *testing.T, s Hooks) {
	h, other := insertHook(t, s, newHook(0)), insertHook(t, s, newHook(1))
	for range 2 {
		if err := s.Remove(t.Context(), h.ID); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
	if _, err := s.Get(t.Context(), h.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of what was removed: %v, want fs.ErrNotExist", err)
	}
	wantHook(t, s, other)
	insertHook(t, s, newHook(0))
}

func hooksOf(t *testing.T, s Hooks) {
	foreign := newHook(0)
	foreign.Owner = owner + ".org"
	insertHook(t, s, foreign)
	var want []hook.Hook
	for _, slot := range []int{2, 0, 1} {
		want = append(want, insertHook(t, s, newHook(slot)))
	}
	want = []hook.Hook{want[1], want[2], want[0]}
	got, err := s.Of(t.Context(), owner)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Of: %v\n%s", err, diff)
	}
	if none, err := s.Of(t.Context(), "nobody@else.com"); err != nil || len(none) > 0 {
		t.Errorf("Of nobody: %v, %v", none, err)
	}
}

func hooksDue(t *testing.T, s Hooks) {
	var want []hook.Hook
	for i, minutes := range []int{2, 1, 3, 9, -1} {
		h := newHook(i)
		if minutes > 0 {
			h.NextAt = noon.Add(time.Duration(minutes) * time.Minute)
		}
		want = append(want, insertHook(t, s, h))
	}
	want = []hook.Hook{want[1], want[0], want[2]}
	for _, limit := range []int{10, 2, 0} {
		got, err := s.Due(t.Context(), noon.Add(3*time.Minute), limit)
		if diff := cmp.Diff(want[:min(limit, len(want))], got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("Due, at most %d: %v\n%s", limit, err, diff)
		}
	}
}

func hooksCancelled(t *testing.T, s Hooks) {
	h := insertHook(t, s, newHook(0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err1 := s.Get(ctx, h.ID)
	_, err2 := s.Of(ctx, owner)
	_, err3 := s.Due(ctx, noon, 1)
	_, err4 := s.Update(ctx, h.ID, func(h *hook.Hook) error { return h.Wake(noon) })
	for i, err := range []error{err1, err2, err3, err4, s.Insert(ctx, newHook(1)), s.Remove(ctx, h.ID)} {
		if err == nil {
			t.Errorf("call %d succeeds", i)
		}
	}
	wantHook(t, s, h)
}
