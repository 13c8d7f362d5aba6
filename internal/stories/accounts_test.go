package stories

import (
	"net/http"
	"testing"

	"mp3converter/internal/testsuite"
)

// ends waits until nobody takes the person's token any more.
func ends(t *testing.T, p *testsuite.Person) {
	t.Helper()
	testsuite.Eventually(t, "a token of "+p.Email+" ends", func() bool {
		a := p.Get(t, "/jobs")
		return a.Status == 403 && a.Body == "not authorized"
	})
}

func logout(t *testing.T, p *testsuite.Person, query string) {
	t.Helper()
	a := p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/logout" + query})
	a.Is(t, 200, "logged out")
	plain(t, a)
}

func theLogout(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	other, third := *p, *p
	other.Login(t)
	third.Login(t)
	p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/logout?all=maybe"}).Is(t, 400, "all must be true or false")
	logout(t, p, "")
	p.Get(t, "/jobs").Is(t, 403, "not authorized")
	p.Post(t, "/upload", nil, testsuite.FilePart("file", "a.mp4", []byte("video"))).Is(t, 403, "not authorized")
	p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/logout"}).Is(t, 403, "not authorized")
	other.Get(t, "/jobs").Is(t, 200, `{"jobs":[],"next":null}`)

	logout(t, &other, "?all=true")
	for _, ended := range []*testsuite.Person{&other, &third} {
		ended.Get(t, "/jobs").Is(t, 403, "not authorized")
	}
	p.Login(t)
	p.Get(t, "/jobs").Is(t, 200, `{"jobs":[],"next":null}`)
	testsuite.Send(t, testsuite.Request{Base: s.URL, Method: http.MethodPost, Path: "/logout"}).Is(t, 401, "missing credentials")
}

// replicas are two gateways with an auth each, behind a proxy that is trusted.
func replicas(t *testing.T, s *testsuite.Services) [2]*testsuite.Services {
	t.Helper()
	var both [2]*testsuite.Services
	for i := range both {
		both[i] = s.Beside(t)
		both[i].StartAuth("TRUSTED_PROXIES=127.0.0.0/8")
		both[i].StartGateway("TRUSTED_PROXIES=127.0.0.0/8,::1/128")
	}
	return both
}

func theGuesser(t *testing.T, s *testsuite.Services) {
	p, both := s.Someone(t), replicas(t, s)
	try := func(replica int, client, password string) testsuite.Answer {
		return testsuite.Send(t, testsuite.Request{
			Base: both[replica].URL, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(p.Email, password),
			Header: http.Header{"X-Forwarded-For": {client}},
		})
	}
	const guesser, owner = "203.0.113.9", "198.51.100.7"
	for i := range 5 {
		try(i%2, guesser, "guess").Is(t, 401, "invalid credentials")
	}
	waits := 0
	for i := range 45 {
		a := try(i%2, guesser, "guess")
		switch {
		case a.Status == 429 && a.Body == "too many failed logins, try again later" && a.Header.Get("Retry-After") != "":
			waits++
		case a.Status != 401: // a wait was over
			t.Errorf("guess %d = %d %q, want 429 with Retry-After, or 401", i, a.Status, a.Body)
		}
	}
	if waits == 0 {
		t.Error("50 guesses, and none had to wait")
	}
	for i := range both {
		if a := try(i, owner, p.Password); a.Status != 200 {
			t.Errorf("the right password from elsewhere = %d %q", a.Status, a.Body)
		}
	}
	p.Get(t, "/jobs").Is(t, 200, `{"jobs":[],"next":null}`)
}

func theReplicas(t *testing.T, s *testsuite.Services) {
	p, both := s.Someone(t), replicas(t, s)
	q := *p
	q.Login(t)
	at := func(p *testsuite.Person, i int) *testsuite.Person {
		there := *p
		there.Suite = both[i].Suite
		return &there
	}
	logout(t, at(p, 0), "")
	at(p, 0).Get(t, "/jobs").Is(t, 403, "not authorized")
	ends(t, at(p, 1))
	at(&q, 1).Get(t, "/jobs").Is(t, 200, `{"jobs":[],"next":null}`)
	logout(t, at(&q, 1), "?all=true")
	ends(t, at(&q, 0))
}
