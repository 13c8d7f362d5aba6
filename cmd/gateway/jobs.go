package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
)

// ringTime is for one job; without a broker it takes a second.
const ringTime = 10 * time.Second

func listJobs(ctx context.Context, d desk, o order) error {
	wanted := mongodb.Wanted{State: job.State(o.state), Owner: o.owner, Before: o.before}
	jobs, err := d.Ledger.Search(ctx, wanted, o.limit+1) // the one more tells whether there is more
	if err != nil {
		return err
	}
	now := time.Now()
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATE\tOWNER\tAGE\tATTEMPTS\tREASON\tWORKER")
	for _, j := range jobs[:min(len(jobs), o.limit)] {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", cell(j.ID, 40), j.State, cell(j.Owner, 60), span(now.Sub(j.Created)),
			j.Attempts(), cell(why(j), 80), cell(j.Worker, 60))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(jobs) > o.limit {
		d.say("there are more, from --before %s on", printable(jobs[o.limit-1].ID, 40))
	}
	return nil
}

// why is what there is to say about how the job, its last attempt and its mail ended.
func why(j job.Job) string {
	var parts []string
	for _, part := range []string{string(j.Reason), j.Detail, j.MailError} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

func showJob(ctx context.Context, d desk, o order) error {
	j, err := d.Ledger.Get(ctx, o.args[0])
	if err != nil {
		return refused(err, o.args[0], j, "")
	}
	if !o.json {
		return record(d.out, j, time.Now())
	}
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	d.say("%s", printableJSON(text))
	return nil
}

func retryJobs(ctx context.Context, d desk, o order) error {
	return each(ctx, o.args, func(id string) error {
		j, err := d.Ledger.Get(ctx, id)
		if err == nil {
			j, err = gateway.Retry(ctx, j, d.Videos, d.Rules, d.Ledger.Update)
		}
		if err != nil {
			return refused(err, id, j, "only a failed job can be retried")
		}
		d.ring(ctx, j, "retried")
		return nil
	})
}

func failJobs(ctx context.Context, d desk, o order) error {
	return each(ctx, o.args, func(id string) error {
		j, err := gateway.Fail(ctx, id, o.because, d.Rules, d.Ledger.Update)
		if err != nil {
			return refused(err, id, j, "only a job that is queued or converting can be ended")
		}
		d.ring(ctx, j, "ended")
		return nil
	})
}

// ring rings for a job that something was done to. If that fails nothing is lost.
func (d desk) ring(ctx context.Context, j job.Job, done string) {
	ctx, cancel := context.WithTimeout(ctx, ringTime)
	defer cancel()
	if err := d.Doorbell.Ring(ctx, j); err != nil {
		d.say("%s %s; not rung for now, a gateway's sweeper will (RING_SECONDS, SWEEP_SECONDS): %v", done, j.ID, err)
		return
	}
	d.say("%s %s", done, j.ID)
}

// refused says why the ledger has not done what was asked of it.
func refused(err error, id string, j job.Job, rule string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no job %s; see: gateway jobs list", id)
	case errors.Is(err, job.ErrState):
		return fmt.Errorf("job %s is %s: %s", id, j.State, rule)
	case errors.Is(err, gateway.ErrNoVideo):
		return fmt.Errorf("job %s: its video is gone, nobody can retry it", id)
	default:
		return err
	}
}
