package ffmpeg

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

	"go.uber.org/goleak"

	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/testmedia"
)

// TestMain can also be the process that TestTheChildDiesWithItsParent kills.
func TestMain(m *testing.M) {
	sandbox.Enter()
	if video := os.Getenv("FFMPEG_TEST_CHILD"); video != "" {
		os.Exit(convertForEver(video, os.Getenv("FFMPEG_TEST_SCRATCH")))
	}
	if dir := os.Getenv(folderOfFFmpeg); dir != "" {
		_ = os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	}
	goleak.VerifyTestMain(m)
}

// fake is a Runner of a program in testdata: a script, and so in half a sandbox.
func fake(tb testing.TB, name string) Runner {
	tb.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return Runner{Path: path, Scratch: tb.TempDir(), Sandbox: sandbox.Limits}
}

// opened is a file to be read.
func opened(tb testing.TB, path string) *os.File {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// scratch is an empty scratch file of the runner's.
func scratch(tb testing.TB, r Runner) *os.File {
	tb.Helper()
	f, err := r.Temp()
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// run converts a good clip of two seconds with the runner and returns what was written, and the error.
func run(ctx context.Context, tb testing.TB, r Runner, o Options) (written string, err error) {
	tb.Helper()
	in := opened(tb, testmedia.Clip(tb, testmedia.Spec{}))
	defer in.Close()
	out := scratch(tb, r)
	defer out.Close()
	_, err = r.Convert(ctx, in, out, o)
	head := make([]byte, 4096)
	n, _ := out.ReadAt(head, 0)
	return string(head[:n]), err
}

// untilBegun runs a program that a limit of time ends, and that has written its process id by then. A busy machine may let it begin
// too late: then it is run again with twice the time.
func untilBegun(run func(limit time.Duration) (written string, err error)) (written string, err error) {
	for limit := 2 * time.Second; ; limit *= 2 {
		if written, err = run(limit); written != "" || limit > patience {
			return written, err
		}
	}
}

// patience is more than anything here takes on a busy machine.
const patience = time.Minute

// gone fails the test if anything is left of the process group whose id was written.
func gone(tb testing.TB, written string) {
	tb.Helper()
	id, err := strconv.Atoi(strings.TrimSpace(written))
	if err != nil {
		tb.Fatalf("the fake wrote %q, want its process id", written)
	}
	for deadline := time.Now().Add(patience); syscall.Kill(-id, 0) == nil; runtime.Gosched() {
		if time.Now().After(deadline) { // killed children may be a moment in reaping
			tb.Fatalf("something is left of process group %d", id)
		}
	}
}

// unknown fails the test unless err is neither the video's fault nor the installation's.
func unknown(tb testing.TB, err error, text string) {
	tb.Helper()
	if err == nil || errors.Is(err, job.ErrPermanent) || errors.Is(err, job.ErrTransient) {
		tb.Fatalf("error %v, want one of unknown cause", err)
	}
	if !strings.Contains(err.Error(), text) {
		tb.Errorf("error %q does not say %q", err, text)
	}
	if len(err.Error()) > 2*maxLine {
		tb.Errorf("the error has %d bytes", len(err.Error()))
	}
}

func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		says  string
		stall bool // until it is killed for its silence
		pid   bool // the fake writes its process id
	}{
		"spins":     {"no sign of life", true, true},
		"hangs":     {"no sign of life", true, true},
		"killed":    {"killed", false, true},
		"segfaults": {"segmentation fault", false, false},
		"exits-1":   {"something that nobody has seen before", false, false},
		"lies":      {"no whole MP3", false, false},
		"mumbles":   {"without a word", false, false},
		"talks":     {"and so on", false, false},
		"breeds":    {"no whole MP3", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := fake(t, name)
			try := func(limit time.Duration) (string, error) {
				r.Stall = limit
				return run(t.Context(), t, r, Options{})
			}
			var written string
			var err error
			if tt.stall {
				written, err = untilBegun(try)
			} else {
				written, err = try(patience)
			}
			unknown(t, err, tt.says)
			if tt.pid {
				gone(t, written)
			}
			empty(t, r.Scratch)
		})
	}
}

