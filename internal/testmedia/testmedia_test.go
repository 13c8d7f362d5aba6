package testmedia

import (
	"math"
	"os"
	"testing"
	"time"
)

func TestEveryContainerSoundsAsAsked(t *testing.T) {
	t.Parallel()
	for ext := range usual {
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			spec := Spec{Ext: ext, Seconds: 1, Pitch: []float64{500}}
			if ext == "3gp" {
				spec.Rate = 8000
			}
			clip := Clip(t, spec)
			got := Listen(t, clip)
			if got.Duration < 900*time.Millisecond || got.Duration > 1200*time.Millisecond {
				t.Errorf("it sounds for %v, want about 1 s", got.Duration)
			}
			if math.Abs(got.Pitch-500) > 40 {
				t.Errorf("the tone has %.0f Hz, want 500", got.Pitch)
			}
		})
	}
}

func TestTheSameClipIsMadeOnce(t *testing.T) {
	t.Parallel()
	if a, b := Clip(t, Spec{Seconds: 1}), Clip(t, Spec{Ext: "mp4", Seconds: 1}); a != b {
		t.Errorf("two files for one clip: %s and %s", a, b)
	}
}

func TestATagComesBackAsItIs(t *testing.T) {
	t.Parallel()
	const title = "-a = b; \"c\"\nd\\"
	clip := Clip(t, Spec{Ext: "mp3", Seconds: 1, Flags: []string{"-metadata", "title=" + title}})
	if got := Tag(t, clip, "title"); got != title {
		t.Errorf("Tag = %q, want %q", got, title)
	}
	if got := Tag(t, clip, "artist"); got != "" {
		t.Errorf("Tag of a missing one = %q", got)
	}
}

func TestACutFileIsThatPart(t *testing.T) {
	t.Parallel()
	whole := File(t, ".mp4", []byte("0123456789"))
	got, err := os.ReadFile(Cut(t, whole, 0.5))
	if err != nil || string(got) != "01234" {
		t.Errorf("Cut gave %q, %v", got, err)
	}
}
