package mp3

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A sound is what the tests encode: interleaved samples.
type sound struct {
	rate, channels int
	pcm            []float32
}

func (s sound) length() int { return len(s.pcm) / s.channels }

// kinds are the sounds that are hard in different ways.
var kinds = map[string]func(r *rand.Rand, rate int) func() float64{
	"music": music, "speech": speech, "noise": noise, "clipped": clipped, "silence": silence, "whisper": whisper,
}

// makeSound makes the sound that the seed says; its channels have something in common, as those of recordings.
func makeSound(seed uint64, kind string, rate, channels int, seconds float64) sound {
	r := rand.New(rand.NewPCG(seed, 7))
	s := sound{rate: rate, channels: channels}
	middle, side := kinds[kind](r, rate), kinds[kind](r, rate)
	for range int(seconds * float64(rate)) {
		m, d := middle(), 0.3*side()
		if channels == 1 {
			s.pcm = append(s.pcm, float32(m))
			continue
		}
		s.pcm = append(s.pcm, float32(m+d), float32(m-d))
	}
	return s
}

// music: decaying tones with harmonics, a few at once, struck at random.
func music(r *rand.Rand, rate int) func() float64 {
	type voice struct {
		left                      int
		phase, step, level, decay float64
	}
	voices := make([]voice, 4)
	return func() float64 {
		sum := 0.0
		for i := range voices {
			v := &voices[i]
			if v.left--; v.left < 0 {
				*v = voice{
					left:  r.IntN(rate),
					step:  2 * math.Pi * 110 * math.Pow(2, float64(r.IntN(36))/12) / float64(rate),
					level: 0.25 * r.Float64(), decay: 1 - 1/(float64(rate)*(0.1+r.Float64())),
				}
			}
			v.phase += v.step
			v.level *= v.decay
			sum += v.level * (math.Sin(v.phase) + math.Sin(2*v.phase)/2 + math.Sin(5*v.phase)/4)
		}
		return sum
	}
}

// speech: bursts of coloured noise and tone with digital silence between.
func speech(r *rand.Rand, rate int) func() float64 {
	left, level, pitch, phase, low := 0, 0.0, 0.0, 0.0, 0.0
	return func() float64 {
		if left--; left < 0 {
			left = int(float64(rate) * (0.02 + 0.4*r.Float64()))
			level = max(0, r.Float64()-0.4)
			pitch = 2 * math.Pi * (90 + 160*r.Float64()) / float64(rate)
		}
		if level == 0 {
			return 0
		}
		phase += pitch
		low += 0.2 * (r.NormFloat64() - low)
		return level * (math.Pow(math.Sin(phase), 7) + 0.3*low)
	}
}

// whisper: speech with loudness from nearly nothing to full, which encoders adapt to slowly.
func whisper(r *rand.Rand, rate int) func() float64 {
	left, level, low := 0, 0.0, 0.0
	return func() float64 {
		if left--; left < 0 {
			left = int(float64(rate) * (0.02 + 0.3*r.Float64()))
			level = math.Pow(10, -4*r.Float64())
		}
		low += 0.2 * (r.NormFloat64() - low)
		return level * low
	}
}

func noise(r *rand.Rand, _ int) func() float64 {
	low := 0.0
	return func() float64 {
		low += 0.3 * (r.NormFloat64() - low)
		return 0.2 * low
	}
}

// clipped: music far too loud, gated.
func clipped(r *rand.Rand, rate int) func() float64 {
	source, gate, left := music(r, rate), 1.0, 0
	return func() float64 {
		if left--; left < 0 {
			left, gate = r.IntN(rate), float64(r.IntN(3))*4
		}
		return max(-1, min(1, gate*source()))
	}
}

// silence: seconds of it, and music on both sides.
func silence(r *rand.Rand, rate int) func() float64 {
	source, n := music(r, rate), 0
	return func() float64 {
		v := source()
		if n++; n > rate && n < 7*rate {
			return 0
		}
		return v
	}
}

// wav is the sound between two samples as a file.
func (s sound) wav(from, to int) []byte {
	pcm := s.pcm[from*s.channels : to*s.channels]
	var b bytes.Buffer
	b.WriteString("RIFF\xff\xff\xff\xffWAVEfmt ")
	for _, v := range []any{
		uint32(16), uint16(3), uint16(s.channels), uint32(s.rate), uint32(s.rate * s.channels * 4), uint16(s.channels * 4), uint16(32),
		[]byte("data"), uint32(len(pcm) * 4), pcm,
	} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// ffmpegPath is the converter's own ffmpeg if it has been built, else the machine's.
func ffmpegPath(tb testing.TB) string {
	tb.Helper()
	if path, err := filepath.Abs("../../bin/ffmpeg"); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return "ffmpeg"
}

// encode makes an MP3 of the samples from up to to.
func (s sound) encode(tb testing.TB, from, to int, args ...string) []byte {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "out.mp3")
	all := append([]string{"-v", "error", "-f", "wav", "-i", "pipe:0", "-c:a", "libmp3lame"}, args...)
	cmd := exec.CommandContext(tb.Context(), ffmpegPath(tb), append(all, "-f", "mp3", "-y", path)...)
	cmd.Stdin = bytes.NewReader(s.wav(from, to))
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("encode: %v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	os.Remove(path)
	return b
}
