package attacks

import (
	"net/http"
	"slices"
	"strings"

	"mp3converter/internal/testsuite"
)

var responses = []row{
	{number: 64, attack: "a download whose file name, or fid, holds line ends and quotes", expected: "inline; filename=ID.mp3, audio/mpeg, or 400", try: func(p *probe) {
		a, got := p.upload("", testsuite.FilePart("file", "a\"; filename=\"evil.html\r\nX-Evil: 1", []byte(testsuite.Read(p, testsuite.Clip(p)))))
		p.keeps(p.me.Email, 1)
		p.is("upload", got, "200")
		j := p.me.Reaches(p, testsuite.JobOf(p, a), "done")
		for _, fid := range []string{*j.MP3, j.ID} {
			a, got = p.mine(testsuite.Request{Path: "/download?fid=" + fid})
			p.is("download", got, "200")
			want := http.Header{"Content-Disposition": {"inline; filename=" + fid + ".mp3"}, "Content-Type": {"audio/mpeg"}, "X-Content-Type-Options": {"nosniff"}, "X-Evil": nil}
			for name := range want {
				if !slices.Equal(a.Header.Values(name), want[name]) {
					p.Errorf("%s is %q", name, a.Header.Values(name))
				}
			}
		}
		for _, more := range []string{"%0d%0aX-Evil:%201", "%22;%20filename=x.html", ".html", "%00"} {
			a, got = p.mine(testsuite.Request{Path: "/download?fid=" + *j.MP3 + more})
			p.is(more, got, "400 fid must be one value of 24 hex digits", "400 fid is required")
			if a.Header.Get("X-Evil") != "" || a.Header.Get("Content-Disposition") != "" {
				p.Errorf("%s: %v", more, a.Header)
			}
		}
	}},
	{number: 65, attack: "what answers say of the server; operators' and hidden paths on the public port", expected: "nosniff and its kind everywhere, no banner; 404", try: func(p *probe) {
		for _, path := range []string{
			"/metrics", "/livez", "/readyz", "/healthz", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/validate", "/.git/config", "/.env", "/upload/", "//jobs", "/../jobs",
			"/%2e%2e/jobs", "/jobs/../download", "/UPLOAD", "/jobs%00", "/server-status", "/actuator",
		} {
			got, _ := p.raw(p.URL, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+p.me.Token+"\r\n\r\n")
			p.is(path, answered(got), "404 not found")
		}
		for _, path := range []string{"/metrics", "/livez", "/debug/pprof/"} {
			got, _ := p.raw(p.AuthURL, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			p.is(path+" of auth", status(got), "404")
		}
		for _, s := range p.processes() { // not even there
			a, _ := p.send(testsuite.Request{Base: "http://" + s.Serving(p, "ops"), Path: "/debug/pprof/"})
			p.is("pprof of "+s.Name, words(a.Status, "", ""), "404")
		}
		for _, r := range []testsuite.Request{
			{Path: "/jobs"}, {Path: "/jobs/" + unknown}, {Path: "/download"}, {Path: "/nothing"}, {Method: http.MethodPost, Path: "/login"}, {Method: http.MethodPost, Path: "/upload"}, {Method: "TRACE", Path: "/jobs"},
			{Path: "/download?fid=" + *p.done.MP3, Auth: "Bearer " + p.victim.Token}, {Path: "/jobs", Auth: "Bearer " + p.victim.Token}, {Base: p.AuthURL, Method: http.MethodPost, Path: "/validate"},
		} {
			a, _ := p.send(r)
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
				if got := a.Header.Get(name); got != want {
					p.Errorf("%s %s = %d: %s is %q", r.Method, r.Path, a.Status, name, got)
				}
			}
			for _, name := range []string{"Server", "X-Powered-By", "Via", "Set-Cookie", "Access-Control-Allow-Origin"} {
				if got := a.Header.Values(name); got != nil {
					p.Errorf("%s %s = %d: %s is %q", r.Method, r.Path, a.Status, name, got)
				}
			}
		}
		p.see("headers right ×10")
	}},
	{number: 66, attack: "refusals as text and as JSON", expected: "no path, host, driver or id in any; every answer of all rows is searched, too", try: func(p *probe) {
		for _, accept := range []string{"*/*", "application/json"} {
			for _, r := range []testsuite.Request{
				{Path: "/jobs/" + p.done.ID}, {Path: "/download?fid=" + *p.done.MP3}, {Method: http.MethodDelete, Path: "/jobs/" + p.failed.ID}, {Method: http.MethodPost, Path: "/jobs/" + p.failed.ID + "/retry"},
				{Path: "/jobs?before=x"}, {Path: "/etc/passwd"}, {Method: http.MethodPost, Path: "/upload?profile=loud"}, {Method: http.MethodPost, Path: "/upload"},
			} {
				r.Header = http.Header{"Accept": {accept}}
				a, got := p.mine(r)
				p.is(r.Path, got[:3], "404", "400")
				for _, secret := range []string{p.done.ID, *p.done.MP3, p.failed.ID, p.victim.Email, "passwd"} {
					if strings.Contains(a.Body, secret) {
						p.Errorf("%s: %s", r.Path, a.Body)
					}
				}
			}
		}
	}},
	{number: 66, attack: "refusals while the stores are broken", expected: "no path, host, driver or id in any", elsewhere: []string{"internal/gateway TestFailuresSayNothingOfWhatIsWithin"}},
}
