package ffmpeg

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/testmedia"
)

// near is how far an MP3's length may be from the sound that the clip was made with: codecs work in frames.
const near = 80 * time.Millisecond

// convert runs the real ffmpeg on a file, in several processes where that is done, and returns the MP3's path. It does so again in
// one process, and without the pictures if those can be left out of the file: nothing may come of either. See everyWay.
func convert(tb testing.TB, r Runner, path string, o Options) (string, Result, error) {
	tb.Helper()
	r.Cores = cmp.Or(r.Cores, forced())
	mp3, result, err := convertFile(tb, r, path, o)
	if !everyWay() {
		return mp3, result, err
	}
	late := o
	late.Progress = nil
	early, ok, other := convertEarly(tb, r, path, late)
	switch {
	case !ok:
	case fmt.Sprint(err) != fmt.Sprint(other):
		tb.Errorf("as it comes: %v, once it is there: %v", other, err)
	case err == nil && !bytes.Equal(read(tb, mp3), read(tb, early)):
		tb.Error("as it comes, or once it is there, the MP3s differ")
	}
	if holed, ok := withHoles(tb, path); ok {
		path = holed
	}
	r.Cores, o.Progress = nil, nil
	again, _, other := convertFile(tb, r, path, o)
	switch {
	case fmt.Sprint(err) != fmt.Sprint(other):
		tb.Errorf("in several processes and with its pictures: %v, in one and without: %v", err, other)
	case err == nil && !bytes.Equal(read(tb, mp3), read(tb, again)):
		tb.Error("in several processes and with its pictures, or in one and without, the MP3s differ")
	}
	return mp3, result, err
}