// empty fails the test if the folder holds anything.
func empty(tb testing.TB, dir string) {
	tb.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		tb.Errorf("left in the scratch folder: %v, %v", left, err)
	}
}

func TestAGoodMP3OfHalfTheSoundIsRefused(t *testing.T) {
	t.Parallel()
	_, err := run(t.Context(), t, fake(t, "short"), Options{})
	if got := reason(t, err, job.ReasonTruncated); got != "1.0 of 2.0 s" {
		t.Errorf("detail %q", got)
	}
}

func TestTooSlowIsTheVideosFault(t *testing.T) {
	t.Parallel()
	r := fake(t, "crawls")
	written, err := untilBegun(func(limit time.Duration) (string, error) {
		r.Wall = limit
		return run(t.Context(), t, r, Options{})
	})
	reason(t, err, job.ReasonTooSlow)
	gone(t, written)
}

func TestWritingWithoutEndIsStopped(t *testing.T) {
	t.Parallel()
	r := fake(t, "floods")
	r.MaxBytes = 1 << 20
	_, err := run(t.Context(), t, r, Options{})
	reason(t, err, job.ReasonTooLarge)
}

func TestAFullDiskIsTransient(t *testing.T) {
	t.Parallel()
	t.Run("as a fake says", func(t *testing.T) {
		t.Parallel()
		if _, err := run(t.Context(), t, fake(t, "disk-full"), Options{}); !errors.Is(err, job.ErrTransient) {
			t.Errorf("error %v, want job.ErrTransient", err)
		}
	})
	t.Run("as ffmpeg finds", func(t *testing.T) {
		t.Parallel()
		in := opened(t, testmedia.Clip(t, testmedia.Spec{}))
		defer in.Close()
		out, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if _, err := (Runner{}).Convert(t.Context(), in, out, Options{}); !errors.Is(err, job.ErrTransient) {
			t.Errorf("error %v, want job.ErrTransient", err)
		}
	})
}

func TestAMissingBinaryIsTransient(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/nowhere/ffmpeg", "no-such-ffmpeg-anywhere"} {
		if _, err := run(t.Context(), t, Runner{Path: path}, Options{}); !errors.Is(err, job.ErrTransient) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want job.ErrTransient and the path", err)
		}
	}
}

func TestStopping(t *testing.T) {
	t.Parallel()
	lost := errors.New("the lease is lost")
	t.Run("while ffmpeg runs", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		written, err := run(ctx, t, fake(t, "hangs"), Options{Progress: func(percent int) {
			if percent != 50 {
				t.Errorf("progress %d, want 50", percent)
			}
			cancel(lost)
		}})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, lost) {
			t.Errorf("error %v, want context.Canceled and its cause", err)
		}
		gone(t, written)
	})
	t.Run("before it runs", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := run(ctx, t, Runner{}, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	})
	t.Run("by a deadline", func(t *testing.T) {
		t.Parallel()
		written, err := untilBegun(func(limit time.Duration) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			return run(ctx, t, fake(t, "spins"), Options{})
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want context.DeadlineExceeded", err)
		}
		gone(t, written)
	})
}

