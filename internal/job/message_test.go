package job

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMessagesOfTheOriginalAreRead(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want Message
	}{
		"to the converter":       {`{"video_fid": "64f000000000000000000001", "mp3_fid": null, "username": "sid@gmail.com"}`, Message{Video: "64f000000000000000000001", Username: "sid@gmail.com"}},
		"to the mailer":          {`{"video_fid": "64f000000000000000000001", "mp3_fid": "64f0000000000000000000a1", "username": "sid@gmail.com"}`, Message{Video: "64f000000000000000000001", MP3: "64f0000000000000000000a1", Username: "sid@gmail.com"}},
		"without mp3_fid":        {`{"video_fid": "64f000000000000000000001", "username": "sid@gmail.com"}`, Message{Video: "64f000000000000000000001", Username: "sid@gmail.com"}},
		"with a field of others": {`{"video_fid": "64f000000000000000000001", "mp3_fid": null, "username": "sid@gmail.com", "n": 1.0}`, Message{Video: "64f000000000000000000001", Username: "sid@gmail.com", Extra: map[string]json.RawMessage{"n": json.RawMessage("1.0")}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message:\n%s", diff)
			}
		})
	}
}

func TestPoisonIsNamed(t *testing.T) {
	for body, names := range map[string]string{
		``:                  "JSON",
		`null`:              "JSON",
		`[]`:                "JSON",
		`"64f"`:             "JSON",
		"\x00\xff":          "JSON",
		`{}`:                "video_fid",
		`{"video_fid": 12}`: "video_fid",
		`{"video_fid": "64F000000000000000000001", "username": "a@b.c"}`:                            "video_fid",
		`{"video_fid": "../../../etc/passwd00000", "username": "a@b.c"}`:                            "video_fid",
		`{"video_fid": "64f000000000000000000001", "mp3_fid": "x", "username": "a@b.c"}`:            "mp3_fid",
		`{"video_fid": "64f000000000000000000001", "mp3_fid": ["x"], "username": "a@b.c"}`:          "mp3_fid",
		`{"video_fid": "64f000000000000000000001"}`:                                                 "username",
		`{"video_fid": "64f000000000000000000001", "username": "nobody"}`:                           "username",
		`{"video_fid": "64f000000000000000000001", "username": "a@b.c\r\nBcc: x@y.z"}`:              "username",
		`{"video_fid": "64f000000000000000000001", "username": "A <a@b.c>"}`:                        "username",
		`{"video_fid": "64f000000000000000000001", "username": "a@b.c, d@e.f"}`:                     "username",
		`{"video_fid": "64f000000000000000000001", "username": {"$ne": null}}`:                      "username",
		`{"video_fid": "64f000000000000000000001", "x": "` + strings.Repeat("x", maxMessage) + `"}`: "bytes",
	} {
		_, err := Decode([]byte(body))
		if !errors.Is(err, ErrPoison) || !strings.Contains(err.Error(), names) {
			t.Errorf("Decode(%.80q) = %v, want poison that names %q", body, err, names)
		}
	}
}

func TestNoMP3IsNullOnTheWire(t *testing.T) {
	body := Message{Video: "64f000000000000000000001", Username: "a@b.c"}.Encode()
	if want := `{"mp3_fid":null,"username":"a@b.c","video_fid":"64f000000000000000000001"}`; string(body) != want {
		t.Errorf("body = %s, want %s", body, want)
	}
}

func TestUnknownFieldsSurviveTheWholeWay(t *testing.T) {
	in, err := Decode([]byte(`{"video_fid":"64f000000000000000000001","username":"a@b.c","trace":{"id":[1,2]}}`))
	if err != nil {
		t.Fatal(err)
	}
	j := Adopt(start, rules, in, video)
	for _, s := range []step{claim, commit1} {
		if err := s(&j, start); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"mp3_fid":"` + mp3.ID + `","trace":{"id":[1,2]},"username":"a@b.c","video_fid":"64f000000000000000000001"}`
	if got := string(j.Message().Encode()); got != want {
		t.Errorf("what rings at the mailer = %s, want %s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"video_fid": "64f000000000000000000001", "mp3_fid": null, "username": "sid@gmail.com", "extra": [1]}`))
	f.Add([]byte(`{"video_fid": 1}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Decode(body)
		if err != nil {
			if !errors.Is(err, ErrPoison) {
				t.Fatalf("Decode(%q) = %v, not poison", body, err)
			}
			return
		}
		again, err := Decode(m.Encode())
		if err != nil {
			t.Fatalf("what Decode took from %q, it refuses of Encode: %v", body, err)
		}
		if again.Video != m.Video || again.MP3 != m.MP3 || again.Username != m.Username || len(again.Extra) != len(m.Extra) {
			t.Fatalf("%q came back as %+v, went as %+v", body, again, m)
		}
	})
}

func TestNamesBecomeLabels(t *testing.T) {
	for in, want := range map[string]string{
		"clip.mp4":                      "clip.mp4",
		"../../etc/passwd":              "passwd",
		`C:\Users\me\holiday.mov`:       "holiday.mov",
		"a\r\nBcc: x@y.z":               "aBcc: x@y.z",
		"":                              "video",
		"..":                            "video",
		"/":                             "video",
		" \t ":                          "video",
		"nul\x00byte":                   "nulbyte",
		"gpj.\u202eexe":                 "gpj.exe",
		"\xff\xfeclip":                  "clip",
		"Übergrößenträger 日本.mkv":       "Übergrößenträger 日本.mkv",
		strings.Repeat("ü", 200):        strings.Repeat("ü", 127),
		"line\u2028separator\u2029.avi": "lineseparator.avi",
	} {
		if got := CleanName(in); got != want {
			t.Errorf("CleanName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	id, next := NewID(start.Add(998*time.Millisecond)), NewID(start.Add(999*time.Millisecond))
	if !IsID(id) || !IsID(next) || id >= next {
		t.Errorf("NewID = %q, a millisecond later %q: not ids that sort by age", id, next)
	}
	for _, bad := range []string{"", id[1:], id + "0", strings.ToUpper("64f0000000000000000000ab"), "64f00000000000000000000g", "64f0000000000000000000\x00\x00"} {
		if IsID(bad) {
			t.Errorf("IsID(%q)", bad)
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, p := range Profiles {
		if got, err := ParseProfile(string(p)); got != p || err != nil {
			t.Errorf("ParseProfile(%q) = %q, %v", p, got, err)
		}
	}
	if p, err := ParseProfile(""); p != Standard || err != nil {
		t.Errorf("no profile = %q, %v, want the default", p, err)
	}
	if _, err := ParseProfile("loud"); err == nil || !strings.Contains(err.Error(), "voice") {
		t.Errorf("ParseProfile(loud) = %v, want an error that names the valid ones", err)
	}
}

func TestEveryReasonHasAText(t *testing.T) {
	for r, text := range texts {
		if text == "" || strings.HasSuffix(text, ".") || r.Text() != text {
			t.Errorf("text of %s: %q", r, text)
		}
	}
	if err := Failing(ReasonTruncated, "%.1f of %.1f s", 4.3, 10.0); !errors.Is(err, ErrPermanent) || !strings.Contains(err.Error(), "4.3 of 10.0 s") {
		t.Errorf("Failing = %v", err)
	}
}
