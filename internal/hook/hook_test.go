package hook

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

var (
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rules = Rules{Steps: []time.Duration{5 * time.Second, 5 * time.Minute, 2 * time.Hour}, Lease: 90 * time.Second, Skew: 5 * time.Second}
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestAHookIsClaimedByOneCourier(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	want(t, h.Claim(start, rules), job.ErrState) // nothing to do
	must(t, h.Wake(start))
	want(t, h.Claim(start.Add(-time.Second), rules), job.ErrNotYet)
	must(t, h.Claim(start, rules))
	want(t, h.Claim(start.Add(rules.Lease-time.Millisecond), rules), job.ErrBusy)
	if at := start.Add(rules.Lease + rules.Skew); !h.NextAt.Equal(at) {
		t.Errorf("a dead courier's hook is looked for at %v, want %v", h.NextAt, at)
	}
	must(t, h.Claim(h.NextAt, rules)) // the first has died
	want(t, h.Leave(h.NextAt, rules, Visit{Number: 1}), job.ErrLost)
	must(t, h.Leave(h.NextAt, rules, Visit{Number: 2, Wakes: h.Wakes}))
	if !h.NextAt.IsZero() || !h.LeaseUntil.IsZero() {
		t.Errorf("left with nothing to do: %+v", h)
	}
}

func TestNoLeaseOfTheDeadCounts(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	h.Orphaned(start)
	want(t, h.Claim(start, rules), job.ErrState) // nothing to do
	must(t, h.Wake(start))
	must(t, h.Claim(start, rules))
	h.Orphaned(start.Add(time.Second))
	must(t, h.Claim(start.Add(time.Second), rules))
	want(t, h.Leave(start.Add(time.Second), rules, Visit{Number: 1}), job.ErrLost)
}

func TestWhatComesWhileACourierIsAtWorkIsNotForgotten(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	must(t, h.Wake(start))
	must(t, h.Claim(start, rules))
	v := Visit{Number: h.Visits, Wakes: h.Wakes}
	lease := h.NextAt
	must(t, h.Wake(start.Add(time.Second)))
	if !h.NextAt.Equal(lease) {
		t.Errorf("the lease is cut to %v", h.NextAt)
	}
	left := start.Add(2 * time.Second)
	must(t, h.Leave(left, rules, v))
	if !h.NextAt.Equal(left) {
		t.Errorf("next visit at %v, want at once", h.NextAt)
	}
}

func TestAHookWithMoreToDeliverGoesToTheEndOfTheLine(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	must(t, h.Wake(start))
	must(t, h.Claim(start, rules))
	left := start.Add(30 * time.Second)
	must(t, h.Leave(left, rules, Visit{Number: h.Visits, Wakes: h.Wakes, Answered: true, Next: start.Add(-time.Hour)}))
	if !h.NextAt.Equal(left) {
		t.Errorf("next visit at %v, want %v, after all who wait since before", h.NextAt, left)
	}
	must(t, h.Claim(left, rules))
	due := left.Add(time.Minute)
	must(t, h.Leave(left, rules, Visit{Number: h.Visits, Wakes: h.Wakes, Answered: true, Next: due}))
	if !h.NextAt.Equal(due) {
		t.Errorf("next visit at %v, want when there is something to do, %v", h.NextAt, due)
	}
}

func TestAnEndpointThatIsAwayIsLeftAlone(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	now := start
	must(t, h.Wake(now))
	var rests []time.Duration
	for range 4 {
		must(t, h.Claim(now, rules))
		must(t, h.Leave(now, rules, Visit{Number: h.Visits, Wakes: h.Wakes, Away: true, Next: now}))
		must(t, h.Wake(now)) // more to deliver does not wake it
		rests = append(rests, h.NextAt.Sub(now))
		now = h.NextAt
	}
	if diff := cmp.Diff([]time.Duration{5 * time.Second, maxRest, maxRest, maxRest}, rests); diff != "" {
		t.Errorf("rests:\n%s", diff)
	}
	must(t, h.Claim(now, rules))
	must(t, h.Leave(now, rules, Visit{Number: h.Visits, Wakes: h.Wakes, Answered: true, Next: now}))
	if h.Failures != 0 || !h.NextAt.Equal(now) {
		t.Errorf("after an answer: %+v", h)
	}
}

func TestAHookIsDisabledByGoneAndEnabledByATest(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	for _, tt := range []struct {
		visit Visit
		want  bool
	}{{Visit{Answered: true}, false}, {Visit{Answered: true, Gone: true}, true}, {Visit{Answered: true}, true}, {Visit{Answered: true, Proven: true}, false}} {
		must(t, h.Wake(start))
		must(t, h.Claim(start, rules))
		tt.visit.Number, tt.visit.Wakes = h.Visits, h.Wakes
		must(t, h.Leave(start, rules, tt.visit))
		if h.IsDisabled() != tt.want {
			t.Errorf("after %+v disabled is %v", tt.visit, h.IsDisabled())
		}
	}
}

func TestADeliveryIsTriedBySteps(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	d := h.Ping(start)
	now := start
	var waits []time.Duration
	for d.State == Pending {
		attempts := d.Attempts
		must(t, d.Tried(now, rules, attempts, Answer{Status: 500}))
		want(t, d.Tried(now, rules, attempts, Answer{Status: 200}), job.ErrLost) // a stale courier
		if d.State == Pending {
			waits = append(waits, d.DueAt.Sub(now))
			now = d.DueAt
		}
	}
	if !slices.Equal(waits, rules.Steps) || d.State != Failed || d.Attempts != 4 || d.Error != "answered 500" || !d.DueAt.IsZero() {
		t.Errorf("waits %v, then %+v", waits, d)
	}
	must(t, d.Replay(now))
	if d.State != Pending || !d.DueAt.Equal(now) || d.Failures != 0 {
		t.Errorf("replayed: %+v", d)
	}
	must(t, d.Tried(now, rules, 4, Answer{Status: 204}))
	if d.State != Delivered || d.Attempts != 5 || d.Error != "" || !d.DueAt.IsZero() {
		t.Errorf("delivered: %+v", d)
	}
	want(t, d.Drop(now, "x"), job.ErrState)
	must(t, d.Replay(now))
	must(t, d.Tried(now, rules, 5, Answer{Status: 410}))
	if d.State != Failed {
		t.Errorf("gone: %+v", d)
	}
}

func TestWhoIsAway(t *testing.T) {
	for status, want := range map[int]string{0: "away", 200: "ok", 299: "ok", 302: "", 400: "", 410: "gone", 429: "away", 500: "", 502: "away", 503: "away", 504: "away"} {
		a, got := Answer{Status: status}, ""
		switch {
		case a.OK():
			got = "ok"
		case a.Gone():
			got = "gone"
		case a.Away():
			got = "away"
		}
		if got != want {
			t.Errorf("%d is %q, want %q", status, got, want)
		}
	}
}

func TestWhatHadEndedBeforeIsMissed(t *testing.T) {
	h := New(start, "a@b.c", "https://example.com", 0)
	for before, want := range map[time.Duration]bool{-time.Hour: false, 0: false, time.Minute: false, time.Minute + time.Millisecond: true} {
		if got := h.Misses(start.Add(-before)); got != want {
			t.Errorf("an end %v before is missed: %v, want %v", before, got, want)
		}
	}
}

func TestOneEndIsOneDelivery(t *testing.T) {
	h, other := New(start, "a@b.c", "https://example.com", 0), New(start, "a@b.c", "https://example.com", 1)
	jobRules := job.DefaultRules()
	j := job.New(start, jobRules, job.NewID(start), "a@b.c")
	if _, ok := h.OfJob(start, j); ok {
		t.Error("an upload has ended")
	}
	must(t, j.Arrived(start, jobRules, job.File{Name: "a.mp4"}))
	must(t, j.Stop(start, jobRules, "x"))
	failed, ok := h.OfJob(start, j)
	again, _ := h.OfJob(start.Add(time.Hour), j)
	elsewhere, _ := other.OfJob(start, j)
	if !ok || !job.IsID(failed.ID) || failed.ID != again.ID || failed.ID == elsewhere.ID || failed.Event != JobFailed || failed.Job != j.ID {
		t.Errorf("%v: %+v, %s, %s", ok, failed, again.ID, elsewhere.ID)
	}
	view, err := json.Marshal(j.View())
	must(t, err)
	must(t, j.Retry(start, jobRules))
	must(t, j.Stop(start, jobRules, "x"))
	if twice, _ := h.OfJob(start, j); twice.ID == failed.ID {
		t.Error("the second failure has the first one's id")
	}
	var body struct {
		Type      string
		Timestamp time.Time
		Data      json.RawMessage
	}
	must(t, json.Unmarshal([]byte(failed.Body), &body))
	if body.Type != "job.failed" || !body.Timestamp.Equal(start) || string(body.Data) != string(view) {
		t.Errorf("body %s", failed.Body)
	}
	first, second, next := h.Ping(start), h.Ping(start.Add(59*time.Second)), h.Ping(start.Add(time.Minute))
	if first.ID != second.ID || first.ID == next.ID {
		t.Errorf("pings of a minute: %s and %s, of the next: %s", first.ID, second.ID, next.ID)
	}
}
