package porttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mp3converter/internal/hook"
	"mp3converter/internal/job"
)

// TestDeliveries holds a store to the terms of Deliveries. open returns an empty one, as for TestLedger.
func TestDeliveries(t *testing.T, open func(t *testing.T) Deliveries) {
	for name, test := range map[string]func(*testing.T, Deliveries){
		"every field comes back":                                   deliveriesFields,
		"of parallel inserts under one id one wins":                deliveriesTaken,
		"an update stores the change, and an error of it nothing":  deliveriesUpdate,
		"of couriers with one try in hand one may note it":         deliveriesTried,
		"the list is the hook's, newest first":                     deliveriesList,
		"due is the hook's, the longest first":                     deliveriesDue,
		"a hook's are cleared, and nobody else's":                  deliveriesClear,
		"what has not changed for long is forgotten":               deliveriesForget,
		"a context that is over fails every call, storing nothing": deliveriesCancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// newDelivery returns one that was made, and last changed, so many minutes after noon.
func newDelivery(of hook.Hook, minutes int) hook.Delivery {
	return of.Ping(noon.Add(time.Duration(minutes) * time.Minute))
}

func insertDelivery(t *testing.T, s Deliveries, d hook.Delivery) hook.Delivery {
	t.Helper()
	return insertRecord(t, s, d, func(d *hook.Delivery) *int64 { return &d.Version })
}

func wantDelivery(t *testing.T, s Deliveries, want hook.Delivery) {
	t.Helper()
	wantRecord(t, s, want.ID, want)
}

func deliveriesFields(t *testing.T, s Deliveries) {
	h := newHook(0)
	for _, d := range []hook.Delivery{newDelivery(h, 0), filled(t, newDelivery(h, 1))} {
		wantDelivery(t, s, insertDelivery(t, s, d))
	}
	if _, err := s.Get(t.Context(), job.NewID(noon)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of none: %v, want fs.ErrNotExist", err)
	}
}

func deliveriesTaken(t *testing.T, s Deliveries) {
	h, won := newHook(0), 0
	for _, err := range atOnce(6, func(i int) error {
		d := newDelivery(h, 0)
		d.Body = fmt.Sprint(i)
		return s.Insert(t.Context(), d)
	}) {
		if err == nil {
			won++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Errorf("Insert of a loser: %v, want fs.ErrExist", err)
		}
	}
	if won != 1 {
		t.Errorf("%d inserts won, want 1", won)
	}
}

func deliveriesUpdate(t *testing.T, s Deliveries) {
	d, other := insertDelivery(t, s, newDelivery(newHook(0), 0)), insertDelivery(t, s, newDelivery(newHook(0), 1))
	want := filled(t, d)
	want.Version = 2
	got, err := s.Update(t.Context(), d.ID, func(now *hook.Delivery) error { *now = want; return nil })
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Update: %v\n%s", err, diff)
	}
	refusal := errors.New("no")
	if _, err = s.Update(t.Context(), d.ID, func(now *hook.Delivery) error { now.Body = "x"; return refusal }); err != refusal { //nolint:errorlint // as it is, not wrapped
		t.Errorf("Update that is refused: %v", err)
	}
	wantDelivery(t, s, want)
	wantDelivery(t, s, other)
}

func deliveriesTried(t *testing.T, s Deliveries) {
	d, noted := insertDelivery(t, s, newDelivery(newHook(0), 0)), 0
	for _, err := range atOnce(6, func(i int) error {
		_, err := s.Update(t.Context(), d.ID, func(d *hook.Delivery) error {
			return d.Tried(noon, hookRules, 0, hook.Answer{Status: 200 + 300*(i%2)})
		})
		return err
	}) {
		if err == nil {
			noted++
		} else if !errors.Is(err, job.ErrLost) {
			t.Errorf("Tried of a loser: %v", err)
		}
	}
	if got, err := s.Get(t.Context(), d.ID); noted != 1 || err != nil || got.Attempts != 1 {
		t.Errorf("%d noted, %+v, %v, want one", noted, got, err)
	}
}

func deliveriesList(t *testing.T, s Deliveries) {
	h := newHook(0)
	var want []hook.Delivery
	for _, minutes := range []int{1, 3, 0, 2} {
		want = append(want, insertDelivery(t, s, newDelivery(h, minutes)))
	}
	insertDelivery(t, s, newDelivery(newHook(1), 1))
	slices.SortFunc(want, func(a, b hook.Delivery) int { return b.Created.Compare(a.Created) })
	for _, tt := range []struct {
		before string
		limit  int
		want   []hook.Delivery
	}{{"", 10, want}, {"", 2, want[:2]}, {want[1].ID, 10, want[2:]}, {want[3].ID, 10, nil}, {"", 0, nil}} {
		got, err := s.List(t.Context(), h.ID, tt.before, tt.limit)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("List before %q, at most %d: %v\n%s", tt.before, tt.limit, err, diff)
		}
	}
}

