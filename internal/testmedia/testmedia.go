// Package testmedia makes the videos and sounds that tests feed to the system, and measures the MP3s that come back. It
// needs ffmpeg with the encoders of a full build (Debian's has them). It is for tests only.
//
// Clips are cached in one folder below os.TempDir for all test processes and runs: the name of a file is a hash of the
// command that made it. Tests must not write to them; Cut makes files that are the test's own.
package testmedia

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// None as Spec.Audio or Spec.Video leaves that track out.
const None = "none"

// Spec describes a clip: a test picture and a sine tone per audio track. The zero value is a 2 s MP4 of H.264 and AAC.
type Spec struct {
	Ext     string    // the container, by its file name extension; a key of usual. Default mp4
	Seconds float64   // default 2
	Sound   float64   // seconds of sound, where it differs from Seconds
	Audio   string    // ffmpeg's name of the encoder, or None; default what is usual in the container
	Video   string    // the same
	Rate    int       // samples per second; default 44100, or 48000 for Opus
	Layout  string    // mono (default), stereo, 5.1 …
	Pitch   []float64 // Hz, one per audio track; default one track of 440
	Size    string    // of the picture; default 64x48
	Flags   []string  // further output options of ffmpeg, as "-movflags", "+faststart"
}

// usual names the encoders of a container: video, audio.
var usual = map[string][2]string{
	"mp4": {"libx264", "aac"}, "mov": {"libx264", "aac"}, "3gp": {"libx264", "aac"}, "m4a": {None, "aac"},
	"mkv": {"libx264", "aac"}, "webm": {"libvpx", "libopus"}, "avi": {"mpeg4", "libmp3lame"}, "flv": {"flv", "libmp3lame"},
	"ts": {"mpeg2video", "aac"}, "m2ts": {"mpeg2video", "aac"}, "wmv": {"wmv2", "wmav2"}, "wma": {None, "wmav2"},
	"mp3": {None, "libmp3lame"}, "wav": {None, "pcm_s16le"}, "flac": {None, "flac"}, "ogg": {None, "libvorbis"},
	"aac": {None, "aac"},
}

// Clip returns the path of the clip, made now unless some test has made it before.
func Clip(tb testing.TB, s Spec) string {
	tb.Helper()
	if s.Ext == "" {
		s.Ext = "mp4"
	}
	args, err := s.args()
	if err != nil {
		tb.Fatal(err)
	}
	return Make(tb, s.Ext, args...)
}

// Phone returns the path of what a phone records: 20 s at 17 Mb/s, 42 MB, of which under 1 % is sound, in runs of a second.
func Phone(tb testing.TB) string {
	tb.Helper()
	return Make(tb, "mov",
		"-f", "lavfi", "-i", "testsrc=s=640x360:r=30:d=20,noise=alls=100:allf=t+u", "-f", "lavfi", "-i", "sine=f=440:r=48000:d=20,aformat=channel_layouts=stereo",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "17M", "-minrate", "17M", "-maxrate", "17M", "-bufsize", "4M",
		"-c:a", "aac", "-b:a", "128k", "-chunk_duration", "1000000", "-map_metadata", "-1", "-fflags", "+bitexact")
}

// Make runs ffmpeg with the options, and a path ending in the extension as its output, and returns the path. The result
// is cached by the options, so a file named in them must never change.
func Make(tb testing.TB, ext string, args ...string) string {
	tb.Helper()
	sum := sha256.Sum256([]byte(strings.Join(args, "\x00")))
	return cached(tb, hex.EncodeToString(sum[:12])+"."+ext, func(path string) error {
		_, err := run(append(slices.Clone(args), "-y", path)...)
		return err
	})
}

// Cut returns a copy of the first part of the file, as a broken upload leaves it; keep is its share, 0 to 1.
func Cut(tb testing.TB, path string, keep float64) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return File(tb, filepath.Ext(path), data[:int(float64(len(data))*keep)])
}

// File returns the path of a file of the test's own with the given content.
func File(tb testing.TB, ext string, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "media"+ext)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Sound is what an ear finds out about a file.
type Sound struct {
	Duration time.Duration // how long it really sounds
	Pitch    float64       // Hz, good to about one in a hundred if it is a tone
}

// Listen decodes the file's first audio track.
func Listen(tb testing.TB, path string) Sound {
	tb.Helper()
	pcm := PCM(tb, path)
	if len(pcm) == 0 {
		tb.Fatalf("%s holds no sound", path)
	}
	crossings := 0
	for i := 1; i < len(pcm); i++ {
		if (pcm[i-1] < 0) != (pcm[i] < 0) {
			crossings++
		}
	}
	d := time.Duration(len(pcm)) * time.Second / pcmRate
	return Sound{Duration: d, Pitch: float64(crossings) / 2 / d.Seconds()}
}

// Duration is Listen's, for those who only care when it ends.
func Duration(tb testing.TB, path string) time.Duration {
	tb.Helper()
	return Listen(tb, path).Duration
}

