// Package sandbox runs a program that nobody trusts, as ffmpeg on a stranger's file. Between fork and exec the kernel can be
// asked for little from Go, so the command starts its own binary once more: Enter, the first line of main, finds that it
// has been started for this, waits to be told what for, takes away from its process all that the Jail does not grant, and
// becomes the program. The process id stays the same, and with it the process group and the death signal.
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
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// entered is whether Enter has been called: without it the command would start all that it does once more, and that again.
var entered atomic.Bool
