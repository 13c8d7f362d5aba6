package faults

import (
	"bufio"
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

// size is what the process says of itself.
func (w *watched) size(t testing.TB) (goroutines int, rss int64) {
	t.Helper()
	a, err := testsuite.Request{Base: "http://" + w.Serving(t, "ops"), Path: "/metrics"}.Try()
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(strings.NewReader(a.Body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		number, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "go_goroutines":
			goroutines = int(number)
		case name == "process_resident_memory_bytes":
			rss = int64(number)
		}
	}
	return goroutines, rss
}

// processes are the watched ones as the checker takes them.
func (r *rig) processes(t testing.TB) (all []checker.Process) {
	for _, w := range r.watched {
		p := checker.Process{Name: w.Name, BaseGoroutines: w.goroutines, BaseRSS: w.rss, Starts: 1, Expected: 1}
		if w.Ended() {
			p.Starts = 0
		} else {
			p.Goroutines, p.RSS = w.size(t)
		}
		all = append(all, p)
	}
	return all
}
