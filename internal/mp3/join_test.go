package mp3

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	full = flag.Bool("full", false, "join 50 random clips in all profiles and segment counts")
	seed = flag.Uint64("seed", 0, "of the random clips; 0 is another one each time")
)

// profile is what the service encodes with, and the form of the sound that goes in.
type profile struct {
	quality        string
	rate, channels int
}

var profiles = map[string]profile{
	"standard": {"5", 44100, 2}, "high": {"2", 48000, 2}, "best": {"0", 44100, 2}, "voice": {"5", 24000, 1},
	"mono": {"5", 44100, 1}, "32 kHz": {"2", 32000, 2}, "22 kHz": {"5", 22050, 2}, "8 kHz": {"5", 8000, 1},
}

// A file is an io.WriteSeeker in memory.
type file struct {
	b  []byte
	at int
}

func (f *file) Write(p []byte) (int, error) {
	if need := f.at + len(p); need > len(f.b) {
		f.b = append(f.b, make([]byte, need-len(f.b))...)
	}
	f.at += copy(f.b[f.at:], p)
	return len(p), nil
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	f.at = int(offset) + []int{0, f.at, len(f.b)}[whence]
	return int64(f.at), nil
}

// A job is one sound to be encoded in segments.
type job struct {
	tb     testing.TB
	sound  sound
	args   []string
	frame  int // samples of a frame
	extras int // encodes that were made because two did not agree
}

func newJob(tb testing.TB, s sound, args ...string) *job {
	frame := 1152
	if s.rate < 32000 {
		frame = 576
	}
	return &job{tb: tb, sound: s, args: append([]string{"-reservoir", "0"}, args...), frame: frame}
}

// segment encodes the frames from first on, to end or the end of the sound; last tells which.
func (j *job) segment(first, end int64) (mp3 io.Reader, last bool) {
	from, to := int(first)*j.frame, min(int(end)*j.frame, j.sound.length())
	return bytes.NewReader(j.sound.encode(j.tb, from, to, j.args...)), to == j.sound.length()
}

const (
	leadIn  = 8
	overrun = 24
)

// join encodes the sound in k segments and joins them.
func (j *job) join(k int, repack bool) []byte {
	j.tb.Helper()
	out := &file{}
	joiner := Joiner{Dst: out, Repack: repack}
	frames := int64(j.sound.length() / j.frame)
	for n := range int64(k) {
		first, end := max(0, frames*n/int64(k)-leadIn), frames*(n+1)/int64(k)+overrun
		if n == int64(k)-1 {
			end = frames + 2
		}
		if j.add(&joiner, first, end) {
			break
		}
	}
	if err := joiner.Close(); err != nil {
		j.tb.Fatal(err)
	}
	return out.b
}

// add adds a segment, and other encodes before it until it agrees with them. It tells whether the end has been reached.
func (j *job) add(joiner *Joiner, first, end int64) bool {
	for more := int64(32); ; more *= 2 {
		segment, last := j.segment(first, end)
		err := joiner.Add(segment, first)
		overlap := (*OverlapError)(nil)
		switch {
		case err == nil:
			return last
		case !errors.As(err, &overlap):
			j.tb.Fatal(err)
		}
		j.extras++
		between, beyond := overlap.Between(more)
		if j.add(joiner, between, beyond) {
			return true
		}
	}
}

func TestJoinedSegmentsEqualOneEncode(t *testing.T) {
	t.Parallel()
	start := *seed
	if start == 0 {
		start = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", start)
	r := rand.New(rand.NewPCG(start, 1))
	names, sounds := sortedKeys(profiles), sortedKeys(kinds)
	clips := 2
	if *full {
		clips = 50
	}
	for clip := range clips {
		for i, name := range names {
			p := profiles[name]
			kind := sounds[(clip+i)%len(sounds)]
			seconds, k, clipSeed := 4+8*r.Float64(), 2+r.IntN(8), r.Uint64()
			t.Run(fmt.Sprintf("%s %s %.1f s %d", name, kind, seconds, k), func(t *testing.T) {
				s := makeSound(clipSeed, kind, p.rate, p.channels, seconds)
				j := newJob(t, s, "-q:a", p.quality)
				want := s.encode(t, 0, s.length(), j.args...)
				got := j.join(k, false)
				t.Log(j.extras)
				if !bytes.Equal(got, want) {
					t.Errorf("differs from the serial encode: %s", difference(got, want))
				}
			})
		}
	}
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func difference(got, want []byte) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Sprintf("at byte %d of %d: %x, want %x", i, len(got), got[i:min(i+8, len(got))], want[i:min(i+8, len(want))])
		}
	}
	return "equal"
}
