package browser_test

import (
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
	"mp3converter/internal/user"
)

func TestMain(m *testing.M) {
	go func() { _ = testsuite.Release.Build() }() // while the browser starts
	testserver.Main(m, browser.Close, testsuite.Release.Remove)
}

// somebody is a user who has not logged in yet.
func somebody(t *testing.T, s *testsuite.Suite) *testsuite.Person {
	t.Helper()
	return s.Add(t, user.User{Password: testsuite.Hashed(), Admin: true})
}

// login logs in on the page.
func login(p *browser.Page, url string, who *testsuite.Person) {
	p.Go(url)
	p.LogIn(who.Email, testsuite.Password, "h1", "Turn videos into MP3s")
}
