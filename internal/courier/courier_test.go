package courier_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"mp3converter/internal/courier"
	"mp3converter/internal/embedded"
	"mp3converter/internal/hook"
	"mp3converter/internal/job"
	"mp3converter/internal/outside"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const owner = "sid@gmail.com"

// world is a courier between real stores and receivers.
type world struct {
	*testing.T
	*courier.Service
	jobs       *embedded.Ledger
	hooks      embedded.Hooks
	deliveries embedded.Deliveries
	rules      job.Rules
	slot       int
}

func newWorld(t *testing.T, change ...func(*courier.Config)) *world {
	t.Helper()
	db, err := embedded.OpenDB(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{T: t, jobs: db.Jobs(), hooks: db.Hooks(), deliveries: db.Deliveries(), rules: job.DefaultRules()}
	w.rules.RingAfter = 0
	cfg := courier.Config{
		Jobs: w.jobs, Hooks: w.hooks, Deliveries: w.deliveries, Metrics: prometheus.NewRegistry(),
		Post:  outside.New(outside.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}).Post,
		Rules: hook.Rules{Steps: []time.Duration{time.Millisecond, 2 * time.Millisecond}, Lease: time.Minute},
		Every: 5 * time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	w.Service = courier.New(cfg)
	return w
}

// run has the courier make its rounds until the end of the test, or until the returned function is called, which waits for its end.
func (w *world) run() (stop func()) {
	tell, end := w.start()
	return func() { tell(); end() }
}

// start is run with a function that tells the courier to stop, and one that waits for its end.
func (w *world) start() (tell, end func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Service.Run(ctx) })
	w.Cleanup(func() { cancel(); running.Wait() })
	return cancel, running.Wait
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// receiver is somebody's endpoint.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	got     []received
	inside  int
	crowd   int   // the most requests at once
	answers []int // to the first requests; after them 204
	hold    chan struct{}
}

type received struct {
	id, at, signature, body string
}

