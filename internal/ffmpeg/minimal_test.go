package ffmpeg

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/testmedia"
)

// folderOfFFmpeg names a folder whose ffmpeg the tests are to run instead of PATH's; clips are made with PATH's all the same.
const folderOfFFmpeg = "FFMPEG_TEST_FOLDER"

// minimal is the folder of the ffmpeg that the converter's image has, if it was built here.
func minimal(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ffmpeg")); err != nil {
		t.Skip("not built; run: make ffmpeg")
	}
	return dir
}

// everyWay reports whether convert is to compare all ways of converting. That they agree is our doing, not ffmpeg's, and to start
// Debian's takes fifty times as long: so it is with the image's, where that is built. What both make of one process is compared by
// TestTheMinimalFFmpegMakesTheSameBytes.
func everyWay() bool {
	_, err := os.Stat("../../bin/ffmpeg")
	return os.Getenv(folderOfFFmpeg) != "" || err != nil
}

// ourDoing skips a test of many conversions that shows how we go about them: it is made with the image's ffmpeg. What comes of several
// processes of Debian's, TestEveryContainerGivesItsSound listens to.
func ourDoing(t *testing.T) {
	t.Helper()
	if !everyWay() {
		t.Skip("it is made with the image's ffmpeg")
	}
}

// Users of the image get another ffmpeg than the one that the other tests run, so they are run once more with it.
func TestTheMinimalFFmpegPassesTheOtherTests(t *testing.T) {
	dir := minimal(t)
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.skip=Minimal", "-test.v")
	again.Env = append(os.Environ(), folderOfFFmpeg+"="+dir)
	out, err := again.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, regexp.MustCompile(`(?m)^\s*(=== .*|--- (PASS|SKIP).*)\n`).ReplaceAll(out, nil))
	}
	t.Logf("%d tests", bytes.Count(out, []byte("--- PASS")))
}

func TestTheMinimalFFmpegMakesTheSameBytes(t *testing.T) {
	t.Parallel()
	ours, theirs := Runner{Path: filepath.Join(minimal(t), "ffmpeg"), Scratch: t.TempDir()}, Runner{Path: testmedia.FFmpeg, Scratch: t.TempDir()}
	if a, b := version(t, ours), version(t, theirs); a != b {
		t.Skipf("ours is %s, this machine's %s", a, b)
	}
	for name, spec := range map[string]testmedia.Spec{
		"AAC": {}, "MP3": {Ext: "avi"}, "AC-3 5.1": {Ext: "mkv", Audio: "ac3", Layout: "5.1"}, "Opus": {Ext: "webm"},
		"Vorbis": {Ext: "ogg"}, "WMA": {Ext: "wmv"}, "FLAC 96 kHz": {Ext: "flac", Rate: 96000}, "MP2": {Ext: "ts", Audio: "mp2"},
		"8 kHz": {Ext: "wav", Rate: 8000},
	} {
		for _, profile := range job.Profiles {
			t.Run(name+" to "+string(profile), func(t *testing.T) {
				t.Parallel()
				o := Options{Profile: profile, Title: "a title"}
				clip := testmedia.Clip(t, spec)
				a, _, err := convert(t, ours, clip, o)
				if err != nil {
					t.Fatal(err)
				}
				b, _, err := convert(t, theirs, clip, o)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(read(t, a), read(t, b)) {
					t.Error("the MP3s differ")
				}
			})
		}
	}
}

// version is without what a distribution appends.
func version(t *testing.T, r Runner) string {
	t.Helper()
	v, err := r.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, _, _ = strings.Cut(v, "-")
	return v
}

// What container knows and what the arguments allow is what deploy/ffmpeg/build builds in.
func TestTheMinimalBuildHasWhatIsAllowed(t *testing.T) {
	t.Parallel()
	script := string(read(t, "../../deploy/ffmpeg/build"))
	var formats []string
	for _, f := range []container.Format{
		container.MP4, container.Matroska, container.AVI, container.FLV, container.MPEGTS, container.ASF, container.Ogg,
		container.WAV, container.MP3, container.FLAC, container.ADTS,
	} {
		formats = append(formats, string(f))
	}
	formats = append(formats, "pcm_f32le") // of our own making, see decodeArgs; what it decodes to, and back, are:
	for name, want := range map[string][]string{
		"demuxers": formats, "decoders": strings.Split(decoders, ","), "encoders": {"libmp3lame", "pcm_f32le"}, "muxers": {"mp3", "wav"},
	} {
		array := regexp.MustCompile(`(?s)\n` + name + `=\((.*?)\)`).FindStringSubmatch(script)
		if array == nil {
			t.Fatalf("the script has no %s", name)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(strings.Fields(array[1])))); diff != "" {
			t.Errorf("%s (- allowed, + built):\n%s", name, diff)
		}
	}
}

// An ffmpeg that can do less can be talked into less.
func TestTheMinimalFFmpegCanDoNothingElse(t *testing.T) {
	t.Parallel()
	program := filepath.Join(minimal(t), "ffmpeg")
	for what, most := range map[string]string{
		"-protocols": "file pipe", "-devices": "", "-muxers": "mp3 wav", "-encoders": "libmp3lame pcm_f32le", "-bsfs": "",
		"-demuxers": "aac asf avi f32le flac flv matroska,webm mov,mp4,m4a,3gp,3g2,mj2 mp3 mpegts ogg wav",
		"-decoders": strings.ReplaceAll(decoders, ",", " "),
	} {
		out, err := exec.CommandContext(t.Context(), program, "-hide_banner", what).Output()
		if err != nil {
			t.Fatal(err)
		}
		have := regexp.MustCompile(`(?m)^ *(?:[DEAVSFXB.]+ +)?([a-z0-9_,]+)(?: {2,}.*)?$`).FindAllStringSubmatch(string(out), -1)
		if len(have) == 0 && most != "" {
			t.Errorf("%s lists nothing:\n%s", what, out)
		}
		for _, one := range have {
			if !strings.Contains(" "+most+" ", " "+one[1]+" ") {
				t.Errorf("%s: it knows %s", what, one[1])
			}
		}
	}
}
