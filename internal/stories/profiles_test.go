package stories

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mp3converter/internal/testsuite"

	"mp3converter/internal/testmedia"
)

func theProfiles(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	tone := testmedia.Clip(t, testmedia.Spec{Seconds: 3, Layout: "stereo", Rate: 48000, Pitch: []float64{440}})
	video := testsuite.FilePart("file", "tone.mp4", []byte(testsuite.Read(t, tone)))
	field := func(profile string) testsuite.Part { return testsuite.FilePart("profile", "", []byte(profile)) }
	for name, tt := range map[string]struct {
		path    string
		parts   []testsuite.Part
		profile string
		sound   string // codec, samples per second, channels
	}{
		"none":                       {"/upload", []testsuite.Part{video}, "standard", "mp3,48000,2"},
		"standard":                   {"/upload?profile=standard", []testsuite.Part{video}, "standard", "mp3,48000,2"},
		"an empty field":             {"/upload", []testsuite.Part{field(""), video}, "standard", "mp3,48000,2"},
		"cbr128 by field":            {"/upload", []testsuite.Part{field("cbr128"), video}, "cbr128", "mp3,44100,2"},
		"cbr128 by query":            {"/upload?profile=cbr128", []testsuite.Part{video}, "cbr128", "mp3,44100,2"},
		"voice by field after file":  {"/upload", []testsuite.Part{video, field("voice")}, "voice", "mp3,24000,1"},
		"high by query":              {"/upload?profile=high", []testsuite.Part{video}, "high", "mp3,48000,2"},
		"best by field, query stale": {"/upload?profile=voice", []testsuite.Part{field("best"), video}, "best", "mp3,48000,2"},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.Post(t, tt.path, nil, tt.parts...)
			a.Is(t, 200, "success!")
			j := p.Reaches(t, testsuite.JobOf(t, a), "done")
			mp3 := p.Download(t, testsuite.OrEmpty(j.MP3))
			if got := testmedia.Probe(t, mp3, "stream=codec_name,sample_rate,channels"); j.Profile != tt.profile || got != tt.sound {
				t.Errorf("the job's profile is %q, its MP3 %s; want %q, %s", j.Profile, got, tt.profile, tt.sound)
			}
			testsuite.Lasts(t, mp3, testmedia.Duration(t, tone))
		})
	}
}

// theOriginalsMP3 compares with the command that the original's library runs.
func theOriginalsMP3(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	video := testsuite.Clip(t)
	a := p.Post(t, "/upload?profile=cbr128", nil, testsuite.FilePart("file", "vid_1.mp4", []byte(testsuite.Read(t, video))))
	ours := p.Download(t, testsuite.OrEmpty(p.Reaches(t, testsuite.JobOf(t, a), "done").MP3))
	theirs := filepath.Join(t.TempDir(), "original.mp3")
	tool(t, "ffmpeg", "-nostdin", "-i", video, "-vn", "-ac", "2", "-ar", "44100", "-c:a", "libmp3lame", theirs)
	const entries = "stream=codec_name,sample_rate,channels,bit_rate"
	if got := testmedia.Probe(t, ours, entries); got != "mp3,44100,2,128000" {
		t.Errorf("cbr128 is %s", got)
	}
	if got, want := frames(t, ours), frames(t, theirs); got != want {
		t.Errorf("the MP3's frames differ from the original's:\n%s\n%s", got, want)
	}
}

// frames lists size and checksum of each frame of an MP3, without its tags.
func frames(t *testing.T, mp3 string) string {
	t.Helper()
	return tool(t, "ffmpeg", "-nostdin", "-i", mp3, "-map", "0:a", "-c", "copy", "-f", "framemd5", "-")
}

// tool runs a program of the ffmpeg family and returns what it prints.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, append([]string{"-v", "error"}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v (apt-get install ffmpeg, if it is missing)", name, strings.Join(args, " "), err)
	}
	return string(out)
}