func (w *world) receiver(answers ...int) *receiver {
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	w.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.inside++
	r.crowd = max(r.crowd, r.inside)
	r.got = append(r.got, received{req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp"), req.Header.Get("webhook-signature"), string(body)})
	status := http.StatusNoContent
	if n := len(r.got); n <= len(r.answers) {
		status = r.answers[n-1]
	}
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.WriteHeader(status)
	r.mu.Lock()
	r.inside--
	r.mu.Unlock()
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// verify is what README tells receivers to do.
func (g received) verify(secret hook.Secret) bool {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(secret), "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(g.id + "." + g.at + "." + g.body))
	return g.signature == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (w *world) hook(to *receiver) hook.Hook {
	w.Helper()
	h := hook.New(time.Now(), owner, to.URL+"/secret-path", w.slot)
	w.slot++
	w.must(w.hooks.Insert(w.Context(), h))
	return h
}

// ended is a job that has failed, or been converted.
func (w *world) ended(well bool) job.Job {
	w.Helper()
	return w.endedAt(time.Now(), well)
}

func (w *world) endedAt(now time.Time, well bool) job.Job {
	w.Helper()
	j := job.New(now, w.rules, job.NewID(now), owner)
	mp3 := job.NewID(now)
	w.must(j.Arrived(now, w.rules, job.File{Name: "vid_1.mp4", Bytes: 5}))
	w.must(j.Claim(now, w.rules, "test", mp3))
	if well {
		w.must(j.Commit(now, w.rules, 1, job.File{ID: mp3, Bytes: 3}, time.Second))
	} else {
		w.must(j.Fail(now, w.rules, 1, job.ReasonNoAudio, ""))
	}
	w.must(w.jobs.Insert(w.Context(), j))
	return j
}

func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain: %s", what)
		}
	}
}

// log is the hook's, once nothing in it is pending.
func (w *world) log(h hook.Hook, want int) (log []hook.Delivery) {
	w.Helper()
	w.eventually("deliveries end", func() bool {
		var err error
		log, err = w.deliveries.List(w.Context(), h.ID, "", 100)
		w.must(err)
		return len(log) >= want && !slices.ContainsFunc(log, func(d hook.Delivery) bool { return d.State == hook.Pending })
	})
	if len(log) != want {
		w.Fatalf("%d deliveries, want %d: %+v", len(log), want, log)
	}
	return log
}

func (w *world) told(j job.Job) {
	w.Helper()
	w.eventually("the job is told", func() bool {
		now, err := w.jobs.Get(w.Context(), j.ID)
		w.must(err)
		return now.TellAt.IsZero()
	})
}

func TestHooksAreToldHowAJobHasEnded(t *testing.T) {
	for event, well := range map[string]bool{"job.done": true, "job.failed": false} {
		t.Run(event, func(t *testing.T) {
			w := newWorld(t)
			one, two := w.receiver(), w.receiver()
			hooks := []hook.Hook{w.hook(one), w.hook(two)}
			j := w.ended(well)
			w.run()
			w.told(j)
			for i, r := range []*receiver{one, two} {
				d := w.log(hooks[i], 1)[0]
				got := r.all()
				if len(got) != 1 || !got[0].verify(hooks[i].Secret) || got[0].id != d.ID || got[0].verify(hooks[1-i].Secret) {
					t.Fatalf("received %+v, the log has %+v", got, d)
				}
				var body struct {
					Type      string
					Timestamp time.Time
					Data      job.View
				}
				w.must(json.Unmarshal([]byte(got[0].body), &body))
				if body.Type != event || !body.Timestamp.Equal(j.Ended) || body.Data.ID != j.ID || body.Data.State != j.State {
					t.Errorf("body %s", got[0].body)
				}
				if d.State != hook.Delivered || d.Status != 204 || d.Attempts != 1 || d.Job != j.ID || string(d.Event) != event {
					t.Errorf("in the log: %+v", d)
				}
			}
		})
	}
}

func TestAHookIsToldOfWhatEndsFromThenOn(t *testing.T) {
	w := newWorld(t)
	h := w.hook(w.receiver())
	before, perhaps := w.endedAt(h.Created.Add(-2*time.Minute), true), w.endedAt(h.Created.Add(-time.Second), true)
	w.run()
	for _, j := range []job.Job{before, perhaps} {
		w.told(j)
	}
	if d := w.log(h, 1)[0]; d.Job != perhaps.ID {
		t.Errorf("told of %s, want %s", d.Job, perhaps.ID)
	}
}

func TestADeliveryIsTriedAgainUnderItsID(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(500, 503)
	h := w.hook(r)
	w.ended(true)
	w.run()
	if d := w.log(h, 1)[0]; d.State != hook.Delivered || d.Attempts != 3 {
		t.Errorf("in the log: %+v", d)
	}
	got := r.all()
	if len(got) != 3 || got[0].id != got[2].id || got[0].body != got[2].body || !got[2].verify(h.Secret) {
		t.Errorf("received %+v", got)
	}
}

func TestADeliveryIsGivenUpAfterTheLastTry(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(500, 302, 400, 500)
	h := w.hook(r)
	w.ended(false)
	w.run()
	if d := w.log(h, 1)[0]; d.State != hook.Failed || d.Attempts != 3 || d.Status != 400 {
		t.Errorf("in the log: %+v", d)
	}
	w.eventually("the hook is left, and nobody comes again", func() bool {
		now, err := w.hooks.Get(t.Context(), h.ID)
		w.must(err)
		return !now.IsDisabled() && now.NextAt.IsZero() && now.LeaseUntil.IsZero()
	})
}

func TestAReceiverThatIsGoneIsNotCalledAgain(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(410)
	h := w.hook(r)
	for range 3 {
		w.must(w.Tell(t.Context(), w.ended(true)))
	}
	w.run()
	for _, d := range w.log(h, 3) {
		if d.State != hook.Failed {
			t.Errorf("in the log: %+v", d)
		}
	}
	w.told(w.ended(true))
	w.log(h, 3) // nothing more
	if n := len(r.all()); n != 1 {
		t.Errorf("called %d times", n)
	}
	ping := h.Ping(time.Now())
	w.must(w.deliveries.Insert(t.Context(), ping))
	_, err := w.hooks.Update(t.Context(), h.ID, func(h *hook.Hook) error { return h.Wake(time.Now()) })
	w.must(err)
	w.eventually("a test that is accepted enables the hook", func() bool {
		now, err := w.hooks.Get(t.Context(), h.ID)
		w.must(err)
		return !now.IsDisabled()
	})
}

// The endpoints hang: each holds a place, once, and those that are left do the rest.
func TestADeadEndpointHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t, func(c *courier.Config) { c.Workers = 4 }) // two of them for one owner
	dead, alive := w.receiver(), w.receiver()
	dead.hold = make(chan struct{})
	w.hook(dead)
	h := w.hook(alive)
	for range 20 {
		w.must(w.Tell(t.Context(), w.ended(true)))
	}
	stop := w.run()
	w.log(h, 20)
	close(dead.hold)
	stop()
	if dead.crowd > 1 || alive.crowd > 1 {
		t.Errorf("%d and %d requests at once at one endpoint", dead.crowd, alive.crowd)
	}
}

