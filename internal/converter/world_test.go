package converter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"mp3converter/internal/converter"
	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Enter()
	goleak.VerifyTestMain(m)
}

const owner = "sid@gmail.com"

// world is a service between a real ledger and real stores that can be away, and an encoder that does what it is told.
type world struct {
	*converter.Service
	cfg    converter.Config
	dir    string // of the stores
	ledger *ledger
	videos *videos
	mp3s   *mp3s
	rules  job.Rules
	encode converter.Convert // nil encodes well, at once
	noTemp error             // why there is no scratch file

	mu       sync.Mutex
	rang     []job.Job
	encoded  int // how often Convert was called
	ringFail error
}

// inTime runs the story in a bubble of time of its own.
func inTime(t *testing.T, story func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { story(t, newWorld(t)) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := embedded.OpenDB(filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{
		dir:    dir,
		ledger: &ledger{Ledger: db.Jobs()}, videos: &videos{Files: openFiles(t, dir, "videos")},
		mp3s: &mp3s{Files: openFiles(t, dir, "mp3s")}, rules: job.DefaultRules(),
	}
	w.cfg = converter.Config{
		Ledger: w.ledger, Videos: w.videos, MP3s: w.mp3s, Ring: w.ring, Convert: w.convert, Rules: w.rules, Worker: "one",
		Temp: func() (*os.File, error) {
			if w.noTemp != nil {
				return nil, w.noTemp
			}
			return os.CreateTemp(dir, "scratch-")
		},
	}
	w.Service = w.worker(w.ledger)
	return w
}

func openFiles(t *testing.T, dir, name string) *embedded.Files {
	t.Helper()
	files, err := embedded.OpenFiles(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return files
}

// worker is one more converter of the same installation, that sees the given ledger.
func (w *world) worker(l *ledger) *converter.Service {
	cfg := w.cfg
	cfg.Ledger, cfg.Metrics = l, prometheus.NewRegistry()
	return converter.New(cfg)
}

func (w *world) ring(_ context.Context, j job.Job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rang = append(w.rang, j)
	return w.ringFail
}

// convert is an encoder whose MP3 is "mp3 of " and the video.
func (w *world) convert(ctx context.Context, in, out *os.File, title string, p job.Profile, progress func(int)) (time.Duration, error) {
	w.mu.Lock()
	w.encoded++
	encode := w.encode
	w.mu.Unlock()
	if encode != nil {
		if d, err := encode(ctx, in, out, title, p, progress); err != nil {
			return d, err
		}
	}
	video, err := io.ReadAll(in)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintf(out, "mp3 of %s", video)
	return 2 * time.Second, err
}

// encodes makes the encoder take so long, obeying its context.
func encodes(d time.Duration) converter.Convert {
	return func(ctx context.Context, _, _ *os.File, _ string, _ job.Profile, _ func(int)) (time.Duration, error) {
		select {
		case <-time.After(d):
			return 0, nil
		case <-ctx.Done():
			return 0, errors.New("signal: killed") // what an encoder's end looks like
		}
	}
}

// fails makes the encoder fail.
func fails(err error) converter.Convert {
	return func(context.Context, *os.File, *os.File, string, job.Profile, func(int)) (time.Duration, error) {
		return 0, err
	}
}

// uploaded is a job that waits for a converter.
func (w *world) uploaded(t *testing.T, name string) job.Job {
	t.Helper()
	return w.uploadedAs(t, name, nil)
}

// uploadedAs is uploaded with those bytes; nil are "video " and its id.
func (w *world) uploadedAs(t *testing.T, name string, data []byte) job.Job {
	t.Helper()
	now := time.Now()
	j := job.New(now, w.rules, job.NewID(now), owner)
	if data == nil {
		data = []byte("video " + j.ID)
	}
	video, err := w.videos.Put(t.Context(), job.File{ID: j.ID, Job: j.ID, Owner: owner, Name: name}, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Arrived(now, w.rules, video); err != nil {
		t.Fatal(err)
	}
	if err := w.ledger.Insert(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

func (w *world) putVideo(t *testing.T, f job.File) job.File {
	t.Helper()
	f, err := w.videos.Put(t.Context(), f, bytes.NewReader([]byte("video "+f.ID)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// handle rings for the job, which must settle the message.
func (w *world) handle(t *testing.T, j job.Job) job.Job {
	t.Helper()
	if err := w.Handle(t.Context(), j.Message()); err != nil {
		t.Fatalf("Handle: %v", err)
	}
	return w.get(t, j.ID)
}

func (w *world) get(t *testing.T, id string) job.Job {
	t.Helper()
	j, err := w.ledger.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// change alters the job as somebody else would.
func (w *world) change(t *testing.T, id string, change func(*job.Job) error) {
	t.Helper()
	if _, err := w.ledger.Ledger.Update(t.Context(), id, change); err != nil {
		t.Fatal(err)
	}
}

// wantConverted checks that the job has its MP3, and that no attempt has left anything else.
func (w *world) wantConverted(t *testing.T, id string) job.Job {
	t.Helper()
	j := w.get(t, id)
	if j.State != job.Converted || j.Percent != 100 || j.Mail != job.MailPending {
		t.Fatalf("the job is %s at %d %%, mail %q (%s), want it converted", j.State, j.Percent, j.Mail, j.Detail)
	}
	_, content, err := w.mp3s.Open(t.Context(), j.MP3)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if got, err := io.ReadAll(content); err != nil || string(got) != "mp3 of video "+id {
		t.Errorf("the MP3 is %q, %v", got, err)
	}
	w.wantNothingBut(t, j, j.MP3)
	return j
}

// wantNothingBut checks that of all ids the job's attempts had, only that one holds a file.
func (w *world) wantNothingBut(t *testing.T, j job.Job, mp3 string) {
	t.Helper()
	for _, id := range j.Tried {
		_, content, err := w.mp3s.Files.Open(t.Context(), id)
		if err == nil {
			content.Close()
		}
		if id != mp3 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an attempt has left the MP3 %s: %v", id, err)
		}
	}
}

// wantQueued checks that the job waits again, with nothing left behind, that so many attempts count, and how long it waits.
func (w *world) wantQueued(t *testing.T, id string, attempts int, wait time.Duration) {
	t.Helper()
	j := w.get(t, id)
	if j.State != job.Queued || j.Attempts() != attempts {
		t.Errorf("the job is %s after %d attempts (%s), want queued after %d", j.State, j.Attempts(), j.Detail, attempts)
	}
	got := time.Duration(0)
	if !j.NotBefore.IsZero() {
		got = time.Until(j.NotBefore)
	}
	if diff := wait - got; diff < 0 || diff > time.Millisecond {
		t.Errorf("the job waits %v, want %v", got, wait)
	}
	w.wantNothingBut(t, j, "")
}

// wantFailed checks that the job has failed for the reason, that its owner will be told, and that nothing is left.
func (w *world) wantFailed(t *testing.T, id string, reason job.Reason) job.Job {
	t.Helper()
	j := w.get(t, id)
	if j.State != job.Failed || j.Reason != reason || j.Mail != job.MailPending {
		t.Errorf("the job is %s for %q (%s), mail %q, want it failed for %q", j.State, j.Reason, j.Detail, j.Mail, reason)
	}
	w.wantNothingBut(t, j, "")
	w.wantRung(t, id, 1)
	return j
}

// wantRung checks how often it was rung for the job's mail.
func (w *world) wantRung(t *testing.T, id string, want int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := 0
	for _, j := range w.rang {
		if j.ID == id && j.Bell() == job.ForMailer {
			got++
		}
	}
	if got != want {
		t.Errorf("rung %d times for the mail, want %d", got, want)
	}
}

// wantNoScratch checks that no scratch file is open.
func (w *world) wantNoScratch(t *testing.T) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, filepath.Join(w.dir, "scratch-")) {
			t.Errorf("%s is open", to)
		}
	}
}

func (w *world) wantEncoded(t *testing.T, want int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.encoded != want {
		t.Errorf("encoded %d times, want %d", w.encoded, want)
	}
}

var errAway = errors.New("connection refused")

// ledger is a ledger that is away, or whose answers get lost, when the test wants it.
type ledger struct {
	*embedded.Ledger
	mu   sync.Mutex
	away bool
	mute int // number of the call to Update whose answer is lost
	call int
}

func (l *ledger) Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	l.mu.Lock()
	l.call++
	away, mute := l.away, l.call == l.mute
	l.mu.Unlock()
	if away {
		return job.Job{}, errAway
	}
	j, err := l.Ledger.Update(ctx, id, change)
	if mute {
		return job.Job{}, errAway
	}
	return j, err
}

func (l *ledger) set(away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = away
}

// videos is a store whose opening or reading fails.
type videos struct {
	*embedded.Files
	openErr, readErr error
	onOpen           func()                                    // called before
	opened           context.Context                           //nolint:containedctx // of the last Open
	wrap             func(io.ReadSeekCloser) io.ReadSeekCloser // nil, or changes what is read
}

func (v *videos) Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error) {
	if v.onOpen != nil {
		v.onOpen()
	}
	if v.openErr != nil {
		return job.File{}, nil, v.openErr
	}
	f, r, err := v.Files.Open(ctx, id)
	if err == nil && v.readErr != nil {
		r = &broken{r, v.readErr}
	}
	if err == nil && v.wrap != nil {
		v.opened = ctx
		r = v.wrap(r)
	}
	return f, r, err
}

// broken yields four bytes and then an error.
type broken struct {
	io.ReadSeekCloser
	err error
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.ReadSeekCloser.Read(p[:min(len(p), 4)])
	return n, errors.Join(err, b.err)
}

// mp3s is a store whose next puts fail, having stored everything or nothing.
type mp3s struct {
	*embedded.Files
	putFails int
	mute     bool   // the put was made all the same
	onPut    func() // called once the MP3 is stored
}

func (m *mp3s) Put(ctx context.Context, f job.File, r io.Reader) (job.File, error) {
	if m.putFails > 0 {
		m.putFails--
		if m.mute {
			_, _ = m.Files.Put(ctx, f, r)
		}
		return job.File{}, errAway
	}
	f, err := m.Files.Put(ctx, f, r)
	if m.onPut != nil {
		m.onPut()
	}
	return f, err
}
