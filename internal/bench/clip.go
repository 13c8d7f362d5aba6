package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A clip is what a phone or a camera leaves, of about 2.5 Mb/s: sound that is as hard to encode as music, and pictures that
// are there to be read past. How hard LAME has to work shows in the bit rate that it chooses: of chords alone it makes
// 33 kb/s in half the time, of these chords over noise 130, as of music. Pictures and sound are made for some seconds and
// repeated, the sound before it is encoded.
const (
	pictureSeconds = 10
	soundSeconds   = 37
)

// clip returns the path of the video, made now unless a run before has left it.
func (b *bench) clip(ctx context.Context) (string, error) {
	steps := b.clipSteps()
	sum := sha256.Sum256([]byte(fmt.Sprint(steps)))
	path := filepath.Join(b.keep, "bench-"+hex.EncodeToString(sum[:6])+".mp4")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	b.say("making a video of %d s", b.Seconds)
	if err := os.MkdirAll(b.keep, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(b.keep, "clip-") // in the same file system, for the last step
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, step := range steps {
		if err := ffmpeg(ctx, dir, step...); err != nil {
			return "", err
		}
	}
	return path, os.Rename(filepath.Join(dir, "clip.mp4"), path)
}

// clipSteps are the runs of ffmpeg, in one folder.
func (b *bench) clipSteps() [][]string {
	const (
		left  = "0.12*(sin(220*2*PI*t)+sin(277.2*2*PI*t)*sin(t/3)+sin(329.6*2*PI*t)*cos(t/5)+0.5*sin(1760*2*PI*t)*sin(7*t))"
		right = "0.12*(sin(221*2*PI*t)+sin(277.2*2*PI*t)*cos(t/3)+sin(329.6*2*PI*t)*sin(t/5)+0.5*sin(1975*2*PI*t)*sin(5*t))"
		noise = "anoisesrc=c=pink:a=0.2:r=44100:seed=%d:d=%d"
	)
	seconds := strconv.Itoa(b.Seconds)
	return [][]string{
		{"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=640x360:r=25:d=%d,noise=alls=20:allf=t", pictureSeconds),
			"-c:v", "mpeg4", "-b:v", "2340k", "-minrate", "2340k", "-maxrate", "2340k", "-bufsize", "1M", "-g", "50", "pictures.mp4"},
		{"-f", "lavfi", "-i", fmt.Sprintf("aevalsrc='%s|%s':s=44100:d=%d", left, right, soundSeconds),
			"-f", "lavfi", "-i", fmt.Sprintf(noise, 1, soundSeconds), "-f", "lavfi", "-i", fmt.Sprintf(noise, 2, soundSeconds),
			"-filter_complex", "[1][2]join=inputs=2:channel_layout=stereo,tremolo=f=3:d=0.5[n];[0][n]amix=inputs=2:normalize=0", "sound.wav"},
		{"-stream_loop", "-1", "-i", "pictures.mp4", "-stream_loop", "-1", "-i", "sound.wav", "-t", seconds,
			"-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "160k", "clip.mp4"},
	}
}

// ffmpeg runs it in a folder.
func ffmpeg(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