// brittle are stores that fail, or die, where the test wants them to.
type brittle struct {
	embedded.Hooks
	mu    sync.Mutex
	fail  int // so many wakes
	asked int // calls of any kind
}

var errAway = errors.New("the store is away")

func (b *brittle) Of(ctx context.Context, owner string) ([]hook.Hook, error) {
	b.mu.Lock()
	b.asked++
	b.mu.Unlock()
	return b.Hooks.Of(ctx, owner)
}

func (b *brittle) Update(ctx context.Context, id string, change func(*hook.Hook) error) (hook.Hook, error) {
	b.mu.Lock()
	b.asked++
	b.fail--
	failing := b.fail >= 0
	b.mu.Unlock()
	if failing {
		return hook.Hook{}, errAway
	}
	return b.Hooks.Update(ctx, id, change)
}

func TestAJobOwesUntilItsHooksAreWoken(t *testing.T) {
	b := &brittle{fail: 2}
	w := newWorld(t, func(c *courier.Config) {
		b.Hooks = c.Hooks.(embedded.Hooks)
		c.Hooks = b
	})
	r := w.receiver()
	h := w.hook(r)
	j := w.ended(true)
	if err := w.Tell(t.Context(), j); !errors.Is(err, errAway) {
		t.Fatalf("Tell = %v", err)
	}
	w.run()
	w.told(j)
	w.log(h, 1)
	if n := len(r.all()); n != 1 {
		t.Errorf("received %d times", n)
	}
}

func TestAnOwnerWithoutHooksCostsOneQuestion(t *testing.T) {
	b := &brittle{}
	w := newWorld(t, func(c *courier.Config) {
		b.Hooks = c.Hooks.(embedded.Hooks)
		c.Hooks, c.Deliveries, c.Jobs = b, nil, nil // to touch them would panic
	})
	w.must(w.Tell(t.Context(), w.ended(true)))
	if b.asked != 1 {
		t.Errorf("%d questions", b.asked)
	}
}

func TestWhatIsUnderWayEndsWhenTheCourierStops(t *testing.T) {
	w := newWorld(t)
	r := w.receiver()
	r.hold = make(chan struct{})
	h := w.hook(r)
	w.ended(true)
	w.ended(true)
	tell, end := w.start()
	w.eventually("a request", func() bool { return len(r.all()) == 1 })
	tell()
	time.AfterFunc(20*time.Millisecond, func() { close(r.hold) }) // time for a courier that breaks it off to do so
	end()
	log, err := w.deliveries.List(t.Context(), h.ID, "", 10)
	w.must(err)
	n := 0
	for _, d := range log {
		if d.State == hook.Delivered {
			n++
		}
	}
	if n != 1 || len(r.all()) != 1 {
		t.Errorf("%d noted of %d that were taken, want 1 of 1", n, len(r.all()))
	}
	if now, err := w.hooks.Get(t.Context(), h.ID); err != nil || !now.LeaseUntil.IsZero() {
		t.Errorf("the hook is left as %+v, %v", now, err)
	}
}
