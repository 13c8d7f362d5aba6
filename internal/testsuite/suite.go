package testsuite

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"

	"mp3converter/internal/auth"
	"mp3converter/internal/user"
)

// Suite is a running system, whatever it is made of.
type Suite struct {
	URL     string // of the gateway
	AuthURL string // URL of auth, which only the gateway should reach
	Secret  string // the tokens' key
	Users   users
	Mails   func(t testing.TB, to string) []Letter // in the order of arrival
}

// What both suites are set to say in mails.
const (
	Sender  = "mp3converter@example.com"
	BaseURL = "http://mp3converter.com"
)

// Operator is whom both suites name one. A test that needs one adds the user.
const Operator = "operator@example.com"

// users is the user table.
type users interface {
	Add(ctx context.Context, u user.User) error
	Find(ctx context.Context, email string) (user.User, error)
}

// Password is everybody's, so that it is hashed once.
const Password = "correct horse battery staple"

var Hashed = sync.OnceValue(func() string { return auth.Hash(Password) })

// Add makes a user with a row of their own.
func (s *Suite) Add(t testing.TB, row user.User) *Person {
	t.Helper()
	if row.Email == "" {
		row.Email = NewAddress()
	}
	if err := s.Users.Add(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	return &Person{Suite: s, Email: row.Email, Password: Password}
}

func NewAddress() string { return strings.ToLower(rand.Text()) + "@example.com" }

// Someone makes a user and logs them in.
func (s *Suite) Someone(t testing.TB) *Person {
	t.Helper()
	p := s.Add(t, user.User{Password: Hashed(), Admin: true})
	p.Login(t)
	return p
}
