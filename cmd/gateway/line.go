package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"mp3converter/internal/job"
)

// command is one of the operators'.
type command struct {
	flags   func(*flag.FlagSet, *order)
	isID    func(string) bool // what its arguments are; nil if it takes none
	ids     string            // the same, for people
	several bool
	run     func(context.Context, desk, order) error

	alone func(ctx context.Context, out io.Writer, environ []string) error // instead of run: without the service's stores
}

// commands are all of them.
var commands = map[string]command{
	"jobs list":    {flags: listFlags, run: listJobs},
	"jobs show":    {flags: showFlags, isID: job.IsID, ids: "job", run: showJob},
	"jobs retry":   {isID: job.IsID, ids: "job", several: true, run: retryJobs},
	"jobs fail":    {flags: failFlags, isID: job.IsID, ids: "job", several: true, run: failJobs},
	"dead list":    {flags: limitFlag, run: listDead},
	"dead replay":  {flags: allFlag, isID: isLetterID, ids: "dead letter", several: true, run: replayDead},
	"dead discard": {flags: allFlag, isID: isLetterID, ids: "dead letter", several: true, run: discardDead},
	"gc":           {flags: gcFlags, run: collect},
	"rights":       {alone: giveRights},
}

// order is a command line, understood.
type order struct {
	command
	name string // as in commands
	args []string

	state     string
	owner     string
	before    string
	limit     int
	json      bool
	because   string
	all       bool
	dryRun    bool
	olderThan time.Duration
}

const (
	pageSize    = 50
	maxPageSize = 1000

	strayAge    = 24 * time.Hour
	minStrayAge = time.Hour // below it the uploads of others that are under way are near
)

func limitFlag(f *flag.FlagSet, o *order) { f.IntVar(&o.limit, "limit", pageSize, "") }

func allFlag(f *flag.FlagSet, o *order) { f.BoolVar(&o.all, "all", false, "") }

func showFlags(f *flag.FlagSet, o *order) { f.BoolVar(&o.json, "json", false, "") }

func failFlags(f *flag.FlagSet, o *order) { f.StringVar(&o.because, "because", "", "") }

func listFlags(f *flag.FlagSet, o *order) {
	limitFlag(f, o)
	f.StringVar(&o.state, "state", "", "")
	f.StringVar(&o.owner, "owner", "", "")
	f.StringVar(&o.before, "before", "", "")
}

func gcFlags(f *flag.FlagSet, o *order) {
	f.BoolVar(&o.dryRun, "dry-run", false, "")
	f.DurationVar(&o.olderThan, "older-than", strayAge, "")
}

// parse understands a command line; flag.ErrHelp if it asks for help.
func parse(args []string) (order, error) {
	name, rest := args[0], args[1:]
	if name == "jobs" || name == "dead" {
		if len(rest) == 0 {
			return order{}, misuse("gateway " + name + ": which command?")
		}
		if isHelp(rest[0]) {
			return order{}, flag.ErrHelp
		}
		name, rest = name+" "+rest[0], rest[1:]
	}
	c, known := commands[name]
	if !known {
		return order{}, misuse(fmt.Sprintf("there is no command %q", "gateway "+name))
	}
	o := order{command: c, name: name, limit: pageSize, olderThan: strayAge}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if c.flags != nil {
		c.flags(flags, &o)
	}
	var err error
	if o.args, err = split(flags, rest); err == nil {
		err = o.check()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return order{}, misuse(fmt.Sprintf("gateway %s: %v", name, err))
	}
	return o, err
}

// split parses the flags wherever they stand and returns the other words.
func split(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
			return words, err
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "-help" || arg == "--help"
}

// check finds what a flag's type does not.
func (o order) check() error {
	switch {
	case o.limit < 1 || o.limit > maxPageSize:
		return fmt.Errorf("--limit: from 1 to %d", maxPageSize)
	case o.state != "" && !slices.Contains(job.States, job.State(o.state)):
		return fmt.Errorf("--state: one of %v", job.States)
	case o.before != "" && !job.IsID(o.before):
		return errors.New("--before: a job's id has 24 lower-case hex digits")
	case !job.IsBecause(o.because):
		return errors.New("--because: one line of at most 500 bytes of UTF-8")
	case o.olderThan < minStrayAge:
		return fmt.Errorf("--older-than: a time of at least %v, as 24h", minStrayAge)
	}
	return o.checkArgs()
}

func (o order) checkArgs() error {
	switch {
	case o.isID == nil && len(o.args) > 0:
		return fmt.Errorf("takes no argument %q", o.args[0])
	case o.isID == nil, o.all && len(o.args) == 0:
		return nil
	case o.all:
		return errors.New("either ids or --all")
	case len(o.args) == 0:
		return fmt.Errorf("which %s? Its id is missing", o.ids)
	case len(o.args) > 1 && !o.several:
		return errors.New("one id only")
	}
	for _, id := range o.args {
		if !o.isID(id) {
			return fmt.Errorf("%.80q is no id of a %s", id, o.ids)
		}
	}
	return nil
}

var letterID = regexp.MustCompile(`^[0-9a-f]{26}$`)

// isLetterID reports whether package rabbit may have made the id.
func isLetterID(s string) bool { return letterID.MatchString(s) }
