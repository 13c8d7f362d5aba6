package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"mp3converter/internal/job"
)

func listDead(ctx context.Context, d desk, o order) error {
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tQUEUE\tBURIED\tBYTES\tREASON\tBODY")
	letters, more, err := d.Letters().List(ctx, o.limit)
	for _, l := range letters {
		fmt.Fprintln(table, strings.Join(row(l), "\t"))
	}
	if err := errors.Join(err, table.Flush()); err != nil {
		return err
	}
	if more > 0 {
		d.say("and %d more", more)
	}
	return nil
}

// row is what a list says of a letter.
func row(l job.DeadLetter) []string {
	return []string{
		l.ID, printable(l.Queue, 40), moment(l.Buried), strconv.FormatInt(l.Bytes, 10), cell(l.Reason, 120), cell(string(l.Start), 80),
	}
}

func replayDead(ctx context.Context, d desk, o order) error {
	return settle(o, func(pick func(job.DeadLetter) bool) error {
		return d.Letters().Replay(ctx, pick, func(l job.DeadLetter) { d.say("replayed %s to %s", l.ID, l.Queue) })
	})
}

func discardDead(ctx context.Context, d desk, o order) error {
	return settle(o, func(pick func(job.DeadLetter) bool) error {
		return d.Letters().Discard(ctx, pick, func(l job.DeadLetter) {
			d.say("discarded %s", strings.Join(row(l), "  ")) // nobody may have seen it, and this is the last of it
		})
	})
}

// settle has done with each letter that the order names. An id may name several: then they are alike.
func settle(o order, do func(pick func(job.DeadLetter) bool) error) error {
	missing := map[string]bool{}
	for _, id := range o.args {
		missing[id] = true
	}
	err := do(func(l job.DeadLetter) bool {
		delete(missing, l.ID)
		return o.all || slices.Contains(o.args, l.ID)
	})
	if err != nil && !errors.Is(err, job.ErrCut) { // then what is missing may only be unseen
		return err
	}
	refusals := []error{err}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		refusals = append(refusals, fmt.Errorf("there is no dead letter %s; see: gateway dead list", id))
	}
	return errors.Join(refusals...)
}
