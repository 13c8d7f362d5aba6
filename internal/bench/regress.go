package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// tolerated is by what part a ratio may get worse before it is said: less is the machine's.
const tolerated = 0.10

// regression is a value that got worse.
type regression struct {
	what     string
	was, now float64
	format   string
}

// regressions compares the ratios of two runs, and other values that have a goal.
func regressions(before, now *report) []regression {
	old := map[string]row{}
	for _, t := range before.Tables {
		t.judged(func(name string, r row) { old[name] = r })
	}
	var all []regression
	for _, t := range now.Tables {
		t.judged(func(name string, r row) {
			if was, ok := old[name]; ok && r.worse(was.Value) {
				all = append(all, regression{name, was.Value, r.Value, r.Format})
			}
		})
	}
	return all
}

// judged calls do with each row that can be better or worse, under a name that no other has.
func (t table) judged(do func(name string, r row)) {
	parent := ""
	for _, r := range t.Rows {
		name := strings.TrimSpace(r.What)
		if name == r.What {
			parent = name
		} else {
			name = parent + ": " + name
		}
		if r.Goal != nil || len(r.Base) > 0 {
			do(strings.Join([]string{t.Name, r.Of, name}, " · "), r)
		}
	}
}

// toleratedTime is by how many milliseconds a time may get worse: of what is near 0 a part is nothing.
const toleratedTime = 0.2

// worse reports whether the value is worse than it was by more than is tolerated.
func (r row) worse(was float64) bool {
	noise := tolerated * math.Abs(was)
	if strings.HasSuffix(r.Format, " ms") {
		noise = max(noise, toleratedTime)
	}
	if r.moreIsBetter() {
		return r.Value < was-noise
	}
	return r.Value > was+noise
}

func (r row) moreIsBetter() bool {
	if r.Goal != nil {
		return r.Goal.AtMost == 0
	}
	return strings.HasSuffix(r.Unit, "/s")
}

// tell says what got worse.
func tell(w io.Writer, all []regression, than string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\nWorse than in %s by more than %.0f %%:\n", than, 100*tolerated)
	for _, r := range all {
		fmt.Fprintf(w, "  %s: "+r.format+", was "+r.format+"\n", r.what, r.now, r.was)
	}
}
