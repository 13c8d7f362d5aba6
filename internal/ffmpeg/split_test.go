package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/mp3"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/testmedia"
)

// forced has every conversion that may be split be split, whatever it costs.
func forced() *Cores {
	c := NewCores(3)
	c.plan = plan{least: 700 * time.Millisecond, most: time.Minute, overlap: mp3.Overlap}
	return c
}

// traced returns forced cores, and what they have been told so far.
func traced() (*Cores, func() string) {
	c := forced()
	var mu sync.Mutex
	var said []string
	c.trace = func(what string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, what)
	}
	return c, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(said, ", ")
	}
}

// music is a sound of so many seconds that no two frames of are alike.
func music(t *testing.T, seconds float64, ext string, args ...string) string {
	t.Helper()
	sound := fmt.Sprintf("anoisesrc=d=%g:c=pink:r=48000:a=0.3:s=7,tremolo=f=3:d=0.8,aformat=channel_layouts=stereo", seconds)
	return testmedia.Make(t, ext, append([]string{"-f", "lavfi", "-i", sound}, args...)...)
}

// Every other test holds what several processes make against what one makes, see convert. Here it is seen that there are
// several, and what they make is held against the plain command, which uses the bit reservoir. An ordinary sound needs none; for
// noise, LAME may decide otherwise where it has one.
func TestASplitSoundsAsThePlainCommand(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	for name, clip := range map[string]string{
		"a tone": testmedia.Clip(t, testmedia.Spec{Seconds: 6}), "noise": music(t, 6, "m4a"), "5.1": testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Audio: "ac3", Layout: "5.1", Seconds: 6}),
		"96 kHz": testmedia.Clip(t, testmedia.Spec{Ext: "flac", Rate: 96000, Seconds: 6}), "24 bits": testmedia.Clip(t, testmedia.Spec{Ext: "mov", Audio: "pcm_s24le", Seconds: 6}),
		"8 kHz": testmedia.Clip(t, testmedia.Spec{Ext: "wav", Rate: 8000, Seconds: 16}), "no length": testmedia.Clip(t, testmedia.Spec{Ext: "aac", Seconds: 6}),
	} {
		for _, profile := range []job.Profile{job.Standard, job.Voice, job.High} {
			t.Run(name+" "+string(profile), func(t *testing.T) {
				t.Parallel()
				c, said := traced()
				got, _, err := convertFile(t, Runner{Cores: c}, clip, Options{Title: "a title", Profile: profile})
				if err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(said(), "segment"); n < 2 || strings.Contains(said(), "serial") {
					t.Errorf("it was made of %s", said())
				}
				want := filepath.Join(t.TempDir(), "plain.mp3")
				plain := exec.CommandContext(t.Context(), testmedia.FFmpeg, append(append([]string{"-i", clip, "-map", "0:a:0", "-c:a", "libmp3lame"}, encodings[profile]...), want)...)
				if out, err := plain.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				// The first frame of a sound that begins loudly would borrow bits where there is a reservoir.
				const first = 2 * 1152 * 2 * floatSize
				if a, b := floats(t, got), floats(t, want); len(a) != len(b) || !bytes.Equal(a[first:], b[first:]) {
					t.Error("it sounds different")
				}
			})
		}
	}
}

// floats decodes an MP3.
func floats(tb testing.TB, path string) []byte {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), testmedia.FFmpeg, "-v", "error", "-i", path, "-f", "f32le", "-").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestCBRIsNotSplit(t *testing.T) {
	t.Parallel()
	c, said := traced()
	if _, _, err := convertFile(t, Runner{Cores: c}, music(t, 6, "m4a"), Options{Profile: job.CBR128}); err != nil || said() != "" {
		t.Errorf("%v; it was made of %s", err, said())
	}
}

// However many processes there are, what each has used is told.
func TestAllProcessesAreAccountedFor(t *testing.T) {
	t.Parallel()
	c, said := traced()
	var mu sync.Mutex
	var told int
	var used time.Duration
	r := Runner{Cores: c, Spent: func(user, system time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		told++
		used += user + system
	}}
	if _, _, err := convertFile(t, r, music(t, 6, "m4a"), Options{}); err != nil {
		t.Fatal(err)
	}
	encoders := strings.Count(said(), "segment") + strings.Count(said(), "bridge")
	if encoders < 2 || told < 1+encoders || used <= 0 {
		t.Errorf("%d processes told of %v, want a decoder and %d encoders", told, used, encoders)
	}
}

func TestCoresAreGivenBackByTheSegment(t *testing.T) {
	t.Parallel()
	c := forced()
	lent := -1
	c.trace = func(what string) {
		if what == "end" {
			c.mu.Lock()
			defer c.mu.Unlock()
			lent = c.lent
		}
	}
	if _, _, err := convertFile(t, Runner{Cores: c}, music(t, 6, "m4a"), Options{}); err != nil || lent != 0 {
		t.Errorf("%v; %d cores are still lent when nothing runs", err, lent)
	}
}