func deliveriesDue(t *testing.T, s Deliveries) {
	h := newHook(0)
	var want []hook.Delivery
	for _, minutes := range []int{2, 1, 3, 9} {
		want = append(want, insertDelivery(t, s, newDelivery(h, minutes)))
	}
	ended := newDelivery(h, 0)
	if err := ended.Tried(noon, hookRules, 0, hook.Answer{Status: 200}); err != nil {
		t.Fatal(err)
	}
	insertDelivery(t, s, ended)
	insertDelivery(t, s, newDelivery(newHook(1), 1))
	want = []hook.Delivery{want[1], want[0], want[2]}
	for _, limit := range []int{10, 2, 0} {
		got, err := s.Due(t.Context(), h.ID, noon.Add(3*time.Minute), limit)
		if diff := cmp.Diff(want[:min(limit, len(want))], got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("Due, at most %d: %v\n%s", limit, err, diff)
		}
	}
}

func deliveriesClear(t *testing.T, s Deliveries) {
	h := newHook(0)
	insertDelivery(t, s, newDelivery(h, 0))
	insertDelivery(t, s, newDelivery(h, 1))
	other := insertDelivery(t, s, newDelivery(newHook(1), 0))
	if err := s.Clear(t.Context(), h.ID); err != nil {
		t.Error(err)
	}
	if left, err := s.List(t.Context(), h.ID, "", 10); err != nil || len(left) > 0 {
		t.Errorf("left after Clear: %v, %v", left, err)
	}
	wantDelivery(t, s, other)
}

func deliveriesForget(t *testing.T, s Deliveries) {
	h := newHook(0)
	old, kept, pending := newDelivery(h, 0), insertDelivery(t, s, newDelivery(h, 2)), insertDelivery(t, s, newDelivery(h, -9))
	old.State, old.DueAt = hook.Delivered, time.Time{}
	old = insertDelivery(t, s, old)
	again := insertDelivery(t, s, newDelivery(h, 1))
	again, err := s.Update(t.Context(), again.ID, func(d *hook.Delivery) error { return d.Replay(noon.Add(time.Hour)) })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Forget(t.Context(), noon.Add(2*time.Minute)); n != 1 || err != nil {
		t.Errorf("Forget = %d, %v, want 1", n, err)
	}
	if _, err := s.Get(t.Context(), old.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old one: %v", err)
	}
	wantDelivery(t, s, kept)
	wantDelivery(t, s, again)
	wantDelivery(t, s, pending)
}

func deliveriesCancelled(t *testing.T, s Deliveries) {
	h := newHook(0)
	d := insertDelivery(t, s, newDelivery(h, 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err1 := s.Get(ctx, d.ID)
	_, err2 := s.List(ctx, h.ID, "", 1)
	_, err3 := s.Due(ctx, h.ID, noon, 1)
	_, err4 := s.Update(ctx, d.ID, func(d *hook.Delivery) error { return d.Replay(noon) })
	_, err5 := s.Forget(ctx, noon.Add(time.Hour))
	for i, err := range []error{err1, err2, err3, err4, err5, s.Insert(ctx, newDelivery(h, 1)), s.Clear(ctx, h.ID)} {
		if err == nil {
			t.Errorf("call %d succeeds", i)
		}
	}
	wantDelivery(t, s, d)
}
