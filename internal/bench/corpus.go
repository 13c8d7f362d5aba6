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

// A clip is a video of the corpus. All are made of sums and noise by Debian's ffmpeg: no file is taken from anybody.
type clip struct {
	Name     string
	Seconds  int
	sound    string   // a key of sounds; default music
	pictures string   // a key of pictures; default camera
	audio    []string // how the sound is encoded; default AAC, 160 kb/s
	ext      string   // the container; default mp4, which ffmpeg writes with moov last
	flags    []string // further options of the muxer
	full     bool     // only with -full: a run is to end after ten minutes
}

// The clips that goals of their own are set for.
const (
	clip10s   = "10 s"
	clip60s   = "60 s"
	clip10min = "10 min"
	clipPhone = "17 Mb/s, sound once a second"
	clipMP3   = "MP3 in MP4, 10 min"
)

// corpus lists the clips: how long, in which container, of which sound.
func corpus() []clip {
	mp2 := []string{"-c:a", "mp2", "-b:a", "192k"}
	mp3 := []string{"-c:a", "libmp3lame", "-b:a", "128k"}
	return []clip{
		{Name: clip10s, Seconds: 10},
		{Name: clip60s, Seconds: 60},
		{Name: clip10min, Seconds: 600},
		{Name: "2 h", Seconds: 7200, pictures: "stamp", full: true},
		{Name: "speech", Seconds: 30, sound: "speech", full: true},
		{Name: "silence", Seconds: 30, sound: "silence", full: true},
		{Name: "MP4, moov first", Seconds: 30, flags: []string{"-movflags", "+faststart"}, full: true},
		{Name: "MP4, fragmented", Seconds: 30, flags: []string{"-movflags", "+frag_keyframe+empty_moov+default_base_moof"}},
		{Name: clipPhone, Seconds: 30, pictures: "phone", flags: []string{"-chunk_duration", "1000000"}},
		{Name: clipMP3, Seconds: 600, pictures: "stamp", audio: mp3}, // copied: in less, starting a process is what is measured
		{Name: "MKV", Seconds: 30, ext: "mkv", full: true},
		{Name: "WebM", Seconds: 30, ext: "webm", pictures: "vp8", audio: []string{"-c:a", "libopus", "-b:a", "128k"}},
		{Name: "AVI", Seconds: 30, ext: "avi", audio: mp3, full: true},
		{Name: "TS", Seconds: 30, ext: "ts", pictures: "mpeg2", audio: mp2, full: true},
	}
}

// pictures are there to be read past. They are made for some seconds and repeated.
const pictureSeconds = 10

var pictures = map[string][]string{
	"camera":      constantRate("640x360", 25, "mpeg4", "2340k"),
	"phone":       constantRate("1280x720", 30, "mpeg4", "17M"),
	"stamp":       constantRate("64x48", 10, "mpeg4", "100k"),
	"mpeg2":       constantRate("640x360", 25, "mpeg2video", "2340k"),
	"vp8 stamp":   append(constantRate("64x48", 10, "libvpx", "100k"), "-deadline", "realtime", "-cpu-used", "8"),
	"mpeg2 stamp": constantRate("64x48", 25, "mpeg2video", "300k"),
	"vp8":         append(constantRate("640x360", 25, "libvpx", "2340k"), "-deadline", "realtime", "-cpu-used", "8"),
}

func constantRate(size string, perSecond int, codec, rate string) []string {
	return []string{
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=s=%s:r=%d:d=%d,noise=alls=40:allf=t", size, perSecond, pictureSeconds),
		"-c:v", codec, "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", "2M", "-g", strconv.Itoa(2 * perSecond),
	}
}

// sounds are made for some seconds and repeated before they are encoded. How hard LAME has to work shows in the bit rate
// that it chooses: of chords alone it makes 33 kb/s in half the time, of chords over noise 130, as of music.
const soundSeconds = 37

