package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"mp3converter/internal/job"
)

// measureConvert compares the conversion of a video in the store with bare ffmpeg at the same setting on a local file.
func measureConvert(ctx context.Context, b *bench) (table, error) {
	clip, err := b.clip(ctx)
	if err != nil {
		return table{}, err
	}
	info, err := os.Stat(clip)
	if err != nil {
		return table{}, err
	}
	c := &conversion{clip: clip, size: info.Size(), seconds: b.Seconds}
	if c.stand, err = b.newStand(ctx); err != nil {
		return table{}, err
	}
	defer c.stand.close()
	var bare, ours []trial
	for range b.Rounds {
		if bare, err = c.add(ctx, "bare", bare, c.bare); err != nil {
			return table{}, err
		}
		if ours, err = c.add(ctx, "ours", ours, c.ours); err != nil {
			return table{}, c.stand.blame(err)
		}
	}
	return table{
		Title: fmt.Sprintf("Conversion of a video of %d s and %d MB, profile standard, against bare ffmpeg on a local file", b.Seconds, c.size/mega),
		Base:  "bare",
		Rows:  compareTrials(bare, ours),
		Notes: []string{
			"bare is ffmpeg -i file -vn -c:a libmp3lame -q:a 5; ours is from claim to commit, and so includes reading the video from FerretDB, which goes through all of it before it sends the first byte, and storing the MP3 there",
			"ours runs ffmpeg at nice 10: on a machine that is not quiet the wall ratio says more about the others",
			"service CPU is the converter's own, without its children; ffmpeg's is that of the children it has waited for",
		},
	}, nil
}

// trial is what one conversion came to.
type trial struct {
	wall   time.Duration
	ffmpeg time.Duration // of CPU, as all below
	peak   int64         // of ffmpeg's memory, in bytes

	converter     time.Duration // without ffmpeg
	converterPeak int64
	gateway       time.Duration // for the upload
}

// compareTrials makes the table's rows of the rounds.
func compareTrials(bare, ours []trial) []row {
	wall := func(t trial) float64 { return t.wall.Seconds() }
	encoder := func(t trial) float64 { return t.ffmpeg.Seconds() }
	peak := func(t trial) float64 { return float64(t.peak) / mebi }
	converter := func(t trial) float64 { return t.converter.Seconds() }
	gateway := func(t trial) float64 { return t.gateway.Seconds() }
	percent := func(what string, of func(trial) float64) row {
		r := compared(what, "s", each(ours, encoder), each(ours, of))
		r.Base, r.Value, r.Format = nil, 100*r.Value, "%.1f %%"
		return r
	}
	held := func(what string, of func(trial) float64) row {
		held := each(ours, of)
		return row{What: what, Unit: "MiB", Ours: held, Value: held.median(), Format: "%.0f MiB"}
	}
	converterPeak := func(t trial) float64 { return float64(t.converterPeak) / mebi }
	encoderPeak := held("ffmpeg's memory", peak)
	encoderPeak.Base = each(bare, peak)
	return []row{
		compared("wall", "s", each(bare, wall), each(ours, wall)),
		compared("ffmpeg's CPU", "s", each(bare, encoder), each(ours, encoder)),
		percent("service CPU outside ffmpeg, of ffmpeg's", converter).against(atMost(10)),
		percent("  the gateway's for the upload besides", gateway),
		held("converter's memory", converterPeak).against(atMost(30).aim()),
		encoderPeak.against(atMost(60).aim()),
	}
}

// each picks one number of each trial.
func each(trials []trial, of func(trial) float64) samples {
	var all samples
	for _, t := range trials {
		all = append(all, of(t))
	}
	return all
}

// conversion is one video, converted again and again.
type conversion struct {
	stand   *stand
	clip    string
	size    int64
	seconds int
}

// add runs a trial and reports it.
func (c *conversion) add(ctx context.Context, who string, to []trial, run func(context.Context) (trial, error)) ([]trial, error) {
	t, err := run(ctx)
	if err == nil {
		c.stand.bench.say("convert: %s %d/%d: %.1f s", who, len(to)+1, c.stand.bench.Rounds, t.wall.Seconds())
	}
	return append(to, t), err
}

// bare is ffmpeg as anybody runs it.
func (c *conversion) bare(ctx context.Context) (trial, error) {
	out := filepath.Join(c.stand.bench.dir, "bare.mp3")
	defer os.Remove(out)
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-y", "-i", c.clip, "-vn", "-c:a", "libmp3lame", "-q:a", "5", out)
	start := time.Now()
	if said, err := cmd.CombinedOutput(); err != nil {
		return trial{}, fmt.Errorf("bare ffmpeg: %w: %s", err, said)
	}
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return trial{wall: time.Since(start), ffmpeg: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: used.Maxrss << 10}, nil
}

// ours uploads the video and has a fresh converter make the MP3.
func (c *conversion) ours(ctx context.Context) (t trial, err error) {
	if err := c.stand.store.empty(ctx); err != nil {
		return t, err
	}
	worker, err := c.stand.run(ctx, "converter", append(c.stand.backend, "SCRATCH_DIR="+c.stand.bench.dir)...)
	if err != nil {
		return t, err
	}
	defer worker.stop()
	before, err := cpuOf(worker.pid)
	if err != nil {
		return t, err
	}
	id, err := c.upload(ctx, &t)
	if err != nil {
		return t, err
	}
	if err := c.watch(ctx, worker.pid, id, &t); err != nil {
		return t, err
	}
	after, err := cpuOf(worker.pid)
	if err != nil {
		return t, err
	}
	used := after.minus(before)
	t.converter, t.ffmpeg = used.own, used.children
	m, err := memoryOf(worker.pid)
	t.converterPeak = m.peak
	return t, err
}

// upload sends the video and notes what that costs the gateway.
func (c *conversion) upload(ctx context.Context, t *trial) (id string, err error) {
	f, err := os.Open(c.clip)
	if err != nil {
		return "", err
	}
	defer f.Close()
	before, err := cpuOf(c.stand.gateway.pid)
	if err != nil {
		return "", err
	}
	if id, err = c.stand.user.upload(ctx, f, c.size); err != nil {
		return "", err
	}
	after, err := cpuOf(c.stand.gateway.pid)
	t.gateway = after.minus(before).own
	return id, err
}

// watch waits for the MP3, and looks at ffmpeg's memory meanwhile.
func (c *conversion) watch(ctx context.Context, worker int, id string, t *trial) error {
	const seldom = 500 * time.Millisecond // looking costs processors, too
	var encoders []int
	return poll(ctx, seldom, func() (bool, error) {
		if len(encoders) == 0 {
			encoders = childrenOf(worker)
		}
		encoders = slices.DeleteFunc(encoders, func(pid int) (ended bool) {
			m, err := memoryOf(pid)
			t.peak = max(t.peak, m.peak)
			return err != nil
		})
		j, err := c.stand.store.ours.Jobs().Get(ctx, id)
		if err != nil || j.Ended.IsZero() {
			return false, err
		}
		t.wall = j.Ended.Sub(j.Started)
		return true, c.judge(j)
	})
}

// judge makes sure that what was measured is a conversion.
func (c *conversion) judge(j job.Job) error {
	want := time.Duration(c.seconds) * time.Second
	switch off := (j.Duration - want).Abs(); {
	case j.State == job.Failed:
		return fmt.Errorf("the job failed: %s: %s", j.Reason, j.Detail)
	case off > time.Second:
		return fmt.Errorf("the MP3 lasts %v instead of %v", j.Duration, want)
	case j.Attempt != 1:
		return errors.New("it took more than one attempt")
	}
	return nil
}
