package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
)

const (
	gcBatch     = 10_000 // jobs, all of them in memory
	maxFailures = 3      // in a row: then the store is away, and the rest would fail as well
)

// collect removes, or only names, what counts no more.
func collect(ctx context.Context, d desk, o order) error {
	janitor := gateway.NewJanitor(d.Ledger, d.Videos, d.MP3s, d.Rules)
	now := time.Now()
	due, err := d.Ledger.CleanDue(ctx, now, gcBatch)
	if err != nil {
		return err
	}
	var failures []error
	inRow := 0
	for _, j := range due {
		if err := d.clean(ctx, janitor, gateway.GarbageOf(j, now, d.Rules), o.dryRun); err != nil {
			failures = append(failures, fmt.Errorf("job %s: %w", j.ID, err))
			inRow++
		} else {
			inRow = 0
		}
		if inRow == maxFailures || ctx.Err() != nil {
			return errors.Join(append(failures, ctx.Err())...)
		}
	}
	switch {
	case len(due) == 0:
		d.say("nothing that the sweeper would remove")
	case len(due) >= gcBatch:
		d.say("there may be more: do it again")
	}
	before := time.Now().Add(-o.olderThan)
	return errors.Join(append(failures,
		d.strays(ctx, "videos", d.Videos, before, o.dryRun),
		d.strays(ctx, "mp3s", d.MP3s, before, o.dryRun))...)
}

// verb is what is said of the same thing when it is done and when it is not.
func verb(dryRun bool) string {
	if dryRun {
		return "would remove"
	}
	return "removed"
}

// clean sees to one job and says what becomes of its files, weighed before they go.
func (d desk) clean(ctx context.Context, janitor gateway.Janitor, g gateway.Garbage, dryRun bool) error {
	weight, exact, err := d.weigh(ctx, g)
	if err != nil {
		return err
	}
	if !dryRun {
		err := janitor.Clean(ctx, g)
		if errors.Is(err, job.ErrState) || errors.Is(err, fs.ErrNotExist) {
			d.say("job %s, %s: a sweeper was faster, or the upload goes on", g.Job.ID, g.Why)
			return nil
		}
		if err != nil {
			return err
		}
	}
	d.say("job %s, %s: %s videos %s, mp3s %s, %s%d bytes",
		g.Job.ID, g.Why, verb(dryRun), ids(g.Videos), ids(g.MP3s), exact, weight)
	return nil
}

// weigh adds up what is stored; exact is "" if it is, else says how it is not.
func (d desk) weigh(ctx context.Context, g gateway.Garbage) (bytes int64, exact string, err error) {
	for files, ids := range map[*mongodb.Files][]string{d.Videos: g.Videos, d.MP3s: g.MP3s} {
		for _, id := range ids {
			n, whole, err := files.Weigh(ctx, id)
			if err != nil {
				return 0, "", err
			}
			if bytes += n; !whole {
				exact = "at most "
			}
		}
	}
	return bytes, exact, nil
}

func ids(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, " ")
}

// strays sees to chunks that belong to nobody.
func (d desk) strays(ctx context.Context, where string, files *mongodb.Files, before time.Time, dryRun bool) error {
	look := files.RemoveStrays
	if dryRun {
		look = files.Strays
	}
	strays, err := look(ctx, before, d.Ledger.Named)
	var chunks int64
	for _, s := range strays {
		chunks += s.Chunks
	}
	d.say("%s: %s %d chunks of %d files that belong to nobody, all begun before %s", where, verb(dryRun), chunks, len(strays), moment(before))
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}