// withHoles returns a copy of the file without the pictures, if it is known which they are.
func withHoles(tb testing.TB, path string) (string, bool) {
	tb.Helper()
	data := read(tb, path)
	spans := container.Sound(bytes.NewReader(data), int64(len(data)))
	if spans == nil {
		return "", false
	}
	out, err := os.CreateTemp(tb.TempDir(), "*"+filepath.Ext(path))
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	err = out.Truncate(int64(len(data)))
	for _, s := range spans {
		_, failed := out.WriteAt(data[s.From:s.To], s.From)
		err = errors.Join(err, failed)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Name(), true
}

func convertFile(tb testing.TB, r Runner, path string, o Options) (string, Result, error) {
	tb.Helper()
	in := opened(tb, path)
	defer in.Close()
	out, err := os.CreateTemp(tb.TempDir(), "*.mp3")
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	result, err := r.Convert(tb.Context(), in, out, o)
	return out.Name(), result, err
}

func TestEveryContainerGivesItsSound(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]testmedia.Spec{
		"MP4, index last":                   {},
		"MP4, index first":                  {Flags: []string{"-movflags", "+faststart"}},
		"MP4, fragmented":                   {Flags: []string{"-movflags", "+frag_keyframe+empty_moov+default_base_moof"}},
		"MP4, partly fragmented":            {Flags: []string{"-movflags", "+frag_keyframe"}},
		"MP4, DASH with a segment index":    {Flags: []string{"-movflags", "+dash+global_sidx"}},
		"MP4, interleaved by the second":    {Seconds: 4, Size: "320x240", Flags: []string{"-chunk_duration", "1000000"}},
		"MP4 of HEVC":                       {Video: "libx265", Flags: []string{"-x265-params", "log-level=none"}},
		"MP4 of MP3":                        {Audio: "libmp3lame"},
		"MP4 of AC-3":                       {Audio: "ac3"},
		"MP4 of ALAC":                       {Audio: "alac"},
		"3GP":                               {Ext: "3gp"},
		"M4A":                               {Ext: "m4a"},
		"MOV":                               {Ext: "mov"},
		"MOV of PCM":                        {Ext: "mov", Audio: "pcm_s16le"},
		"MOV with a time code":              {Ext: "mov", Flags: []string{"-timecode", "01:00:00:00"}},
		"MKV":                               {Ext: "mkv"},
		"MKV of AC-3":                       {Ext: "mkv", Audio: "ac3"},
		"MKV of FLAC":                       {Ext: "mkv", Audio: "flac"},
		"MKV of E-AC-3":                     {Ext: "mkv", Audio: "eac3"},
		"WebM of Opus":                      {Ext: "webm"},
		"WebM of Vorbis":                    {Ext: "webm", Audio: "libvorbis"},
		"WebM, live":                        {Ext: "webm", Flags: []string{"-live", "1"}},
		"AVI of MP3":                        {Ext: "avi"},
		"AVI of PCM":                        {Ext: "avi", Audio: "pcm_s16le"},
		"AVI of AC-3":                       {Ext: "avi", Audio: "ac3"},
		"FLV of MP3":                        {Ext: "flv"},
		"FLV of AAC":                        {Ext: "flv", Video: "libx264", Audio: "aac"},
		"MPEG-TS of AAC":                    {Ext: "ts"},
		"MPEG-TS of MP2":                    {Ext: "ts", Audio: "mp2"},
		"MPEG-TS of AC-3, as on a Blu-ray":  {Ext: "m2ts", Audio: "ac3"},
		"WMV":                               {Ext: "wmv"},
		"WMA":                               {Ext: "wma"},
		"MP3":                               {Ext: "mp3"},
		"MP3 without a header":              {Ext: "mp3", Flags: []string{"-write_xing", "0"}},
		"WAV":                               {Ext: "wav"},
		"FLAC":                              {Ext: "flac"},
		"Ogg of Vorbis":                     {Ext: "ogg", Flags: []string{"-q:a", "9"}},
		"Ogg of Opus":                       {Ext: "ogg", Audio: "libopus"},
		"AAC without a container":           {Ext: "aac"},
		"one second":                        {Seconds: 1},
		"sound shorter than picture":        {Seconds: 6, Sound: 2},
		"sound shorter than picture in MKV": {Ext: "mkv", Seconds: 6, Sound: 2},
		"sound shorter than picture in FLV": {Ext: "flv", Seconds: 6, Sound: 2},
		"sound shorter than picture in AVI": {Ext: "avi", Seconds: 6, Sound: 2},
		"sound shorter than picture in WMV": {Ext: "wmv", Seconds: 6, Sound: 2},
		"sound shorter than picture in fragments": {
			Seconds: 6, Sound: 2, Flags: []string{"-movflags", "+frag_keyframe"},
		},
		"sound only, in MKV":           {Ext: "mkv", Video: testmedia.None},
		"8 kHz mono":                   {Rate: 8000, Seconds: 14},
		"11.025 kHz":                   {Ext: "wav", Rate: 11025, Seconds: 12},
		"96 kHz":                       {Ext: "flac", Rate: 96000},
		"5.1":                          {Ext: "mkv", Audio: "ac3", Layout: "5.1"},
		"5.1 in AAC":                   {Layout: "5.1"},
		"two tracks":                   {Pitch: []float64{440, 880}},
		"two tracks in MKV":            {Ext: "mkv", Pitch: []float64{440, 880}},
		"two tracks in TS":             {Ext: "ts", Pitch: []float64{440, 880}},
		"three tracks of other codecs": {Ext: "mkv", Audio: "flac", Pitch: []float64{440, 660, 880}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec.Seconds = cmp.Or(spec.Seconds, 6)
			sound := cmp.Or(spec.Sound, spec.Seconds)
			cores, said := traced()
			percent := -1
			mp3, result, err := convert(t, Runner{Cores: cores}, testmedia.Clip(t, spec), Options{Progress: func(p int) {
				if p <= percent || p > 99 {
					t.Errorf("progress went from %d to %d", percent, p)
				}
				percent = p
			}})
			if err != nil {
				t.Fatalf("Convert: %v", err)
			}
			heard := checkMP3(t, mp3, result, seconds(sound))
			if math.Abs(heard.Pitch-440) > 25 {
				t.Errorf("the tone has %.0f Hz, want the first track's 440", heard.Pitch)
			}
			if sound > 5 && !result.Copied && (strings.Count(said(), "segment") < 2 || strings.Contains(said(), "serial")) {
				t.Errorf("it was made of %s, want two segments or more", said())
			}
		})
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// checkMP3 holds the result, what the file declares and what it decodes to against the sound there should be.
func checkMP3(tb testing.TB, path string, result Result, want time.Duration) testmedia.Sound {
	tb.Helper()
	heard := testmedia.Listen(tb, path)
	if diff := result.Duration - want; diff < -near || diff > near {
		tb.Errorf("Result.Duration = %v, want %v", result.Duration, want)
	}
	if diff := result.Duration - heard.Duration; diff < -time.Millisecond || diff > time.Millisecond {
		tb.Errorf("Result.Duration = %v, but the MP3 sounds for %v", result.Duration, heard.Duration)
	}
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	if result.Bytes != info.Size() {
		tb.Errorf("Result.Bytes = %d, the file has %d", result.Bytes, info.Size())
	}
	return heard
}

// reason fails the test unless err is a failure for the reason; it returns the detail.
func reason(tb testing.TB, err error, want job.Reason) string {
	tb.Helper()
	failure := (*job.Failure)(nil)
	if !errors.As(err, &failure) {
		tb.Fatalf("error %v, want reason %q", err, want)
	}
	if failure.Reason != want {
		tb.Errorf("reason %q (%s), want %q", failure.Reason, failure.Detail, want)
	}
	if !errors.Is(err, job.ErrPermanent) {
		tb.Errorf("%v is not permanent", err)
	}
	return failure.Detail
}

// Gaps and late sound are no damage: recorders of calls leave gaps for silence. Only the sound counts.
func TestATrackWithGapsIsWhole(t *testing.T) {
	t.Parallel()
	const gap = "sine=d=4,asetpts='if(lt(T,2),PTS,PTS+2/TB)'"
	for name, tt := range map[string]struct {
		ext  string
		args []string
		want float64
	}{
		"a gap in MP4":      {"mp4", []string{"-f", "lavfi", "-i", gap}, 4},
		"a gap in MKV":      {"mkv", []string{"-f", "lavfi", "-i", gap}, 4},
		"late sound in MP4": {"mp4", []string{"-itsoffset", "3", "-f", "lavfi", "-i", "sine=d=2"}, 2},
		"late sound in MKV": {"mkv", []string{"-itsoffset", "3", "-f", "lavfi", "-i", "sine=d=2"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=6"}, tt.args...)
			clip := testmedia.Make(t, tt.ext, append(args, "-c:v", "mpeg4", "-c:a", "aac")...)
			mp3, result, err := convert(t, Runner{}, clip, Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkMP3(t, mp3, result, seconds(tt.want))
		})
	}
}

func TestTwoHours(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	clip := testmedia.Make(t, "mp4",
		"-f", "lavfi", "-i", "testsrc=s=32x32:r=1:d=7200", "-f", "lavfi", "-i", "sine=f=440:r=8000:d=7200",
		"-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-b:a", "16k")
	const most = 80 << 20
	var percents []int
	var full int64
	convert := func() (string, Result) {
		c := NewCores(2)
		c.learn(0, true)
		scratch := t.TempDir()
		percents, full = nil, 0
		mp3, result, err := convertFile(t, Runner{Cores: c, Scratch: scratch}, clip, Options{Progress: func(p int) {
			percents = append(percents, p)
			_, bytes := descriptorsOf(t, scratch)
			full = max(full, bytes)
		}})
		if err != nil {
			t.Fatal(err)
		}
		return mp3, result
	}
	var mp3 string
	var result Result
	for range 3 {
		if mp3, result = convert(); full <= most {
			break
		}
		t.Logf("%d bytes: a decoder runs on while a busy machine lets us stand still, or is not held", full)
	}
	// Not decoded, for time's sake: that the two agree with the sound is shown by the short ones.
	for what, got := range map[string]time.Duration{"Result.Duration": result.Duration, "what players show": testmedia.Declared(t, mp3)} {
		if diff := got - 2*time.Hour; diff < -near || diff > 4*near {
			t.Errorf("%s is %v, want 2 h", what, got)
		}
	}
	if full == 0 || full > most {
		t.Errorf("there are %d bytes in the scratch folder, of the 230 MB of sound", full)
	}
	if len(percents) < 2 {
		t.Errorf("progress was told at %v only", percents)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	clip := testmedia.Make(t, "mp4", "-f", "lavfi", "-i", "anoisesrc=d=2:c=pink:r=48000,aformat=channel_layouts=stereo", "-c:a", "aac")
	size := map[job.Profile]int64{}
	for profile, form := range map[job.Profile]string{ // sample rate, channels
		job.Standard: "48000,2", job.CBR128: "44100,2", job.Voice: "24000,1", job.High: "48000,2", job.Best: "48000,2",
		"": "48000,2",
	} {
		mp3, result, err := convert(t, Runner{}, clip, Options{Profile: profile})
		if err != nil {
			t.Fatalf("%q: %v", profile, err)
		}
		if got := testmedia.Probe(t, mp3, "stream=sample_rate,channels"); got != form {
			t.Errorf("%q is %s, want %s", profile, got, form)
		}
		if got, most := testmedia.Declared(t, mp3), 2*time.Second+2*near; got < 2*time.Second || got > most {
			t.Errorf("%q: players will show %v, want 2 s", profile, got)
		}
		size[profile] = result.Bytes
	}
	if size[job.Voice] >= size[job.Standard] || size[job.Standard] >= size[job.High] || size[job.High] >= size[job.Best] {
		t.Errorf("sizes are %v, want voice < standard < high < best", size)
	}
	if size[""] != size[job.Standard] {
		t.Errorf("no profile gives %d bytes, standard %d", size[""], size[job.Standard])
	}
	if len(size) != len(job.Profiles)+1 {
		t.Errorf("%d profiles are tested, there are %d", len(size)-1, len(job.Profiles))
	}
}

// The original ran this command; clients may have come to rely on every byte.
func TestCBR128IsTheOriginals(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]testmedia.Spec{
		"mono 44.1 kHz": {}, "stereo 48 kHz": {Rate: 48000, Layout: "stereo"}, "5.1": {Ext: "mkv", Audio: "ac3", Layout: "5.1"},
		"8 kHz": {Rate: 8000}, "Opus": {Ext: "webm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clip := testmedia.Clip(t, spec)
			want := filepath.Join(t.TempDir(), "original.mp3")
			original := exec.CommandContext(t.Context(), testmedia.FFmpeg, "-i", clip, "-vn", "-ac", "2", "-ar", "44100", "-c:a", "libmp3lame", want)
			if out, err := original.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got, _, err := convert(t, Runner{}, clip, Options{Profile: job.CBR128, Title: "with a title"})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(frames(t, got), frames(t, want)) {
				t.Error("the frames differ from those of the original's command")
			}
		})
	}
}

// frames is an MP3 without its tag.
func frames(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if len(b) < 10 || string(b[:3]) != "ID3" {
		tb.Fatalf("%s does not begin with a tag", path)
	}
	return b[10+int(b[6])<<21+int(b[7])<<14+int(b[8])<<7+int(b[9]):]
}

func TestTitles(t *testing.T) {
	t.Parallel()
	clip := testmedia.Clip(t, testmedia.Spec{Ext: "wav", Seconds: 1})
	for title, want := range map[string]string{
		"-i /etc/passwd": "-i /etc/passwd", "a=b;c#d\\e'f\"g\ntwo lines %s @file concat:": "a=b;c#d\\e'f\"g\ntwo lines %s @file concat:",
		"日本語 🎵 ünï": "日本語 🎵 ünï", "nul\x00byte, bad \xff UTF-8": "nulbyte, bad  UTF-8", "": "",
		strings.Repeat("ä", 2000): strings.Repeat("ä", 2000),
	} {
		mp3, _, err := convert(t, Runner{}, clip, Options{Title: title})
		if err != nil {
			t.Errorf("title %q: %v", title, err)
			continue
		}
		if got := testmedia.Tag(t, mp3, "title"); got != want {
			t.Errorf("title %q comes back as %q, want %q", title, got, want)
		}
	}
}

func TestNothingElseIsCopied(t *testing.T) {
	t.Parallel()
	clip := testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Flags: []string{"-metadata", "artist=<script>", "-metadata", "title=theirs"}})
	mp3, _, err := convert(t, Runner{}, clip, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"artist", "title"} {
		if got := testmedia.Tag(t, mp3, name); got != "" {
			t.Errorf("the MP3 has the video's %s %q", name, got)
		}
	}
	if got := testmedia.Probe(t, mp3, "stream=codec_type"); got != "audio" {
		t.Errorf("the MP3 holds %s", got)
	}
}
