package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bench is what the measurements of a run share.
type bench struct {
	settings
	dir      string // for everything that the run leaves; removed at its end
	keep     string // for what the next run can use again
	programs string // the folder of the programs that are measured
	start    time.Time
	out      io.Writer // progress
	shared   *servers  // nil until somebody needs them
}

func newBench(ctx context.Context, s settings) (*bench, error) {
	dir, err := os.MkdirTemp("", "mp3c-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{
		settings: s, dir: dir, keep: "bin", programs: filepath.Join(dir, "bin"),
		start: time.Now(), out: os.Stderr,
	}
	if err := b.build(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// close ends the servers and removes what they kept.
func (b *bench) close() {
	if b.shared != nil {
		b.shared.stop()
	}
	_ = os.RemoveAll(b.dir)
}

// say reports progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "[%4.0fs] %s\n", time.Since(b.start).Seconds(), fmt.Sprintf(format, args...))
}

// build makes the programs as `make build` does: what is measured is what is shipped, without the race detector.
func (b *bench) build(ctx context.Context) error {
	b.say("building")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.programs+"/",
		"mp3converter/cmd/auth", "mp3converter/cmd/gateway", "mp3converter/cmd/converter", "mp3converter/cmd/mp3converter")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if path := b.static(); path != "" {
		return os.Symlink(path, filepath.Join(b.programs, "ffmpeg")) // beside them, as in the image
	}
	return nil
}

// temp makes a folder that is gone at the end of the run at the latest.
func (b *bench) temp(name string) (string, error) { return os.MkdirTemp(b.dir, name+"-") }
