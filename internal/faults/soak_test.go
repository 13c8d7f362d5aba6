package faults

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/job"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// soaking is how long TestSoak breaks things: make soak says MINUTES.
var soaking = flag.Duration("soak", 16*time.Second, "how long the soak lasts")

const (
	clients    = 4
	faultEvery = 2 * time.Second
	// thinking is how long a client waits between two uploads. FerretDB reads all jobs for every look at one, so an
	// hour's uploads must not come in a minute.
	thinking = 4 * time.Second
)

// TestSoak has clients upload while something breaks every two seconds, and then looks at everything that has become of it.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newSoak(t)
	ctx, stop := context.WithTimeout(t.Context(), *soaking)
	defer stop()
	var running sync.WaitGroup
	for n := range clients {
		running.Go(func() { s.client(ctx, n) })
	}
	s.breakThings(ctx, t)
	running.Wait()
	s.mend(t)
	found := s.violations(t, 2*time.Second, 10*time.Minute, checker.Allowed{DuplicateMails: true})
	state, err := s.look(t.Context(), t)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("soak of %v:\n%s", *soaking, s.table(state, found))
	for _, v := range found {
		t.Error(v)
	}
	s.wasWorthIt(t)
	s.fails(t, state.Jobs)
	if twice, most := cameTwice(state.Mails), s.mayComeTwice(); twice > most {
		t.Errorf("I4: %d mails came twice, %d faults can have caused that", twice, most)
	}
	s.unacked(t)
}

// soak is a rig of which everything may break, and clients.
type soak struct {
	*rig
	mysql  *testserver.MariaDB
	broker *testserver.Rabbit
	videos []testsuite.Video
	owners []*testsuite.Person

	mu      sync.Mutex
	busy    map[string]bool               // what is broken now, by target
	slots   map[string]*testsuite.Process // what runs, by slot
	broken  map[string]int                // how often, by fault
	seed    uint64
	before  int      // uploads that were taken before anything was broken
	strange []string // answers that nobody may get
}

func newSoak(t *testing.T) *soak {
	broker, err := testserver.StartRabbitMQ()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Kill)
	mysql := ownMySQL(t)
	s := &soak{
		// What waits is rung for again, but not so often that it fills the queue.
		rig:   newRig(t, broker.URL(), "WORKERS=1", "ATTEMPTS=100", "CLEAN_SECONDS=8", "REMIND_SECONDS=4", "REMIND_MAX_SECONDS=30", shortUploads),
		mysql: mysql, broker: broker, videos: soakVideos(t),
		busy: map[string]bool{}, slots: map[string]*testsuite.Process{}, broken: map[string]int{}, seed: uint64(time.Now().UnixNano()),
	}
	s.At.MySQL = mysql.Addr
	s.Users = testsuite.UserTable(t, mysql.Addr)
	s.StartAuth()
	s.slots["auth"] = s.Auth
	for _, n := range []string{"1", "2"} { // of each service two, as in production
		s.slots["gateway "+n] = s.gateway()
		s.StartConverter()
		s.slots["converter "+n] = s.Converter
		s.StartNotification()
		s.slots["notification "+n] = s.Notification
	}
	for range 3 {
		s.user()
		s.owners = append(s.owners, s.person)
	}
	s.upload(s.videos[0], "", idle)
	s.check(t, checker.Allowed{})
	s.before = s.accepted()
	if err := broker.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(keys(s.slots)) {
		s.watch(t, s.slots[name])
	}
	return s
}

