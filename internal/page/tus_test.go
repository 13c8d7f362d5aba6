package page_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/page"
)

// sid is who is logged in first.
const sid = "sid@gmail.com"

// upload is what the server has got of a file.
type upload struct {
	name    string
	profile string
	user    string
	size    int
	data    []byte
}

// tus is a gateway that takes uploads into memory, as far as its test lets it: the protocol's faults are here to be had.
type tus struct {
	*testing.T
	URL string

	mu      sync.Mutex
	uploads map[string]*upload
	done    []job.Job
	asked   []string // method and status of each request
	keys    []string // of creations, those alike in a row as one
	most    int      // PATCHes at once
	patches int

	fault func(r *http.Request) int // the status that a request is refused with; 0 lets it pass. It may cut the connection by -1
	user  string                    // who is logged in, if not sid
	fate  int                       // the status that whoever asks for a job gets instead of it. It may cut the connection by -1
	hold  chan struct{}             // if there is one, a PATCH stores half of what comes and then waits for it
}

func newTus(t *testing.T) *tus {
	t.Helper()
	s := &tus{T: t, uploads: map[string]*upload{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+page.StaticRoot, page.Static)
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /jobs/{id}", s.job)
	mux.HandleFunc("POST /jobs/{id}/delete", s.answer(func(http.ResponseWriter, *http.Request) int { return http.StatusNoContent }))
	mux.HandleFunc("POST /uploads/{$}", s.answer(s.create))
	mux.HandleFunc("/uploads/{id}", s.answer(s.resume))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *tus) home(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := page.Home{User: cmp.Or(s.user, sid), MaxUpload: 1 << 20, Only: r.URL.Query().Get("job")}
	for _, j := range s.done {
		if v.Only == "" || v.Only == j.ID {
			v.Jobs = append([]job.Job{j}, v.Jobs...)
		}
	}
	if err := v.Write(w, http.StatusOK); err != nil {
		s.Error(err)
	}
}

func (s *tus) job(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fate < 0:
		panic(http.ErrAbortHandler)
	case s.fate != 0:
		http.Error(w, "<html>a proxy's page</html>", s.fate)
		return
	}
	for _, j := range s.done {
		if j.ID == r.PathValue("id") {
			return // 200
		}
	}
	http.NotFound(w, r)
}

// answer notes each request, after the fault had its say.
func (s *tus) answer(h func(w http.ResponseWriter, r *http.Request) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := 0
		s.mu.Lock()
		if r.Method == http.MethodPost && r.URL.Path == "/uploads/" {
			s.keys = slices.Compact(append(s.keys, r.Header.Get("Idempotency-Key")))
		}
		fault := s.fault
		s.mu.Unlock()
		if fault != nil {
			status = fault(r)
		}
		if status == 0 {
			status = h(w, r)
		}
		s.mu.Lock()
		s.asked = append(s.asked, fmt.Sprint(r.Method, " ", status))
		s.mu.Unlock()
		switch {
		case status < 0:
			panic(http.ErrAbortHandler)
		case status >= http.StatusBadRequest:
			w.Header().Set("Content-Type", "application/problem+json")
			if status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "1")
			}
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"detail": "the server said %d: of 5000000 bytes 1 are left"}`, status)
		default:
			w.WriteHeader(status)
		}
	}
}

func (s *tus) create(w http.ResponseWriter, r *http.Request) int {
	size, err := strconv.Atoi(r.Header.Get("Upload-Length"))
	if err != nil || r.Header.Get("Tus-Resumable") != "1.0.0" {
		s.Errorf("creation with %v", r.Header)
	}
	u := &upload{size: size}
	for pair := range strings.SplitSeq(r.Header.Get("Upload-Metadata"), ",") {
		key, value, _ := strings.Cut(pair, " ")
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			s.Errorf("metadata %q: %v", pair, err)
		}
		switch key {
		case "filename":
			u.name = string(text)
		case "profile":
			u.profile = string(text)
		case "user":
			u.user = string(text)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.user != sid {
		s.Errorf("creation for %q", u.user)
	}
	id := job.NewID(time.Now())
	s.uploads[id] = u
	w.Header().Set("Location", "/uploads/"+id)
	return http.StatusCreated
}

func (s *tus) resume(w http.ResponseWriter, r *http.Request) int {
	id := r.PathValue("id")
	s.mu.Lock()
	u := s.uploads[id]
	s.mu.Unlock()
	switch {
	case u == nil:
		return http.StatusNotFound
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		delete(s.uploads, id)
		s.mu.Unlock()
		return http.StatusNoContent
	case r.Method == http.MethodPatch:
		if status := s.take(u, r); status != 0 {
			return status
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Upload-Offset", strconv.Itoa(len(u.data)))
	w.Header().Set("Upload-Length", strconv.Itoa(u.size))
	if r.Method == http.MethodPatch {
		if len(u.data) == u.size {
			s.done = append(s.done, job.Job{ID: id, Name: u.name, Profile: job.Profile(u.profile), State: job.Queued, VideoBytes: int64(u.size)})
		}
		return http.StatusNoContent
	}
	return http.StatusOK
}

// take stores what a PATCH brings.
func (s *tus) take(u *upload, r *http.Request) int {
	s.mu.Lock()
	s.patches++
	s.most = max(s.most, s.patches)
	hold, offset := s.hold, len(u.data)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.patches--; s.mu.Unlock() }()
	if r.Header.Get("Upload-Offset") != strconv.Itoa(offset) || r.Header.Get("Content-Type") != "application/offset+octet-stream" {
		return http.StatusConflict
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return -1
	}
	keep := func(n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		u.data, data = append(u.data, data[:n]...), data[n:]
	}
	if hold != nil {
		keep(len(data) / 2)
		select {
		case <-hold:
		case <-r.Context().Done():
			return -1
		}
	}
	keep(len(data))
	return 0
}

// got are the uploads that are whole, by name.
func (s *tus) got() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := map[string]string{}
	for _, u := range s.uploads {
		if len(u.data) == u.size {
			whole[u.name] = string(u.data)
		}
	}
	return whole
}

func (s *tus) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// creations is how many of the requests were to make an upload.
func (s *tus) creations() int { return strings.Count(strings.Join(s.requests(), " "), "POST") }

func (s *tus) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
