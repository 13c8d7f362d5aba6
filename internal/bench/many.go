package main

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
)

// Many jobs: batches of videos of all kinds, converted as fast as the processors let. Batches are small and the store is
// emptied after each, since FerretDB scans it.
const (
	batchOf  = 21
	manyJobs = 200 // at least, of all lengths, with -full: FerretDB takes ten minutes for them
)

// mixed is what a batch is made of, in turn, where the sound has to be encoded: from ten seconds to five minutes, each length
// about 1.7 times the one before, of all containers, music and speech.
func mixed() []clip {
	return []clip{
		{Name: "mixed: MP4, 10 s", Seconds: 10, pictures: "stamp"},
		{Name: "mixed: fragmented MP4, 20 s", Seconds: 20, pictures: "stamp", flags: []string{"-movflags", "+frag_keyframe+empty_moov+default_base_moof"}},
		{Name: "mixed: WebM with Opus, 30 s", Seconds: 30, pictures: "vp8 stamp", ext: "webm", audio: []string{"-c:a", "libopus", "-b:a", "96k"}},
		{Name: "mixed: MP4 with moov first, 60 s of speech", Seconds: 60, pictures: "stamp", sound: "speech", flags: []string{"-movflags", "+faststart"}},
		{Name: "mixed: TS with MP2, 90 s", Seconds: 90, pictures: "mpeg2 stamp", ext: "ts", audio: []string{"-c:a", "mp2", "-b:a", "192k"}},
		{Name: "mixed: MKV, 3 min", Seconds: 180, pictures: "stamp", ext: "mkv"},
		{Name: "mixed: MP4, 5 min", Seconds: 300, pictures: "stamp"},
	}
}

// brief is what a batch is made of where starting, storing and asking weigh most.
func brief() []clip {
	return []clip{
		{Name: "short: MP4, 10 s", Seconds: 10, pictures: "stamp"},
		{Name: "short: MP4, 40 s", Seconds: 40, pictures: "stamp"},
		{Name: "short: MP4 with moov first, 20 s of speech", Seconds: 20, pictures: "stamp", sound: "speech", flags: []string{"-movflags", "+faststart"}},
		{Name: "short: fragmented MP4, 15 s", Seconds: 15, pictures: "stamp", flags: []string{"-movflags", "+frag_keyframe+empty_moov+default_base_moof"}},
		{Name: "short: MKV, 30 s", Seconds: 30, pictures: "stamp", ext: "mkv"},
		{Name: "short: TS with MP2, 20 s", Seconds: 20, pictures: "mpeg2 stamp", ext: "ts", audio: []string{"-c:a", "mp2", "-b:a", "192k"}},
		{Name: "short: WebM with Opus, 12 s", Seconds: 12, pictures: "vp8 stamp", ext: "webm", audio: []string{"-c:a", "libopus", "-b:a", "96k"}},
	}
}

// copied is a kind of its own: ours copies its MP3, and bare ffmpeg encodes it anew.
func copied() []clip {
	return []clip{{Name: "copied: AVI with MP3, 25 s", Seconds: 25, pictures: "stamp", ext: "avi", audio: []string{"-c:a", "libmp3lame", "-b:a", "128k"}}}
}

// load is a batch of videos.
type load []media

func (b *bench) load(ctx context.Context, of []clip) (load, error) {
	var kinds []media
	for _, c := range of {
		m, err := b.media(ctx, c)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, m)
	}
	var l load
	for i := range batchOf {
		l = append(l, kinds[i%len(kinds)])
	}
	return l, nil
}

// throughput is what a batch came to.
type throughput struct {
	wall time.Duration
	cpu  time.Duration // of ffmpeg and whoever runs it
	used meters        // of services and servers; ours only
}

// xargs is bare ffmpeg on local files, one per processor.
func (l load) xargs(ctx context.Context, program bare) (t throughput, err error) {
	start := time.Now()
	trials := make([]trial, len(l))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(runtime.NumCPU())
	for i, m := range l {
		all.Go(func() (err error) {
			trials[i], err = program.once(ctx, m.path)
			return err
		})
	}
	err = all.Wait()
	t.wall = time.Since(start)
	for _, one := range trials {
		t.cpu += one.encoder
	}
	return t, err
}

