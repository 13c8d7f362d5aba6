package notification_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
	"mp3converter/internal/link"
	"mp3converter/internal/notification"
	"mp3converter/internal/smtp"
	"mp3converter/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a service between a real ledger, a real store and a real mail server.
type world struct {
	*notification.Service
	ledger *flaky
	mp3s   *embedded.Files
	server *testserver.SMTP
	rules  job.Rules
}

const (
	owner = "sid@gmail.com"
	from  = "robot@example.com"
	base  = "http://mp3converter.com"
)

var linkKey, _ = link.NewKey("a secret of at least thirty-two bytes")

func newWorld(t *testing.T, change ...func(*notification.Config)) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := embedded.OpenDB(filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mp3s, err := embedded.OpenFiles(filepath.Join(dir, "mp3s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mp3s.Close() })
	w := &world{
		ledger: &flaky{Ledger: db.Jobs()}, mp3s: mp3s, rules: job.DefaultRules(),
		server: testserver.StartSMTP(t, testserver.SMTPOptions{}),
	}
	sender, err := smtp.New(smtp.Config{Host: w.server.Host, Port: w.server.Port, RootCAs: w.server.CA})
	if err != nil {
		t.Fatal(err)
	}
	cfg := notification.Config{
		Ledger: w.ledger, MP3s: mp3s, Send: sender.Send, Rules: w.rules, From: from, BaseURL: base + "/",
		Links: linkKey, LinkFor: 72 * time.Hour, Host: "mp3converter.com", Worker: "test", Metrics: prometheus.NewRegistry(),
	}
	for _, c := range change {
		c(&cfg)
	}
	w.Service, w.rules = notification.New(cfg), cfg.Rules
	return w
}

// flaky is a ledger that is away when the test wants it to be.
type flaky struct {
	*embedded.Ledger
	mu   sync.Mutex
	away func(call int) bool // is call n of Update, from 1, refused?
	loud func(call int) bool // is the answer to call n lost, the change made?
	call int
}

var errAway = errors.New("the ledger is away")

func (f *flaky) Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	f.mu.Lock()
	f.call++
	away, mute := f.away != nil && f.away(f.call), f.loud != nil && f.loud(f.call)
	f.mu.Unlock()
	if away {
		return job.Job{}, errAway
	}
	j, err := f.Ledger.Update(ctx, id, change)
	if mute {
		return job.Job{}, errAway
	}
	return j, err
}

// converted is a job whose MP3 waits for its mail.
func (w *world) converted(t *testing.T) job.Job {
	t.Helper()
	now := time.Now()
	j := w.claimed(t, "vid_1.mp4")
	mp3 := job.File{ID: j.Tried[0], Bytes: 1000}
	if err := j.Commit(now, w.rules, j.Attempt, mp3, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	return w.insert(t, j)
}

// failed is a job whose failure its owner does not know of yet.
func (w *world) failed(t *testing.T, name string, reason job.Reason, detail string) job.Job {
	t.Helper()
	j := w.claimed(t, name)
	if err := j.Fail(time.Now(), w.rules, j.Attempt, reason, detail); err != nil {
		t.Fatal(err)
	}
	return w.insert(t, j)
}

func (w *world) claimed(t *testing.T, name string) job.Job {
	t.Helper()
	now := time.Now()
	j := job.New(now, w.rules, job.NewID(now), owner)
	j.Name = name
	begin := now.Add(-time.Minute)
	if err := errors.Join(
		j.Arrived(begin, w.rules, job.File{Name: name, Bytes: 5}),
		j.Claim(begin, w.rules, "test", job.NewID(now)),
	); err != nil {
		t.Fatal(err)
	}
	return j
}

func (w *world) insert(t *testing.T, j job.Job) job.Job {
	t.Helper()
	if err := w.ledger.Insert(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

func (w *world) get(t *testing.T, id string) job.Job {
	t.Helper()
	j, err := w.ledger.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// handle rings for the job, which must settle the message.
func (w *world) handle(t *testing.T, j job.Job) job.Job {
	t.Helper()
	if err := w.Handle(t.Context(), j.Message()); err != nil {
		t.Fatalf("Handle: %v", err)
	}
	return w.get(t, j.ID)
}

// passes makes d of the job's time pass.
func (w *world) passes(t *testing.T, id string, d time.Duration) {
	t.Helper()
	_, err := w.ledger.Ledger.Update(t.Context(), id, func(j *job.Job) error {
		for _, at := range []*time.Time{&j.Ended, &j.MailSince, &j.NotBefore, &j.LeaseUntil, &j.RingAt} {
			if !at.IsZero() {
				*at = at.Add(-d)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantMails checks how many mails arrived and returns them as a reader sees them.
func (w *world) wantMails(t *testing.T, want int) []testserver.Mail {
	t.Helper()
	var mails []testserver.Mail
	for _, r := range w.server.Mails() {
		mails = append(mails, testserver.ReadMail(t, r))
	}
	if len(mails) != want {
		t.Fatalf("%d mails arrived, want %d", len(mails), want)
	}
	return mails
}

func wantState(t *testing.T, j job.Job, state job.State, mail job.Mail) {
	t.Helper()
	if j.State != state || j.Mail != mail {
		t.Errorf("the job is %s, its mail %q (%s), want %s, %q", j.State, j.Mail, j.MailError, state, mail)
	}
}

// putMP3 stores an MP3 as the original system does: without a description.
func (w *world) putMP3(t *testing.T, owner string) string {
	t.Helper()
	f := job.File{ID: job.NewID(time.Now()), Owner: owner}
	if _, err := w.mp3s.Put(t.Context(), f, strings.NewReader("ID3")); err != nil {
		t.Fatal(err)
	}
	return f.ID
}
