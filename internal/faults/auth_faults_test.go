package faults

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// authFaults are the rows of the matrix about auth and its user table. Those that package degrade tells too are slow.
var authFaults = []fault{
	{
		name:     "auth refuses connections",
		expected: "every request 503 and when to come again, never 401 or 403; the job that was there ends",
		slow:     true,
		on: func(t *testing.T, r *rig) string {
			return authIsAway(t, r, func() func() { r.Way.Shut(); return r.Way.Open })
		},
	},
	{
		name:     "auth hangs",
		expected: "the same",
		slow:     true,
		on: func(t *testing.T, r *rig) string {
			return authIsAway(t, r, func() func() { return r.Auth.Freeze(t) })
		},
	},
	{
		name:     "auth answers 500",
		expected: "the same",
		slow:     true,
		on:       authIsBroken,
	},
	{
		name:     "auth takes ten seconds",
		expected: "the same",
		slow:     true,
		on: func(t *testing.T, r *rig) string {
			return authIsAway(t, r, func() func() {
				return r.Way.Poison(testserver.Toxic{Type: "latency", Attributes: map[string]any{"latency": 10_000}})
			})
		},
	},
	{
		name:     "the user table is killed",
		expected: "login and logout 503, uploads with an old token 200, with an ended one 403; all is well after its restart without another",
		on: func(t *testing.T, r *rig) string {
			return usersAreAway(t, r, func() func() {
				r.MySQL.Kill()
				return func() {
					if err := r.MySQL.Restart(); err != nil {
						t.Fatal(err)
					}
				}
			})
		},
	},
	{
		name:     "the user table accepts and never answers",
		expected: "the same",
		slow:     true,
		on: func(t *testing.T, r *rig) string {
			return usersAreAway(t, r, func() func() { return r.MySQL.Freeze(t) })
		},
	},
	{
		name:     "100 logins at once",
		expected: "each 200, 429 or 503; tokens are judged meanwhile",
		slow:     true,
		on:       loginFlood,
	},
}

// authRig has a user table of its own, and a way to auth that can be made bad.
func authRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, testsuite.NewVhost(t), "WORKERS=1")
	database, err := testserver.StartMariaDB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Kill)
	script, err := testserver.InitSQL()
	if err == nil {
		_, err = database.SQL(script)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.MySQL, r.At.MySQL, r.Users = database, database.Addr, testsuite.UserTable(t, database.Addr)
	r.StartAuth()
	r.Way = testserver.NewProxy(t, strings.TrimPrefix(r.AuthURL, "http://"))
	r.gateway("AUTH_SVC_ADDRESS=" + r.Way.Addr)
	return r.whole()
}

// authIsAway breaks auth, or the way to it, while there is a job.
func authIsAway(t *testing.T, r *rig, away func() (back func())) string {
	u := r.upload(talk(t), "", idle)
	leaving := *r.person // with a token of their own: auth may do later what it does not answer in time
	leaving.Login(t)
	back, watched := away(), r.watched
	logout := leaving.With(testsuite.Request{Method: http.MethodPost, Path: "/logout"})
	logout.Base = r.Gates[0]
	testsuite.AreAway(t, append(r.everything(t, u.Job), logout)...)
	r.unwatch(r.Auth) // which may be frozen
	r.check(t, checker.Allowed{})
	r.watched = watched
	back()
	testsuite.Eventually(t, "a login", func() bool { return r.login() == http.StatusOK })
	r.upload(talk(t), "", idle)
	r.check(t, checker.Allowed{})
	return "503 each time, the job done"
}

