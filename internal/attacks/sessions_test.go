package attacks

import (
	"net/http"
	"net/url"
	"strings"

	"mp3converter/internal/testsuite"
)

// loginForm is what a browser sends to begin a session.
func loginForm(email, password string) testsuite.Request {
	return testsuite.Request{
		Method: http.MethodPost, Path: "/session", Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body: strings.NewReader(url.Values{"email": {email}, "password": {password}}.Encode()),
	}
}

const foreign = "403 a page of another site has sent this: use this site's own page"

// foreignly sends the request as another site's page has a browser send it, in every way that a browser may say so, with
// the token in the session's cookie.
func (p *probe) foreignly(request func() testsuite.Request, token string) {
	p.Helper()
	for variant, told := range map[string]http.Header{
		"cross-site": {"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Origin": {"https://evil.example"}},
		"same-site":  {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://other.mp3converter.com"}},
		"Origin":     {"Origin": {"https://evil.example"}},
		"null":       {"Origin": {"null"}}, // a sandboxed frame
		"lying":      {"Origin": {"https://evil.example"}, "X-Forwarded-Host": {"evil.example"}, "Referer": {p.URL + "/"}},
	} {
		r := request()
		for name, values := range r.Header {
			told[name] = values
		}
		told["Cookie"] = []string{"session=" + token}
		r.Header = told
		a, got := p.send(r)
		p.is(variant+" "+r.Method+" "+r.Path, got, foreign)
		if a.Header.Get("Set-Cookie") != "" {
			p.Errorf("%s: a cookie is set: %v", variant, a.Header)
		}
	}
}

const nothingDone = "403, and nothing is done"

var sessions = []row{
	{number: 71, attack: "another site's page sends an upload with the user's cookie", expected: nothingDone, try: func(p *probe) {
		video := []byte(testsuite.Read(p, testsuite.Clip(p)))
		p.foreignly(func() testsuite.Request {
			body, h := testsuite.Form(p, testsuite.FilePart("file", "a.mp4", video))
			return testsuite.Request{Method: http.MethodPost, Path: "/upload", Header: h, Body: body}
		}, p.me.Token)
	}},
	{number: 72, attack: "another site's page retries and deletes the user's jobs", expected: nothingDone, try: func(p *probe) {
		for _, r := range []testsuite.Request{
			{Method: http.MethodPost, Path: "/jobs/" + p.failed.ID + "/retry"}, {Method: http.MethodPost, Path: "/jobs/" + p.failed.ID + "/delete"}, {Method: http.MethodDelete, Path: "/jobs/" + p.failed.ID},
		} {
			p.foreignly(func() testsuite.Request { return r }, p.victim.Token)
		}
		if j := p.victim.Job(p, p.failed.ID); j.State != "failed" || j.Attempts != p.failed.Attempts || *j.Ended != *p.failed.Ended {
			p.Errorf("the job is now %+v", j)
		}
	}},
	{number: 73, attack: "another site's page logs the user in as somebody else", expected: nothingDone, try: func(p *probe) {
		who := p.user()
		p.foreignly(func() testsuite.Request { return loginForm(who.Email, who.Password) }, p.me.Token)
		_, got := p.send(loginForm(who.Email, who.Password)) // as our own page does
		p.is("the page itself", got, "303")
	}},
	{number: 74, attack: "another site's page logs the user out", expected: nothingDone, try: func(p *probe) {
		for _, path := range []string{"/session/end", "/logout", "/logout?all=true"} {
			p.foreignly(func() testsuite.Request { return testsuite.Request{Method: http.MethodPost, Path: path} }, p.me.Token)
		}
		_, got := p.mine(testsuite.Request{Path: "/jobs"})
		p.is("after that", got, "200")
	}},
}