func TestSegmentsThatDoNotAgreeAreBridged(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	clip := music(t, 6, "m4a")
	want, _, err := convertFile(t, Runner{}, clip, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, said := traced()
	c.plan.overlap = 6 // so that there are no twelve frames in common
	got, _, err := convertFile(t, Runner{Cores: c}, clip, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said(), "bridge") || strings.Contains(said(), "serial") {
		t.Errorf("it was made of %s", said())
	}
	if !bytes.Equal(read(t, got), read(t, want)) {
		t.Error("it differs from what one process makes")
	}
}

// Silence agrees with silence, so nothing can be proven there. The decoder is slow, so that the end is not in sight.
func TestSilenceIsNotCut(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	const quiet = "aevalsrc=0:d=9:s=48000"
	clip := testmedia.Make(t, "mkv", "-f", "lavfi", "-i", quiet, "-c:a", "pcm_s16le")
	c, said := traced()
	c.total = 8 // so that segments are short
	_, result, err := convertFile(t, splitFake(t, "slow", c), clip, Options{})
	if err != nil || result.Duration != 9*time.Second {
		t.Errorf("%v, %v", result, err)
	}
	if said() != "serial" {
		t.Errorf("it was made of %s", said())
	}
}

// Segments are encoded while the decoder is at work.
func TestSegmentsDoNotWaitForTheEnd(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	clip := music(t, 6, "m4a")
	want, _, err := convertFile(t, Runner{}, clip, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, said := traced()
	var before int
	got, _, err := convertFile(t, splitFake(t, "slow", c), clip, Options{Progress: func(percent int) {
		before = max(before, strings.Count(said(), "segment"))
	}})
	if err != nil || !bytes.Equal(read(t, got), read(t, want)) {
		t.Errorf("%v, or it differs from what one process makes", err)
	}
	if before == 0 {
		t.Errorf("nothing is made before the end: %s", said())
	}
}

// splitFake is a Runner of a program in testdata/split: a script, and so in half a sandbox.
func splitFake(tb testing.TB, name string, c *Cores) Runner {
	tb.Helper()
	r := fake(tb, filepath.Join("split", name))
	r.Cores = c
	return r
}

func TestASegmentsMisbehaviourEndsAll(t *testing.T) {
	t.Parallel()
	clip := music(t, 6, "m4a")
	for name, tt := range map[string]struct {
		says string
		set  func(*Runner)
		kind error // nil is unknown
	}{
		"dies":         {"killed", nil, nil},
		"decoder-dies": {"killed", nil, nil},
		"blames":       {"Invalid data", nil, nil},
		"short":        {"of a segment of", nil, nil},
		"hangs":        {"no sign of life", func(r *Runner) { r.Stall = 2 * time.Second }, nil},
		"probe-hangs":  {"no sign of life", func(r *Runner) { r.Stall = 2 * time.Second }, nil},
		"disk-full":    {"No space left", nil, job.ErrTransient},
		"crawls":       {"took too long", func(r *Runner) { r.Wall = 2 * time.Second }, job.ErrPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, said := traced()
			r := splitFake(t, name, c)
			if tt.set != nil {
				tt.set(&r)
			}
			_, _, err := convertFile(t, r, clip, Options{Title: "first"})
			switch {
			case tt.kind == nil:
				unknown(t, err, tt.says)
			case !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says):
				t.Errorf("error %v, want %v that says %q", err, tt.kind, tt.says)
			}
			if strings.Contains(said(), "serial") {
				t.Errorf("it was tried again: %s", said())
			}
			empty(t, r.Scratch)
			if open, _ := descriptorsOf(t, r.Scratch); open > 0 {
				t.Errorf("%d scratch files are open", open)
			}
			if c.seats != 0 || c.lent != 0 {
				t.Errorf("%d seats and %d cores are still taken", c.seats, c.lent)
			}
			noneOf(t, r)
		})
	}
}

