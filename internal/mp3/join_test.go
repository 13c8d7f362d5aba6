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

// join encodes the sound in k segments and joins them.
func (j *job) join(k int) []byte {
	j.tb.Helper()
	out := &file{}
	joiner := Joiner{Dst: out}
	frames := int64(j.sound.length() / j.frame)
	for n := range int64(k) {
		first, end := max(0, frames*n/int64(k)-LeadIn), frames*(n+1)/int64(k)+Overlap
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

// The promise of the package, on random sounds: joined segments are what one encode writes, header included; repacked they
// sound the same in two decoders, to the last sample, and are no larger than LAME makes them with its reservoir.
func TestJoinedSegmentsEqualOneEncode(t *testing.T) {
	t.Parallel()
	start := *seed
	if start == 0 {
		start = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", start)
	r := rand.New(rand.NewPCG(start, 1))
	names, sounds, clips := sortedKeys(profiles), sortedKeys(kinds), 1
	if *full {
		clips = 50
	}
	for clip := range clips {
		for i, name := range names {
			p, kind := profiles[name], sounds[(clip+i)%len(sounds)]
			seconds, k, clipSeed := 4+4*r.Float64(), 2+r.IntN(8), r.Uint64()
			t.Run(fmt.Sprintf("%s %s %.1f s %d segments", name, kind, seconds, k), func(t *testing.T) {
				s := makeSound(clipSeed, kind, p.rate, p.channels, seconds)
				j := newJob(t, s, "-q:a", p.quality)
				want := s.encode(t, 0, s.length(), j.args...)
				got := j.join(k)
				if !bytes.Equal(got, want) {
					t.Fatalf("not what one encode writes: %s", difference(got, want))
				}
				packed := repack(t, got, s.length())
				checkDecodes(t, s, packed, want)
				checkHeader(t, packed, want)
				checkSize(t, packed, want, s.encode(t, 0, s.length(), "-q:a", p.quality))
			})
		}
	}
}

// With a lead-in of eight frames these were spliced where they agreed by chance.
func TestFramesMayAgreeBeforeLAMEHasAdapted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"voice", "best"} {
		p := profiles[name]
		s := makeSound(10, "whisper", p.rate, p.channels, 9)
		j := newJob(t, s, "-q:a", p.quality)
		if got, want := j.join(9), s.encode(t, 0, s.length(), j.args...); !bytes.Equal(got, want) {
			t.Errorf("%s: not what one encode writes: %s", name, difference(got, want))
		}
	}
}

// Silence proves nothing, so that one encode must go over all of it.
func TestSilenceIsNotSpliced(t *testing.T) {
	t.Parallel()
	s := sound{rate: 44100, channels: 1, pcm: make([]float32, 10*44100)}
	j := newJob(t, s, "-q:a", "5")
	if got, want := j.join(3), s.encode(t, 0, s.length(), j.args...); !bytes.Equal(got, want) {
		t.Errorf("not what one encode writes: %s", difference(got, want))
	}
	if j.extras == 0 {
		t.Error("segments of silence were spliced")
	}
}

func TestJoinerRefuses(t *testing.T) {
	t.Parallel()
	s := makeSound(6, "noise", 44100, 1, 8)
	j := newJob(t, s, "-q:a", "5")
	whole, second := s.encode(t, 0, s.length(), j.args...), s.encode(t, 100*j.frame, s.length(), j.args...)
	other := makeSound(7, "noise", 44100, 1, 8)
	faster := s.encode(t, 100*j.frame, s.length(), "-reservoir", "0", "-q:a", "5", "-ar", "48000")
	changing := slices.Concat(toBytes(slices.Concat(frames(t, second)[:50], frames(t, faster)[1:]))...)
	for name, tt := range map[string]struct {
		segment []byte
		first   int64
		overlap bool
	}{
		"another sound":     {other.encode(t, 100*j.frame, s.length(), j.args...), 100, true},
		"one frame off":     {second, 101, true},
		"a gap":             {second, 400, true},
		"nothing":           {nil, 100, true},
		"other settings":    {s.encode(t, 100*j.frame, s.length(), "-reservoir", "0", "-q:a", "2"), 100, true},
		"another rate":      {faster, 100, true},
		"a change of rate":  {changing, 100, false},
		"a reservoir":       {s.encode(t, 100*j.frame, s.length(), "-q:a", "5"), 100, false},
		"bytes missing":     {slices.Delete(bytes.Clone(second), 5000, 5001), 100, false},
		"the same, but not": {other.encode(t, 0, s.length(), j.args...), 0, false},
	} {
		out := &file{}
		joiner := Joiner{Dst: out}
		if err := joiner.Add(bytes.NewReader(whole), 0); err != nil {
			t.Fatal(err)
		}
		err, overlap := joiner.Add(bytes.NewReader(tt.segment), tt.first), (*OverlapError)(nil)
		if err == nil || errors.As(err, &overlap) != tt.overlap {
			t.Errorf("%s: %v", name, err)
		}
		if err := joiner.Close(); err != nil || !bytes.Equal(out.b, whole) {
			t.Errorf("%s: %v; what was joined before is %s", name, err, difference(out.b, whole))
		}
	}
	if err := (&Joiner{Dst: &file{}}).Add(bytes.NewReader(second), 100); err == nil {
		t.Error("the first segment may begin at frame 100")
	}
	if err := (&Joiner{Dst: &file{}}).Close(); err == nil {
		t.Error("there need not be a segment")
	}
}

// What a joiner holds does not grow with the segments.
func TestJoinerHoldsTheOverlapOnly(t *testing.T) {
	t.Parallel()
	s := makeSound(6, "noise", 44100, 1, 2)
	mp3 := s.encode(t, 0, s.length(), "-reservoir", "0", "-q:a", "5")
	all := frames(t, mp3)
	head, body := mp3[:len(mp3)-len(slices.Concat(toBytes(all[1:])...))], slices.Concat(toBytes(all[1:])...)
	long := append(bytes.Clone(head), bytes.Repeat(body, 200)...)
	joiner := Joiner{Dst: &file{}, Repack: true}
	if err := joiner.Add(bytes.NewReader(long), 0); err != nil {
		t.Fatal(err)
	}
	overlap := (*OverlapError)(nil)
	if err := joiner.Add(bytes.NewReader(long), 7); !errors.As(err, &overlap) { // it repeats itself, but not after 7 frames
		t.Fatal(err)
	}
	if len(joiner.held) > window || len(joiner.packer.open) > 64 {
		t.Errorf("%d frames are held, and %d to be packed", len(joiner.held), len(joiner.packer.open))
	}
	if want := int64(200 * (len(all) - 1)); overlap.End != want || joiner.end() != want {
		t.Errorf("read up to frame %d, want %d", overlap.End, want)
	}
}

// ffmpeg's padding is wrong where the last two packets are padding.
func TestKnownLengthMakesPaddingExact(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"standard", "voice"} {
		p := profiles[name]
		s := makeSound(8, "music", p.rate, p.channels, 2)
		frame := newJob(t, s).frame
		for beyond, wrong := range map[int]int64{0: 0, 10: 37, 47: 0} {
			s.pcm = s.pcm[:(20*frame+beyond)*p.channels]
			mp3 := s.encode(t, 0, s.length(), "-reservoir", "0", "-q:a", p.quality)
			if got := check(t, mp3).Info.Samples() - int64(s.length()); got != wrong {
				t.Errorf("%s: ffmpeg's own header is wrong by %d samples, want %d", name, got, wrong)
			}
			if got := check(t, repack(t, mp3, s.length())).Info.Samples(); got != int64(s.length()) {
				t.Errorf("%s: %d samples, of %d", name, got, s.length())
			}
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
