package main

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	id1    = "64f000000000000000000001"
	id2    = "64f000000000000000000002"
	letter = "0123456789abcdef0123456789"
)

func TestCommandLinesThatAreUnderstood(t *testing.T) {
	for line, want := range map[string]order{
		"jobs list": {name: "jobs list"},
		"jobs list --state failed --owner sid@gmail.com --before " + id1 + " --limit 7": {
			name: "jobs list", state: "failed", owner: "sid@gmail.com", before: id1, limit: 7},
		"jobs show " + id1:                            {name: "jobs show", args: []string{id1}},
		"jobs show " + id1 + " --json":                {name: "jobs show", args: []string{id1}, json: true},
		"jobs retry " + id1 + " " + id2:               {name: "jobs retry", args: []string{id1, id2}},
		"jobs fail " + id1 + " --because full " + id2: {name: "jobs fail", args: []string{id1, id2}, because: "full"},
		"dead list -limit=1000":                       {name: "dead list", limit: 1000},
		"dead replay " + letter:                       {name: "dead replay", args: []string{letter}},
		"dead replay --all":                           {name: "dead replay", all: true},
		"dead discard " + letter + " " + id1 + "ab":   {name: "dead discard", args: []string{letter, id1 + "ab"}},
		"gc":                            {name: "gc"},
		"gc --dry-run --older-than 90m": {name: "gc", dryRun: true, olderThan: 90 * time.Minute},
	} {
		if want.limit == 0 {
			want.limit = 50
		}
		if want.olderThan == 0 {
			want.olderThan = 24 * time.Hour
		}
		got, err := parse(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(order{}), cmpopts.IgnoreFields(order{}, "command")); diff != "" || got.run == nil {
			t.Errorf("%s:\n%s", line, diff)
		}
	}
}

func TestMistakesAreNamedWithTheUsage(t *testing.T) {
	for line, want := range map[string]string{
		"jobs":                              "which command?",
		"dead":                              "which command?",
		"job list":                          `no command "gateway job"`,
		"jobs lits":                         `no command "gateway jobs lits"`,
		"gc collect":                        `takes no argument "collect"`,
		"jobs list " + id1:                  "takes no argument",
		"jobs list --state broken":          "--state: one of [uploading queued converting converted done failed deleted]",
		"jobs list --before 7":              "--before: ",
		"jobs list --limit 0":               "--limit: from 1 to 1000",
		"jobs list --limit many":            "-limit",
		"jobs list --json":                  "-json",
		"jobs show":                         "which job?",
		"jobs show " + id1 + " " + id2:      "one id only",
		"jobs show x":                       `"x" is no id of a job`,
		"jobs show " + strings.ToUpper(id1): "is no id of a job",
		"jobs retry":                        "which job?",
		"jobs retry " + id1 + " x":          `"x" is no id of a job`,
		"jobs fail --because":               "-because",
		"dead replay":                       "which dead letter?",
		"dead replay ../x":                  "no id of a dead letter",
		"dead discard --all " + letter:      "either ids or --all",
		"dead discard --al":                 "-al",
		"gc --older-than 10":                "-older-than",
		"gc --older-than 1m":                "--older-than: a time of at least 1h",
	} {
		_, err := parse(strings.Fields(line))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), usage) {
			t.Errorf("%s: %v, want %q and the usage", line, err, want)
		}
	}
	for _, because := range []string{"two\nlines", "\x1b[2J", "M\xfcll", strings.Repeat("x", 501)} {
		if _, err := parse([]string{"jobs", "fail", id1, "--because", because}); err == nil || !strings.Contains(err.Error(), "--because: one line") {
			t.Errorf("--because %.20q: %v", because, err)
		}
	}
}

func TestHelpIsGivenWhereverItIsAskedFor(t *testing.T) {
	for _, line := range []string{"jobs -h", "jobs help", "jobs list --help", "jobs show " + id1 + " -h", "dead -help", "dead replay -h", "gc --help"} {
		if _, err := parse(strings.Fields(line)); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v, want help", line, err)
		}
		var out strings.Builder
		if err := operate(t.Context(), strings.Fields(line), &out, nil); err != nil || out.String() != usage {
			t.Errorf("%s: %q, %v", line, out.String(), err)
		}
	}
}

func TestTheUsageNamesEveryCommandAndFlag(t *testing.T) {
	for name, c := range commands {
		flags := flag.NewFlagSet(name, flag.ContinueOnError)
		if c.flags != nil {
			c.flags(flags, &order{})
		}
		_, entry, found := strings.Cut(usage, "gateway "+name+" ")
		if !found {
			t.Errorf("the usage does not name %s", name)
		}
		entry, _, _ = strings.Cut(entry, "\n  gateway ")
		flags.VisitAll(func(f *flag.Flag) {
			if !strings.Contains(entry, "--"+f.Name) {
				t.Errorf("the usage of %s does not name --%s", name, f.Name)
			}
		})
	}
}
