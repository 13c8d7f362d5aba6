package testsuite

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mp3converter/internal/testmedia"
)

// Clip is a video of two seconds with sound, as most stories need it.
func Clip(t testing.TB) string {
	t.Helper()
	return testmedia.Clip(t, testmedia.Spec{})
}

// Saved writes a file of the test's own.
func Saved(t testing.TB, ext, data string) string {
	t.Helper()
	return testmedia.File(t, ext, []byte(data))
}

// Lasts fails the test unless the MP3 sounds as long as it should, within 50 ms.
func Lasts(t *testing.T, mp3 string, want time.Duration) {
	t.Helper()
	if got := testmedia.Duration(t, mp3); math.Abs((got - want).Seconds()) > 0.05 {
		t.Errorf("the MP3 lasts %v, the video's sound %v", got, want)
	}
}

func Read(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// SlowFFmpeg returns a program that converts no faster than the sound plays. It is a script: SANDBOX=off.
func SlowFFmpeg(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(imageFFmpeg(), "ffmpeg"))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec %s -re \"$@\"\n", path), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}