// everything is a request of each kind that auth is asked about.
func (r *rig) everything(t *testing.T, id string) []testsuite.Request {
	t.Helper()
	form, header := testsuite.Form(t, testsuite.FilePart("file", "a.mp4", []byte("video")))
	all := []testsuite.Request{
		{Method: http.MethodPost, Path: "/upload", Header: header, Body: form},
		{Path: "/download?" + url.Values{"fid": {id}}.Encode()},
		{Path: "/jobs"},
		{Path: "/jobs/" + id},
		{Method: http.MethodPost, Path: "/jobs/" + id + "/retry"},
		{Method: http.MethodDelete, Path: "/jobs/" + id},
	}
	for i := range all {
		all[i].Base, all[i].Auth = r.Gates[0], "Bearer "+r.person.Token
	}
	return append(all, r.loggingIn())
}

func (r *rig) loggingIn() testsuite.Request {
	return testsuite.Request{Base: r.Gates[0], Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(r.person.Email, testsuite.Password)}
}

// login returns the status of one, 0 if there is no answer.
func (r *rig) login() int {
	a, err := r.loggingIn().TryBy(r.client)
	r.hung(err)
	return a.Status
}

func authIsBroken(t *testing.T, r *rig) string {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "Traceback (most recent call last)") // a client that is gone reads nothing
	}))
	t.Cleanup(broken.Close)
	return authIsAway(t, r, func() func() {
		good := r.Gates
		r.alone("AUTH_SVC_ADDRESS=" + broken.Listener.Addr().String())
		return func() { r.Gates = good }
	})
}

func usersAreAway(t *testing.T, r *rig, away func() (back func())) string {
	ended := *r.person
	ended.Login(t)
	logout := ended.With(testsuite.Request{Method: http.MethodPost, Path: "/logout"})
	testsuite.Send(t, logout).Is(t, http.StatusOK, "logged out")
	back := away()
	testsuite.AreAway(t, r.loggingIn(), r.person.With(testsuite.Request{Method: http.MethodPost, Path: "/logout"}))
	ended.Get(t, "/jobs").Is(t, http.StatusForbidden, "not authorized")
	if u := r.try(talk(t), "", 0); u.Status != http.StatusOK {
		t.Errorf("an upload with an old token was answered %d", u.Status)
	}
	r.check(t, checker.Allowed{})
	back()
	testsuite.Eventually(t, "a login", func() bool { return r.login() == http.StatusOK })
	r.check(t, checker.Allowed{}) // also that auth is the same process
	return "login and logout 503, upload 200 and 403; then login 200"
}

func loginFlood(t *testing.T, r *rig) string {
	told, judged := r.flood(t)
	if judged == 0 {
		t.Error("no token was judged during the flood")
	}
	testsuite.Eventually(t, "a login after the flood", func() bool { return r.login() == http.StatusOK })
	r.check(t, checker.Allowed{})
	return fmt.Sprintf("%d times 200, %d times 429, %d times 503; %d tokens judged", told[200], told[429], told[503], judged)
}

// flood logs in many times at once, and has tokens judged meanwhile.
func (r *rig) flood(t *testing.T) (told map[int]int, judged int) {
	t.Helper()
	const logins = 100
	answers := make(chan testsuite.Answer, logins)
	var all sync.WaitGroup
	for range logins {
		all.Go(func() {
			a, err := r.loggingIn().TryBy(r.client)
			if err != nil {
				t.Error(err)
			}
			answers <- a
		})
	}
	for ; len(answers) < logins; judged++ {
		a := testsuite.Send(t, testsuite.Request{Base: r.AuthURL, Method: http.MethodPost, Path: "/validate", Auth: "Bearer " + r.person.Token})
		if a.Status != http.StatusOK {
			t.Errorf("meanwhile a token was answered %d %q", a.Status, a.Body)
		}
	}
	all.Wait()
	told = map[int]int{}
	for range logins {
		a := <-answers
		switch told[a.Status]++; a.Status {
		case http.StatusOK, http.StatusTooManyRequests:
		case http.StatusServiceUnavailable:
			if a.Header.Get("Retry-After") == "" {
				t.Error("a login was answered 503 without Retry-After")
			}
		default:
			t.Errorf("a login was answered %d %q", a.Status, a.Body)
		}
	}
	return told, judged
}
