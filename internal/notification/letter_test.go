package notification_test

import (
	"context"
	"errors"
	"flag"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
	"mp3converter/internal/link"
	"mp3converter/internal/notification"
)

var update = flag.Bool("update", false, "write the letters as they are now to testdata")

// ended is when the jobs of the golden letters did.
var ended = time.Date(2026, 11, 28, 14, 3, 7, 0, time.UTC)

// written is the letter that a job owes, which is otherwise as given.
func written(t *testing.T, j job.Job, change ...func(*notification.Config)) job.Letter {
	t.Helper()
	var got job.Letter
	w := newWorld(t, append(change, func(c *notification.Config) {
		c.Send = func(_ context.Context, l job.Letter) error { got = l; return nil }
	})...)
	j.ID, j.Owner, j.Key = "6929b0a1c0ffee0000000001", owner, "golden"
	j.Ended, j.Mail, j.Attempt = ended, job.MailPending, 1
	w.handle(t, w.insert(t, j))
	return got
}

func TestLettersReadWell(t *testing.T) {
	converted := job.Job{
		State: job.Converted, Name: "Überfahrt, 2. Tag <Hafen>.mp4", MP3: "6929b0b5c0ffee0000000002",
		MP3Bytes: 3_283_411, Duration: 205*time.Second + 300*time.Millisecond,
		VideoUntil: ended.Add(24 * time.Hour), MP3Until: ended.Add(30 * 24 * time.Hour),
	}
	for name, j := range map[string]job.Job{
		"done":        converted,
		"done-bare":   {State: job.Converted, Name: "video", MP3: "6929b0b5c0ffee0000000002"}, // the original's MP3
		"failed":      {State: job.Failed, Name: "screen recording.mov", Reason: job.ReasonNoAudio, VideoUntil: ended.Add(30 * 24 * time.Hour)},
		"failed-long": {State: job.Failed, Name: strings.Repeat("very long name ", 16) + ".mkv", Reason: job.ReasonTooLarge, Detail: "4294 MB is the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			l := written(t, j)
			golden(t, name+".txt", undated(l.Body))
			golden(t, name+".html", undated(l.HTML))
		})
	}
}

var linked = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`expires=[0-9]+(&|&amp;)signature=[A-Za-z0-9_-]{64}`), "expires=SECONDS${1}signature=SIGNATURE"},
	{regexp.MustCompile(`(in|needed), until [0-9]+ [A-Z][a-z]+ [0-9]{4}, [0-9:]{5} UTC`), "${1}, until DATE"},
}

// undated is a letter without what depends on when it was written.
func undated(text string) string {
	for _, l := range linked {
		text = l.what.ReplaceAllString(text, l.as)
	}
	return text
}

// linkIn is the signed link of a letter's text, and when it says that it ends.
func linkIn(t *testing.T, body string) (address, until string) {
	t.Helper()
	m := regexp.MustCompile(`\nDownload it without logging in, until (.+):\n(\S+)\n`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no link in\n%s", body)
	}
	return m[2], m[1]
}

