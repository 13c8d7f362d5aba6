// Command bench compares the real binaries with the plainest thing that could do the same work: uploads and downloads with
// raw inserts into and reads from the same store, a conversion with bare ffmpeg. Both sides of each comparison run in turn
// within one run, and what counts is their ratio: absolute times are the machine's. `make bench` runs it.
//
// One file holds each measurement: upload.go, download.go, folder.go, convert.go and so on. A new one is a function that returns a
// table, and a line in measurements. What judges right and wrong is the tests' affair; the bench only makes sure that it
// measures something that worked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mp3converter/internal/sandbox"
)

// measurement is one of the things that can be measured.
type measurement struct {
	name string
	run  func(ctx context.Context, b *bench) (table, error)
	full bool // only with -full, or by its name: it has no goal
	goal bool // some of its rows have one: README says so if they were not measured
}

// measurements are in the order in which they run.
func measurements() []measurement {
	return []measurement{
		{name: "upload", run: measureUpload, goal: true},
		{name: "download", run: measureDownload, goal: true},
		{name: "folder", run: measureFolder, full: true},
		{name: "firstbyte", run: measureFirstByte, goal: true},
		{name: "crowd", run: measureCrowd, goal: true},
		{name: "login", run: measureLogin, goal: true},
		{name: "validate", run: measureValidate, goal: true},
		{name: "convert", run: measureConvert, goal: true},
		{name: "short", run: measureShort, goal: true},
		{name: "many", run: measureMany, goal: true},
		{name: "messages", run: measureMessages, full: true},
		{name: "waiting", run: measureWaiting, goal: true},
	}
}

// settings are what the flags say.
type settings struct {
	MB       int64         `json:"mb"`       // of one file, in 10^6 bytes
	Most     int64         `json:"most_mb"`  // of all files that are under way at once; 0 for any number
	Parallel []int         `json:"parallel"` // how many files at once, ascending
	Rounds   int           `json:"rounds"`   // of either side of each comparison
	Full     bool          `json:"full"`     // everything
	Clips    []string      `json:"clips"`    // of the corpus; none for all
	Batch    int           `json:"raw_batch_chunks"`
	Writers  int           `json:"raw_writers_per_file"`
	Only     []string      `json:"only"`
	Out      string        `json:"-"`
	Against  string        `json:"-"` // the report to compare with
	Strict   bool          `json:"-"` // a regression is an error
	Readme   bool          `json:"-"` // measure nothing
	Timeout  time.Duration `json:"-"`
}