// ours uploads all while the converter stands still, and then lets it work.
func (l load) ours(ctx context.Context, s *services) (t throughput, err error) {
	if err := s.store.empty(ctx); err != nil {
		return t, err
	}
	before, err := s.meters()
	if err != nil {
		return t, err
	}
	if err := syscall.Kill(s.converter.pid, syscall.SIGSTOP); err != nil {
		return t, err
	}
	for _, m := range l {
		if _, _, err = s.user.uploadFile(ctx, m.path); err != nil {
			break
		}
	}
	start := time.Now()
	if gone := syscall.Kill(s.converter.pid, syscall.SIGCONT); err == nil {
		err = gone
	}
	if err != nil {
		return t, err
	}
	last, err := allEnded(ctx, len(l), func(ctx context.Context) ([]job.Job, error) {
		return s.store.ours.Jobs().List(ctx, userName, "", len(l))
	})
	if err != nil {
		return t, s.blame(err)
	}
	t.wall = last.Sub(start)
	after, err := s.meters()
	t.used = after.minus(before)
	t.cpu = t.used.converter.total() + t.used.gateway.own
	return t, err
}

// suite uploads to mp3converter, which converts meanwhile.
func (l load) suite(ctx context.Context, s embeddedSuite) (t throughput, err error) {
	before, err := cpuOf(s.program.pid)
	if err != nil {
		return t, err
	}
	start := time.Now()
	for _, m := range l {
		if _, _, err := s.user.uploadFile(ctx, m.path); err != nil {
			return t, err
		}
	}
	last, err := allEnded(ctx, len(l), func(ctx context.Context) ([]job.Job, error) { return s.user.jobs(ctx, len(l)) })
	if err != nil {
		return t, err
	}
	t.wall = last.Sub(start)
	after, err := cpuOf(s.program.pid)
	t.cpu = after.minus(before).total()
	return t, err
}

// allEnded waits until so many jobs have ended, and returns when the last did.
func allEnded(ctx context.Context, n int, list func(context.Context) ([]job.Job, error)) (last time.Time, err error) {
	err = poll(ctx, 500*time.Millisecond, func() (bool, error) {
		all, err := list(ctx)
		done := 0
		for _, j := range all {
			if j.State == job.Failed {
				return false, fmt.Errorf("job %s failed: %s: %s", j.ID, j.Reason, j.Detail)
			}
			if j.Ended.IsZero() {
				continue
			}
			done++
			if j.Ended.After(last) {
				last = j.Ended
			}
		}
		return done == n, err
	})
	return last, err
}

// measureMany compares the throughput of many jobs with that of bare ffmpeg, one per processor.
func measureMany(ctx context.Context, b *bench) (table, error) {
	batches := 1 + b.Rounds
	if b.Full {
		batches = (manyJobs + batchOf - 1) / batchOf
	}
	t := table{
		Title: fmt.Sprintf("%d videos of %d kinds, from 10 s to 5 min, against bare ffmpeg on local files, one per processor", batchOf*batches, len(mixed())),
		Base:  "bare",
		Notes: []string{
			fmt.Sprintf("in %d batches of either side, who is first changes from one to the next; the store is emptied between", batches),
			"throughput in service CPU: jobs for each second of processor time of gateway, converter and ffmpeg, upload and all; wall is from when the last is uploaded to when the last MP3 is stored, with store and broker on the same processors",
			fmt.Sprintf("short are %d of %d kinds, 10 to 40 s long: what a job costs beside ffmpeg, a few hundredths of a second, weighs most there", batchOf*b.Rounds, len(brief())),
			"all have to be encoded, but for the copied ones, which hold MP3: those are batches of their own, with no goal",
			"suite is mp3converter, which keeps files in a folder; its wall is from the first upload on",
		},
	}
	s, err := b.newServices(ctx)
	if err != nil {
		return t, err
	}
	defer s.close()
	suite, err := b.newEmbedded(ctx)
	if err != nil {
		return t, err
	}
	defer suite.close()
	encoded, err := b.heats(ctx, s, suite, mixed(), batches)
	if err != nil {
		return t, err
	}
	quick, err := b.heats(ctx, s, suite, brief(), b.Rounds)
	if err != nil {
		return t, err
	}
	plain, err := b.heats(ctx, s, suite, copied(), b.Rounds)
	if err != nil {
		return t, err
	}
	t.Rows = append(encoded.rows(),
		compared("short: throughput in service CPU, "+staticName, "jobs/s", each(quick.static, perCPU), each(quick.ours, perCPU)).against(atLeast(0.95)),
		compared("short: throughput in service CPU, "+debianName, "jobs/s", each(quick.debian, perCPU), each(quick.ours, perCPU)).against(atLeast(0.95)),
		compared("short: suite's throughput in CPU, "+staticName, "jobs/s", each(quick.static, perCPU), each(quick.suite, perCPU)),
		compared("copied: throughput in service CPU, "+staticName, "jobs/s", each(plain.static, perCPU), each(plain.ours, perCPU)),
		compared("copied: throughput in wall time, "+staticName, "jobs/s", each(plain.static, perWall), each(plain.ours, perWall)))
	return t, nil
}

