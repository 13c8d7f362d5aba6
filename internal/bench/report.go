package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is everything that a run has found, as it is written to a file.
type report struct {
	Settings settings `json:"settings"`
	Machine  machine  `json:"machine"`
	Tables   []table  `json:"tables"`
	Failed   []string `json:"failed,omitempty"` // measurements of this run: nobody shall take older tables for theirs
}

// machine is where and of what it was measured.
type machine struct {
	Start      time.Time `json:"start"`
	Took       string    `json:"took"`
	Commit     string    `json:"commit"`
	Go         string    `json:"go"`
	FFmpeg     string    `json:"ffmpeg"`
	Kernel     string    `json:"kernel"`
	Processor  string    `json:"processor"`
	Processors int       `json:"processors"`
	LoadBefore string    `json:"load_before"` // the averages of 1, 5 and 15 minutes
	LoadAfter  string    `json:"load_after"`
}

func newReport(ctx context.Context, s settings) *report {
	return &report{Settings: s, Machine: machine{
		Start:      time.Now().UTC().Truncate(time.Second),
		Commit:     says(ctx, "git", "describe", "--always", "--dirty"),
		Go:         runtime.Version(),
		FFmpeg:     says(ctx, "ffmpeg", "-version"),
		Kernel:     firstLine("/proc/sys/kernel/osrelease", ""),
		Processor:  firstLine("/proc/cpuinfo", "model name"),
		Processors: runtime.NumCPU(),
		LoadBefore: firstLine("/proc/loadavg", ""),
	}}
}

// finish notes how it ended, and says how far to trust it.
func (r *report) finish(w io.Writer) {
	r.Machine.Took = time.Since(r.Machine.Start).Round(time.Second).String()
	r.Machine.LoadAfter = firstLine("/proc/loadavg", "")
	var before float64
	_, _ = fmt.Sscan(r.Machine.LoadBefore, &before)
	ffmpeg, _, _ := strings.Cut(r.Machine.FFmpeg, " Copyright")
	fmt.Fprintf(w, "\n%d processors, %s, %s; %s in all\n", r.Machine.Processors, r.Machine.Processor, ffmpeg, r.Machine.Took)
	if before > 0.3*float64(r.Machine.Processors) {
		fmt.Fprintf(w, "The machine was at work before this began (load %.1f): the ratios are noisy.\n", before)
	}
}

// write leaves the report in a file.
func (r report) write(file string) error {
	if len(r.Tables)+len(r.Failed) == 0 {
		return nil
	}
	text, err := json.MarshalIndent(r.over(file), "", "  ")
	if err != nil {
		return err
	}
	text = inLine(text)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// over is the report with the tables of the one in the file that this run has not tried to measure.
func (r report) over(file string) report {
	old, err := readReport(file)
	if err != nil {
		return r // there is none that can be read
	}
	r.Tables = slices.Clone(r.Tables)
	for _, t := range old.Tables {
		if slices.Contains(r.Failed, t.Name) {
			continue
		}
		if i := slices.IndexFunc(r.Tables, func(now table) bool { return now.Name == t.Name }); i < 0 {
			r.Tables = append(r.Tables, t)
		} else if len(r.Settings.Clips) > 0 {
			r.Tables[i] = r.Tables[i].with(t)
		}
	}
	order := names()
	slices.SortStableFunc(r.Tables, func(a, b table) int {
		return cmp.Compare(slices.Index(order, a.Name), slices.Index(order, b.Name))
	})
	return r
}

// with is the table with those videos of an older one that were not measured now, in the corpus's order.
func (t table) with(old table) table {
	order := map[string]int{}
	for i, c := range corpus() {
		order[c.Name] = i + 1 // what is no video comes first
	}
	measured, _ := t.pivot()
	t.Rows = slices.Clone(t.Rows)
	for _, r := range old.Rows {
		if order[r.Of] > 0 && !slices.Contains(measured, r.Of) {
			r.From = cmp.Or(r.From, old.origin())
			t.Rows = append(t.Rows, r)
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b row) int { return cmp.Compare(order[a.Of], order[b.Of]) })
	return t
}

// origin says of which run a table is, "" if it does not know.
func (t table) origin() string {
	var facts []string
	if t.Commit != "" {
		facts = append(facts, "commit "+t.Commit)
	}
	if !t.When.IsZero() {
		facts = append(facts, t.When.Format("2006-01-02 15:04"))
	}
	if t.Load != "" {
		facts = append(facts, "load "+t.Load)
	}
	return strings.Join(facts, ", ")
}

var listOfNumbers = regexp.MustCompile(`\[[-+.0-9e,\s]+\]`)

// inLine brings lists of numbers into one line each: a change is then read as one.
func inLine(indented []byte) []byte {
	return listOfNumbers.ReplaceAllFunc(indented, func(list []byte) []byte {
		return []byte(strings.Join(strings.Fields(string(list)), ""))
	})
}

// says is the first line that a program prints, "" if it does not run.
func says(ctx context.Context, program string, args ...string) string {
	out, _ := exec.CommandContext(ctx, program, args...).Output()
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return string(line)
}

// firstLine is the first line of a file that begins with a word, without it; "" if there is none.
func firstLine(file, word string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, word); ok {
			return strings.TrimLeft(strings.TrimSpace(rest), ": \t")
		}
	}
	return ""
}
