package stories

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mp3converter/internal/auth"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/user"
)

// suite is a running system, whatever it is made of.
type suite struct {
	URL    string // of the gateway
	Auth   string // URL of auth, which only the gateway should reach
	Secret string // the tokens' key
	Users  users
	Mails  func(t testing.TB, to string) []letter // in the order of arrival
}

// What both suites are set to say in mails.
const (
	sender  = "mp3converter@example.com"
	baseURL = "http://mp3converter.com"
)

// users is the user table.
type users interface {
	Add(ctx context.Context, u user.User) error
	Find(ctx context.Context, email string) (user.User, error)
}

// password is everybody's, so that it is hashed once.
const password = "correct horse battery staple"

var hashed = sync.OnceValue(func() string { return auth.Hash(password) })

// add makes a user with a row of their own.
func (s *suite) add(t testing.TB, row user.User) *person {
	t.Helper()
	if row.Email == "" {
		row.Email = newAddress()
	}
	if err := s.Users.Add(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return &person{suite: s, email: row.Email, password: password}
}

func newAddress() string { return strings.ToLower(rand.Text()) + "@example.com" }

// someone makes a user and logs them in.
func (s *suite) someone(t testing.TB) *person {
	t.Helper()
	p := s.add(t, user.User{Password: hashed(), Admin: true})
	p.login(t)
	return p
}

// login gets the person a token.
func (p *person) login(t testing.TB) {
	t.Helper()
	a := send(t, request{base: p.URL, method: http.MethodPost, path: "/login", auth: basic(p.email, p.password)})
	if a.status != http.StatusOK {
		t.Fatalf("login of %s = %d %q", p.email, a.status, a.body)
	}
	p.token = a.body
}

// clip is a video of two seconds with sound, as most stories need it.
func clip(t testing.TB) string {
	t.Helper()
	return testmedia.Clip(t, testmedia.Spec{})
}

// saved writes a file of the test's own.
func saved(t testing.TB, ext, data string) string {
	t.Helper()
	return testmedia.File(t, ext, []byte(data))
}
