package stories

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// request is sent as it is: no header but what is said here and what net/http must add.
type request struct {
	base   string // http://host:port
	method string // default GET
	path   string // with its query
	auth   string // the Authorization header; empty sends none
	header http.Header
	body   io.Reader
}

// answer is what came back, whole.
type answer struct {
	status int
	header http.Header
	body   string
}

var client = &http.Client{
	Timeout:       patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 10, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func send(t testing.TB, r request) answer {
	t.Helper()
	a, err := r.try()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r request) try() (answer, error) {
	req, err := http.NewRequest(r.method, r.base+r.path, r.body)
	if err != nil {
		return answer{}, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	if r.auth != "" {
		req.Header.Set("Authorization", r.auth)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: read the answer: %w", req.Method, req.URL.Path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}, nil
}

// atOnce sends all requests at the same time and returns the answers in their order.
func atOnce(t testing.TB, requests ...request) []answer {
	t.Helper()
	answers, failures := make([]answer, len(requests)), make([]error, len(requests))
	var running sync.WaitGroup
	for i, r := range requests {
		running.Go(func() { answers[i], failures[i] = r.try() })
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	return answers
}

// is fails the test unless the answer has exactly that status and body.
func (a answer) is(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("answer = %d %.300q, want %d %q", a.status, a.body, status, body)
	}
}

// into decodes a JSON body.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", got)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// part is a file of a form, or, with a field's name only, a value.
type part struct {
	field, file string
	data        []byte
}

// form returns a multipart body and the header that goes with it.
func form(t testing.TB, parts ...part) (io.Reader, http.Header) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		to, err := w.CreateFormField(p.field)
		if p.file != "" {
			to, err = w.CreateFormFile(p.field, p.file)
		}
		if err == nil {
			_, err = to.Write(p.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &body, http.Header{"Content-Type": {w.FormDataContentType()}}
}

// person is a user who has logged in.
type person struct {
	*suite
	email, password, token string
}

// jobView is a job as GET /jobs/{id} shows it.
type jobView struct {
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
}

// do sends a request with the person's token to the gateway.
func (p *person) do(t testing.TB, r request) answer {
	t.Helper()
	return send(t, p.with(r))
}

// with gives the request the person's token.
func (p *person) with(r request) request {
	r.base, r.auth = p.URL, "Bearer "+p.token
	return r
}

func (p *person) get(t testing.TB, path string) answer {
	t.Helper()
	return p.do(t, request{path: path})
}

// post sends a form to /upload, whose query may be in the path.
func (p *person) post(t testing.TB, path string, header http.Header, parts ...part) answer {
	t.Helper()
	return send(t, p.posting(t, path, header, parts...))
}

func (p *person) posting(t testing.TB, path string, header http.Header, parts ...part) request {
	t.Helper()
	body, h := form(t, parts...)
	for name, values := range header {
		h[name] = values
	}
	return p.with(request{method: http.MethodPost, path: path, header: h, body: body})
}

// upload uploads a file under the name and returns its job's id.
func (p *person) upload(t testing.TB, file, name string, fields ...part) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a := p.post(t, "/upload", nil, append(fields, part{"file", name, data})...)
	a.is(t, http.StatusOK, "success!")
	return jobOf(t, a)
}

// jobOf is the id of the job that an upload was answered with.
func jobOf(t testing.TB, a answer) string {
	t.Helper()
	id, ok := strings.CutPrefix(a.header.Get("Location"), "/jobs/")
	if !ok || len(id) != 24 {
		t.Fatalf("answer %d %q with Location %q, want a job's", a.status, a.body, a.header.Get("Location"))
	}
	return id
}

func (p *person) job(t testing.TB, id string) (j jobView) {
	t.Helper()
	a := p.get(t, "/jobs/"+id)
	if a.status != http.StatusOK {
		t.Fatalf("GET /jobs/%s = %d %s", id, a.status, a.body)
	}
	a.into(t, &j)
	return j
}

// reaches waits until the job is in the state; any other state in which jobs stay fails the test.
func (p *person) reaches(t testing.TB, id, state string) jobView {
	t.Helper()
	return awaited(t, "job "+id+" is "+state, func() (jobView, bool) {
		j := p.job(t, id)
		if j.State != state && (j.State == "done" || j.State == "failed") {
			t.Fatalf("job %s is %s (%s), want %s", id, j.State, orEmpty(j.Reason), state)
		}
		return j, j.State == state
	})
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// letter is a mail as its reader sees it.
type letter struct {
	From, To, Subject string
	Body              string // lines end in \n
	ID                string // the Message-ID, without brackets
	Date              time.Time
}

// mailed waits until the person has got n mails and returns them in the order of arrival; one more fails the test.
func (p *person) mailed(t testing.TB, n int) []letter {
	t.Helper()
	mails := awaited(t, "a mail to "+p.email, func() ([]letter, bool) {
		mails := p.Mails(t, p.email)
		return mails, len(mails) >= n
	})
	if len(mails) > n {
		t.Fatalf("%s got %d mails, want %d: %+v", p.email, len(mails), n, mails)
	}
	return mails
}

// download gets an MP3 and returns the file that it was saved to.
func (p *person) download(t *testing.T, fid string) string {
	t.Helper()
	a := p.get(t, "/download?"+url.Values{"fid": {fid}}.Encode())
	if a.status != http.StatusOK {
		t.Fatalf("download of %s = %d %q", fid, a.status, a.body)
	}
	return saved(t, ".mp3", a.body)
}
