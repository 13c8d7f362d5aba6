package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Files and rates are in 10^6 bytes, memory is in MiB.
const (
	mega = 1_000_000
	mebi = 1 << 20
)

// samples are what one side of a comparison came to, round by round.
type samples []float64

// MarshalJSON leaves four digits: more are noise.
func (s samples) MarshalJSON() ([]byte, error) {
	short := make([]float64, len(s))
	for i, v := range s {
		short[i], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	}
	return json.Marshal(short)
}

// median is the middle one, or the mean of the two in the middle; 0 if there are none.
func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// ratio is how the medians compare; 0 if there is nothing to compare with.
func ratio(ours, base samples) float64 {
	if b := base.median(); b != 0 {
		return ours.median() / b
	}
	return 0
}

// side is one side of a comparison. Calling it runs it once and returns its rate in MB/s; what it prepares first does not
// count.
type side func(ctx context.Context) (float64, error)

// compare runs both sides in turn, so that whatever else the machine does hits both.
func (b *bench) compare(ctx context.Context, what string, base, ours side) (of, got samples, err error) {
	for round := 1; round <= b.Rounds; round++ {
		for _, run := range []struct {
			name string
			do   side
			to   *samples
		}{{"raw", base, &of}, {"ours", ours, &got}} {
			unix.Sync() // nobody pays for what the run before has left to be written
			rate, err := run.do(ctx)
			if err != nil {
				return nil, nil, fmt.Errorf("%s, %s: %w", what, run.name, cmp.Or(context.Cause(ctx), err))
			}
			*run.to = append(*run.to, rate)
			b.say("%s: %s %d/%d: %.1f MB/s", what, run.name, round, b.Rounds, rate)
		}
	}
	return of, got, nil
}

// rotated is a list that begins with another of its elements in each round: nobody always follows the same one.
func rotated[T any](all []T, round int) []T {
	first := round % len(all)
	return slices.Concat(all[first:], all[:first])
}

// many is a side that does the same for n files of a size at once.
func many(n int, size int64, do func(ctx context.Context) error) side {
	return func(ctx context.Context) (float64, error) {
		start := time.Now()
		err := atOnce(ctx, n, func(ctx context.Context, _ int) error { return do(ctx) })
		return rate(size*int64(n), start), err
	}
}

// rate is how fast so many bytes went since start, in MB/s.
func rate(bytes int64, start time.Time) float64 {
	return float64(bytes) / mega / time.Since(start).Seconds()
}

// atOnce calls do n times in parallel.
func atOnce(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	all, ctx := errgroup.WithContext(ctx)
	for i := range n {
		all.Go(func() error { return do(ctx, i) })
	}
	return all.Wait()
}
