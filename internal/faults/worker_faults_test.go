package faults

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mp3converter/internal/checker"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// workerFaults are the rows of the matrix about the worker.
func workerFaults(t *testing.T) []fault {
	w := newWorkerGround(t)
	return append(w.ffmpegFaults(), []fault{
		{"scratch folder full, for the video and for the MP3", "postponed, not counted, done when there is space; no file left", false, w.on(w.scratchFull), nil},
		{"converter killed while ffmpeg runs", "ffmpeg dies with it, no file left, another does the job", false, w.on(w.killed), nil},
		{"converter frozen past its lease", "another does the job; woken, it commits nothing and leaves nothing", false, w.on(w.frozen), nil},
		{"two converters, then two notifications, rung for one job at the same instant", "one claim wins: one attempt, one MP3, one mail", true, w.on(w.atOnce), nil},
		{"converter out of memory", "it dies with its ffmpeg, another does the job", true, w.on(w.starved), nil},
		{"a job whose every worker vanishes", "failed as crashed after ATTEMPTS, owner told, no endless loop", true, w.on(w.vanishing), nil},
	}...)
}

// scratchFull leaves too little space for the video, then enough for it and not for its MP3.
func (w workerGround) scratchFull(t *testing.T) string {
	const size, page = 4 << 20, 4 << 10
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("mount a small folder, which only root may: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	worker := w.patient(t, "SCRATCH_DIR="+dir, "FFMPEG=ffmpeg", "SANDBOX=required")
	worker.scratch = dir
	filler := filepath.Join(dir, "filler")
	v := talk(t)
	fill := func(free int) {
		if err := os.WriteFile(filler, make([]byte, size-free), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, free := range map[string]int{"for the video.mov": len(v.Data) / 2, "for its mp3.mov": len(v.Data) + 4*page} {
		fill(free)
		v.Name = name
		u := w.takes(t, v)[0]
		testsuite.Eventually(t, "the conversion is postponed", func() bool {
			return worker.Wrote(`"job":"` + u.Job + `","result":"postponed"`)
		})
		if j := w.person.Job(t, u.Job); j.Attempts > 1 || j.State == "failed" { // one may be under way
			t.Errorf("%s while there is no space: %+v", name, j)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		w.is(t, u, "done")
		w.attempts(t, u, 1)
		worker.leavesNothing(t) // which is after the job is done: until then there is less space to fill
	}
	w.check(t, checker.Allowed{})
	return "both postponed, 1 attempt each, done"
}

func (w workerGround) killed(t *testing.T) string {
	worker := w.worker(t)
	w.takes(t, clip(t, "orphaned.mp4", unhurried))
	child := worker.ffmpeg(t, "orphaned.mp4")
	worker.Kill()
	testsuite.Eventually(t, "ffmpeg is dead", func() bool { return syscall.Kill(child, 0) != nil })
	worker.leavesNothing(t)
	w.in(t, "converter")
	w.check(t, checker.Allowed{})
	return "ffmpeg dead, scratch empty, done"
}

// frozen wakes a converter when another has done its job. What it may write then is looked for after CLEAN_SECONDS, which
// must be longer than the freeze.
func (w workerGround) frozen(t *testing.T) string {
	worker := w.worker(t)
	u := w.takes(t, clip(t, "frozen.mp4", unhurried))[0]
	child := worker.ffmpeg(t, "frozen.mp4")
	thaw, thawChild := worker.Freeze(t), testserver.Freeze(t, child)
	w.another(t, "FFMPEG=ffmpeg", "SANDBOX=required", "CLEAN_SECONDS=5")
	w.is(t, u, "done")
	before := w.person.Job(t, u.Job)
	thaw()
	thawChild()
	testsuite.Eventually(t, "the woken one gives up", func() bool { return worker.Wrote(`"result":"lost"`) })
	w.check(t, checker.Allowed{})
	worker.leavesNothing(t)
	if after := w.person.Job(t, u.Job); testsuite.OrEmpty(after.MP3) != testsuite.OrEmpty(before.MP3) {
		t.Errorf("the MP3 was %v, now it is %v", before.MP3, after.MP3)
	}
	return "done by another; the woken one lost it and left nothing"
}

// atOnce has the messages come while those that they are for are frozen: woken together, they all find them at once.
func (w workerGround) atOnce(t *testing.T) string {
	w.out(t, "converter", "notification")
	converters, notifications := w.pair(t, "converter"), w.pair(t, "notification")
	thaw := map[*testsuite.Process]func(){}
	for _, p := range append(converters, notifications...) {
		thaw[p] = p.Freeze(t)
	}
	u := w.takes(t, clip(t, "wanted.mp4", 1))[0]
	wake := func(queue string, pair []*testsuite.Process) {
		for range 6 {
			publish(t, w.Broker, queue, w.message(t, u))
		}
		for _, p := range pair {
			thaw[p]()
		}
	}
	wake("video", converters)
	w.is(t, u, "converted")
	wake("mp3", notifications)
	w.check(t, checker.Allowed{})
	w.attempts(t, u, 1)
	return "1 attempt, 1 MP3, 1 mail"
}

// pair starts two that take three messages each.
func (w workerGround) pair(t *testing.T, service string) (pair []*testsuite.Process) {
	t.Helper()
	for range 2 {
		p := w.guest(service, "WORKERS=3", longLease)
		testsuite.Eventually(t, service+" is ready", func() bool { return p.Ready(t).Body == "ready" })
		pair = append(pair, p)
	}
	return pair
}

func (w workerGround) starved(t *testing.T) string {
	worker := w.worker(t)
	w.takes(t, clip(t, "starved.mp4", unhurried))
	child := worker.ffmpeg(t, "starved.mp4")
	limit := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := unix.Prlimit(worker.PID(), unix.RLIMIT_AS, &limit, nil); err != nil {
		t.Fatal(err)
	}
	testsuite.Eventually(t, "it is dead", worker.Ended)
	testsuite.Eventually(t, "ffmpeg is dead", func() bool { return syscall.Kill(child, 0) != nil })
	worker.leavesNothing(t)
	w.in(t, "converter")
	w.check(t, checker.Allowed{})
	return "both dead, scratch empty, done"
}

func (w workerGround) vanishing(t *testing.T) string {
	const attempts = 3
	u := checker.Upload{}
	for n := range attempts {
		fired, settings := hits(t, failpoint.FFmpegRunning, "kill", 2) // the first is the test of ffmpeg at the start
		w.out(t, "converter")
		p := w.guest("converter", append(settings, "ATTEMPTS=3")...)
		if n == 0 {
			u = w.takes(t, bad(clip(t, "deadly.mp4", 1)))[0]
		}
		testsuite.Eventually(t, "the worker vanishes", func() bool { return exists(fired) && p.Ended() })
	}
	w.another(t, "FFMPEG=ffmpeg", "SANDBOX=required", "ATTEMPTS=3")
	w.fails(t, u, "crashed", attempts)
	w.takes(t, clip(t, "good.mp4", 1))
	w.check(t, checker.Allowed{})
	return "3 workers dead, failed as crashed, mailed; the next one done"
}