// heats are the batches of one load, by who converted them.
type heats struct{ static, debian, ours, suite []throughput }

func (b *bench) heats(ctx context.Context, s *services, suite embeddedSuite, of []clip, batches int) (h heats, err error) {
	l, err := b.load(ctx, of)
	if err != nil {
		return h, err
	}
	static, debian := bare{b.static(), b.dir}, bare{"ffmpeg", b.dir}
	for i := range batches {
		for _, one := range rotated([]struct {
			name string
			run  func() (throughput, error)
			to   *[]throughput
		}{
			{staticName, func() (throughput, error) { return l.xargs(ctx, static) }, &h.static},
			{"ours", func() (throughput, error) { return l.ours(ctx, s) }, &h.ours},
			{debianName, func() (throughput, error) { return l.xargs(ctx, debian) }, &h.debian},
			{"suite", func() (throughput, error) { return l.suite(ctx, suite) }, &h.suite},
		}, i) {
			got, err := one.run()
			if err != nil {
				return h, fmt.Errorf("%s: %w", one.name, err)
			}
			*one.to = append(*one.to, got)
			b.say("many: %s %d/%d: %.1f s, CPU %.2f s", one.name, i+1, batches, got.wall.Seconds(), got.cpu.Seconds())
		}
	}
	return h, nil
}

func perCPU(t throughput) float64  { return batchOf / t.cpu.Seconds() }
func perWall(t throughput) float64 { return batchOf / t.wall.Seconds() }

func (h heats) rows() []row {
	beside := func(what string, of func(meters) cpuTime) row {
		all := each(h.ours, func(t throughput) float64 { return of(t.used).total().Seconds() * 1000 / batchOf })
		return row{What: what, Unit: "ms", Ours: all, Value: all.median(), Format: "%.0f ms"}
	}
	return []row{
		compared("throughput in service CPU, "+staticName, "jobs/s", each(h.static, perCPU), each(h.ours, perCPU)).against(atLeast(0.95)),
		compared("throughput in service CPU, "+debianName, "jobs/s", each(h.debian, perCPU), each(h.ours, perCPU)).against(atLeast(0.95)),
		compared("throughput in wall time, "+staticName, "jobs/s", each(h.static, perWall), each(h.ours, perWall)),
		compared("throughput in wall time, "+debianName, "jobs/s", each(h.debian, perWall), each(h.ours, perWall)),
		compared("suite's throughput in CPU, "+staticName, "jobs/s", each(h.static, perCPU), each(h.suite, perCPU)).against(atLeast(0.95)), // whose store takes next to nothing
		compared("suite's throughput in wall time, "+staticName, "jobs/s", each(h.static, perWall), each(h.suite, perWall)),
		beside("CPU per job: ffmpeg", func(m meters) cpuTime { return cpuTime{children: m.converter.children} }),
		beside("CPU per job: converter", func(m meters) cpuTime { return cpuTime{own: m.converter.own} }),
		beside("CPU per job: gateway", func(m meters) cpuTime { return m.gateway }),
		beside("CPU per job: broker", func(m meters) cpuTime { return m.broker }),
		beside("CPU per job: store", func(m meters) cpuTime { return m.store }),
	}
}

// each picks one number of each.
func each[T any](all []T, of func(T) float64) samples {
	var picked samples
	for _, one := range all {
		picked = append(picked, of(one))
	}
	return picked
}
