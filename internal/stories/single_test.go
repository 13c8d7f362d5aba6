package stories

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"mp3converter/internal/embedded"
)

// single is the suite in one process, on a data folder.
type single struct {
	*suite
	dir     string
	process *process
	inbox   string // URL
}

// oneProgram starts the one program over an empty folder.
func oneProgram(t *testing.T, more ...string) *single {
	t.Helper()
	s := &single{suite: &suite{}, dir: filepath.Join(t.TempDir(), "data")}
	s.Mails = s.received
	s.start(t, more...)
	db, err := embedded.OpenDB(filepath.Join(s.dir, "mp3converter.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.Users = db.Users()
	return s
}

// start starts the program, or starts it again.
func (s *single) start(t *testing.T, more ...string) {
	t.Helper()
	s.process = start(t, "mp3converter", append([]string{
		"DATA_DIR=" + s.dir, "LISTEN=127.0.0.1:0", "INBOX_LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0", "BASE_URL=" + baseURL,
		"WORKERS=2", "MAX_UPLOAD_BYTES=" + strconv.Itoa(maxUpload), "SWEEP_SECONDS=0.5", "CLOCK_SKEW_SECONDS=0", "RING_SECONDS=1", "RETRY_SECONDS=1",
	}, more...))
	s.URL = "http://" + s.process.serving(t, "gateway")
	s.Auth = "http://" + s.process.serving(t, "auth")
	s.inbox = "http://" + s.process.serving(t, "inbox")
	secret, err := os.ReadFile(filepath.Join(s.dir, "jwt-secret"))
	if err != nil {
		t.Fatal(err)
	}
	s.Secret = string(secret)
}

// received are somebody's mails in the inbox.
func (s *single) received(t testing.TB, to string) []letter {
	t.Helper()
	a := send(t, request{base: s.inbox, path: "/mails?to=" + url.QueryEscape(to)})
	if a.status != http.StatusOK {
		t.Fatalf("GET /mails = %d %q", a.status, a.body)
	}
	var mails []struct {
		From, To, Subject, Body string
		MessageID               string `json:"message_id"`
		Date                    time.Time
	}
	if err := json.Unmarshal([]byte(a.body), &mails); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(mails) // the newest is first
	var letters []letter
	for _, m := range mails {
		letters = append(letters, letter{m.From, m.To, m.Subject, m.Body, m.MessageID, m.Date})
	}
	return letters
}