// ownMySQL starts a server of the test's own, with the table of init.sql.
func ownMySQL(t *testing.T) *testserver.MariaDB {
	t.Helper()
	m, err := testserver.StartMariaDB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	script, err := testserver.InitSQL()
	if err == nil {
		_, err = m.SQL(script)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// soakVideos are short ones, of several kinds, and one that is none.
func soakVideos(t *testing.T) []testsuite.Video {
	var all []testsuite.Video
	for i, spec := range []testmedia.Spec{{}, {Ext: "mkv", Seconds: 3}, {Ext: "webm", Seconds: 1}, {Ext: "mov", Audio: "pcm_s16le", Layout: "stereo", Seconds: 1}} {
		all = append(all, testsuite.VideoOf(t, testmedia.Clip(t, spec), number("clip", i)+"."+cmp.Or(spec.Ext, "mp4")))
	}
	return append(all, testsuite.Video{Name: "none.mp4", Data: []byte(strings.Repeat("this is no video. ", 100))})
}

// client uploads until ctx ends. Most of its uploads have a key, and are repeated until they are taken.
func (s *soak) client(ctx context.Context, n int) {
	dice := rand.New(rand.NewPCG(s.seed, uint64(n)))
	owner := s.owners[n%len(s.owners)]
	for i := 0; ctx.Err() == nil; i++ {
		v := s.videos[dice.IntN(len(s.videos))]
		v.Name = fmt.Sprintf("%d-%d-%s", n, i, v.Name)
		key := ""
		if dice.IntN(4) > 0 {
			key = v.Name
		}
		for try := 0; ctx.Err() == nil; try++ {
			u := s.tryAs(owner, v, key, dice.IntN(len(s.Gates)))
			s.judge(u)
			if u.Status == http.StatusOK || key == "" {
				break
			}
			rest(ctx, 300*time.Millisecond)
		}
		rest(ctx, thinking/2+time.Duration(dice.Int64N(int64(thinking))))
	}
}

// judge notes an answer that no fault excuses.
func (s *soak) judge(u checker.Upload) {
	switch u.Status {
	case 0, http.StatusOK, http.StatusServiceUnavailable, http.StatusRequestTimeout:
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.strange = append(s.strange, fmt.Sprintf("an upload of %s was answered %d", u.Owner, u.Status))
	}
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// breakThings breaks something at random at every tick. Something else may still be broken then; the same thing not.
func (s *soak) breakThings(ctx context.Context, t *testing.T) {
	t.Logf("the soak's seed is %d", s.seed)
	dice := rand.New(rand.NewPCG(s.seed, 1<<32))
	tick := time.NewTicker(faultEvery)
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f := disasters[dice.IntN(len(disasters))]
		slot, pause := fmt.Sprint(1+dice.IntN(2)), time.Duration(dice.Int64N(int64(3*time.Second)))
		target := f.target
		if s.slot(target+" "+slot) != nil {
			target += " " + slot
		}
		if !s.take(target, f.name) {
			continue
		}
		running.Go(func() {
			defer s.give(target)
			if err := f.strike(s, t, target, pause); err != nil {
				t.Errorf("%s of %s: %v", f.name, target, err)
			}
		})
	}
}

// take reports whether the target is whole, and takes it.
func (s *soak) take(target, fault string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[target] {
		return false
	}
	s.busy[target] = true
	s.broken[fault]++
	return true
}

func (s *soak) give(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[target] = false
}

// slot returns what runs there.
func (s *soak) slot(name string) *testsuite.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots[name]
}

func (s *soak) fill(name string, p *testsuite.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots[name] = p
}

// mend sees to it that everything runs: what has crashed would not, and is found here.
func (s *soak) mend(t *testing.T) {
	t.Helper()
	for i, name := range slices.Sorted(keys(s.slots)) {
		p := s.slots[name]
		if p.Ended() {
			t.Errorf("I9: %s has ended by itself", name)
			continue
		}
		s.watched[i].Process = p // the same program, started again: as small as at the beginning
		testsuite.Eventually(t, name+" is ready", func() bool { return p.Ready(t).Body == "ready" })
	}
	for _, what := range s.strange {
		t.Error(what)
	}
}

// wasWorthIt fails the test if nothing was broken or nothing was taken meanwhile: then it has shown nothing.
func (s *soak) wasWorthIt(t *testing.T) {
	t.Helper()
	faults := 0
	for _, n := range s.broken {
		faults += n
	}
	if taken := s.accepted() - s.before; faults == 0 || taken == 0 {
		t.Errorf("%d faults, and %d uploads taken meanwhile: want some of each", faults, taken)
	}
}

// fails fails the test if a job has failed as the video that is none must not. That no other fails is the checker's affair.
func (s *soak) fails(t *testing.T, jobs []checker.Job) {
	t.Helper()
	for _, j := range jobs {
		if want := string(job.ReasonUnsupported); j.State == string(job.Failed) && j.Reason != want {
			t.Errorf("I1: job %s of %s has failed for the reason %q, want %q", j.ID, j.Name, j.Reason, want)
		}
	}
}

// cameTwice is how many mails have come that had come before.
func cameTwice(mails []checker.Mail) int {
	ids := map[string]bool{}
	for _, m := range mails {
		ids[m.MessageID] = true
	}
	return len(mails) - len(ids)
}

// mayComeTwice is how many mails the faults so far can have made come twice.
func (s *soak) mayComeTwice() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range disasters {
		n += s.broken[d.name] * d.twice
	}
	return n
}

// unacked is the rig's for the broker of the soak's own.
func (s *soak) unacked(t *testing.T) {
	t.Helper()
	testsuite.Eventually(t, "I8: all messages that were handed out are settled", func() bool {
		list, err := s.broker.Ctl("list_queues", "name", "messages_unacknowledged")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(list, "video") && len(unsettled(list)) == 0
	})
}

// table is the report.
func (s *soak) table(state checker.State, found []checker.Violation) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(what string, n any) { fmt.Fprintf(table, "%s\t%v\n", what, n) }
	answers := map[int]int{}
	for _, u := range s.history.Uploads() {
		answers[u.Status]++
	}
	for _, status := range slices.Sorted(keys(answers)) {
		row(fmt.Sprintf("uploads answered %d", status), answers[status])
	}
	states := map[string]int{}
	for _, j := range state.Jobs {
		states[j.State]++
	}
	for _, name := range slices.Sorted(keys(states)) {
		row("jobs "+name, states[name])
	}
	row("mails", len(state.Mails))
	row("mails that came twice", fmt.Sprintf("%d (faults that can cause it: %d)", cameTwice(state.Mails), s.mayComeTwice()))
	for _, name := range slices.Sorted(keys(s.broken)) {
		row("fault: "+name, s.broken[name])
	}
	for _, p := range state.Processes {
		row(p.Name, fmt.Sprintf("%d goroutines (at first %d), %d MiB (%d)", p.Goroutines, p.BaseGoroutines, p.RSS>>20, p.BaseRSS>>20))
	}
	row("violations", len(found))
	_ = table.Flush() // a strings.Builder takes everything
	return text.String()
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
