package ffmpeg

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/testmedia"
)

// forced has every conversion that may be split be split, whatever it costs.
func forced() *Cores {
	c := NewCores(3)
	c.plan = plan{least: 700 * time.Millisecond, most: time.Minute}
	return c
}

func TestASplitSoundsAsASerialOne(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]testmedia.Spec{
		"AAC": {},
	} {
		for _, profile := range job.Profiles {
			t.Run(name+" "+string(profile), func(t *testing.T) {
				t.Parallel()
				clip := testmedia.Clip(t, spec)
				o := Options{Title: "a title", Profile: profile}
				c := forced()
				c.trace = func(what string) { t.Log(what) }
				got, _, err := convertOnce(t, Runner{Cores: c}, clip, o)
				if err != nil {
					t.Fatal(err)
				}
				want, _, err := convertOnce(t, Runner{}, clip, o)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(floats(t, got), floats(t, want)) {
					t.Error("decodes to something else")
				}
			})
		}
	}
}

// floats decodes an MP3.
func floats(tb testing.TB, path string) []byte {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), testmedia.FFmpeg, "-v", "error", "-i", path, "-f", "f32le", "-").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

var _ = os.Args
