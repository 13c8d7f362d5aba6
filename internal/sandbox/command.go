package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cmd is a command in a jail. Its process is told what it is to become when Start is called, and may have been there before,
// see Spares: what is set on the embedded command then comes too late, so that the fields here stand for those.
type Cmd struct {
	*exec.Cmd
	Stdout, Stderr io.Writer
	Cancel         func() error // called when the context is over; nil kills the process
	Since          time.Time    // the program itself runs, as Begun has seen it

	ctx     context.Context //nolint:containedctx // of Command, as exec.Cmd has it
	words   []byte          // for the process
	files   []uintptr       // of the caller's, who keeps them open until Start returns
	control *control
	early   *early // nil if the process is not there before Start
	stop    func() bool
}

// control is our end of the socket through which the process is told what to do. What it says itself is why it failed; the
// socket ends as the program begins.
type control struct {
	*os.File
	fd     int
	theirs *os.File // until the process has it
}

// Command returns a command that runs the program with nothing but the files, which are its descriptors from 3 on: first
// those that it may read, then those that it may write to. It may open them once more under /dev/fd. Start must be called
// on what is returned, and then Begun and Wait.
func (j Jail) Command(ctx context.Context, program string, args []string, read, write []*os.File) (*Cmd, error) {
	return (*Spares)(nil).Command(ctx, j, program, args, read, write)
}

// Command is Jail.Command, in a process that is there already, if there is one.
func (s *Spares) Command(ctx context.Context, j Jail, program string, args []string, read, write []*os.File) (*Cmd, error) {
	if !entered.Load() {
		return nil, errors.New("sandbox: main does not begin with sandbox.Enter")
	}
	words, err := j.words(program, args, len(read), len(write))
	if err != nil {
		return nil, err
	}
	c := s.take()
	if c == nil {
		if c, err = newCmd(); err != nil {
			return nil, err
		}
	}
	c.ctx, c.words = ctx, words
	for _, f := range slices.Concat(read, write) {
		c.files = append(c.files, f.Fd())
	}
	return c, nil
}

// words are what the process is told: the spec, and behind each zero byte an argument.
func (j Jail) words(program string, args []string, reads, writes int) ([]byte, error) {
	if reads+writes > maxFiles {
		return nil, fmt.Errorf("sandbox: %d files, and %d is the limit", reads+writes, maxFiles)
	}
	path, err := exec.LookPath(program)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, err
	}
	s := spec{Jail: j, Program: path, Parent: os.Getpid(), Reads: reads, Writes: writes}
	if j.Layers.has(Landlock) || j.Layers.has(Seccomp) {
		if s.Loader, s.Libraries, err = needs(path); err != nil {
			return nil, err
		}
	}
	words, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	for _, arg := range args {
		if strings.Contains(arg, "\x00") {
			return nil, errors.New("sandbox: a zero byte in an argument")
		}
		words = append(append(words, 0), arg...)
	}
	if len(words) > maxWords {
		return nil, errors.New("sandbox: the arguments are too long")
	}
	return words, nil
}

// newCmd returns a command that is not started.
func newCmd() (*Cmd, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	// The very binary that runs, even if another has taken its place. The context that counts is Start's.
	c := &Cmd{Cmd: exec.CommandContext(context.Background(), "/proc/self/exe")}
	c.control = &control{os.NewFile(uintptr(ends[0]), "control"), ends[0], os.NewFile(uintptr(ends[1]), "control")}
	if err := unix.SetNonblock(ends[1], false); err != nil {
		c.control.close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	c.Args, c.Env, c.Dir = []string{name}, []string{}, "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return c, nil
}

// Start starts the command, or has it never started.
func (c *Cmd) Start() error {
	err := c.ctx.Err()
	if err == nil {
		err = c.start()
	}
	if err != nil {
		c.abandon()
		return err
	}
	cancel := c.Cancel
	if cancel == nil {
		cancel = c.Process.Kill
	}
	c.stop = context.AfterFunc(c.ctx, func() { _ = cancel() })
	return nil
}

func (c *Cmd) start() error {
	if c.early != nil {
		c.early.stdout.goTo(c.Stdout)
		c.early.stderr.goTo(c.Stderr)
		if c.tell() == nil {
			return nil
		}
		c.abandon() // somebody has ended it: another will do
		fresh, err := newCmd()
		if err != nil {
			return err
		}
		fresh.WaitDelay = c.WaitDelay
		c.Cmd, c.control, c.early = fresh.Cmd, fresh.control, nil
	}
	c.Cmd.Stdout, c.Cmd.Stderr = c.Stdout, c.Stderr
	if err := c.fork(); err != nil {
		return err
	}
	return c.tell()
}

// fork starts the process, which then waits to be told.
func (c *Cmd) fork() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	for range maxFiles {
		c.ExtraFiles = append(c.ExtraFiles, null) // keeps the places free of whatever else it opens
	}
	c.ExtraFiles = append(c.ExtraFiles, c.control.theirs)
	err = c.Cmd.Start()
	c.control.theirs.Close()
	return err
}

// tell tells the process what to become, and gives it the files.
func (c *Cmd) tell() error {
	var files []int
	for _, fd := range c.files {
		files = append(files, int(fd))
	}
	if err := unix.Sendmsg(c.control.fd, c.words, unix.UnixRights(files...), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// Begun waits until the program runs, or has no chance to any more. If that is for the sandbox, it returns why.
func (c *Cmd) Begun() error {
	defer c.control.close()
	said, err := io.ReadAll(c.control)
	c.Since = time.Now()
	if err != nil && !errors.Is(err, unix.ECONNRESET) { // it ended before it was told: others will notice
		return fmt.Errorf("sandbox: %w", err)
	}
	if len(said) > 0 {
		return fmt.Errorf("sandbox: %s", bytes.TrimSpace(said))
	}
	return nil
}

// Wait is exec.Cmd's.
func (c *Cmd) Wait() error {
	err := c.Cmd.Wait()
	if c.stop != nil {
		c.stop()
	}
	c.early.end()
	return err
}

// abandon ends a process that is not to run.
func (c *Cmd) abandon() {
	c.control.close()
	if c.Process != nil {
		_ = c.Process.Kill()
		_ = c.Cmd.Wait()
	}
	c.early.end()
}

func (c *control) close() {
	c.File.Close()
	c.theirs.Close()
}