// Declared returns the duration that the file's header states, as players show it, without decoding.
func Declared(tb testing.TB, path string) time.Duration {
	tb.Helper()
	seconds, err := strconv.ParseFloat(Probe(tb, path, "format=duration"), 64)
	if err != nil {
		tb.Fatalf("%s states no duration: %v", path, err)
	}
	return time.Duration(seconds * float64(time.Second))
}

// Probe returns what ffprobe says for the entries, as "stream=codec_name,sample_rate": the values in ffprobe's order, a
// comma between two.
func Probe(tb testing.TB, path, entries string) string {
	tb.Helper()
	return strings.Join(strings.Fields(probe(tb, path, entries, "csv=p=0")), ",")
}

// Tag returns a tag of the file, as "title"; "" if it has none.
func Tag(tb testing.TB, path, name string) string {
	tb.Helper()
	return strings.TrimSuffix(probe(tb, path, "format_tags="+name, "default=noprint_wrappers=1:nokey=1"), "\n")
}

func probe(tb testing.TB, path, entries, form string) string {
	tb.Helper()
	out, err := command("ffprobe", "-v", "error", "-show_entries", entries, "-of", form, path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

// pcmRate is the sample rate of PCM: enough for the pitch, cheap for long files.
const pcmRate = 8000

// PCM decodes the file's first audio track to mono samples, 8000 per second.
func PCM(tb testing.TB, path string) []int16 {
	tb.Helper()
	raw, err := run("-i", path, "-map", "0:a:0", "-ac", "1", "-ar", strconv.Itoa(pcmRate), "-f", "s16le", "pipe:1")
	if err != nil {
		tb.Fatal(err)
	}
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(uint16(raw[2*i]) | uint16(raw[2*i+1])<<8)
	}
	return pcm
}

// args are ffmpeg's options for the clip, without its output.
func (s Spec) args() ([]string, error) {
	tracks, ok := usual[s.Ext]
	if !ok {
		return nil, fmt.Errorf("testmedia: no container is known for %q", s.Ext)
	}
	s.defaults(tracks)
	var in, out []string
	inputs := 0
	if s.Video != None {
		in = append(in, "-f", "lavfi", "-i", fmt.Sprintf("testsrc=s=%s:r=10:d=%g", s.Size, s.Seconds))
		out = append(out, "-map", "0:v", "-c:v", s.Video, "-pix_fmt", "yuv420p", "-g", "10")
		if s.Video == "mpeg2video" {
			out = append(out, "-r", "25")
		}
		inputs++
	}
	if s.Audio != None {
		for _, hz := range s.Pitch {
			tone := fmt.Sprintf("sine=f=%g:r=%d:d=%g,aformat=channel_layouts=%s", hz, s.Rate, s.Sound, s.Layout)
			in = append(in, "-f", "lavfi", "-i", tone)
			out = append(out, "-map", strconv.Itoa(inputs)+":a")
			inputs++
		}
		out = append(out, "-c:a", s.Audio, "-strict", "-2")
	}
	return slices.Concat(in, out, []string{"-map_metadata", "-1", "-fflags", "+bitexact"}, s.Flags), nil
}

func (s *Spec) defaults(tracks [2]string) {
	if s.Video == "" {
		s.Video = tracks[0]
	}
	if s.Audio == "" {
		s.Audio = tracks[1]
	}
	if s.Seconds == 0 {
		s.Seconds = 2
	}
	if s.Sound == 0 {
		s.Sound = s.Seconds
	}
	if s.Rate == 0 {
		s.Rate = 44100
		if strings.Contains(s.Audio, "opus") {
			s.Rate = 48000
		}
	}
	if s.Layout == "" {
		s.Layout = "mono"
	}
	if len(s.Pitch) == 0 {
		s.Pitch = []float64{440}
	}
	if s.Size == "" {
		s.Size = "64x48"
	}
}

// cached returns the path of the named file, made by build unless it is there. Two processes may build it at once: each
// writes a file of its own, and both are the same.
func cached(tb testing.TB, name string, build func(path string) error) string {
	tb.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("mp3converter-testmedia-%d", os.Getuid()))
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	work, err := os.MkdirTemp(dir, "making-")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(work)
	fresh := filepath.Join(work, name)
	if err := build(fresh); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(fresh, path); err != nil {
		tb.Fatal(err)
	}
	return path
}

// FFmpeg is the full build, as PATH had it when the program started: tests may put another ffmpeg there.
var FFmpeg = full("ffmpeg")

func full(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return name
}

func run(args ...string) ([]byte, error) {
	return command(FFmpeg, append([]string{"-nostdin", "-hide_banner", "-loglevel", "error"}, args...)...)
}

// command runs a program of the ffmpeg family and returns what it prints.
func command(name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("testmedia: %s %s: %w (apt-get install ffmpeg, if it is missing): %s",
			name, strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes(), nil
}