func main() {
	sandbox.Enter() // the converter of measureShort starts this program once more
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	switch {
	case err != nil:
	case s.Readme:
		err = publish(".")
	default:
		err = measure(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parse reads the flags.
func parse(args []string) (settings, error) {
	s := settings{Parallel: []int{1, 16}}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.Int64Var(&s.MB, "mb", 100, "`size` of an uploaded or downloaded file, in MB")
	set.Int64Var(&s.Most, "most", 400, "`size` of all files that are under way at once, in MB: many files are made smaller to keep within it; 0 for any size")
	set.Func("parallel", "comma-separated `numbers` of files at once (default 1,16)", func(text string) (err error) {
		s.Parallel, err = numbers(text)
		return err
	})
	set.IntVar(&s.Rounds, "rounds", 2, "`times` that either side of a comparison runs")
	set.BoolVar(&s.Full, "full", false, "measure what has no goal, too, convert the whole corpus, two hours among it, and more than 200 videos in a row")
	set.Func("clips", "semicolon-separated `names` of the videos to convert (default those with a goal and a few more)", func(text string) error {
		s.Clips = strings.Split(text, ";")
		return s.knowsClips()
	})
	set.IntVar(&s.Batch, "raw-batch", 3, "`chunks` in one raw insert; the default is what package mongodb does")
	set.IntVar(&s.Writers, "raw-writers", 2, "raw inserts at once for one file; the default is what package mongodb does")
	set.Func("only", "comma-separated `names` of what to measure, of "+strings.Join(names(), ", ")+" (default all that have a goal)", func(text string) error {
		s.Only = strings.Split(text, ",")
		return known(s.Only)
	})
	set.StringVar(&s.Out, "out", filepath.Join("bin", "bench.json"), "`file` for all samples, as JSON")
	set.StringVar(&s.Against, "against", results, "`file` of an earlier run to compare with")
	set.BoolVar(&s.Strict, "strict", false, "fail if a ratio is worse than in that file by more than 10 %")
	set.BoolVar(&s.Readme, "readme", false, "measure nothing: bring README and the plots to what "+results+" says")
	set.DurationVar(&s.Timeout, "timeout", time.Hour, "`time` after which it gives up")
	if err := set.Parse(args); err != nil {
		return s, err
	}
	if set.NArg() > 0 {
		return s, fmt.Errorf("unknown argument %q", set.Arg(0))
	}
	if s.MB < 1 || s.Most < 0 || s.Rounds < 1 || s.Batch < 1 || s.Writers < 1 {
		return s, errors.New("sizes, numbers and times are at least 1")
	}
	return s, nil
}

// numbers reads a list of positive numbers and sorts it.
func numbers(text string) ([]int, error) {
	var all []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 48 { // a user's uploads at once, unless MAX_UPLOADS_PER_USER says otherwise
			return nil, fmt.Errorf("%q is no number from 1 to 48", word)
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func names() []string {
	var all []string
	for _, m := range measurements() {
		all = append(all, m.name)
	}
	return all
}

func known(only []string) error {
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("there is no measurement %q", name)
		}
	}
	return nil
}

// measures reports whether a measurement is to be made.
func (s settings) measures(m measurement) bool {
	if len(s.Only) > 0 {
		return slices.Contains(s.Only, m.name)
	}
	return s.Full || !m.full
}

// wants reports whether a clip is to be converted.
func (s settings) wants(c clip) bool {
	if len(s.Clips) > 0 {
		return slices.Contains(s.Clips, c.Name)
	}
	return s.Full || !c.full
}

func (s settings) knowsClips() error {
	for _, name := range s.Clips {
		if !slices.ContainsFunc(corpus(), func(c clip) bool { return c.Name == name }) {
			return fmt.Errorf("there is no video %q", name)
		}
	}
	return nil
}

// bytesEach is the size of a file when so many are under way at once.
func (s settings) bytesEach(parallel int) int64 {
	size := s.MB * mega
	if s.Most > 0 {
		size = min(size, s.Most*mega/int64(parallel))
	}
	return size
}

// measure runs what was asked for and prints each table as soon as it is there. A measurement that fails does not keep the
// others from theirs.
func measure(s settings) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("gave up after %v", s.Timeout))
	defer cancel()
	b, err := newBench(ctx, s)
	if err != nil {
		return err
	}
	defer b.close()
	report := newReport(ctx, s)
	var failed []error
	for _, m := range measurements() {
		if ctx.Err() != nil || !s.measures(m) {
			continue
		}
		load, _, _ := strings.Cut(firstLine("/proc/loadavg", ""), " ")
		t, err := m.run(ctx, b)
		if err != nil {
			b.say("%s failed", m.name)
			report.Failed = append(report.Failed, m.name)
			failed = append(failed, fmt.Errorf("measure %s: %w", m.name, err), report.write(s.Out))
			continue
		}
		t.Name, t.When, t.Commit = m.name, time.Now().UTC().Truncate(time.Second), report.Machine.Commit
		t.Load, t.Rounds = load, s.Rounds
		t.print(os.Stdout)
		report.Tables = append(report.Tables, t)
		failed = append(failed, report.write(s.Out)) // now: who knows whether the rest comes to an end
	}
	report.finish(os.Stdout)
	failed = append(failed, context.Cause(ctx), s.regressed(report))
	return errors.Join(append(failed, report.write(s.Out))...)
}

// regressed tells what is worse than in the run to compare with, if there is one.
func (s settings) regressed(now *report) error {
	before, err := readReport(s.Against)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	worse := regressions(before, now)
	tell(os.Stdout, worse, s.Against)
	if s.Strict && len(worse) > 0 {
		return fmt.Errorf("%d values are worse than in %s", len(worse), s.Against)
	}
	return nil
}
