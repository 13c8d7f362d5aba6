package sandbox

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hired waits for the process at hand and returns it. It stays at hand.
func hired(tb testing.TB, s *Spares) *Cmd {
	tb.Helper()
	s.hire()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		c := s.idle
		s.mu.Unlock()
		if c != nil {
			return c
		}
		if time.Now().After(deadline) {
			tb.Fatal("no process is at hand")
		}
	}
}

func TestTheProcessAtHandBecomesTheProgram(t *testing.T) {
	var spares Spares
	defer spares.Close()
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
		pid := hired(t, &spares).Process.Pid
		cmd, err := spares.Command(t.Context(), wide(Available()), "cat", []string{"/dev/fd/3"}, []*os.File{f}, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := outputOf(cmd)
		if err != nil || out != "what it may read" {
			t.Errorf("%q, %v", out, err)
		}
		if cmd.Process.Pid != pid {
			t.Errorf("process %d became the program, and %d was at hand", cmd.Process.Pid, pid)
		}
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

// Whoever has ended the process at hand, as a kernel short of memory, has ended no conversion.
func TestAnotherTakesThePlaceOfADeadOne(t *testing.T) {
	var spares Spares
	defer spares.Close()
	dead := hired(t, &spares)
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
	if out, err := outputOf(cmd); err != nil || out != "alive\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestTheContextEndsWhatTheProcessAtHandBecame(t *testing.T) {
	var spares Spares
	defer spares.Close()
	hired(t, &spares)
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
	hired(t, &spares)
	if cmd, err = spares.Command(ctx, wide(Available()), "echo", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); !errors.Is(err, context.Canceled) {
		t.Errorf("Start with a context that is over: %v", err)
	}
}

func TestNobodyIsLeftWhenTheSparesAreClosed(t *testing.T) {
	var spares Spares
	pid := hired(t, &spares).Process.Pid
	spares.Close()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v, want it gone and reaped", pid, err)
	}
	spares.hire()
	if c := spares.take(); c != nil {
		t.Error("one was hired after the end")
	}
}
