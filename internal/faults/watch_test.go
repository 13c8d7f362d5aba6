package faults

import (
	"bufio"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// watched is a process that no fault is aimed at: it must run on, and be as small in the end as in the beginning.
type watched struct {
	*testsuite.Process
	goroutines int
	rss        int64
}

// watch begins to watch a process that has done a job or two, so that its pools are filled.
func (r *rig) watch(t *testing.T, all ...*testsuite.Process) {
	t.Helper()
	for _, p := range all {
		w := &watched{Process: p}
		w.goroutines, w.rss = w.size(t)
		r.watched = append(r.watched, w)
	}
}

// working is what auth's hashes take: as many at once as it has slots, three times as much under the race detector, and
// twice that until the collector has come by.
func working(name string) int64 {
	const hash, races, garbage = 19 << 20, 3, 2
	if name != "auth" {
		return 0
	}
	return int64(2*runtime.GOMAXPROCS(0)) * hash * races * garbage
}

// unwatch lets go of a process that a fault is aimed at.
func (r *rig) unwatch(p *testsuite.Process) {
	r.watched = slices.DeleteFunc(slices.Clone(r.watched), func(w *watched) bool { return w.Process == p })
}

// size is what the process says of itself.
func (w *watched) size(t testing.TB) (goroutines int, rss int64) {
	t.Helper()
	return int(metric(t, w.Process, "go_goroutines")), int64(metric(t, w.Process, "process_resident_memory_bytes"))
}

// metric is one of a process's numbers, which must be there.
func metric(t testing.TB, p *testsuite.Process, name string) float64 {
	t.Helper()
	n, there := metrics(t, p)[name]
	if !there {
		t.Fatalf("%s has no metric %s", p.Name, name)
	}
	return n
}

// metrics are a process's numbers, by name and labels.
func metrics(t testing.TB, p *testsuite.Process) map[string]float64 {
	t.Helper()
	a, err := testsuite.Request{Base: "http://" + p.Serving(t, "ops"), Path: "/metrics"}.Try()
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusOK {
		t.Fatalf("%s answers for its metrics %d %.300q", p.Name, a.Status, a.Body)
	}
	all := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(a.Body)); lines.Scan(); {
		line := lines.Text()
		space := strings.LastIndexByte(line, ' ')
		if number, err := strconv.ParseFloat(line[space+1:], 64); err == nil && space > 0 {
			all[line[:space]] = number
		}
	}
	return all
}

// processes are the watched ones as the checker takes them.
func (r *rig) processes(t testing.TB) (all []checker.Process) {
	for _, w := range r.watched {
		p := checker.Process{Name: w.Name, BaseGoroutines: w.goroutines, BaseRSS: w.rss, Working: working(w.Name), Starts: 1, Expected: 1}
		if w.Ended() {
			p.Starts = 0
		} else {
			p.Goroutines, p.RSS = w.size(t)
		}
		all = append(all, p)
	}
	return all
}
