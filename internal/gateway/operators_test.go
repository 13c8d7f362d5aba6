package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// mailbox keeps dead letters.
type mailbox struct {
	letters []job.DeadLetter
	sent    []string
	away    error
}

func (m *mailbox) List(_ context.Context, limit int) ([]job.DeadLetter, int, error) {
	n := min(limit, len(m.letters))
	return m.letters[:n], len(m.letters) - n, m.away
}

func (m *mailbox) Replay(_ context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter)) error {
	return m.settle(pick, func(l job.DeadLetter) error {
		if l.Cut {
			return job.ErrCut
		}
		m.sent = append(m.sent, l.ID)
		done(l)
		return nil
	})
}

func (m *mailbox) Discard(_ context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter)) error {
	return m.settle(pick, func(l job.DeadLetter) error { done(l); return nil })
}

func (m *mailbox) settle(pick func(job.DeadLetter) bool, do func(job.DeadLetter) error) (err error) {
	m.letters = slices.DeleteFunc(m.letters, func(l job.DeadLetter) bool {
		if !pick(l) {
			return false
		}
		refused := do(l)
		err = errors.Join(err, refused)
		return refused == nil
	})
	return errors.Join(err, m.away)
}

// letter is a dead letter that means harm.
func letter(digit string) job.DeadLetter {
	return job.DeadLetter{
		ID: strings.Repeat(digit, 26), Queue: "video", Reason: hostile, Buried: time.Now(), Bytes: 9, Start: []byte(hostile + "\xff\x00"),
	}
}

const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>"'`

// auditLog is what the gateway logs.
type auditLog struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *auditLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// audit returns the lines of the audit so far, without their times and requests, and forgets them.
func (l *auditLog) audit(t *testing.T) (lines []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.String()) {
		var fields map[string]string
		if json.Unmarshal([]byte(line), &fields) != nil || fields["msg"] != "audit" {
			continue
		}
		if len(fields["request"]) != 16 {
			t.Errorf("an audit line has no request: %s", line)
		}
		lines = append(lines, strings.Join([]string{fields["who"], fields["what"], fields["object"], fields["outcome"]}, " "))
	}
	l.Reset()
	return lines
}

// startDesk starts a gateway with all that operators look after. Its log is silenced, as far as it can be.
func startDesk(t *testing.T) (*rig, *mailbox, *auditLog) {
	t.Helper()
	box, log := &mailbox{}, &auditLog{}
	r := start(t, func(_ *rig, cfg *gateway.Config) {
		cfg.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelError + 1}))
		cfg.Backlog = func(context.Context) (job.Backlog, error) {
			return job.Backlog{Jobs: map[job.State]int{job.Queued: 7}, Oldest: time.Now().Add(-time.Hour)}, nil
		}
		cfg.Desk.Letters = box
		cfg.Desk.Queues = func(context.Context) ([]job.Queue, error) {
			return []job.Queue{{Name: "video", Waiting: 3, Consumers: 2, Dead: 1}}, box.away
		}
	})
	return r, box, log
}

// deeds are all that operators may do, to a job and a letter.
func deeds(job, letter string) map[string]request {
	return map[string]request{
		"retry":   {path: "/admin/jobs/" + job + "/retry", method: http.MethodPost},
		"fail":    {path: "/admin/jobs/" + job + "/fail", method: http.MethodPost},
		"replay":  {path: "/admin/dead/" + letter + "/replay", method: http.MethodPost},
		"discard": {path: "/admin/dead/" + letter + "/discard", method: http.MethodPost},
	}
}

var looks = []string{"/admin", "/admin/dead", "/admin/users"}

