package faults

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// ffmpegFaults are about the program that does the work, and about what it is given.
func (w workerGround) ffmpegFaults() []fault {
	return []fault{
		{"ffmpeg killed, then crashed, while it runs", "two attempts counted, the third ends well", false, w.on(w.ffmpegKilled), nil},
		{"ffmpeg crashes on one video every time", "failed as crashed after ATTEMPTS, owner told, others unaffected", false, w.on(w.ffmpegCrashes), nil},
		{"ffmpeg hangs", "killed and counted, then done; no process, no file left", true, w.on(w.ffmpegHangs), nil},
		{"ffmpeg spins for ever, silently and with progress", "crashed and too_slow; no process, no file left", true, w.on(w.ffmpegSpins), nil},
		{"ffmpeg out of memory: as it loads, as it begins, and as it would say of a decoder", "counted, then done", false, w.on(w.ffmpegStarves), nil},
		{"videos that are none, or not whole", "failed with their reasons, owner told, others unaffected", true, w.on(w.poison), nil},
	}
}

// ffmpegKilled hits ffmpeg twice while it takes its time; the third may be quick.
func (w workerGround) ffmpegKilled(t *testing.T) string {
	worker := w.patient(t, slowAtFirst(t, "hit", 2))
	u := w.takes(t, clip(t, "hit.mp4", unhurried))[0]
	first := worker.ffmpeg(t, "hit.mp4")
	signal(t, first, syscall.SIGKILL)
	signal(t, worker.ffmpeg(t, "hit.mp4", first), syscall.SIGSEGV)
	w.is(t, u, "done")
	w.attempts(t, u, 3)
	w.check(t, checker.Allowed{})
	worker.leavesNothing(t)
	return "3 attempts, done"
}

// slowAtFirst is the setting of an ffmpeg that converts a title no faster than it sounds, so many times.
func slowAtFirst(t *testing.T, title string, times int) string {
	t.Helper()
	const slow = `*title=%s*) [ $(ls %[2]s | wc -l) -lt %[3]d ] && mkdir %[2]s/$$ && set -- -re "$@" ;;`
	return "FFMPEG=" + fakeFFmpeg(t, fmt.Sprintf(slow, title, t.TempDir(), times))
}

func (w workerGround) ffmpegCrashes(t *testing.T) string {
	worker := w.patient(t, "ATTEMPTS=3", "FFMPEG="+fakeFFmpeg(t, `*title=crasher*) kill -SEGV $$ ;;`))
	all := w.takes(t, bad(clip(t, "crasher.mp4", 1)), clip(t, "good.mp4", 1), clip(t, "also good.mp4", 2))
	w.check(t, checker.Allowed{})
	w.fails(t, all[0], "crashed", 3)
	w.attempts(t, all[1], 1)
	w.attempts(t, all[2], 1)
	worker.leavesNothing(t)
	return "3 attempts, failed as crashed, mailed; 2 others done at the first"
}

func (w workerGround) ffmpegHangs(t *testing.T) string {
	worker := w.patient(t, "FFMPEG_STALL_SECONDS=3", slowAtFirst(t, "hangs", 1))
	u := w.takes(t, clip(t, "hangs.mp4", unhurried))[0]
	signal(t, worker.ffmpeg(t, "hangs.mp4"), syscall.SIGSTOP)
	w.check(t, checker.Allowed{})
	if j := w.person.Job(t, u.Job); j.Attempts < 2 || !worker.Wrote("no sign of life for") {
		t.Errorf("%d attempts", j.Attempts)
	}
	worker.leavesNothing(t)
	return "killed after FFMPEG_STALL_SECONDS, counted, done"
}

func (w workerGround) ffmpegSpins(t *testing.T) string {
	// The grandchild would outlive a script that is killed alone.
	const spins = `*title=spins*) sleep 300 & while :; do :; done ;;
*title=dawdles*) while :; do echo out_time_us=1000000; echo progress=continue; sleep 0.2; done ;;`
	worker := w.patient(t, "WORKERS=2", "ATTEMPTS=2", "FFMPEG_STALL_SECONDS=3", "FFMPEG_WALL_SECONDS=5", "FFMPEG="+fakeFFmpeg(t, spins))
	all := w.takes(t, bad(clip(t, "spins.mp4", 1)), bad(clip(t, "dawdles.mp4", 1)))
	w.check(t, checker.Allowed{})
	w.fails(t, all[0], "crashed", 2)
	w.fails(t, all[1], "too_slow", 1)
	worker.leavesNothing(t)
	return "failed as crashed after 2 attempts, as too_slow after 1, both mailed"
}

// ffmpegStarves has ffmpeg find too little memory once for each video. What it says of a decoder, in the words of 5.1, is put
// into its mouth: with how much it gets exactly so far differs from build to build. The converter's own
// limit is there already, and only lowered.
func (w workerGround) ffmpegStarves(t *testing.T) string {
	once := t.TempDir()
	worker := w.patient(t, "FFMPEG="+fakeFFmpeg(t, fmt.Sprintf(`*title=loads*) mkdir %[1]s/loads && ulimit -v 50000 ;;
*title=begins*) mkdir %[1]s/begins && ulimit -v %[2]d ;;
*title=decodes*) mkdir %[1]s/decodes && echo "[error] Error while opening decoder for input stream #0:0 : Cannot allocate memory" >&2 && exit 1 ;;`,
		once, scarce(t))))
	for _, u := range w.takes(t, clip(t, "loads.mp4", 1), clip(t, "begins.mp4", 1), clip(t, "decodes.mp4", 1)) {
		w.is(t, u, "done", "failed")
		w.attempts(t, u, 2)
	}
	w.check(t, checker.Allowed{})
	worker.leavesNothing(t)
	return "2 attempts each, done"
}

// scarce is how much memory, in KiB of address space, is enough for ffmpeg to load and too little to convert anything.
func scarce(t *testing.T) int {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-h", "full") // which opens nothing and says more than a pipe holds
	defer func() { end(); _ = cmd.Wait() }()                                // killed
	says, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, says, 1) // it is loaded
	}
	if err != nil {
		t.Fatal(err)
	}
	_, size, _ := strings.Cut(testsuite.Read(t, fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)), "VmSize:")
	loaded, err := strconv.Atoi(strings.Fields(size + " none")[0])
	if err != nil {
		t.Fatal(err)
	}
	const little = 1 << 10 // a decoder and LAME take more than twice as much
	return loaded + little
}

func (w workerGround) poison(t *testing.T) string {
	worker := w.patient(t)
	file := testmedia.Clip(t, testmedia.Spec{Flags: []string{"-movflags", "+faststart"}})
	for name, want := range map[string]struct {
		data   string
		reason string
	}{
		"none.mp4": {strings.Repeat("this is no video. ", 100), "unsupported"},
		"half.mp4": {testsuite.Read(t, testmedia.Cut(t, file, 0.5)), "truncated"},
		"head.mp4": {testsuite.Read(t, testmedia.Cut(t, testmedia.Clip(t, testmedia.Spec{}), 0.5)), "truncated"}, // its index was at the end
	} {
		u := w.takes(t, testsuite.Video{Name: name, Data: []byte(want.data)})[0]
		w.fails(t, u, want.reason, 1)
	}
	w.takes(t, clip(t, "good.mp4", 1))
	w.check(t, checker.Allowed{})
	worker.leavesNothing(t)
	return "failed as unsupported and truncated, mailed; the good one done"
}
