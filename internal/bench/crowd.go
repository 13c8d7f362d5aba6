package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// crowds are how many come at once.
var crowds = []int{10, 50, 200}

// measureCrowd has many users upload and download at once: all must be answered well, and what each takes of the gateway's
// memory must not grow with their number.
func measureCrowd(ctx context.Context, b *bench) (table, error) {
	t := table{Title: "Many at once, into and from FerretDB", Notes: []string{
		"memory is the gateway's peak (VmHWM) over what it had after a first small upload; each crowd has a gateway of its own",
		fmt.Sprintf("uploads come to %d MB in all; downloads are of one file", b.crowdBytes()/mega),
	}}
	for _, measure := range []func(context.Context, int) ([]row, error){b.crowdUp, b.crowdDown} {
		for _, n := range crowds {
			rows, err := measure(ctx, n)
			if err != nil {
				return t, err
			}
			t.Rows = append(t.Rows, rows...)
		}
	}
	return t, nil
}

// crowdBytes is what a crowd uploads in all: enough for each to be beyond what the gateway reads ahead.
func (b *bench) crowdBytes() int64 {
	const enough = 400 * mega
	if b.Most == 0 {
		return enough
	}
	return min(b.Most*mega, enough)
}

func (b *bench) crowdUp(ctx context.Context, n int) ([]row, error) {
	size := b.crowdBytes() / int64(n)
	return b.crowd(ctx, n, fmt.Sprintf("%d uploads at once, %.1f MB each", n, float64(size)/mega), 20,
		func(s *stand) (func(context.Context) error, error) {
			return func(ctx context.Context) error { return s.user.uploadNoise(ctx, size) }, nil
		})
}

func (b *bench) crowdDown(ctx context.Context, n int) ([]row, error) {
	const size = 4 * mega
	return b.crowd(ctx, n, fmt.Sprintf("%d downloads at once, 4 MB each", n), 4,
		func(s *stand) (func(context.Context) error, error) {
			fid, err := seed(ctx, s.store.ours.MP3s(), s.store.ours.Jobs(), userName, size)
			return func(ctx context.Context) error { return s.user.download(ctx, fid, size) }, err
		})
}

// crowd does what prepare returns n times at once, on a stand of its own.
func (b *bench) crowd(ctx context.Context, n int, what string, most float64, prepare func(*stand) (func(context.Context) error, error)) ([]row, error) {
	s, err := b.newStand(ctx, "MAX_UPLOADS=1000", "MAX_UPLOADS_PER_USER=1000", "MAX_DOWNLOADS=1000")
	if err != nil {
		return nil, err
	}
	defer s.close()
	base, err := s.idle(ctx)
	if err != nil {
		return nil, s.blame(err)
	}
	do, err := prepare(s)
	if err != nil {
		return nil, s.blame(err)
	}
	good, failed := s.rush(ctx, n, do)
	m, err := memoryOf(s.gateway.pid)
	if err != nil {
		return nil, s.blame(err)
	}
	b.say("%s: %d of %d went well, %.0f MiB", what, good, n, float64(m.peak-base)/mebi)
	if good < n {
		b.say("the first that did not: %v", s.blame(failed))
	}
	return []row{
		value(what+", went well", float64(good)/float64(n), "%.3f").against(atLeast(1)),
		value("  gateway's memory, all", float64(m.peak-base)/mebi, "%.0f MiB"),
		value("  gateway's memory, each", float64(m.peak-base)/mebi/float64(n), "%.1f MiB").against(atMost(most)),
	}, nil
}

// rush does the same n times at once, and lets nobody's failure end the others. It returns how many went well, and the
// first failure.
func (s *stand) rush(ctx context.Context, n int, do func(context.Context) error) (good int, failed error) {
	var all sync.WaitGroup
	var well atomic.Int64
	failures := make(chan error, n)
	for range n {
		all.Go(func() {
			if err := do(ctx); err != nil {
				failures <- err
				return
			}
			well.Add(1)
		})
	}
	all.Wait()
	close(failures)
	return int(well.Load()), <-failures
}