func TestOthersThanOperatorsAreRefusedAndTheirDeedsNoted(t *testing.T) {
	t.Parallel()
	r, box, log := startDesk(t)
	failed := r.fail(r.upload("video").ID)
	box.letters = []job.DeadLetter{letter("a")}
	for name, tt := range map[string]struct {
		token, cookie string
		header        http.Header
		status        int
		text, audit   string
	}{
		"a plain user":              {token: sid, status: 403, text: "for this service's operators only", audit: sid + " %s refused: not an operator"},
		"a guest":                   {token: "guest:" + ann, status: 401, text: "not authorized", audit: " %s refused: not an admin"},
		"nobody":                    {token: "-", status: 401, text: "missing credentials", audit: " %s refused: no credentials"},
		"a bad token":               {token: "bad", status: 403, text: "not authorized", audit: " %s refused: token refused"},
		"a user's session":          {cookie: mySession, status: 403, text: "for this service's operators only", audit: sid + " %s refused: not an operator"},
		"the operator in a capital": {token: "Op@gmail.com", status: 403, text: "for this service's operators only", audit: "Op@gmail.com %s refused: not an operator"},
	} {
		for what, q := range deeds(failed.ID, box.letters[0].ID) {
			q.token, q.cookie = tt.token, tt.cookie
			r.want(r.do(q), tt.status, tt.text)
			object := strings.Split(q.path, "/")[3]
			if got, want := log.audit(t), strings.Replace(tt.audit, "%s", what+" "+object, 1); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s is noted as %q, want %q", name, what, got, want)
			}
		}
		for _, path := range looks {
			r.want(r.do(request{path: path, token: tt.token, cookie: tt.cookie}), tt.status, tt.text)
		}
	}
	for name, h := range byOthers {
		for what, q := range deeds(failed.ID, box.letters[0].ID) {
			q.cookie, q.header = "session="+op, h.Clone()
			if a := r.do(q); a.status != 403 || !strings.Contains(a.body, "a page of another site") {
				t.Errorf("%s: %s = %d %s", name, what, a.status, a.body)
			}
			if got := log.audit(t); len(got) != 1 || !strings.Contains(got[0], "refused: request by another site's page") {
				t.Errorf("%s: %s is noted as %q", name, what, got)
			}
		}
	}
	if j := r.job(failed.ID); j.Version != failed.Version || len(box.letters) != 1 {
		t.Errorf("something was done: %+v, %v", j, box.letters)
	}
}

func TestALoginAskedForAtAdminLeadsThereAndNeverElsewhere(t *testing.T) {
	t.Parallel()
	r, _, _ := startDesk(t)
	const form = `action="/session?to=%2fadmin"`
	for _, path := range looks {
		r.isPage(r.do(request{path: path, token: "-", header: asBrowser.Clone()}), 401, form)
	}
	login := func(path, password string) answer {
		q := loginForm(op, password, "Accept", "text/html")
		q.path = path
		return r.do(q)
	}
	r.isPage(login("/session?to=%2fadmin", "wrong"), 401, form) // the next try leads there still
	for to, want := range map[string]string{
		"": "/", "/admin": "/admin", "//evil.example": "/", "https://evil.example/admin": "/", "/admin/../../evil": "/", `\\evil.example`: "/",
		"/admin@evil.example": "/", "/admin\r\nX: y": "/", "javascript:alert(1)": "/", "/jobs": "/", "/admin/": "/",
	} {
		path := "/session?to=" + url.QueryEscape(to)
		if a := login(path, "sid123"); a.status != http.StatusSeeOther || a.header.Get("Location") != want {
			t.Errorf("to %q: %d to %q, want %q", to, a.status, a.header.Get("Location"), want)
		}
		if a := login(path, "wrong"); a.status != http.StatusUnauthorized || strings.Contains(a.body, "evil") {
			t.Errorf("to %q, refused: %d %s", to, a.status, a.body)
		}
	}
}

func TestOnlyAnOperatorsPageLeadsToAdmin(t *testing.T) {
	t.Parallel()
	desk, _, _ := startDesk(t)
	for _, tt := range []struct {
		*rig
		who  string
		want bool
	}{{desk, op, true}, {desk, sid, false}, {start(t, func(_ *rig, cfg *gateway.Config) { cfg.Desk = nil }), op, false}} {
		a := tt.do(request{path: "/", cookie: "session=" + tt.who, header: asBrowser.Clone()})
		tt.isPage(a, http.StatusOK, "Turn videos into MP3s")
		if got := strings.Contains(a.body, `href="/admin"`); got != tt.want {
			t.Errorf("%s sees a link to /admin: %v, want %v", tt.who, got, tt.want)
		}
	}
}