func TestTheLinkNeedsNoLogin(t *testing.T) {
	converted := job.Job{State: job.Converted, Name: "a.mp4", MP3: "6929b0b5c0ffee0000000002"}
	for name, tt := range map[string]struct {
		since time.Duration // the first try to send it, ago
		least time.Duration // what is left of the link's time
		most  time.Duration
	}{
		"at the first try":         {0, 71 * time.Hour, 72 * time.Hour},
		"after a day":              {24 * time.Hour, 47 * time.Hour, 48 * time.Hour},
		"after more than half":     {40 * time.Hour, 103 * time.Hour, 104 * time.Hour},
		"when it would have ended": {80 * time.Hour, 63 * time.Hour, 64 * time.Hour},
	} {
		j := converted
		now := time.Now()
		j.MailSince = now.Add(-tt.since)
		l := written(t, j)
		text, until := linkIn(t, l.Body)
		address, err := url.Parse(text)
		if err != nil || address.Scheme+"://"+address.Host+address.Path != base+"/download" {
			t.Fatalf("%s: the link is %s (%v)", name, text, err)
		}
		got, err := linkKey.Verify(address.Query(), now)
		if err != nil || got.FID != j.MP3 || !got.IsOf(owner) || got.IsOf("ann@example.com") {
			t.Errorf("%s: the link leads to %q of %s: %v (%v)", name, got.FID, owner, got.IsOf(owner), err)
		}
		end, err := time.Parse("2 January 2006, 15:04 MST", until)
		if left := end.Sub(now); err != nil || left < tt.least || left > tt.most {
			t.Errorf("%s: it ends %s, in %v (%v), want %v to %v", name, until, left, err, tt.least, tt.most)
		}
		if _, err := linkKey.Verify(address.Query(), end); !errors.Is(err, link.ErrExpired) {
			t.Errorf("%s: at %s it is %v, want it to have expired", name, until, err)
		}
		if !strings.Contains(unescaped(l.HTML), `href="`+text+`"`) || !strings.Contains(l.HTML, "until "+until) {
			t.Errorf("%s: the HTML has another link:\n%s", name, l.HTML)
		}
		if again := written(t, j); again.Body != l.Body || again.HTML != l.HTML {
			t.Errorf("%s: written again it is another letter", name)
		}
	}
	short := converted
	short.MailSince, short.MP3Until = time.Now(), time.Now().Add(5*time.Hour)
	if _, until := linkIn(t, written(t, short).Body); until != short.MP3Until.UTC().Format("2 January 2006, 15:04 UTC") {
		t.Errorf("of an MP3 that is kept until %v the link ends %s", short.MP3Until, until)
	}
	l := written(t, converted, func(c *notification.Config) { c.Links = link.Key{} })
	if strings.Contains(l.Body+l.HTML, "without logging in") || strings.Contains(l.Body+l.HTML, "signature") || !strings.Contains(l.Body, base+"/download?fid="+converted.MP3+"\n") {
		t.Errorf("without a key the letter says\n%s", l.Body)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; run with -update and read the change):\n%s", name, diff)
	}
}

// A mail must not tell anybody that it was opened, nor need anything that is not in it.
func TestNoLetterFetchesAnything(t *testing.T) {
	for name, j := range map[string]job.Job{
		"done":   {State: job.Converted, Name: "a.mp4", MP3: "6929b0b5c0ffee0000000002", Duration: time.Second, MP3Bytes: 5},
		"failed": {State: job.Failed, Name: "a.mp4", Reason: job.ReasonNoAudio},
	} {
		page := written(t, j).HTML
		for _, fetches := range []string{"<img", "<link", "<script", "<iframe", "<object", "<form", "url(", "@import", "src=", "background="} {
			if strings.Contains(page, fetches) {
				t.Errorf("%s: the HTML has %s", name, fetches)
			}
		}
		for _, m := range regexp.MustCompile(`https?://[^"<\s]+`).FindAllString(page, -1) {
			if !strings.HasPrefix(m, base+"/") {
				t.Errorf("%s: the HTML names %s", name, m)
			}
		}
		if !strings.Contains(page, `<meta name="color-scheme" content="light dark">`) {
			t.Errorf("%s: nothing is said of dark mode", name)
		}
	}
}

func TestLengthsAndSizesAreForPeople(t *testing.T) {
	for _, tt := range []struct {
		length time.Duration
		bytes  int64
		want   string
	}{
		{2049 * time.Millisecond, 999, "Length:  2.0 s\nSize:    999 bytes\n"},
		{9960 * time.Millisecond, 1000, "Length:  10 s\nSize:    1 kB\n"},
		{59600 * time.Millisecond, 999_499, "Length:  1 min 00 s\nSize:    999 kB\n"},
		{3*time.Minute + 5*time.Second, 999_500, "Length:  3 min 05 s\nSize:    1.0 MB\n"},
		{2*time.Hour + 7*time.Second, 999_950_000, "Length:  2 h 00 min 07 s\nSize:    1.00 GB\n"},
	} {
		l := written(t, job.Job{State: job.Converted, Name: "a.mp4", MP3: "6929b0b5c0ffee0000000002", Duration: tt.length, MP3Bytes: tt.bytes})
		if !strings.Contains(l.Body, "\n"+tt.want) {
			t.Errorf("%v, %d bytes: the letter says\n%s\nwant\n%s", tt.length, tt.bytes, l.Body, tt.want)
		}
	}
}

func unescaped(page string) string { return html.UnescapeString(page) }

// sentence is a clause as it begins the HTML's.
func sentence(clause string) string {
	return string(unicode.ToUpper(rune(clause[0]))) + clause[1:] + "."
}

// adviceOf is what the text advises.
func adviceOf(body string) string {
	_, rest, _ := strings.Cut(body, "What you can do: ")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}
