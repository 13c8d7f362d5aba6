package stories

import (
	"strings"
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/testsuite"
	"mp3converter/internal/user"
)

// discardByHand is how an operator, in a browser, meets a message that is none. Nobody else may take dead letters meanwhile.
func discardByHand(t *testing.T, s *testsuite.Services) {
	t.Helper()
	who := s.Add(t, user.User{Email: testsuite.Operator, Password: testsuite.Hashed(), Admin: true})
	original(t, "raw", s.Broker, "video", "<b>no</b> JSON")
	p := browser.Open(t, browser.View{})
	p.Go(s.URL + "/admin/dead")
	p.LogIn(who.Email, testsuite.Password, "h1", "What goes on") // where the login led
	counts := func(letters string, times int) func() bool {
		return func() bool {
			p.Go(s.URL + "/admin")
			return strings.Count(p.Text("[aria-labelledby=queues]"), letters+" dead letters") == times
		}
	}
	testsuite.Eventually(t, "the letter is counted", counts("1", 1))
	p.Click("[href='/admin/dead']")
	p.Shows(".card h2", "video")
	p.Shows(".card .failed", "not a JSON object")
	p.Shows(".card pre", "<b>no</b> JSON")
	p.Shot("admin-story-dead")
	p.Click(".card [popovertarget]")
	p.Click(".ask .danger")
	p.Shows(".empty", "None, unless")
	testsuite.Eventually(t, "neither queue has one", counts("0", 2))
}