func TestTheChildHasNothingOfOurs(t *testing.T) {
	t.Setenv("JWT_SECRET", "not for ffmpeg")
	open, err := os.Create(filepath.Join(t.TempDir(), "not-for-ffmpeg"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	r := fake(t, "shows")
	r.MaxMemory = 1 << 30
	written, err := run(t.Context(), t, r, Options{})
	unknown(t, err, "exit status 1")
	for _, want := range []string{
		"env: \n", "dir: /\n", "nice: 10\n", "memory: 1048576\n", "core: 0\n", "oom: 500\n", "group: 0\n",
	} {
		if !strings.Contains(written, want) {
			t.Errorf("the child does not say %q but\n%s", want, written)
		}
	}
	if strings.Contains(written, "not-for-ffmpeg") {
		t.Errorf("the child has a file of ours:\n%s", written)
	}
}

func TestNoDescriptorIsLeftOpen(t *testing.T) { // not parallel: it counts the whole process's
	before := descriptors(t)
	for _, r := range []Runner{{}, {Cores: forced()}, splitFake(t, "decoder-dies", forced()), fake(t, "killed"), fake(t, "breeds"), {Path: "/nowhere/ffmpeg"}} {
		_, _ = run(t.Context(), t, r, Options{})
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(tb testing.TB) int {
	tb.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(open)
}

func TestASpareBecomesFFmpeg(t *testing.T) {
	t.Parallel()
	spares := new(sandbox.Spares)
	defer spares.Wait()
	defer spares.Hire()()
	clip := testmedia.Clip(t, testmedia.Spec{})
	mp3, result, err := convert(t, Runner{Spares: spares}, clip, Options{Title: "a title"})
	if err != nil {
		t.Fatal(err)
	}
	checkMP3(t, mp3, result, 2*time.Second)
	if !result.Began.Before(result.Ended) {
		t.Errorf("it began at %v and ended at %v", result.Began, result.Ended)
	}
	without, _, err := convert(t, Runner{}, clip, Options{Title: "a title"})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, mp3), read(t, without)) {
		t.Error("the MP3s differ")
	}
}

// The parent is a second process of this test, killed as by kill -9 while it converts.
func TestTheChildDiesWithItsParent(t *testing.T) {
	t.Parallel()
	scratch := t.TempDir()
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), "FFMPEG_TEST_CHILD="+testmedia.Clip(t, testmedia.Spec{}), "FFMPEG_TEST_SCRATCH="+scratch)
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Fscan(stdout, &child); err != nil {
		t.Fatalf("the parent does not tell its child: %v", err)
	}
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child is not there: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	gone(t, strconv.Itoa(child))
	empty(t, scratch)
}

// convertForEver is the parent: it tells the child's process id and waits to be killed.
func convertForEver(video, scratch string) int {
	path, err := filepath.Abs("testdata/hangs")
	if err != nil {
		return 1
	}
	r := Runner{Path: path, Scratch: scratch, Sandbox: sandbox.Limits, Stall: time.Hour, Wall: time.Hour}
	in, err := os.Open(video)
	if err != nil {
		return 1
	}
	out, err := r.Temp()
	if err != nil {
		return 1
	}
	_, _ = r.Convert(context.Background(), in, out, Options{Progress: func(int) {
		id := make([]byte, 16)
		n, _ := out.ReadAt(id, 0)
		fmt.Println(string(id[:n]))
	}})
	return 1
}

func TestScratchFilesHaveNoName(t *testing.T) {
	t.Parallel()
	r := Runner{Scratch: t.TempDir()}
	f := scratch(t, r)
	defer f.Close()
	if _, err := f.Write([]byte("bytes")); err != nil {
		t.Error(err)
	}
	empty(t, r.Scratch)
	r.Scratch = filepath.Join(r.Scratch, "missing")
	if _, err := r.Temp(); !errors.Is(err, job.ErrTransient) {
		t.Errorf("without the folder: %v, want job.ErrTransient", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	t.Run("a working installation", func(t *testing.T) {
		t.Parallel()
		version, err := Runner{Scratch: t.TempDir()}.Check(t.Context())
		if err != nil || version == "" {
			t.Errorf("Check = %q, %v", version, err)
		}
	})
	for name, r := range map[string]Runner{
		"no binary": {Path: "/nowhere/ffmpeg"}, "no scratch folder": {Scratch: "/nowhere"},
		"a binary that is another": fake(t, "mumbles"), "a broken binary": fake(t, "segfaults"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if version, err := r.Check(t.Context()); err == nil {
				t.Errorf("Check = %q and no error", version)
			}
		})
	}
}
