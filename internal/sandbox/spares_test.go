package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hired hires a process and waits until it is there. It stays idle.
func hired(tb testing.TB, s *Spares) (spare *Cmd, release func()) {
	tb.Helper()
	release = s.Hire()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		if len(s.idle) > 0 {
			spare = s.idle[0]
		}
		s.mu.Unlock()
		if spare != nil {
			return spare, release
		}
		if time.Now().After(deadline) {
			tb.Fatal("there is no process")
		}
	}
}

func TestASpareBecomesTheProgram(t *testing.T) {
	var spares Spares
	defer spares.Wait()
	in := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(in, []byte("what it may read"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 3 {
		spare, release := hired(t, &spares)
		cmd, err := spares.Command(t.Context(), wide(Available()), "cat", []string{"/dev/fd/3"}, []*os.File{f}, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := outputOf(cmd)
		if err != nil || out != "what it may read" {
			t.Errorf("%q, %v", out, err)
		}
		if cmd.Process.Pid != spare.Process.Pid {
			t.Errorf("process %d became the program, and %d was there", cmd.Process.Pid, spare.Process.Pid)
		}
		release()
		if cmd.Since.IsZero() || cmd.Since.After(time.Now()) {
			t.Errorf("it runs since %v", cmd.Since)
		}
	}
}

func TestArgumentsArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	args := []string{"-n", "\xff\xfe", "", "two\nlines", strings.Repeat("long", 1000)}
	out, err := output(Available(), "printf", append([]string{"%s|"}, args...)...)
	if want := strings.Join(args, "|") + "|"; out != want || err != nil {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	for what, args := range map[string][]string{"a zero byte": {"a\x00b"}, "too much": {strings.Repeat("x", maxWords)}} {
		if _, err := output(Available(), "printf", args...); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// Whoever has ended a spare, as a kernel short of memory, has ended no conversion.
func TestAnotherTakesThePlaceOfADeadOne(t *testing.T) {
	var spares Spares
	defer spares.Wait()
	dead, release := hired(t, &spares)
	defer release()
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for { // until it hears nothing any more
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(dead.Process.Pid), "stat"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stat, []byte(") Z ")) {
			break
		}
	}
	cmd, err := spares.Command(t.Context(), wide(Available()), "echo", []string{"alive"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd.WaitDelay = time.Minute
	if out, err := outputOf(cmd); err != nil || out != "alive\n" {
		t.Errorf("%q, %v", out, err)
	}
	if cmd.WaitDelay != time.Minute {
		t.Errorf("it waits %v for its pipes", cmd.WaitDelay)
	}
}

func TestTheContextEndsWhatASpareBecame(t *testing.T) {
	var spares Spares
	defer spares.Wait()
	_, release := hired(t, &spares)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cmd, err := spares.Command(ctx, wide(Available()), "sleep", []string{"600"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Begun(); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended as %v", cmd.ProcessState)
	}
	_, release = hired(t, &spares)
	defer release()
	if cmd, err = spares.Command(ctx, wide(Available()), "echo", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); !errors.Is(err, context.Canceled) {
		t.Errorf("Start with a context that is over: %v", err)
	}
}

func TestNoSpareIsLeft(t *testing.T) {
	for name, between := range map[string]func(*Spares){
		"released": func(*Spares) {}, "released at once": nil,
		"released, and another wants one": func(s *Spares) {
			_, release := hired(t, s)
			release()
		},
	} {
		var spares Spares
		release, pids := spares.Hire(), []int{}
		if between != nil {
			spare, second := hired(t, &spares)
			pids = append(pids, spare.Process.Pid)
			between(&spares)
			second()
		}
		release()
		release() // does nothing
		spares.Wait()
		if len(spares.idle) > 0 || spares.wanted != 0 {
			t.Errorf("%s: %d are idle, %d wanted", name, len(spares.idle), spares.wanted)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("%s: process %d: %v, want it gone and reaped", name, pid, err)
			}
		}
	}
}

func TestASpareDiesWithItsParent(t *testing.T) {
	t.Parallel()
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), "SANDBOX_TEST_HIRES=1")
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var spare int
	if _, err := fmt.Fscan(stdout, &spare); err != nil {
		t.Fatalf("the parent does not tell its child: %v", err)
	}
	if err := errors.Join(syscall.Kill(spare, 0), parent.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(-spare, 0) == nil; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is left", spare)
		}
	}
}

// hireForEver is the parent: it tells its child and waits to be killed.
func hireForEver() {
	var s Spares
	for s.Hire(); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		idle := s.idle
		s.mu.Unlock()
		if len(idle) > 0 {
			fmt.Println(idle[0].Process.Pid)
			select {}
		}
	}
}
