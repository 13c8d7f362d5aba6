package ffmpeg

import (
	"cmp"
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
	video    video // that it reads; the zero value if in is of our making
	args     []string
	most     int64 // bytes that it may write; 0 is what an MP3 may have
	progress *progress
	findings *findings
	shared   bool // it is one of several, whose pace others watch

	group group
	state *os.ProcessState

	began, over time.Time // of ffmpeg itself

	mu    sync.Mutex
	held  bool      // see hold
	moved time.Time // when it was last let go on
}

// beyond is what a process may write more than -fs lets through.
const beyond = 1 << 20

// watchEvery is how often the limits on time are looked at.
const watchEvery = 200 * time.Millisecond

// run starts ffmpeg and waits for its end, which comes by force when ctx or a limit on time runs out. It returns an error
// unless the process ended by itself, however badly.
func (p *process) run(ctx context.Context) error {
	in, release, err := p.source()
	if err != nil {
		return err
	}
	defer release()
	watched, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	cmd, err := p.runner.command(watched, p.args, p.video.bytes, cmp.Or(p.most, p.runner.MaxBytes+beyond), []*os.File{in}, []*os.File{p.out})
	if err != nil {
		return fmt.Errorf("ffmpeg: %w", err)
	}
	cmd.Stdout, cmd.Stderr = p.progress, p.findings
	start, done := time.Now(), start(cmd, &p.group)
	if err := failpoint.At(failpoint.FFmpegRunning); err != nil {
		kill(err)
	}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			p.state, p.began, p.over = cmd.ProcessState, cmd.Since, time.Now()
			p.runner.spent(p.state)
			return p.ended(ctx, watched, err)
		case now := <-ticker.C:
			if late := p.late(start, now); late != nil {
				kill(late)
			}
		}
	}
}

// spent tells what a process has used, and those that it has waited for.
func (r Runner) spent(state *os.ProcessState) {
	if r.Spent != nil && state != nil { // nil if it was never started
		r.Spent(state.UserTime(), state.SystemTime())
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

// late returns the reason to kill the process now, nil if there is none. Silence is unknown trouble, ours perhaps: a machine or
// disk that hangs.
func (p *process) late(start, now time.Time) error {
	start = p.video.coming.Since(start) // a slow store has limits of its own
	p.mu.Lock()
	held, sign := p.held, p.moved
	p.mu.Unlock()
	for _, t := range []time.Time{start, p.progress.sign()} {
		if t.After(sign) {
			sign = t
		}
	}
	if silent := now.Sub(sign); !held && silent >= p.runner.Stall+reading(p.video.bytes) {
		return fmt.Errorf("ffmpeg: no sign of life for %v", silent.Round(time.Second))
	}
	if p.shared {
		return nil
	}
	return p.runner.slow(now.Sub(start), p.video.bytes, p.progress.least())
}

// slow returns the reason to end a conversion that has run for so long and made so much sound, nil if there is none. Being
// alive and yet slower than any machine should be is put down to the video, since whoever tries again pays as much again.
func (r Runner) slow(ran time.Duration, bytes int64, reach time.Duration) error {
	if ran >= r.allowed(bytes, reach) {
		return job.Failing(job.ReasonTooSlow, "%s of sound in %s", clock(reach), clock(ran))
	}
	return nil
}

// hold has the process stand still, or go on.
func (p *process) hold(still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if still == p.held {
		return
	}
	p.held, p.moved = still, time.Now()
	sign := syscall.SIGCONT
	if still {
		sign = syscall.SIGSTOP
	}
	_ = p.group.signal(sign) // it may be gone
}

// start supervises the command on a thread of its own: Pdeathsig fires when the thread ends that started the child.
func start(cmd *sandbox.Cmd, g *group) <-chan error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		done <- supervise(cmd, g)
	}()
	return done
}

// supervise runs the command to its end and kills what is left of its process group. A command that ran, however it
// ended, is no error.
func supervise(cmd *sandbox.Cmd, g *group) error {
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

func (g *group) kill() error { return g.signal(syscall.SIGKILL) }

func (g *group) signal(s syscall.Signal) error {
	g.Lock()
	defer g.Unlock()
	if g.id == 0 {
		return os.ErrProcessDone
	}
	return syscall.Kill(-g.id, s)
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
