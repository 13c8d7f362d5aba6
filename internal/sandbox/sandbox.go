// Package sandbox runs a program that nobody trusts, as ffmpeg on a stranger's file. Between fork and exec the kernel can be
// asked for little from Go, so the command starts its own binary once more: Enter, the first line of main, finds that it
// has been started for this, takes away from its process all that the Jail does not grant, and becomes the program. The
// process id stays the same, and with it the process group and the death signal.
//
// Taken away are, by layers that hold without each other:
//
//	always    privileges: no_new_privs, no capabilities, empty environment, no descriptors but those given; nice, and first
//	          to go when memory runs out
//	Limits    rlimits: address space, CPU seconds, size of a file, descriptors, processes, no core
//	Landlock  every file but the program, its loader and libraries, and the files given: to read or to write, as granted;
//	          TCP, and signals to others, where the kernel knows how (since 6.7 and 6.12)
//	Seccomp   every system call that converting a file does not take: no socket of any kind, no process, no exec after the
//	          first, no ptrace, memfd, io_uring, bpf, keyctl, mount or namespace
//
// All of it is open to anybody: no root, no user namespace, and so it works in a pod of the restricted profile.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Layers are parts of a sandbox that can be left out: where the kernel lacks them, or to see what the others do.
type Layers uint8

// The layers.
const (
	Limits Layers = 1 << iota
	Landlock
	Seccomp

	All = Limits | Landlock | Seccomp
)

func (l Layers) has(one Layers) bool { return l&one != 0 }

// String names the layers.
func (l Layers) String() string {
	var names []string
	for i, name := range []string{"limits", "landlock", "seccomp"} {
		if l.has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Available are the layers that this kernel has and lets us use.
var Available = sync.OnceValue(func() Layers {
	l := Limits
	if landlockVersion() > 0 {
		l |= Landlock
	}
	if hasSeccomp() {
		l |= Seccomp
	}
	return l
})

// Complete returns an error that names what this kernel lacks.
func Complete() error {
	if missing := All &^ Available(); missing != 0 {
		return fmt.Errorf("this kernel has no %v, or the container's own profile forbids it", missing)
	}
	return nil
}

// Jail is what a program is granted.
type Jail struct {
	Layers    Layers
	Memory    int64         // bytes of address space
	CPU       time.Duration // of all its threads together
	FileSize  int64         // bytes
	Files     int           // descriptors
	Processes int           // and threads, of all that this user runs on this machine, in other containers too
}

// Cmd is a command in a jail.
type Cmd struct {
	*exec.Cmd
	Since  time.Time // the program itself runs, as Begun has seen it
	status *os.File  // the sandbox's word on why it failed; ends as the program begins
}

// Command returns a command that runs the program with nothing but the files, which are its descriptors from 3 on: first
// those that it may read, then those that it may write to. It may open them once more under /dev/fd. Start must be called
// on what is returned, and then Begun.
func (j Jail) Command(ctx context.Context, program string, args []string, read, write []*os.File) (*Cmd, error) {
	if !entered.Load() {
		return nil, errors.New("sandbox: main does not begin with sandbox.Enter")
	}
	path, err := exec.LookPath(program)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, err
	}
	s := spec{Jail: j, Program: path, Parent: os.Getpid(), Reads: len(read), Writes: len(write)}
	if j.Layers.has(Landlock) || j.Layers.has(Seccomp) {
		if s.Loader, s.Libraries, err = needs(path); err != nil {
			return nil, err
		}
	}
	words, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe") // the very binary that runs, even if another has taken its place
	cmd.Args = append([]string{name, string(words)}, args...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.ExtraFiles = append(append(append(cmd.ExtraFiles, read...), write...), ours)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return &Cmd{Cmd: cmd, status: theirs}, nil
}

// Start starts the command, or has it never started.
func (c *Cmd) Start() error {
	err := c.Cmd.Start()
	c.ExtraFiles[len(c.ExtraFiles)-1].Close()
	if err != nil {
		c.status.Close()
	}
	return err
}

// Begun waits until the program runs, or has no chance to any more. If that is for the sandbox, it returns why.
func (c *Cmd) Begun() error {
	defer c.status.Close()
	const most = 1 << 10
	said, err := io.ReadAll(io.LimitReader(c.status, most))
	c.Since = time.Now()
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if len(said) > 0 {
		return fmt.Errorf("sandbox: %s", said)
	}
	return nil
}

// entered is whether Enter has been called: without it the command would start all that it does once more, and that again.
var entered atomic.Bool
