package browser_test

import (
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/testsuite"
)

func TestSomebodyLogsInAndOut(t *testing.T) {
	s := testsuite.OneProgram(t)
	who := somebody(t, s.Suite)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.Fill("#email", who.Email)
	p.Fill("#password", "wrong")
	p.Click("button.main")
	p.Shows("[role=alert]", "do not belong together")
	p.IsAccessible()
	p.Fill("#email", who.Email)
	p.Fill("#password", testsuite.Password)
	p.Type("\r")
	p.Shows(".who", who.Email)
	p.Shows("#empty", "Nothing here yet")
	if cookies := browser.Eval[string](p, "document.cookie"); cookies != "" {
		t.Errorf("scripts can read %q", cookies)
	}
	p.Click(".top button")
	p.Shows("h1", "Log in")
	p.Go(s.URL)
	p.Shows("h1", "Log in")
}
