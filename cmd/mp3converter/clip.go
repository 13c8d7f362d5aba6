package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// makeClip makes a 30 s video in 720p with sound: a test picture, and three tones that swell and fade.
func makeClip(ctx context.Context, ffmpeg, file string) error {
	out, err := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-v", "error", "-y", //nolint:gosec // FFMPEG, and a file of our own
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=30",
		"-f", "lavfi", "-i", "aevalsrc='0.2*(sin(440*2*PI*t)+sin(554.4*2*PI*t)*sin(t)+sin(659.3*2*PI*t)*cos(t/2))':s=44100:d=30",
		"-c:v", "mpeg4", "-q:v", "8", "-c:a", "aac", "-ac", "2", "-shortest", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a clip with %s: %w: %s", ffmpeg, err, out)
	}
	return nil
}

// soundOf decodes a file's first audio track and returns how long it lasts: the demo's own measure, by the whole of
// ffmpeg, not by what the product thinks of the file.
func soundOf(ctx context.Context, ffmpeg, file string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-v", "error", "-i", file, "-map", "0:a:0", "-f", "null", "-progress", "pipe:1", "-") //nolint:gosec // FFMPEG, and the file named on the command line
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w: %s", file, err, strings.TrimSpace(complaints.String()))
	}
	var lasts time.Duration
	for line := range strings.Lines(string(out)) {
		if us, ok := strings.CutPrefix(strings.TrimSpace(line), "out_time_us="); ok {
			if n, err := strconv.ParseInt(us, 10, 64); err == nil {
				lasts = time.Duration(n) * time.Microsecond
			}
		}
	}
	return lasts, nil
}
