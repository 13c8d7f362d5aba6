package testsuite

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
	*Suite
	Dir     string
	Process *Process
	inbox   string // URL
}

// OneProgram starts the one program over an empty folder.
func OneProgram(t *testing.T, more ...string) *single {
	t.Helper()
	s := &single{Suite: &Suite{}, Dir: filepath.Join(t.TempDir(), "data")}
	s.Mails = s.received
	s.Start(t, more...)
	db, err := embedded.OpenDB(filepath.Join(s.Dir, "mp3converter.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.Users = db.Users()
	return s
}

// Start starts the program, or starts it again.
func (s *single) Start(t *testing.T, more ...string) {
	t.Helper()
	s.Process = Start(t, Release.Path(t, "mp3converter"), append([]string{
		"DATA_DIR=" + s.Dir, "LISTEN=127.0.0.1:0", "INBOX_LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0", "BASE_URL=" + BaseURL, "OPERATORS=" + Operator,
		"WORKERS=2", "MAX_UPLOAD_BYTES=" + strconv.Itoa(MaxUpload), "SWEEP_SECONDS=0.5", "CLOCK_SKEW_SECONDS=0", "RING_SECONDS=1", "RETRY_SECONDS=1",
	}, more...))
	addr := s.Process.Serving(t, "gateway")
	gateways.Store(addr, true)
	s.URL = "http://" + addr
	s.AuthURL = "http://" + s.Process.Serving(t, "auth")
	s.inbox = "http://" + s.Process.Serving(t, "inbox")
	secret, err := os.ReadFile(filepath.Join(s.Dir, "jwt-secret"))
	if err != nil {
		t.Fatal(err)
	}
	s.Secret = string(secret)
}

// received are somebody's mails in the inbox.
func (s *single) received(t testing.TB, to string) []Letter {
	t.Helper()
	a := Send(t, Request{Base: s.inbox, Path: "/mails?to=" + url.QueryEscape(to)})
	if a.Status != http.StatusOK {
		t.Fatalf("GET /mails = %d %q", a.Status, a.Body)
	}
	var mails []struct {
		From, To, Subject, Body, HTML string
		MessageID                     string `json:"message_id"`
		Date                          time.Time
	}
	if err := json.Unmarshal([]byte(a.Body), &mails); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(mails) // the newest is first
	var letters []Letter
	for _, m := range mails {
		letters = append(letters, Letter{m.From, m.To, m.Subject, m.Body, m.HTML, m.MessageID, m.Date})
	}
	return letters
}