var sounds = map[string][]string{
	"music": {
		"-f", "lavfi", "-i", source("aevalsrc='%s|%s':s=44100",
			"0.12*(sin(220*2*PI*t)+sin(277.2*2*PI*t)*sin(t/3)+sin(329.6*2*PI*t)*cos(t/5)+0.5*sin(1760*2*PI*t)*sin(7*t))",
			"0.12*(sin(221*2*PI*t)+sin(277.2*2*PI*t)*cos(t/3)+sin(329.6*2*PI*t)*sin(t/5)+0.5*sin(1975*2*PI*t)*sin(5*t))"),
		"-f", "lavfi", "-i", source("anoisesrc=c=pink:a=0.2:r=44100:seed=%d", 1),
		"-f", "lavfi", "-i", source("anoisesrc=c=pink:a=0.2:r=44100:seed=%d", 2),
		"-filter_complex", "[1][2]join=inputs=2:channel_layout=stereo,tremolo=f=3:d=0.5[n];[0][n]amix=inputs=2:normalize=0",
	},
	// A voice of 120 Hz with overtones up to 4 kHz, in syllables of a quarter of a second, words, and pauses between sentences.
	"speech": {
		"-f", "lavfi", "-i", source("aevalsrc='%s':s=44100",
			"0.05*gt(sin(2*PI*t/7),-0.6)*gt(sin(2*PI*t*1.1),-0.7)*abs(sin(2*PI*t*2))*("+harmonics(120, 32)+")+0.002*(random(0)-0.5)"),
		"-ac", "2",
	},
	"silence": {"-f", "lavfi", "-i", source("anullsrc=r=44100:cl=%s", "stereo")},
}

func source(format string, args ...any) string {
	return fmt.Sprintf(format, args...) + fmt.Sprintf(":d=%d", soundSeconds)
}

// harmonics is a tone with overtones that grow fainter, its pitch rising and falling.
func harmonics(pitch, count int) string {
	var all []string
	for n := 1; n <= count; n++ {
		all = append(all, fmt.Sprintf("sin(%d*(2*PI*t+0.08*sin(2*PI*t*0.7)))/%d", pitch*n, (n+1)/2))
	}
	return strings.Join(all, "+")
}

func (c clip) withDefaults() clip {
	if c.sound == "" {
		c.sound = "music"
	}
	if c.pictures == "" {
		c.pictures = "camera"
	}
	if c.audio == nil {
		c.audio = []string{"-c:a", "aac", "-b:a", "160k"}
	}
	if c.ext == "" {
		c.ext = "mp4"
	}
	return c
}

// steps are the runs of ffmpeg, in one folder, that make the clip.
func (c clip) steps() [][]string {
	c = c.withDefaults()
	sound := append(append([]string{}, sounds[c.sound]...), "-t", strconv.Itoa(soundSeconds), "sound.wav")
	last := []string{
		"-stream_loop", "-1", "-i", "pictures.mkv", "-stream_loop", "-1", "-i", "sound.wav", "-t", strconv.Itoa(c.Seconds),
		"-map", "0:v", "-map", "1:a", "-c:v", "copy",
	}
	last = append(append(append(last, c.audio...), c.flags...), "clip."+c.ext)
	return [][]string{append(append([]string{}, pictures[c.pictures]...), "pictures.mkv"), sound, last}
}

// media is a clip that lies in a file.
type media struct {
	clip
	path string
	size int64
}

// media returns the clip's file, made now unless a run before has left it.
func (b *bench) media(ctx context.Context, c clip) (media, error) {
	c = c.withDefaults()
	steps := c.steps()
	sum := sha256.Sum256([]byte(fmt.Sprint(steps)))
	m := media{clip: c, path: filepath.Join(b.keep, "bench-"+hex.EncodeToString(sum[:6])+"."+c.ext)}
	if _, err := os.Stat(m.path); err != nil {
		b.say("making a video: %s", c.Name)
		if err := b.film(ctx, steps, m.path); err != nil {
			return m, err
		}
	}
	info, err := os.Stat(m.path)
	if err == nil {
		m.size = info.Size()
	}
	return m, err
}

// film runs the steps and moves what the last one made to path.
func (b *bench) film(ctx context.Context, steps [][]string, path string) error {
	if err := os.MkdirAll(b.keep, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.keep, "clip-") // in the same file system, for the last step
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, step := range steps {
		if err := ffmpeg(ctx, dir, step...); err != nil {
			return err
		}
	}
	return os.Rename(filepath.Join(dir, "clip"+filepath.Ext(path)), path)
}

// ffmpeg runs Debian's in a folder.
func ffmpeg(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
