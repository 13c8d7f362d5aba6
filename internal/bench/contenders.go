package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mp3converter/internal/job"
)

// trial is what some conversions of one video came to.
type trial struct {
	wall    time.Duration // from the queue to the MP3 in the store
	encoder time.Duration // CPU of ffmpeg
	service time.Duration // CPU of the converter, without ffmpeg
	gateway time.Duration // CPU of the gateway, for the upload

	encoderPeak, servicePeak int64 // memory, in bytes
	store, broker            traffic
	bytes                    int64 // of the videos
}

func (t trial) cpu() time.Duration { return t.encoder + t.service }

// contender makes an MP3 of a video, so many times one after the other.
type contender interface {
	convert(ctx context.Context, m media, times int) (trial, error)
}

// bare is an ffmpeg as anybody runs it, on a local file, with our setting, as nice as ours.
type bare struct {
	program string
	dir     string // for the MP3
}

// encoding is profile standard, as package ffmpeg has it.
var encoding = []string{"-vn", "-c:a", "libmp3lame", "-q:a", "5"}

func (b bare) convert(ctx context.Context, m media, times int) (t trial, err error) {
	for range times {
		one, err := b.once(ctx, m.path)
		if err != nil {
			return t, err
		}
		t.wall += one.wall
		t.encoder += one.encoder
		t.encoderPeak = max(t.encoderPeak, one.encoderPeak)
		t.bytes += m.size
	}
	return t, nil
}

func (b bare) once(ctx context.Context, path string) (trial, error) {
	out, err := os.CreateTemp(b.dir, "bare-*.mp3")
	if err != nil {
		return trial{}, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	args := slices.Concat([]string{"-nostdin", "-v", "error", "-y", "-i", path}, encoding, []string{out.Name()})
	cmd := exec.CommandContext(ctx, b.program, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return trial{}, err
	}
	const nice = 10 // as the sandbox has it: on a busy machine that is half of the result
	if err := errors.Join(unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, nice), cmd.Wait()); err != nil {
		return trial{}, fmt.Errorf("bare %s: %w: %s", b.program, err, &said)
	}
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return trial{
		wall: time.Since(start), encoderPeak: used.Maxrss << 10,
		encoder: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
	}, nil
}

// services are the real binaries: gateway and converter over FerretDB and RabbitMQ.
type services struct {
	*stand
	converter *program
}

func (b *bench) newServices(ctx context.Context) (*services, error) {
	s, err := b.newStand(ctx)
	if err != nil {
		return nil, err
	}
	w := &services{stand: s}
	if w.converter, err = s.run(ctx, "converter", append(s.backend, "SCRATCH_DIR="+b.dir)...); err != nil {
		s.close()
		return nil, err
	}
	return w, nil
}

func (s *services) convert(ctx context.Context, m media, times int) (t trial, err error) {
	if err := forgetPeak(s.converter.pid); err != nil {
		return t, err
	}
	before, err := s.meters()
	if err != nil {
		return t, err
	}
	for range times {
		if err := s.store.empty(ctx); err != nil {
			return t, err
		}
		id, queued, err := s.user.uploadFile(ctx, m.path)
		if err != nil {
			return t, err
		}
		end, err := s.watch(ctx, id, m, &t)
		if err != nil {
			return t, s.blame(err)
		}
		t.wall += end.after(queued)
		t.bytes += m.size
	}
	after, err := s.meters()
	if err != nil {
		return t, err
	}
	t.add(after.minus(before))
	peak, err := memoryOf(s.converter.pid)
	t.servicePeak = peak.peak
	return t, err
}

// span is a conversion as its job tells of it.
type span struct{ started, ended time.Time }

// after is how long it took since it was queued: the bell rings shortly before whoever uploaded hears of it.
func (s span) after(queued time.Time) time.Duration {
	if s.started.Before(queued) {
		queued = s.started
	}
	return s.ended.Sub(queued)
}

// meters are what the services' processes have used so far.
type meters struct {
	converter, gateway, store, broker cpuTime
	fromStore, fromBroker             traffic // of the converter
}

func (s *services) meters() (m meters, err error) {
	for _, p := range []struct {
		pid int
		to  *cpuTime
	}{
		{s.converter.pid, &m.converter}, {s.stand.gateway.pid, &m.gateway},
		{s.ferretdb.Pid(), &m.store}, {s.bench.shared.rabbitmq.Pid(), &m.broker},
	} {
		if *p.to, err = cpuOf(p.pid); err != nil {
			return m, err
		}
	}
	if m.fromStore, err = trafficOf(s.converter.pid, s.ferretdb.Addr); err != nil {
		return m, err
	}
	m.fromBroker, err = trafficOf(s.converter.pid, s.bench.shared.rabbitmq.Addr)
	return m, err
}

