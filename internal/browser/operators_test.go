package browser_test

import (
	"strings"
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
	"mp3converter/internal/user"
)

func theOperator(t *testing.T, s *testsuite.Suite) {
	owner := s.Someone(t)
	id := owner.Upload(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4")
	before := owner.Reaches(t, id, "failed")
	long := owner.Upload(t, testmedia.Clip(t, testmedia.Spec{Seconds: 60}), "long.mp4")
	owner.Reaches(t, long, "converting")

	who := s.Add(t, user.User{Email: testsuite.Operator, Password: testsuite.Hashed(), Admin: true})
	p := browser.Open(t, browser.View{})
	login(p, s.URL, who)
	p.IsAccessible()
	p.Click("nav a")
	p.Shows("h1", "What goes on")
	failed, working := "#job-"+id, "#job-"+long
	p.Shows(failed, "silent.mp4")
	p.Shows(failed, owner.Email)
	p.Shows(failed+" .failed", "no_audio")
	p.Shows(working, "long.mp4")
	p.Shows(working, "Converting")
	p.IsAccessible()
	p.Shot("admin-story-desk")

	browser.Eval[bool](p, "window.old = true")
	p.Click(failed + " [action$=retry] button")
	p.Await("the page comes again", "!window.old && document.querySelector('h1')")
	testsuite.Eventually(t, "it is tried again", func() bool {
		now := owner.Job(t, id)
		return now.State == "failed" && *now.Started > *before.Started
	})

	p.Click(working + " [popovertarget]")
	p.Shows(working+" .ask", "Its owner is mailed that you stopped it.")
	p.Fill("#because-"+long, "too large")
	p.Click(working + " .danger")
	if ended := owner.Reaches(t, long, "failed"); !strings.Contains(testsuite.OrEmpty(ended.Detail), "too large") {
		t.Errorf("its owner is told %q", testsuite.OrEmpty(ended.Detail))
	}
	p.Shows(working+" .failed", "stopped")

	p.Click(".top button") // log out
	p.Shows("h1", "Log in")
	p.Go(s.URL + "/admin")
	p.LogIn(testsuite.Operator, "wrong", "[role=alert]", "do not belong together")
	p.LogIn(testsuite.Operator, testsuite.Password, "h1", "What goes on")
}
