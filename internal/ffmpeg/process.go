package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
)

// process is one run of ffmpeg.
type process struct {
	runner   Runner
	in, out  *os.File
	video    video
	args     []string
	progress *progress
	findings *findings
	state    *os.ProcessState

	began, over time.Time // of ffmpeg itself
}

// watchEvery is how often the limits on time are looked at.
const watchEvery = 200 * time.Millisecond

// run starts ffmpeg and waits for its end, which comes by force when ctx or a limit on time runs out. It returns an error
// unless the process ended by itself, however badly.
func (p *process) run(ctx context.Context) error {
	watched, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	cmd, err := p.runner.command(watched, p.args, p.video.bytes, []*os.File{p.in}, []*os.File{p.out})
	if err != nil {
		return fmt.Errorf("ffmpeg: %w", err)
	}
	cmd.Stdout, cmd.Stderr = p.progress, p.findings
	start, done := time.Now(), start(cmd)
	if err := failpoint.At(failpoint.FFmpegRunning); err != nil {
		kill(err)
	}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			p.state, p.began, p.over = cmd.ProcessState, cmd.Since, time.Now()
			return p.ended(ctx, watched, err)
		case now := <-ticker.C:
			if late := p.late(start, now); late != nil {
				kill(late)
			}
		}
	}
}

// ended says why the process did not end by itself, nil if it did.
func (p *process) ended(ctx, watched context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("ffmpeg: stopped: %w: %w", ctx.Err(), context.Cause(ctx))
	case watched.Err() != nil:
		return context.Cause(watched)
	case err != nil:
		return fmt.Errorf("ffmpeg: %w", err)
	}
	return nil
}

// late returns the reason to kill the process now, nil if there is none.
//
// Silence is unknown trouble, ours perhaps: a machine or disk that hangs. Being alive and yet slower than any machine
// should be is put down to the video, since whoever tries again pays as much again.
func (p *process) late(start, now time.Time) error {
	r, reach, sign := p.runner, p.progress.reach(), p.progress.sign()
	if sign.Before(start) {
		sign = start
	}
	ran, reading := now.Sub(start), time.Duration(p.video.bytes)*time.Second/readRate
	if silent := now.Sub(sign); silent >= r.Stall+reading {
		return fmt.Errorf("ffmpeg: no sign of life for %v", silent.Round(time.Second))
	}
	if ran >= r.allowed(p.video.bytes, reach) {
		return job.Failing(job.ReasonTooSlow, "%s of sound in %s", clock(reach), clock(ran))
	}
	return nil
}

// start supervises the command on a thread of its own: Pdeathsig fires when the thread ends that started the child.
func start(cmd *sandbox.Cmd) <-chan error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		done <- supervise(cmd)
	}()
	return done
}

// supervise runs the command to its end and kills what is left of its process group. A command that ran, however it
// ended, is no error.
func supervise(cmd *sandbox.Cmd) error {
	var g group
	cmd.Cancel = g.kill
	g.Lock() // until there is something to kill
	if err := cmd.Start(); err != nil {
		g.Unlock()
		return fmt.Errorf("start: %w: %w", job.ErrTransient, err)
	}
	g.id = cmd.Process.Pid
	g.Unlock()
	failed := cmd.Begun()
	awaitZombie(g.id)
	g.end()
	err := cmd.Wait()
	if failed != nil {
		return fmt.Errorf("start: %w: %w", job.ErrTransient, failed)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil // for judge
	}
	return err
}

// group is a process group while its leader is not reaped: only so long is its id certain to be its own.
type group struct {
	sync.Mutex
	id int // 0 before and after
}

func (g *group) kill() error {
	g.Lock()
	defer g.Unlock()
	if g.id == 0 {
		return os.ErrProcessDone
	}
	return syscall.Kill(-g.id, syscall.SIGKILL)
}

// end kills the group for the last time.
func (g *group) end() {
	_ = g.kill()
	g.Lock()
	defer g.Unlock()
	g.id = 0
}

// awaitZombie returns when the process has ended, and leaves it to be reaped.
func awaitZombie(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
