package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table is what one measurement came to.
type table struct {
	Name   string    `json:"name"` // the measurement's
	When   time.Time `json:"when"`
	Commit string    `json:"commit"`
	Load   string    `json:"load,omitempty"`   // of the last minute before it began
	Rounds int       `json:"rounds,omitempty"` // as asked for; how many samples a side has can differ
	Title  string    `json:"title"`
	Base   string    `json:"base"`            // what ours is compared with
	Notes  []string  `json:"notes,omitempty"` // what to know before one believes the numbers
	Rows   []row     `json:"rows"`
}

// row is one line: either a comparison, or a value of ours alone.
type row struct {
	Of     string  `json:"of,omitempty"` // what it is measured on; rows of one thing are printed as one line
	What   string  `json:"what"`
	Unit   string  `json:"unit,omitempty"` // of the samples
	Base   samples `json:"base,omitempty"`
	Ours   samples `json:"ours,omitempty"`
	Value  float64 `json:"value"`  // what is held against the goal
	Format string  `json:"format"` // of Value with its unit, as for fmt.Sprintf
	Goal   *goal   `json:"goal,omitempty"`
	Result string  `json:"result,omitempty"` // ok or short, if there is a goal
	From   string  `json:"from,omitempty"`   // the run that it is of, if not the table's
}

// goal is a bound on a value.
type goal struct {
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	Ours    bool    `json:"our_own"` // an aim of performance.md, which nobody has been promised
}

func atLeast(n float64) *goal { return &goal{AtLeast: n} }
func atMost(n float64) *goal  { return &goal{AtMost: n} }

// aim makes it a goal that nobody has been promised.
func (g *goal) aim() *goal {
	g.Ours = true
	return g
}

// met reports whether the value reaches the goal.
func (g *goal) met(value float64) bool {
	if g.AtMost > 0 {
		return value <= g.AtMost
	}
	return value >= g.AtLeast
}

func (g *goal) text(format string) string {
	sign, bound := "≥ ", g.AtLeast
	if g.AtMost > 0 {
		sign, bound = "≤ ", g.AtMost
	}
	text := sign + fmt.Sprintf(format, bound)
	if g.Ours {
		text += " (aim)"
	}
	return text
}

// against judges the row by a goal.
func (r row) against(g *goal) row {
	r.Goal, r.Result = g, "short"
	if g.met(r.Value) {
		r.Result = "ok"
	}
	return r
}

// compared is the row of two sides, whose value is their ratio.
func compared(what, unit string, base, ours samples) row {
	return row{What: what, Unit: unit, Base: base, Ours: ours, Value: ratio(ours, base), Format: "%.2f"}
}

// value is the row of something that has no other side.
func value(what string, v float64, format string) row {
	return row{What: what, Value: v, Format: format}
}

// print writes the table for people.
func (t table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", t.Title)
	lines := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	plain := slices.DeleteFunc(slices.Clone(t.Rows), func(r row) bool { return r.Of != "" })
	if len(plain) > 0 {
		fmt.Fprintf(lines, "  \t%s\tours\tresult\tgoal\t\n", t.Base)
	}
	for _, r := range plain {
		fmt.Fprintf(lines, "  %s\n", strings.Join(r.cells(), "\t"))
	}
	if names, lists := t.pivot(); len(names) > 0 {
		_ = lines.Flush() // so that its columns are its own
		printPivot(lines, names, lists)
	}
	_ = lines.Flush() // w is a terminal; nobody to tell
	for _, note := range t.Notes {
		fmt.Fprintf(w, "  - %s\n", note)
	}
}

// pivot groups the rows by what they are measured on, in their order.
func (t table) pivot() (names []string, lists map[string][]row) {
	lists = map[string][]row{}
	for _, r := range t.Rows {
		if r.Of == "" {
			continue
		}
		if lists[r.Of] == nil {
			names = append(names, r.Of)
		}
		lists[r.Of] = append(lists[r.Of], r)
	}
	return names, lists
}

// printPivot writes a column for each thing that was measured on; a value short of its goal is marked.
func printPivot(w io.Writer, names []string, lists map[string][]row) {
	const columns = 5 // what a terminal holds
	for part := range slices.Chunk(names, columns) {
		fmt.Fprintf(w, "  \t%s\t\n", strings.Join(part, "\t"))
		for _, r := range lists[part[0]] {
			fmt.Fprintf(w, "  %s\t", r.What)
			for _, name := range part {
				if i := slices.IndexFunc(lists[name], func(other row) bool { return other.What == r.What }); i >= 0 {
					fmt.Fprint(w, lists[name][i].result())
				}
				fmt.Fprint(w, "\t")
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w)
	}
}

// result is the value, and whether it is what it should be.
func (r row) result() string {
	text := fmt.Sprintf(r.Format, r.Value)
	if r.Goal != nil {
		text += " (" + r.Goal.text(r.Format) + ": " + r.Result + ")"
	}
	return text
}

func (r row) cells() []string {
	cells := []string{r.What, r.side(r.Base), r.side(r.Ours), fmt.Sprintf(r.Format, r.Value), "", r.Result}
	if r.Goal != nil {
		cells[4] = r.Goal.text(r.Format)
	}
	return cells
}

// side is one side's median.
func (r row) side(s samples) string {
	if len(s) == 0 {
		return ""
	}
	return short(s.median()) + " " + r.Unit
}

// short is three digits of a number.
func short(n float64) string {
	switch {
	case n >= 100:
		return fmt.Sprintf("%.0f", n)
	case n >= 10:
		return fmt.Sprintf("%.1f", n)
	default:
		return fmt.Sprintf("%.2f", n)
	}
}