func TestOperatorsDeeds(t *testing.T) {
	t.Parallel()
	r, box, log := startDesk(t)
	j := r.fail(r.upload("video").ID)
	cut := letter("b")
	cut.Cut = true
	box.letters = []job.DeadLetter{letter("a"), cut, letter("c"), letter("c")}
	unknown := job.NewID(time.Now())
	for i, step := range []struct {
		what, job, letter string
		body              string
		status            int
		audit             string
	}{
		{"retry", j.ID, "", "", 202, "done"},
		{"retry", j.ID, "", "", 409, "refused: job has not failed"},
		{"fail", j.ID, "", url.Values{"because": {"two\nlines"}}.Encode(), 400, "refused: because is malformed"},
		{"fail", j.ID, "", "because=" + strings.Repeat("x", 501), 400, "refused: because is malformed"},
		{"fail", j.ID, "", "because=too+large", 202, "done"},
		{"fail", j.ID, "", "", 409, "refused: job is neither queued nor converting"},
		{"retry", unknown, "", "", 404, "refused: no such job"},
		{"fail", unknown, "", "", 404, "refused: no such job"},
		{"retry", "x", "", "", 404, "refused: no such job"},
		{"replay", "", strings.Repeat("a", 26), "", 200, "done"},
		{"replay", "", strings.Repeat("a", 26), "", 404, "refused: no such dead letter"},
		{"replay", "", cut.ID, "", 409, "refused: of the dead letter only a part was kept"},
		{"discard", "", strings.Repeat("c", 26), "", 200, "done"},
		{"discard", "", strings.Repeat("c", 25), "", 404, "refused: no such dead letter"},
	} {
		q := deeds(step.job, step.letter)[step.what]
		q.token = op
		if step.body != "" {
			q.body, q.header = strings.NewReader(step.body), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		}
		a := r.do(q)
		want := []string{op + " " + step.what + " " + step.job + step.letter + " " + step.audit}
		if diff := cmp.Diff(want, log.audit(t)); diff != "" || a.status != step.status {
			t.Errorf("step %d, %s: %d %s, want %d; the audit:\n%s", i, step.what, a.status, a.body, step.status, diff)
		}
	}
	if got := r.job(j.ID); got.Reason != job.ReasonStopped || !strings.Contains(got.Detail, "too large") || r.rings(j.ID) < 3 {
		t.Errorf("the job is %+v", got)
	}
	if len(box.letters) != 1 || !slices.Equal(box.sent, []string{strings.Repeat("a", 26)}) {
		t.Errorf("letters: %v left, %v sent", box.letters, box.sent)
	}
	q := deeds(j.ID, "")["retry"]
	q.cookie, q.header = "session="+op, asBrowser.Clone()
	if a := r.do(q); a.status != http.StatusSeeOther || a.header.Get("Location") != "/admin" {
		t.Errorf("a browser gets %d %v", a.status, a.header)
	}
}

// Some letters may have been settled before the broker went away: that is no refusal.
func TestWhatFailsHalfwayIsNotNotedAsRefused(t *testing.T) {
	t.Parallel()
	r, box, log := startDesk(t)
	box.letters, box.away = []job.DeadLetter{letter("c"), letter("c")}, errors.New("broker is away")
	for _, want := range []string{"failed: after 2 of these letters: broker is away", "failed: broker is away"} {
		q := deeds("", letter("c").ID)["discard"]
		q.token = op
		a := r.do(q)
		if got := log.audit(t); a.status != 503 || !slices.Equal(got, []string{op + " discard " + letter("c").ID + " " + want}) {
			t.Errorf("%d %s, noted as %q, want %q", a.status, a.body, got, want)
		}
	}
}

func TestOperatorsSeeEverybodysJobsAndNothingOfThemIsMarkup(t *testing.T) {
	t.Parallel()
	r, box, _ := startDesk(t)
	up := r.do(request{path: "/upload", token: ann, form: []part{{"file", "<img src=x onerror=alert(3)>.mp4", "video"}}})
	r.want(up, http.StatusOK, "success!")
	failed := strings.TrimPrefix(up.header.Get("Location"), "/jobs/")
	_, err := r.ledger.Update(t.Context(), failed, func(j *job.Job) error { return j.Stop(time.Now(), r.rules, hostile) })
	r.must(err)
	running := r.upload("video").ID
	_, err = r.ledger.Update(t.Context(), running, func(j *job.Job) error {
		return j.Claim(time.Now(), r.rules, "<b>worker</b>", job.NewID(time.Now()))
	})
	r.must(err)
	box.letters = []job.DeadLetter{letter("a")}
	for _, path := range looks {
		a := r.do(request{path: path, cookie: "session=" + op, header: asBrowser.Clone()})
		r.isPage(a, http.StatusOK, "Dead letters")
		for _, markup := range []string{"<script", "<img", "<b>worker"} {
			if strings.Contains(a.body, markup) {
				t.Errorf("%s has %s in it", path, markup)
			}
		}
		if path == "/admin" && (!strings.Contains(a.body, "job-"+failed) || !strings.Contains(a.body, ann) || !strings.Contains(a.body, "job-"+running)) {
			t.Errorf("%s lacks a job: %s", path, a.body)
		}
		if j := r.do(request{path: path, token: op, header: http.Header{"Accept": {"application/json"}}}); j.status != 200 || !json.Valid([]byte(j.body)) {
			t.Errorf("%s in JSON = %d %s", path, j.status, j.body)
		}
	}
	if a := r.do(request{path: "/admin", token: op, header: asBrowser.Clone()}); !strings.Contains(a.body, "mail pending") {
		t.Errorf("that the failed job's mail waits is not said: %s", a.body)
	}
	r.want(r.do(request{path: "/admin?before=x", token: op}), 400, "limit must be 1 to 200 and before a job's id")
	if a := r.do(request{path: "/admin?before=" + failed, token: op}); a.status != 200 || strings.Contains(a.body, "job-"+failed) {
		t.Errorf("before it: %d %s", a.status, a.body)
	}
}