func (m meters) minus(before meters) meters {
	return meters{
		m.converter.minus(before.converter), m.gateway.minus(before.gateway), m.store.minus(before.store), m.broker.minus(before.broker),
		m.fromStore.minus(before.fromStore), m.fromBroker.minus(before.fromBroker),
	}
}

func (t *trial) add(used meters) {
	t.service, t.encoder, t.gateway = used.converter.own, used.converter.children, used.gateway.own
	t.store, t.broker = used.fromStore, used.fromBroker
}

// watch waits for the MP3, and looks at ffmpeg's memory meanwhile.
func (s *services) watch(ctx context.Context, id string, m media, t *trial) (span, error) {
	var end span
	err := poll(ctx, patience(m.Seconds), func() (bool, error) {
		t.encoderPeak = max(t.encoderPeak, encodersNow(s.converter.pid))
		j, err := s.store.ours.Jobs().Get(ctx, id)
		if err != nil || j.Ended.IsZero() {
			return false, err
		}
		end = span{j.Started, j.Ended}
		return true, judge(j, m.Seconds)
	})
	return end, err
}

// patience is how often to look: looking costs processors, too.
func patience(seconds int) time.Duration {
	return min(500*time.Millisecond, time.Duration(20+seconds)*time.Millisecond)
}

// encodersNow is the memory of all of ffmpeg that a process has running: several share a video's sound. A spare that waits to
// become one is still called what its parent is.
func encodersNow(pid int) (sum int64) {
	for _, child := range childrenOf(pid) {
		if firstLine(fmt.Sprintf("/proc/%d/comm", child), "") != "ffmpeg" {
			continue
		}
		if m, err := memoryOf(child); err == nil {
			sum += m.peak
		}
	}
	return sum
}

// judge makes sure that what was measured is a conversion.
func judge(j job.Job, seconds int) error {
	want := time.Duration(seconds) * time.Second
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

// embeddedSuite is the four services in one process, with a folder for a store.
type embeddedSuite struct{ *suite }

func (b *bench) newEmbedded(ctx context.Context) (embeddedSuite, error) {
	dir, err := b.temp("suite")
	if err != nil {
		return embeddedSuite{}, err
	}
	s, err := b.newSuite(ctx, dir, "FFMPEG=", "SCRATCH_DIR="+b.dir)
	if err != nil {
		return embeddedSuite{}, err
	}
	if err := s.program.ready(ctx, s.program.ops+"/readyz"); err != nil {
		s.close()
		return embeddedSuite{}, err
	}
	return embeddedSuite{s}, nil
}

// convert counts what the process uses for the upload, too: it is one.
func (s embeddedSuite) convert(ctx context.Context, m media, times int) (t trial, err error) {
	if err := forgetPeak(s.program.pid); err != nil {
		return t, err
	}
	before, err := cpuOf(s.program.pid)
	if err != nil {
		return t, err
	}
	for range times {
		id, queued, err := s.user.uploadFile(ctx, m.path)
		if err != nil {
			return t, err
		}
		end, err := s.watch(ctx, id, m.Seconds)
		if err != nil {
			return t, err
		}
		t.wall += end.after(queued)
		t.bytes += m.size
	}
	after, err := cpuOf(s.program.pid)
	if err != nil {
		return t, err
	}
	used := after.minus(before)
	t.service, t.encoder = used.own, used.children
	peak, err := memoryOf(s.program.pid)
	t.servicePeak = peak.peak
	return t, err
}

func (s embeddedSuite) watch(ctx context.Context, id string, seconds int) (end span, err error) {
	err = poll(ctx, patience(seconds), func() (bool, error) {
		j, err := s.user.job(ctx, id)
		end = span{j.Started, j.Ended}
		if err != nil || j.Ended.IsZero() {
			return false, err
		}
		return true, judge(j, seconds)
	})
	return end, err
}

// static is the path of the ffmpeg that the converter's image has, as `make ffmpeg` leaves it; "" if it was not built here.
func (b *bench) static() string {
	path, err := filepath.Abs(filepath.Join(b.keep, "ffmpeg"))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
