package embedded_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
)

var update = flag.Bool("update", false, "write the pages as they are now to testdata")

var (
	hostile = job.Letter{
		From: "mp3@example.com", To: "sid@gmail.com", Subject: `<script>alert("1")</script>`, MessageID: "1@example.com",
		Body: "mp3 file_id: 65f0 is now ready!\nIt is at http://localhost:8080/download?fid=65f0&x=\"><img src=x>.\n\n</div><script>2</script>\n",
		Date: time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC),
	}
	framed = job.Letter{
		From: "mp3@example.com", To: "eve@example.com", Subject: "MP3 Download", MessageID: "3@example.com", Body: "mp3 file_id: 65f0 is now ready!\n",
		HTML: "<!doctype html><p style=\"color:red\">ready <img src=http://evil.example/x><script>alert(3)</script></p>\n",
		Date: time.Date(2026, 11, 23, 12, 32, 0, 0, time.UTC),
	}
	plain = job.Letter{
		From: "mp3@example.com", To: "ann@example.com", Subject: "MP3 Download", MessageID: "2@example.com",
		Body: "Ünï (see https://example.com/a_(b), and http://).",
		Date: time.Date(2026, 11, 23, 12, 31, 0, 0, time.FixedZone("", 3600)),
	}
)

// inboxWith returns an inbox that has taken the letters.
func inboxWith(t *testing.T, letters ...job.Letter) *embedded.Inbox {
	t.Helper()
	inbox := openDB(t, t.TempDir()).Inbox()
	for _, l := range letters {
		if err := inbox.Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	return inbox
}

func TestInboxKeepsEachLetterOnce(t *testing.T) {
	inbox := inboxWith(t, hostile, plain, hostile, framed)
	plainUTC := plain
	plainUTC.Date = plain.Date.UTC()
	for to, want := range map[string][]job.Letter{
		"":              {framed, plainUTC, hostile},
		"sid@gmail.com": {hostile},
		"eve@gmail.com": nil,
	} {
		mails, err := inbox.List(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		var got []job.Letter
		for _, m := range mails {
			got = append(got, m.Letter)
			if again, err := inbox.Get(t.Context(), m.ID); err != nil || again != m {
				t.Errorf("Get(%d) = %+v, %v, want %+v", m.ID, again, err, m)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mails to %q (-want +got):\n%s", to, diff)
		}
	}
	if _, err := inbox.Get(t.Context(), 99); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of a mail that never came: %v, want fs.ErrNotExist", err)
	}
	if err := inbox.Send(t.Context(), job.Letter{To: "sid@gmail.com"}); err == nil {
		t.Error("a letter without Message-ID, of which duplicates cannot be told, was taken")
	}
}

func TestInboxPages(t *testing.T) {
	inbox := inboxWith(t, hostile, plain, framed)
	for golden, path := range map[string]string{
		"list.html": "/", "filtered.html": "/?to=sid@gmail.com", "hostile.html": "/1", "plain.html": "/2", "framed.html": "/3", "list.json": "/mails",
	} {
		t.Run(golden, func(t *testing.T) {
			got := get(t, inbox, path)
			file := filepath.Join("testdata", golden)
			if *update {
				if err := os.WriteFile(file, got.Body.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.Body.String()); diff != "" {
				t.Errorf("%s (-want +got; run with -update and read the change):\n%s", path, diff)
			}
		})
	}
}

func TestInboxPagesCannotBeScripted(t *testing.T) {
	inbox := inboxWith(t, hostile, framed)
	for _, path := range []string{"/", "/1", "/2", "/mails", "/style.css", "/99", "/?to=%3Cscript%3E"} {
		got := get(t, inbox, path)
		if csp := got.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
		if got.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
		if media := got.Header().Get("Content-Type"); strings.HasPrefix(media, "text/html") &&
			(strings.Contains(got.Body.String(), "<script") || strings.Contains(got.Body.String(), "<img")) {
			t.Errorf("%s carries a mail's markup:\n%s", path, got.Body)
		}
	}
}

// A mail's HTML is served as it came, so what keeps it from doing anything is how.
func TestAMailsHTMLStaysInItsSandbox(t *testing.T) {
	inbox := inboxWith(t, framed)
	got := get(t, inbox, "/1/html")
	policy := strings.Split(got.Header().Get("Content-Security-Policy"), "; ")
	want := []string{
		"sandbox allow-popups allow-popups-to-escape-sandbox", "default-src 'none'", "style-src 'unsafe-inline'",
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'self'",
	}
	if diff := cmp.Diff(want, policy); diff != "" {
		t.Errorf("the policy (-want +got):\n%s", diff)
	}
	if got.Body.String() != framed.HTML || got.Header().Get("Content-Type") != "text/html; charset=utf-8" || got.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the mail's HTML is %q with %v", got.Body, got.Header())
	}
	page := get(t, inbox, "/1").Body.String()
	if !strings.Contains(page, `<iframe src="1/html" sandbox="allow-popups allow-popups-to-escape-sandbox"`) || strings.Contains(page, "evil.example") {
		t.Errorf("the page around it:\n%s", page)
	}
}

func TestInboxAnswers(t *testing.T) {
	inbox := inboxWith(t, plain, framed)
	for request, want := range map[string]int{
		"GET /": 200, "HEAD /": 200, "GET /1": 200, "GET /2": 200, "GET /2/html": 200, "GET /mails": 200, "GET /mails?to=nobody@x.y": 200, "GET /style.css": 200,
		"GET /3": 404, "GET /1/html": 404, "GET /3/html": 404, "GET /x": 404, "GET /x/html": 404, "GET /1/2": 404, "GET /-1": 404, "GET /99999999999999999999": 404, "GET /mails/1": 404,
		"POST /": 405, "DELETE /1": 405,
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := ask(t, inbox, method, path).Code; got != want {
			t.Errorf("%s answers %d, want %d", request, got, want)
		}
	}
}

func TestInboxJSONIsAListForPolling(t *testing.T) {
	inbox := inboxWith(t, plain)
	if got := get(t, inbox, "/mails?to=nobody@x.y").Body.String(); got != "[]\n" {
		t.Errorf("no mails are %q, want an empty list", got)
	}
	var mails []struct {
		To, Subject, Body string
		MessageID         string `json:"message_id"`
		Date              time.Time
	}
	if err := json.Unmarshal(get(t, inbox, "/mails?to=ann@example.com").Body.Bytes(), &mails); err != nil {
		t.Fatal(err)
	}
	if len(mails) != 1 || mails[0].MessageID != plain.MessageID || mails[0].Body != plain.Body || !mails[0].Date.Equal(plain.Date) {
		t.Errorf("the list is %+v, want %+v", mails, plain)
	}
}

func TestInboxSaysWhenItCannotBeRead(t *testing.T) {
	db, err := embedded.OpenDB(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/1", "/mails"} {
		var log bytes.Buffer
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		db.Inbox().Handler(slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(w, r)
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "sql") {
			t.Errorf("%s answers %d %q, want 500 and nothing of the inside", path, w.Code, w.Body)
		}
		if !strings.Contains(log.String(), "database is closed") {
			t.Errorf("%s: the log says %q, want the reason", path, &log)
		}
	}
}

func get(t *testing.T, inbox *embedded.Inbox, path string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, inbox, http.MethodGet, path)
}

func ask(t *testing.T, inbox *embedded.Inbox, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	inbox.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}
