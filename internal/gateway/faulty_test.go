package gateway_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing/iotest"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

var errDown = errors.New("dial tcp 10.0.0.7:27017: connection refused")

// around decides what becomes of a call: whether it is made, how often, and what its caller is told.
type around func(op string, call func() error) error

// ledger is one with faults.
type ledger struct {
	gateway.Ledger
	around around
}

func (l ledger) Insert(ctx context.Context, j job.Job) error {
	return l.around("insert", func() error { return l.Ledger.Insert(ctx, j) })
}

func (l ledger) Get(ctx context.Context, id string) (j job.Job, err error) {
	err = l.around("get", func() error { j, err = l.Ledger.Get(ctx, id); return err })
	return j, err
}

func (l ledger) ByKey(ctx context.Context, key string) (j job.Job, err error) {
	err = l.around("by key", func() error { j, err = l.Ledger.ByKey(ctx, key); return err })
	return j, err
}

func (l ledger) ByMP3(ctx context.Context, owner, id string) (j job.Job, err error) {
	err = l.around("by mp3", func() error { j, err = l.Ledger.ByMP3(ctx, owner, id); return err })
	return j, err
}

func (l ledger) AllByMP3(ctx context.Context, id string) (jobs []job.Job, err error) {
	err = l.around("all by mp3", func() error { jobs, err = l.Ledger.AllByMP3(ctx, id); return err })
	return jobs, err
}

func (l ledger) List(ctx context.Context, owner, before string, limit int) (jobs []job.Job, err error) {
	err = l.around("list", func() error { jobs, err = l.Ledger.List(ctx, owner, before, limit); return err })
	return jobs, err
}

func (l ledger) Find(ctx context.Context, owner string, f job.Filter, before string, limit int) (jobs []job.Job, err error) {
	err = l.around("list", func() error { jobs, err = l.Ledger.Find(ctx, owner, f, before, limit); return err })
	return jobs, err
}

func (l ledger) Changes(ctx context.Context, owner string, since time.Time, limit int) (all []job.Change, err error) {
	err = l.around("changes", func() error { all, err = l.Ledger.Changes(ctx, owner, since, limit); return err })
	return all, err
}

func (l ledger) Usage(ctx context.Context, owner string) (u job.Usage, err error) {
	err = l.around("usage", func() error { u, err = l.Ledger.Usage(ctx, owner); return err })
	return u, err
}

func (l ledger) Update(ctx context.Context, id string, change func(*job.Job) error) (j job.Job, err error) {
	err = l.around("update", func() error { j, err = l.Ledger.Update(ctx, id, change); return err })
	return j, err
}

func (l ledger) Remove(ctx context.Context, id string) error {
	return l.around("remove", func() error { return l.Ledger.Remove(ctx, id) })
}

func (l ledger) Due(ctx context.Context, now time.Time, limit int) (jobs []job.Job, err error) {
	err = l.around("due", func() error { jobs, err = l.Ledger.Due(ctx, now, limit); return err })
	return jobs, err
}

func (l ledger) Undated(ctx context.Context, limit int) (jobs []job.Job, err error) {
	err = l.around("undated", func() error { jobs, err = l.Ledger.Undated(ctx, limit); return err })
	return jobs, err
}

// files is a store with faults.
type files struct {
	gateway.Files
	around around
}

func (f files) Put(ctx context.Context, file job.File, r io.Reader) (stored job.File, err error) {
	err = f.around("put", func() error { stored, err = f.Files.Put(ctx, file, r); return err })
	return stored, err
}

func (f files) Open(ctx context.Context, id string) (file job.File, r io.ReadSeekCloser, err error) {
	err = f.around("open", func() error { file, r, err = f.Files.Open(ctx, id); return err })
	return file, r, err
}

func (f files) Delete(ctx context.Context, id string) error {
	return f.around("delete", func() error { return f.Files.Delete(ctx, id) })
}

// broken puts faults around the ledger and the videos.
func broken(fault around) func(*rig, *gateway.Config) {
	return func(r *rig, cfg *gateway.Config) {
		cfg.Ledger, cfg.Videos = ledger{r.ledger, fault}, files{r.videos, fault}
	}
}

// instead fails the n-th call of op, from 1, without making it.
func instead(op string, n int32) around {
	var seen atomic.Int32
	return func(got string, call func() error) error {
		if got == op && seen.Add(1) == n {
			return errDown
		}
		return call()
	}
}

// after makes the n-th call of op, and then fails it.
func after(op string, n int32) around {
	var seen atomic.Int32
	return func(got string, call func() error) error {
		err := call()
		if got == op && seen.Add(1) == n {
			return errDown
		}
		return err
	}
}

// both has two faults.
func both(a, b around) around {
	return func(op string, call func() error) error {
		return a(op, func() error { return b(op, call) })
	}
}

// twice has a call made twice, as by an adapter that has missed the answer to the first.
func twice(op string) around {
	return func(got string, call func() error) error {
		if got == op {
			_ = call()
		}
		return call()
	}
}

// overtaken is a ledger whose first update is still on its way when its caller is told that it failed.
type overtaken struct {
	gateway.Ledger
	read, changed *job.Job
	arrived       bool
}

func (o *overtaken) Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	if o.changed != nil {
		return o.Ledger.Update(ctx, id, change)
	}
	j, err := o.Get(ctx, id)
	if err != nil {
		return j, err
	}
	read := j
	if err := change(&j); err != nil {
		return j, err
	}
	o.read, o.changed = &read, &j
	return job.Job{}, errDown
}

// arrive has it compare and set.
func (o *overtaken) arrive(ctx context.Context) {
	o.arrived = true
	_, _ = o.Ledger.Update(ctx, o.read.ID, func(now *job.Job) error {
		if now.Version != o.read.Version {
			return errDown
		}
		*now = *o.changed
		return nil
	})
}

// doubtful is a ledger that never says whether an update has happened, until it is up.
type doubtful struct {
	gateway.Ledger
	happens bool
	up      *atomic.Bool
}

func (d doubtful) Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	switch {
	case d.up.Load():
		return d.Ledger.Update(ctx, id, change)
	case d.happens:
		_, _ = d.Ledger.Update(ctx, id, change)
	default:
		if j, err := d.Get(ctx, id); err == nil {
			_ = change(&j)
		}
	}
	return job.Job{}, errDown
}

// dying is a store whose files break off after a while.
type dying struct {
	gateway.Files
	after int64
	ended chan struct{} // closed when the file is
}

type dyingFile struct {
	io.Reader
	io.Seeker
	end func() error
}

func (f dyingFile) Close() error { return f.end() }

func (d dying) Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error) {
	f, content, err := d.Files.Open(ctx, id)
	if err != nil {
		return f, nil, err
	}
	end := func() error {
		close(d.ended)
		return content.Close()
	}
	return f, dyingFile{io.MultiReader(io.LimitReader(content, d.after), iotest.ErrReader(errDown)), content, end}, nil
}
