package attacks

import (
	"net/http"
	"strings"

	"mp3converter/internal/testsuite"
)

// operatorsDeeds are all that operators may do to the job, and to a letter.
func operatorsDeeds(job string) (deeds []testsuite.Request) {
	letter := strings.Repeat("a", 26)
	for _, path := range []string{"/jobs/" + job + "/retry", "/jobs/" + job + "/fail", "/dead/" + letter + "/replay", "/dead/" + letter + "/discard"} {
		deeds = append(deeds, testsuite.Request{Method: http.MethodPost, Path: "/admin" + path})
	}
	return deeds
}

// isUntouched fails the row if the victim's failed job is another than it was.
func (p *probe) isUntouched() {
	p.Helper()
	if j := p.victim.Job(p, p.failed.ID); j.State != "failed" || j.Attempts != p.failed.Attempts || *j.Started != *p.failed.Started || *j.Ended != *p.failed.Ended {
		p.Errorf("the job is now %+v", j)
	}
}

var operators = []row{
	{number: 83, attack: "/admin and auth's list of users, by a user, by their session, by a token that says operator", expected: "403, of whatever id; nothing is done", try: func(p *probe) {
		all := []testsuite.Request{{Path: "/admin"}, {Path: "/admin/dead"}, {Path: "/admin/users"}}
		for _, id := range []string{p.failed.ID, unknown, "x"} {
			all = append(all, operatorsDeeds(id)...)
		}
		claimed := sign(hs256, claims(p.me.Email, `,"operator":true`))
		for variant, h := range map[string]http.Header{
			"a token": {"Authorization": {"Bearer " + p.me.Token}}, "a session": {"Cookie": {"session=" + p.me.Token}},
			"a claim": {"Authorization": {"Bearer " + claimed}}, "an owner": {"Authorization": {"Bearer " + p.victim.Token}},
			"a header": {"Authorization": {"Bearer " + p.me.Token}, "X-Operator": {"true"}, "X-User": {p.operator.Email}},
		} {
			for _, r := range all {
				r.Header = h
				_, got := p.send(r)
				p.is(variant+" "+r.Method+" "+r.Path, got, "403 for this service's operators only")
			}
			_, got := p.send(testsuite.Request{Base: p.AuthURL, Path: "/users", Header: h})
			p.is(variant+" at auth", got, "403 not authorized", "401 missing credentials") // auth takes no cookies
		}
		for _, r := range all {
			_, got := p.send(r)
			p.is("nobody "+r.Path, got, "401 missing credentials")
		}
		p.isUntouched()
	}},
	{number: 84, attack: "another site's page does an operator's deeds with the operator's cookie", expected: nothingDone, try: func(p *probe) {
		_, got := p.send(testsuite.Request{Path: "/admin", Header: http.Header{"Cookie": {"session=" + p.operator.Token}}})
		p.is("the operator", got, "200")
		for _, r := range operatorsDeeds(p.failed.ID) {
			p.foreignly(func() testsuite.Request { return r }, p.operator.Token)
		}
		p.isUntouched()
	}},
	{number: 85, attack: "markup in a file's name, on the operators' page; that page in another's frame", expected: "text; no frame, no script but the page's own", try: func(p *probe) {
		id := p.me.Upload(p, testsuite.Saved(p, ".mp4", "no video"), "<script src=x><img src=x onerror=alert(1)>'&.mp4")
		p.keeps(p.me.Email, 1)
		p.me.Reaches(p, id, "failed")
		a, got := p.send(testsuite.Request{
			Path:   "/admin?before=" + id[:12] + strings.Repeat("f", 12), // or other rows' may be in front of it
			Header: http.Header{"Cookie": {"session=" + p.operator.Token}, "Accept": {"text/html"}},
		})
		p.is("the page", got, "200")
		got = "markup"
		if strings.Contains(a.Body, "&lt;script src=x&gt;&lt;img src=x onerror") && !strings.Contains(a.Body, "<script") && !strings.Contains(a.Body, "<img") {
			got = "text"
		}
		p.is("the name", got, "text")
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "script-src 'self'") {
			p.Errorf("the page may %q", csp)
		}
	}},
}
