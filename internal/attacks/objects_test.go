package attacks

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"mp3converter/internal/testsuite"
)

var objects = []row{
	{number: 26, attack: "another's MP3, by its id and by its video's", expected: "404, as an unknown one", try: func(p *probe) {
		for _, fid := range []string{*p.done.MP3, p.done.ID, p.failed.ID, unknown} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a, got := p.mine(testsuite.Request{Method: method, Path: "/download?fid=" + fid})
				if method == http.MethodGet {
					p.is(fid, got, "404 no such file")
				} else {
					p.is(fid, got, "404")
				}
				if strings.Contains(a.Body, fid) || a.Header.Get("ETag") != "" {
					p.Errorf("the answer tells: %v %s", a.Header, a.Body)
				}
			}
		}
	}},
	{number: 27, attack: "one's own video on /download, while it has no MP3", expected: "404: videos cannot be downloaded; that of a done job gives its MP3", try: func(p *probe) {
		_, got := p.send(testsuite.Request{Path: "/download?fid=" + p.failed.ID, Auth: "Bearer " + p.victim.Token})
		p.is("failed", got, "404 no such file")
		a := p.victim.Get(p, "/download?fid="+p.done.ID)
		mp3 := p.victim.Get(p, "/download?fid="+*p.done.MP3)
		got = "another file"
		if a.Body == mp3.Body && a.Status == 200 && a.Header.Get("Content-Type") == "audio/mpeg" {
			got = "the MP3"
		}
		p.is("done", got, "the MP3")
	}},
	{number: 28, attack: "fid as operator, array, of 23 or 25 digits, in capitals, with NUL, ../, twice", expected: "400", try: func(p *probe) {
		id := *p.done.MP3
		for _, query := range []string{
			`fid={"$ne":null}`, "fid[$gt]=", "fid[]=" + id, "fid[$ne]=x", "fid=" + id[:23], "fid=" + id + "0", "fid=" + strings.ToUpper("abcdef") + id[6:], "fid=" + id + "%00",
			"fid=../" + id, "fid=..%2f..%2fetc%2fpasswd", "fid=" + id + "&fid=" + id, "fid=" + id + "&fid=" + unknown, "fid=%zz", "fid= " + id, "fid=" + id + ";fid=" + id, "fid=ObjectId(" + id + ")",
			"fid=" + strings.Repeat("a", 10_000), "FID=" + id, "",
		} {
			path := "/download?" + strings.ReplaceAll(query, " ", "%20")
			_, got := p.send(testsuite.Request{Path: strings.ReplaceAll(strings.ReplaceAll(path, `"`, "%22"), "%zz", "%25zz"), Auth: "Bearer " + p.victim.Token})
			p.is(query, got, "400 fid must be one value of 24 hex digits", "400 fid is required")
		}
		for _, id := range []string{`{"$ne":null}`, id[:23], id + "0", "..", id + "\x00", strings.ToUpper("abcdef") + id[6:]} {
			_, got := p.send(testsuite.Request{Path: "/jobs/" + url.PathEscape(id), Auth: "Bearer " + p.victim.Token})
			p.is("job "+id, got, "404 no such job", "404 not found")
		}
		for _, before := range []string{`{"$ne":null}`, "x", id + "0"} {
			_, got := p.mine(testsuite.Request{Path: "/jobs?before=" + url.QueryEscape(before)})
			p.is("before "+before, got, "400 limit must be 1 to 200 and before a job's id")
		}
	}},
	{number: 29, attack: "another's job: show, watch, delete, retry; listing, with filters", expected: "404, as an unknown one; lists are empty", try: func(p *probe) {
		for _, id := range []string{p.done.ID, p.failed.ID, *p.done.MP3, unknown} {
			for _, r := range []testsuite.Request{{Path: "/jobs/" + id}, {Path: "/jobs/" + id + "/events"}, {
				Path: "/jobs/" + id + "/events", Header: http.Header{"Last-Event-Id": {"1"}},
			}, {Method: http.MethodDelete, Path: "/jobs/" + id}, {Method: http.MethodPost, Path: "/jobs/" + id + "/retry"}} {
				_, got := p.mine(r)
				p.is(r.Method+" "+id, got, "404 no such job")
			}
		}
		for _, path := range []string{"/jobs", "/jobs?limit=200", "/jobs?owner=" + p.victim.Email, "/jobs?before=ffffffffffffffffffffffff", "/jobs?state=done&state=failed&profile=standard&q=.", "/jobs?username=" + p.victim.Email} {
			a, got := p.mine(testsuite.Request{Path: path})
			p.is(path, got, "200")
			p.is(path, a.Body, `{"jobs":[],"next":null}`)
		}
		p.is("the victim's", p.victim.Job(p, p.failed.ID).State, "failed")
	}},
	{number: 30, attack: "ids next to another's", expected: "404; there is no limit on tries: of an id 48 bits are random, and only its owner's token opens it", try: func(p *probe) {
		for _, id := range []string{*p.done.MP3, p.done.ID} {
			for _, digit := range "0123456789abcdef" {
				_, got := p.mine(testsuite.Request{Path: "/download?fid=" + id[:23] + string(digit)})
				p.is("neighbour", got, "404 no such file")
			}
		}
		p.is("random", fmt.Sprint((*p.done.MP3)[12:] != p.done.ID[12:]), "true")
		p.seen = slices.DeleteFunc(p.seen, func(s string) bool { return s == "true" })
	}},
	{number: 32, attack: "X-User and its kind, X-Forwarded-*, method overrides", expected: "ignored", try: func(p *probe) {
		for _, name := range []string{
			"X-User", "X-Username", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Auth-Request-Email", "X-Forwarded-Email", "X-Admin", "X-Forwarded-For",
			"X-Real-Ip", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "Cookie", "Proxy-Authorization", "X-Original-Url", "X-Rewrite-Url",
		} {
			h := http.Header{name: {p.victim.Email}}
			_, got := p.mine(testsuite.Request{Path: "/jobs/" + p.done.ID, Header: h})
			p.is(name, got, "404 no such job")
			_, got = p.send(testsuite.Request{Path: "/jobs/" + p.done.ID, Header: h})
			p.is(name+" alone", got, "401 missing credentials")
			_, got = p.send(testsuite.Request{Base: p.AuthURL, Method: http.MethodPost, Path: "/validate", Header: h})
			p.is(name+" at auth", got, "401 missing credentials")
		}
		for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
			_, got := p.send(testsuite.Request{Path: "/jobs/" + p.failed.ID, Auth: "Bearer " + p.victim.Token, Header: http.Header{name: {"DELETE"}}})
			p.is(name, got, "200")
		}
		// Who guesses waits, whatever address they say they have. After a wait, which may be over soon, one more is let in.
		who, waits := p.user(), 0
		for i := range 8 {
			h := http.Header{"X-Forwarded-For": {fmt.Sprintf("203.0.113.%d", i)}, "X-Real-Ip": {fmt.Sprintf("203.0.113.%d", i)}, "Forwarded": {fmt.Sprintf("for=203.0.113.%d", i)}}
			_, got := p.loginWith(p.client, testsuite.Basic(who.Email, "wrong"), h)
			p.is("a guess", got, invalid, tooMany)
			if got == tooMany {
				waits++
			}
		}
		if waits == 0 {
			p.Errorf("eight guesses that say eight addresses, and none had to wait")
		}
	}},
}

// unknown is the id of nothing.
const unknown = "64f0000000000000000000ff"
