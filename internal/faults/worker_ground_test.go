package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// workerGround has converters come and go; its resident one is out of the way wherever one is to be hit.
type workerGround struct{ *ground }

func newWorkerGround(t *testing.T) workerGround {
	t.Helper()
	return workerGround{newGround(t, testsuite.NewVhost(t))}
}

// worker is a converter with a scratch folder of its own.
type worker struct {
	*testsuite.Process
	scratch string
}

// worker has a guest do the conversions, with an ffmpeg that converts no faster than the sound plays unless the settings
// say otherwise.
func (w workerGround) worker(t *testing.T, settings ...string) worker {
	t.Helper()
	w.out(t, "converter")
	return w.another(t, settings...)
}

// patient is a worker whose lease does not run out.
func (w workerGround) patient(t *testing.T, settings ...string) worker {
	t.Helper()
	return w.worker(t, append([]string{longLease}, settings...)...)
}

func (w workerGround) another(t *testing.T, settings ...string) worker {
	t.Helper()
	scratch := t.TempDir()
	p := w.guest("converter", append([]string{"SCRATCH_DIR=" + scratch, "FFMPEG=" + testsuite.SlowFFmpeg(t), "SANDBOX=off"}, settings...)...)
	testsuite.Eventually(t, "the converter is ready", func() bool { return p.Ready(t).Body == "ready" })
	return worker{p, scratch}
}

// unhurried is how many seconds a video has whose ffmpeg is to be found at work, by a test that a busy machine may let wait: it
// is not gone before.
const unhurried = 20

// ffmpeg waits until the worker has ffmpeg at work on a video of that title, and returns its process id. It is none of
// those that were hit before.
func (w worker) ffmpeg(t *testing.T, title string, before ...int) int {
	t.Helper()
	return testsuite.Awaited(t, "ffmpeg is at work on "+title, func() (int, bool) {
		for _, pid := range children(t, w.PID()) {
			program, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
			args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			hit := len(before) > 0 && pid == before[len(before)-1]
			if !hit && string(program) == "ffmpeg\n" && strings.Contains(string(args), "title="+title) {
				return pid, true
			}
		}
		return 0, false
	})
}

// leavesNothing waits until the worker has no child, be it a zombie, and nobody has a file open in its scratch folder,
// where none lies.
func (w worker) leavesNothing(t *testing.T) {
	t.Helper()
	testsuite.Eventually(t, "no child is left of "+w.Name, func() bool { return len(children(t, w.PID())) == 0 })
	testsuite.Eventually(t, "no file is open in "+w.scratch, func() bool { return !open(t, w.scratch) })
	files, err := os.ReadDir(w.scratch)
	if err != nil || len(files) > 0 {
		t.Errorf("in the scratch folder: %v, %v", files, err)
	}
}

// children are the processes whose parent is the given one.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		text, _ := os.ReadFile(file) // gone by now, perhaps
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// open reports whether any process has a file open in the folder, named or not.
func open(t *testing.T, dir string) bool {
	t.Helper()
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if file, err := os.Readlink(fd); err == nil && strings.HasPrefix(file, dir+"/") {
			return true
		}
	}
	return false
}

// signal sends a signal to a process that is not ours to wait for.
func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// fakeFFmpeg returns a program that is the real one but for the titles for which the cases of a shell say otherwise. It is a
// script, for SANDBOX=off.
func fakeFFmpeg(t *testing.T, cases string) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "ffmpeg")
	text := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in\n%s\nesac\nexec %s \"$@\"\n", cases, path)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

// held are the settings of a converter whose ffmpeg does not begin with a title until it is let go.
func held(t *testing.T, title string) (settings []string, letGo func()) {
	t.Helper()
	hold := filepath.Join(t.TempDir(), "hold")
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	program := fakeFFmpeg(t, fmt.Sprintf(`*"title=%s"*) while [ -e %s ]; do sleep 0.1; done ;;`, title, hold))
	return []string{"FFMPEG=" + program, "SANDBOX=off", "FFMPEG_STALL_SECONDS=600", "FFMPEG_WALL_SECONDS=600"}, func() { _ = os.Remove(hold) } // again at the end
}

// bad is a video that must fail.
func bad(v testsuite.Video) testsuite.Video {
	v.Sound = 0
	return v
}

// fails waits until the job has failed, and fails the test if it did for another reason or after another number of attempts.
func (w workerGround) fails(t *testing.T, u checker.Upload, reason string, attempts int) {
	t.Helper()
	w.is(t, u, "failed", "done")
	if j := w.person.Job(t, u.Job); testsuite.OrEmpty(j.Reason) != reason || j.Attempts != attempts {
		t.Errorf("%s: %s for %q after %d attempts, want failed for %q after %d", u.Name, j.State, testsuite.OrEmpty(j.Reason), j.Attempts, reason, attempts)
	}
}

// attempts fails the test if the job has been tried more or less often.
func (w workerGround) attempts(t *testing.T, u checker.Upload, want int) {
	t.Helper()
	if n := w.person.Job(t, u.Job).Attempts; n != want {
		t.Errorf("%s: %d attempts, want %d", u.Name, n, want)
	}
}
