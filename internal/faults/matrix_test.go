package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// fault is a row of the fault matrix.
type fault struct {
	name     string // what breaks, and when
	expected string // what must come of it
	slow     bool   // only with -full
	// tell breaks it, has the checker look, and says what was seen, for the report.
	tell func(t *testing.T) (seen string)
	// on is tell for a row that shares a rig with others, see together.
	on func(t *testing.T, r *rig) (seen string)
}

// matrix is the fault matrix, by what breaks. What the rows of a kind share is made when their turn comes, and ends with
// the kind's test.
var matrix = map[string]func(t *testing.T) []fault{
	"client": together(clientRig, clientFaults),
	"auth":   together(authRig, authFaults),
	"store":  storeFaults,
	"broker": brokerFaults,
	"worker": workerFaults,
	"mail":   mailFaults,
	"hook":   hookFaults,
	"all":    alone(allFaults),
}

// alone is for rows that share nothing.
func alone(faults []fault) func(*testing.T) []fault {
	return func(*testing.T) []fault { return faults }
}

// together is for rows of which some share a rig. Each of these finds it whole, with empty stores, and what it starts ends
// with it; after one that failed the next gets a new rig, for what that one has left would be found by the next.
func together(newRig func(*testing.T) *rig, faults []fault) func(*testing.T) []fault {
	return func(kind *testing.T) []fault {
		var shared *rig
		rows := slices.Clone(faults)
		for i, f := range rows {
			if f.on == nil {
				continue
			}
			rows[i].tell = func(t *testing.T) string {
				if shared == nil {
					shared = newRig(kind)
				}
				r := shared.in(t)
				r.wipe()
				seen := f.on(t, r)
				if t.Failed() {
					shared = nil
				}
				return seen
			}
		}
		return rows
	}
}

// TestFaults tells the rows of each kind one after the other, and two kinds at a time.
func TestFaults(t *testing.T) {
	t.Parallel()
	var report report
	t.Cleanup(func() { report.log(t) })
	turns := make(chan struct{}, 2)
	for kind, faults := range matrix {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			turns <- struct{}{}
			defer func() { <-turns }()
			for _, f := range faults(t) {
				if f.slow && !*full {
					continue
				}
				t.Run(f.name, func(t *testing.T) {
					seen := "FAILED"
					defer func() { report.add(kind, f.name, f.expected, seen) }()
					if s := f.tell(t); !t.Failed() {
						seen = s
					}
				})
			}
		})
	}
}

// report is a table of what was seen.
type report struct {
	mu   sync.Mutex
	rows [][]string
}

func (r *report) add(row ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

func (r *report) log(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tfault\texpected\tseen")
	for _, row := range r.rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	_ = table.Flush() // a strings.Builder takes everything
	t.Logf("fault matrix:\n%s", &text)
}
