package testsuite

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// Person is a user who has logged in.
type Person struct {
	*Suite
	Email, Password, Token string
}

// JobView is a job as GET /jobs/{id} shows it.
type JobView struct {
	ID       string  `json:"id"`
	State    string  `json:"state"`
	FileName string  `json:"file_name"`
	Profile  string  `json:"profile"`
	Progress int     `json:"progress"`
	Attempts int     `json:"attempts"`
	Reason   *string `json:"reason"`
	Detail   *string `json:"detail"`
	Mail     *string `json:"mail"`
	Video    string  `json:"video_fid"`
	MP3      *string `json:"mp3_fid"`
	Bytes    int64   `json:"bytes"`
	MP3Bytes *int64  `json:"mp3_bytes"`
	Created  string  `json:"created_at"`
	Started  *string `json:"started_at"`
	Ended    *string `json:"ended_at"`

	VideoUntil *string `json:"video_until"`
	MP3Until   *string `json:"mp3_until"`
}

// Do sends a request with the person's token to the gateway.
func (p *Person) Do(t testing.TB, r Request) Answer {
	t.Helper()
	return Send(t, p.With(r))
}

// With gives the request the person's token.
func (p *Person) With(r Request) Request {
	r.Base, r.Auth = p.URL, "Bearer "+p.Token
	return r
}

func (p *Person) Get(t testing.TB, path string) Answer {
	t.Helper()
	return p.Do(t, Request{Path: path})
}

// Post sends a form to /upload, whose query may be in the path.
func (p *Person) Post(t testing.TB, path string, header http.Header, parts ...Part) Answer {
	t.Helper()
	return Send(t, p.Posting(t, path, header, parts...))
}

func (p *Person) Posting(t testing.TB, path string, header http.Header, parts ...Part) Request {
	t.Helper()
	body, h := Form(t, parts...)
	for name, values := range header {
		h[name] = values
	}
	return p.With(Request{Method: http.MethodPost, Path: path, Header: h, Body: body})
}

// Upload uploads a file under the name and returns its job's id.
func (p *Person) Upload(t testing.TB, file, name string, fields ...Part) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := p.Post(t, "/upload", nil, append(fields, Part{"file", name, data})...)
	a.Is(t, http.StatusOK, "success!")
	return JobOf(t, a)
}

// JobOf is the id of the job that an upload was answered with.
func JobOf(t testing.TB, a Answer) string {
	t.Helper()
	id, ok := strings.CutPrefix(a.Header.Get("Location"), "/jobs/")
	if !ok || len(id) != 24 {
		t.Fatalf("answer %d %q with Location %q, want a job's", a.Status, a.Body, a.Header.Get("Location"))
	}
	return id
}

func (p *Person) Job(t testing.TB, id string) JobView {
	t.Helper()
	j, answered := p.Asked(t, id)
	if !answered {
		t.Fatalf("GET /jobs/%s = %d", id, http.StatusServiceUnavailable)
	}
	return j
}

// Asked is Job for whoever asks again and again: false where the gateway says to come again, as it does of a busy store.
func (p *Person) Asked(t testing.TB, id string) (j JobView, answered bool) {
	t.Helper()
	a := p.Get(t, "/jobs/"+id)
	switch a.Status {
	case http.StatusOK:
		a.Into(t, &j)
		return j, true
	case http.StatusServiceUnavailable:
		return j, false
	}
	t.Fatalf("GET /jobs/%s = %d %s", id, a.Status, a.Body)
	return j, false
}

// Reaches waits until the job is in the state; any other state in which jobs stay fails the test.
func (p *Person) Reaches(t testing.TB, id, state string) JobView {
	t.Helper()
	return Awaited(t, "job "+id+" is "+state, func() (JobView, bool) {
		j, _ := p.Asked(t, id)
		if j.State != state && (j.State == "done" || j.State == "failed") {
			t.Fatalf("job %s is %s (%s), want %s", id, j.State, OrEmpty(j.Reason), state)
		}
		return j, j.State == state
	})
}

func OrEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Letter is a mail as its reader sees it.
type Letter struct {
	From, To, Subject string
	Body, HTML        string // lines end in \n
	ID                string // the Message-ID, without brackets
	Date              time.Time
}

// Mailed waits until the person has got n mails and returns them in the order of arrival; one more fails the test.
func (p *Person) Mailed(t testing.TB, n int) []Letter {
	t.Helper()
	mails := Awaited(t, "a mail to "+p.Email, func() ([]Letter, bool) {
		mails := p.Mails(t, p.Email)
		return mails, len(mails) >= n
	})
	if len(mails) > n {
		t.Fatalf("%s got %d mails, want %d: %+v", p.Email, len(mails), n, mails)
	}
	return mails
}

// Download gets an MP3 and returns the file that it was saved to.
func (p *Person) Download(t *testing.T, fid string) string {
	t.Helper()
	a := p.Get(t, "/download?"+url.Values{"fid": {fid}}.Encode())
	if a.Status != http.StatusOK {
		t.Fatalf("download of %s = %d %q", fid, a.Status, a.Body)
	}
	return Saved(t, ".mp3", a.Body)
}

// Login gets the person a token.
func (p *Person) Login(t testing.TB) {
	t.Helper()
	a := Send(t, Request{Base: p.URL, Method: http.MethodPost, Path: "/login", Auth: Basic(p.Email, p.Password)})
	if a.Status != http.StatusOK {
		t.Fatalf("login of %s = %d %q", p.Email, a.Status, a.Body)
	}
	p.Token = a.Body
}

// page is what GET /jobs answers.
type page struct {
	Jobs []JobView
	Next *string
}

func (p *Person) List(t testing.TB, query string) (list page) {
	t.Helper()
	p.Get(t, "/jobs"+query).Into(t, &list)
	return list
}

// IsConverting waits until ffmpeg is at work on the job and says how far it is.
func (p *Person) IsConverting(t *testing.T, id string) {
	t.Helper()
	j := Awaited(t, "progress of job "+id, func() (JobView, bool) {
		j, _ := p.Asked(t, id)
		return j, j.State == "converting" && j.Progress > 0 || j.State == "done"
	})
	if j.State != "converting" || j.Progress >= 100 {
		t.Fatalf("the job is %s, %d %%: too quick to be disturbed", j.State, j.Progress)
	}
}
