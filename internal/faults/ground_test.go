package faults

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// ground is a rig that the rows of a kind share. Each row finds one of each service running, as at first, and nothing in
// the stores. What it starts besides ends with it.
type ground struct {
	*rig      // of the row that is told
	kind      *testing.T
	home      *testsuite.Services // of the kind
	gate      string
	residents map[string]*resident
}

// resident is a service that is there in every row.
type resident struct {
	*watched
	out bool // the row has ended it and does without
}

// newGround makes the rig and has it do one job.
func newGround(t *testing.T, rabbit string, settings ...string) *ground {
	t.Helper()
	g := &ground{rig: newRig(t, rabbit, append([]string{"WORKERS=1"}, settings...)...), kind: t, residents: map[string]*resident{}}
	g.StartAuth()
	g.StartConverter()
	g.StartNotification(longLease) // the rows that hit one have their own
	g.gateway()
	g.gate = g.Gates[0]
	g.user()
	g.upload(clip(t, "first.mp4", 1), "", idle)
	g.rig.check(t, checker.Allowed{})
	for _, p := range []*testsuite.Process{g.Auth, g.Gateway, g.Converter, g.Notification} {
		w := &watched{Process: p}
		w.goroutines, w.rss = w.size(t)
		g.residents[p.Name] = &resident{watched: w}
	}
	g.home = g.Services
	return g
}

// on makes a row of what is told on this ground.
func (g *ground) on(tell func(t *testing.T) string) func(t *testing.T) string {
	return func(t *testing.T) string {
		g.begin(t)
		return tell(t)
	}
}

// begin hands the ground over to a row.
func (g *ground) begin(t *testing.T) {
	t.Helper()
	before, person := g.t, *g.person
	g.t, g.Services = t, g.home.In(t)
	person.Suite = g.Suite
	g.person, g.Gates, g.URL = &person, []string{g.gate}, g.gate
	if before.Failed() {
		g.clear(t)
	}
	g.in(t, services...)
	g.wipe()
}

// clear ends whatever a row that failed has left going on: what is left in the queues, or in the hands of a resident, would
// be found by the next row.
func (g *ground) clear(t *testing.T) {
	t.Helper()
	for _, r := range g.residents {
		r.Kill()
	}
	ch := channel(t, g.Broker)
	for _, queue := range []string{"video", "video.dead", "mp3", "mp3.dead"} {
		if _, err := ch.QueueDelete(queue, false, false, false); err != nil { // unlike a purge it takes what is handed out, too
			t.Fatal(err)
		}
	}
	g.in(t, services...)
	for _, name := range services {
		testsuite.Eventually(t, name+" is ready", func() bool { return g.residents[name].Ready(t).Body == "ready" })
	}
}

// services in the order in which they are started.
var services = []string{"auth", "gateway", "converter", "notification"}

// out ends residents, as an orchestrator does.
func (g *ground) out(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		g.residents[name].out = true
		g.residents[name].Stop(t)
	}
}

// in starts residents again that have ended, whatever ended them.
func (g *ground) in(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		r := g.residents[name]
		if r.Ended() {
			r.Process = r.Relaunch(g.kind)
			r.Serving(t, "ops")
		}
		r.out = false
	}
}

// guest starts one more of a service. A gateway is the only one that clients go to from then on.
func (g *ground) guest(name string, settings ...string) *testsuite.Process {
	g.t.Helper()
	var p *testsuite.Process
	switch name {
	case "gateway":
		p, g.Gates = g.gateway(settings...), g.Gates[len(g.Gates)-1:]
		g.URL = g.Gates[0]
	case "converter":
		g.StartConverter(settings...)
		p = g.Converter
	case "notification":
		g.StartNotification(settings...)
		p = g.Notification
	}
	return p
}

// check is the rig's, and no resident may have ended unless the row has ended it.
func (g *ground) check(t *testing.T, allowed checker.Allowed) {
	t.Helper()
	g.watched = nil
	for _, name := range services {
		if r := g.residents[name]; !r.out {
			g.watched = append(g.watched, r.watched)
		}
	}
	g.rig.check(t, allowed)
}

// takes uploads the videos all at once. Each must be taken at the first try.
func (g *ground) takes(t *testing.T, videos ...testsuite.Video) []checker.Upload {
	t.Helper()
	uploads := make([]checker.Upload, len(videos))
	var running sync.WaitGroup
	for i, v := range videos {
		running.Go(func() { uploads[i] = g.try(v, "", 0) })
	}
	running.Wait()
	for i, u := range uploads {
		if u.Status != http.StatusOK {
			t.Fatalf("the upload of %s was answered %d", videos[i].Name, u.Status)
		}
	}
	return uploads
}

// trying uploads in the background. It is over when the row is.
func (g *ground) trying(t *testing.T, v testsuite.Video) <-chan checker.Upload {
	t.Helper()
	told := make(chan checker.Upload, 1)
	var running sync.WaitGroup
	running.Go(func() { told <- g.try(v, "", 0) })
	t.Cleanup(running.Wait)
	return told
}

// is waits until the job is in one of the states. A gateway that says to come again, as of a busy store, is asked again.
func (g *ground) is(t *testing.T, u checker.Upload, states ...string) {
	t.Helper()
	testsuite.Eventually(t, "job "+u.Name+" is "+states[0], func() bool {
		j, there := g.person.Asked(t, u.Job)
		return there && slices.Contains(states, j.State)
	})
}

// clip is a small video of so many seconds.
func clip(tb testing.TB, name string, seconds float64) testsuite.Video {
	tb.Helper()
	return testsuite.VideoOf(tb, testmedia.Clip(tb, testmedia.Spec{Seconds: seconds}), name)
}

// clips are n videos that differ by name.
func clips(tb testing.TB, n int) (all []testsuite.Video) {
	tb.Helper()
	for i := range n {
		all = append(all, clip(tb, number("clip", i)+".mp4", 1))
	}
	return all
}

// hits are the settings with which a service is hit at its n-th passage of the point, and the file by which that is known.
func hits(t *testing.T, point failpoint.Point, action string, n int) (fired string, settings []string) {
	t.Helper()
	fired = filepath.Join(t.TempDir(), "fired")
	return fired, []string{fmt.Sprintf("FAILPOINT=%s:%s@%d", point, action, n), "FAILPOINT_FIRED=" + fired}
}

// standsAt waits until the process stands still at the point at which it is to freeze. It makes the file a moment before: SIGCONT
// would come to nothing then.
func standsAt(t *testing.T, p *testsuite.Process, fired string) {
	t.Helper()
	testsuite.Eventually(t, p.Name+" stands still at the point", func() bool { return exists(fired) && p.IsFrozen() })
}