// noneOf fails the test if a process of the runner's runs. What was killed may take a moment to go.
func noneOf(t *testing.T, r Runner) {
	t.Helper()
	for _, process := range holders(t, r.Scratch) {
		if !isDying(process) {
			line, _ := os.ReadFile(filepath.Join(process, "cmdline"))
			t.Errorf("left is %s: %s", process, bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	eventually(t, "nobody has a file in "+r.Scratch, func() bool { return len(holders(t, r.Scratch)) == 0 })
}

// holders are the folders in /proc of the processes that have a file of that folder open. We are none, and neither are those that
// we are about to start, which have all our files for a moment.
func holders(t *testing.T, dir string) (processes []string) {
	t.Helper()
	ours := read(t, "/proc/self/cmdline")
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(to, dir) {
			continue
		}
		process := filepath.Dir(filepath.Dir(fd))
		if line, err := os.ReadFile(filepath.Join(process, "cmdline")); err == nil && !bytes.Equal(line, ours) {
			processes = append(processes, process)
		}
	}
	return slices.Compact(processes)
}

// isDying reports whether the process has been sent SIGKILL, has no memory any more, or is not there at all.
func isDying(process string) bool {
	status, err := os.ReadFile(filepath.Join(process, "status"))
	if err != nil || !strings.Contains(string(status), "VmSize:") {
		return true
	}
	_, pending, _ := strings.Cut(string(status), "ShdPnd:\t")
	line, _, _ := strings.Cut(pending, "\n")
	signals, _ := strconv.ParseUint(line, 16, 64)
	return signals&(1<<(syscall.SIGKILL-1)) != 0
}

// What has been decoded may be read by then, and so is not written anew.
func TestWhatCannotBeMixedMidwayIsNotDecodedTwice(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	clip := music(t, 6, "m4a")
	want, _, err := convertFile(t, Runner{}, clip, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, said := traced()
	got, _, err := convertFile(t, splitFake(t, "changes", c), clip, Options{})
	if err != nil || !strings.HasSuffix(said(), "serial") {
		t.Fatalf("%v; it was made of %s", err, said())
	}
	if !bytes.Equal(read(t, got), read(t, want)) {
		t.Error("it differs from what one process makes")
	}
}

// ffmpeg's own limit is none there: it counts from each change on.
func TestWhatChangesIsTooLongAsSoonAsItIs(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	var clip []byte
	for _, layout := range []string{"mono", "stereo"} {
		clip = append(clip, read(t, testmedia.Clip(t, testmedia.Spec{Ext: "ts", Seconds: 6, Layout: layout}))...)
	}
	path := filepath.Join(t.TempDir(), "changes.ts")
	if err := os.WriteFile(path, clip, 0o600); err != nil {
		t.Fatal(err)
	}
	c, said := traced()
	for _, r := range []Runner{{Cores: c}, {}} {
		r.MaxDuration = 8 * time.Second
		_, _, err := convertFile(t, r, path, Options{})
		if got := reason(t, err, job.ReasonTooLong); got != "more than 8.0 s" {
			t.Errorf("detail %q", got)
		}
	}
	if strings.Contains(said(), "end") || strings.Contains(said(), "serial") {
		t.Errorf("it was made whole: %s", said())
	}
}

func TestStoppingASplit(t *testing.T) {
	t.Parallel()
	lost := errors.New("the lease is lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	c, _ := traced()
	r := splitFake(t, "hangs", c)
	in := opened(t, music(t, 6, "m4a"))
	defer in.Close()
	out := scratch(t, r)
	defer out.Close()
	_, err := r.Convert(ctx, in, out, Options{Progress: func(int) { cancel(lost) }})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, lost) {
		t.Errorf("error %v, want context.Canceled and its cause", err)
	}
	empty(t, r.Scratch)
	if after, _ := descriptorsOf(t, r.Scratch); after != 1 {
		t.Errorf("%d scratch files are open, want the MP3", after)
	}
	noneOf(t, r)
}

// descriptorsOf counts our open files in the folder, and their bytes on the disk.
func descriptorsOf(tb testing.TB, dir string) (files int, bytes int64) {
	tb.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		tb.Fatal(err)
	}
	for _, fd := range fds {
		var info syscall.Stat_t
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) && syscall.Stat(fd, &info) == nil {
			files++
			bytes += info.Blocks * 512
		}
	}
	return files, bytes
}

func TestCheckFindsOutWhetherCoresCanBeLent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		r    Runner
		want bool
	}{
		"ffmpeg":                        {Runner{Path: testmedia.FFmpeg, Scratch: t.TempDir()}, true},
		"an ffmpeg that cannot hand on": {fake(t, "split/older"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.r.Cores = NewCores(2)
			if _, err := tt.r.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := tt.r.Cores.Lent(); got != tt.want {
				t.Errorf("cores are lent: %v, want %v", got, tt.want)
			}
			empty(t, tt.r.Scratch)
		})
	}
}

func TestAHeldProcessStandsStill(t *testing.T) {
	t.Parallel()
	r := Runner{Path: fake(t, "spins").Path, Scratch: t.TempDir(), Sandbox: sandbox.Limits, Stall: time.Hour}.withDefaults()
	in := scratch(t, r)
	defer in.Close()
	out := scratch(t, r)
	defer out.Close()
	p := &process{runner: r, in: in, out: out, shared: true, progress: newProgress(nil, nil), findings: newFindings()}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.run(ctx) }()
	eventually(t, "it runs", func() bool { return state(p) != "" })
	for _, still := range []bool{true, false, true} { // and it can be killed in any state
		p.hold(still)
		eventually(t, fmt.Sprintf("held is %v", still), func() bool { return (state(p) == "T") == still })
	}
	if err := p.late(time.Time{}, time.Now().Add(24*time.Hour)); err != nil {
		t.Errorf("what stands still is said to be dead: %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// state is the process's, as ps shows it; "" if it has not begun.
func state(p *process) string {
	p.group.Lock()
	id := p.group.id
	p.group.Unlock()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(line), ") ")
	return rest[:1]
}

func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("never: %s", what)
		}
	}
}