func TestOperatorsSeeWhatWaitsAndWhyAndCanEndIt(t *testing.T) {
	t.Parallel()
	r, _, log := startDesk(t)
	later := r.upload("video").ID
	r.claim(later)
	r.update(later, func(j *job.Job) error { return j.Release(time.Now(), r.rules, 1, 10*time.Minute, "the disk is full") })
	rung := r.upload("video").ID
	r.eventually("it is rung for", func() bool { return r.job(rung).Rings == 1 })
	waits := []string{later, rung, r.insert(r.queued()).ID}
	says := map[string]string{later: "Tried again in ", rung: "Rung for, in the queue", waits[2]: "Not rung for yet"}

	var all struct {
		Queued []struct {
			Job       job.View
			Owner     string
			Rings     int
			NotBefore *time.Time `json:"not_before"`
		}
	}
	look := func() (ids []string) {
		a := r.do(request{path: "/admin", token: op, header: http.Header{"Accept": {"application/json"}}})
		r.must(json.Unmarshal([]byte(a.body), &all))
		for _, q := range all.Queued {
			ids = append(ids, q.Job.ID)
		}
		return ids
	}
	if diff := cmp.Diff(waits, look()); diff != "" {
		t.Fatalf("what waits, the oldest first (-want +got):\n%s", diff)
	}
	for i, q := range all.Queued {
		if q.Owner != sid || (q.NotBefore != nil) != (i == 0) || (q.Rings != 0) != (i == 1) {
			t.Errorf("%s waits as %+v", q.Job.ID, q)
		}
	}
	a := r.do(request{path: "/admin", cookie: "session=" + op, header: asBrowser.Clone()})
	r.isPage(a, http.StatusOK, "Waiting, by upload, the oldest first")
	for id, why := range says {
		_, card, _ := strings.Cut(a.body, `id="job-`+id+`"`)
		card, _, _ = strings.Cut(card, "</form>")
		if !strings.Contains(card, why) || !strings.Contains(card, `action="/admin/jobs/`+id+`/fail"`) {
			t.Errorf("want %q and a button that ends it:\n%s", why, card)
		}
	}
	if !strings.Contains(a.body, "the disk is full") {
		t.Error("why the last attempt ended is not said")
	}

	for _, id := range waits {
		q := deeds(id, "")["fail"]
		q.token = op
		if a, got := r.do(q), log.audit(t); a.status != http.StatusAccepted || !slices.Equal(got, []string{op + " fail " + id + " done"}) {
			t.Errorf("ending it: %d %s, noted as %q", a.status, a.body, got)
		}
		if _, err := r.ledger.Update(t.Context(), id, func(j *job.Job) error {
			return j.Claim(time.Now().Add(time.Hour), r.rules, "worker", job.NewID(time.Now()))
		}); !errors.Is(err, job.ErrState) {
			t.Errorf("a converter's claim of what was ended: %v", err)
		}
	}
	if left := look(); len(left) > 0 {
		t.Errorf("%v wait", left)
	}
}

// The ledger is shown while the broker is away.
func TestWhatIsAwayIsNamedAndTheRestShown(t *testing.T) {
	t.Parallel()
	r, box, _ := startDesk(t)
	failed := r.fail(r.upload("video").ID)
	box.away = errors.New("dial 10.0.0.7: refused")
	a := r.do(request{path: "/admin", cookie: "session=" + op, header: asBrowser.Clone()})
	r.isPage(a, 200, "Not everything could be read: queues.")
	if !strings.Contains(a.body, failed.ID) || strings.Contains(a.body, "10.0.0.7") {
		t.Errorf("the page is %s", a.body)
	}
	r.isPage(r.do(request{path: "/admin/dead", cookie: "session=" + op, header: asBrowser.Clone()}), 503, "try again")
}
