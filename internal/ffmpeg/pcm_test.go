package ffmpeg

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// sound is a pcm of mono samples at 8 kHz, 576 in a frame.
func sound(t *testing.T, samples []float32) *pcm {
	t.Helper()
	f, err := Runner{Scratch: t.TempDir()}.Temp()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	head := slices.Concat([]byte("RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\x00\x00\x00\x03\x00\x01\x00"), le(8000), le(32000), []byte("\x04\x00\x20\x00LIST"), le(4),
		[]byte("abcddata"), le(math.MaxUint32))
	for _, s := range samples {
		head = append(head, le(math.Float32bits(s))...)
	}
	if _, err := f.Write(head); err != nil {
		t.Fatal(err)
	}
	p := &pcm{file: f}
	if err := p.look(); err != nil {
		t.Fatal(err)
	}
	return p
}

func le(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func TestAPCMIsLookedAtAsItGrows(t *testing.T) {
	t.Parallel()
	whole := sound(t, make([]float32, 600))
	head := make([]byte, whole.data+600*floatSize)
	if _, err := whole.file.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	f := scratch(t, Runner{Scratch: t.TempDir()})
	defer f.Close()
	p := &pcm{file: f}
	for i := range head {
		if _, err := f.Write(head[i : i+1]); err != nil {
			t.Fatal(err)
		}
		if err := p.look(); err != nil {
			t.Fatal(err)
		}
		if want := max(0, int64(i+1)-whole.data) / floatSize; p.samples != want {
			t.Fatalf("of %d bytes %d samples, want %d", i+1, p.samples, want)
		}
	}
	if p.rate != 8000 || p.channels != 1 || p.frame() != 576 || p.frames() != 1 {
		t.Errorf("rate %d, %d channels, %d frames of %d", p.rate, p.channels, p.frames(), p.frame())
	}
	if _, err := f.WriteAt([]byte{1}, 20); err != nil { // whole numbers
		t.Fatal(err)
	}
	if err := (&pcm{file: f}).look(); err == nil {
		t.Error("whole numbers are taken for floats")
	}
}

func TestSoundingFramesAreCounted(t *testing.T) {
	t.Parallel()
	samples := make([]float32, 4*576)
	samples[576], samples[3*576-1], samples[3*576] = audible*2, -audible*2, audible/2
	for _, tt := range []struct{ first, end, want int64 }{{0, 4, 2}, {0, 1, 0}, {1, 2, 1}, {3, 4, 0}} {
		if got, err := sound(t, samples).sounding(tt.first, tt.end); err != nil || int64(got) != tt.want {
			t.Errorf("of frames %d to %d, %d sound, %v; want %d", tt.first, tt.end, got, err, tt.want)
		}
	}
}

// ffmpeg would skip it.
func TestASegmentDoesNotBeginLikeATag(t *testing.T) {
	t.Parallel()
	samples := make([]float32, 4*576)
	samples[2*576] = math.Float32frombits(binary.LittleEndian.Uint32([]byte("ID3\x04")))
	s := &split{pcm: *sound(t, samples)}
	for frame, want := range []int64{0, 1, 1, 3} {
		if got, err := s.begin(int64(frame)); got != want || err != nil {
			t.Errorf("for frame %d: %d, %v; want %d", frame, got, err, want)
		}
	}
}
