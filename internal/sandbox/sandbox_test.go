package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("SANDBOX_TEST_FORGETS") == "" {
		Enter()
	}
	if lacks := os.Getenv("SANDBOX_TEST_LACKS"); lacks != "" {
		os.Exit(inAKernelWithout(lacks))
	}
	if os.Getenv("SANDBOX_TEST_HIRES") != "" {
		hireForEver()
	}
	goleak.VerifyTestMain(m)
}

// inAKernelWithout has this process, and all that it starts, run in a kernel that lacks the layer, and tells how the sandbox
// takes it.
func inAKernelWithout(lacks string) int {
	call := map[string]uint32{"landlock": unix.SYS_LANDLOCK_CREATE_RULESET, "seccomp": unix.SYS_SECCOMP}[lacks]
	p := []unix.SockFilter{
		load(numberAt), unless(call, 1), answer(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)), answer(unix.SECCOMP_RET_ALLOW),
	}
	filter := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 1
	}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter))); e != 0 {
		return 1
	}
	fmt.Printf("available: %v\ncomplete: %v\n", Available(), Complete())
	for _, layers := range []Layers{All, Available()} {
		out, err := output(layers, "echo", "it runs")
		fmt.Printf("%v: %s%v\n", layers, out, err)
	}
	return 0
}

// output runs a program of the system's in a jail that takes nothing from it but what the layers do.
func output(layers Layers, program string, args ...string) (string, error) {
	cmd, err := wide(layers).Command(context.Background(), program, args, nil, nil)
	if err != nil {
		return "", err
	}
	return outputOf(cmd)
}

// wide is a jail that takes nothing but what its layers do.
func wide(layers Layers) Jail {
	return Jail{Layers: layers, Memory: 1 << 30, CPU: 10e9, FileSize: 1 << 20, Files: 64, Processes: 1 << 14}
}

func outputOf(cmd *Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	if err := cmd.Begun(); err != nil {
		_ = cmd.Wait()
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// What a jail is said to have, it has, or the program does not run.
func TestInAnotherKernel(t *testing.T) {
	t.Parallel()
	if err := Complete(); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	for lacks, want := range map[string]string{
		"landlock": `^available: limits, seccomp
complete: this kernel has no landlock, or .*
limits, landlock, seccomp: sandbox: Landlock: not in this kernel
limits, seccomp: it runs
<nil>
$`,
		"seccomp": `^available: limits, landlock
complete: this kernel has no seccomp, or .*
limits, landlock, seccomp: sandbox: seccomp: function not implemented
limits, landlock: it runs
<nil>
$`,
	} {
		t.Run("without "+lacks, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "SANDBOX_TEST_LACKS="+lacks)
			out, err := cmd.CombinedOutput()
			if err != nil || !regexp.MustCompile(want).Match(out) {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

func TestTheProgramHasOnlyWhatItIsGiven(t *testing.T) {
	t.Setenv("JWT_SECRET", "not for it")
	left, err := unix.Dup(0) // stays open at exec, as what a shell has left to us
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(left)
	w := newWorld(t)
	w.restore(t)
	w.uid = os.Getuid() // root too has nothing left
	if done, _ := w.attack(t, Limits, "see what it has"); !done {
		t.Fatal("it cannot tell")
	}
	said, err := os.ReadFile(filepath.Join(filepath.Dir(w.program), "output"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`^\[0 1 2 3 4\] \[\]\n`, `\nCapPrm:\t0+\n`, `\nCapEff:\t0+\n`, `\nNoNewPrivs:\t1\n`} {
		if !regexp.MustCompile(want).Match(said) {
			t.Errorf("it does not see %q but\n%s", want, said)
		}
	}
}

func TestWhatCannotRun(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := output(Available(), "/nowhere/program"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
	if Available().has(Seccomp) {
		if _, err := output(Available(), script); err == nil || !strings.Contains(err.Error(), "no script") {
			t.Errorf("a script in a whole sandbox: %v", err)
		}
	}
	if _, err := output(Limits, script); err != nil {
		t.Errorf("a script within limits: %v", err)
	}
}

func TestAPipeMayBeReadAsAFileMay(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("through a pipe"); err != nil {
		t.Fatal(err)
	}
	cmd, err := wide(Available()).Command(t.Context(), "cat", []string{"/dev/fd/3"}, []*os.File{r}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Close() // of a pipe without a name, who opens it does not wait for a writer
	if out, err := outputOf(cmd); err != nil || out != "through a pipe" {
		t.Errorf("it reads %q, %v", out, err)
	}
}

// A main that forgot Enter would start itself, and that would start itself, and so on.
func TestWithoutEnterNothingStarts(t *testing.T) {
	t.Parallel()
	if os.Getenv("SANDBOX_TEST_FORGETS") != "" {
		_, err := output(Limits, "echo")
		fmt.Println(err)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWithoutEnterNothingStarts$")
	cmd.Env = append(os.Environ(), "SANDBOX_TEST_FORGETS=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "does not begin with sandbox.Enter") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// What the sandbox costs is the difference.
func BenchmarkStart(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if out, err := exec.CommandContext(b.Context(), "/bin/true").CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	})
	b.Run("spare", func(b *testing.B) { // less what it waits for the spare, as a conversion does not
		var spares Spares
		defer spares.Wait()
		for b.Loop() {
			b.StopTimer()
			_, release := hired(b, &spares)
			time.Sleep(20 * time.Millisecond) // for it to listen
			b.StartTimer()
			cmd, err := spares.Command(b.Context(), wide(Available()), "/bin/true", nil, nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := outputOf(cmd); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			release()
			b.StartTimer()
		}
	})
	b.Run("sandbox", func(b *testing.B) {
		for b.Loop() {
			if _, err := output(Available(), "/bin/true"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
