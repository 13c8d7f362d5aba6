package gateway_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// mySession is the cookie of a session of sid's.
const mySession = "session=" + sid

// loginForm is what a browser sends.
func loginForm(email, password string, header ...string) request {
	return rawForm(url.Values{"email": {email}, "password": {password}}.Encode(), header...)
}

func rawForm(body string, header ...string) request {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return request{path: "/session", token: "-", header: h, body: strings.NewReader(body)}
}

// behindTLS trusts whoever connects, as if all were proxies.
func behindTLS(_ *rig, cfg *gateway.Config) {
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

func (r *rig) cookieOf(a answer) *http.Cookie {
	r.Helper()
	all := (&http.Response{Header: a.header}).Cookies()
	if len(all) != 1 {
		r.Fatalf("answer = %d %q with the cookies %v, want one", a.status, a.body, all)
	}
	return all[0]
}

func TestASessionIsTheTokenInACookie(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		tweak []func(*rig, *gateway.Config)
		proto string
		want  http.Cookie
	}{
		"plain":             {nil, "", http.Cookie{Name: "session"}},
		"plain, they claim": {nil, "https", http.Cookie{Name: "session"}},
		"by TLS":            {[]func(*rig, *gateway.Config){behindTLS}, "https", http.Cookie{Name: "__Host-session", Secure: true}},
		"plain, by a proxy": {[]func(*rig, *gateway.Config){behindTLS}, "http", http.Cookie{Name: "session"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, tt.tweak...)
			before := time.Now()
			a := r.do(loginForm(sid, "sid123", "X-Forwarded-Proto", tt.proto))
			r.want(a, 303, "")
			if to := a.header.Get("Location"); to != "/" {
				t.Errorf("Location = %q, want the page", to)
			}
			got, want := r.cookieOf(a), tt.want
			want.Value, want.Path, want.HttpOnly, want.SameSite = sid, "/", true, http.SameSiteLaxMode
			if diff := gocmp.Diff(&want, got, cmpopts.IgnoreFields(http.Cookie{}, "Raw", "MaxAge")); diff != "" {
				t.Error(diff)
			}
			if least, most := exp-time.Now().Unix()-1, exp-before.Unix(); int64(got.MaxAge) < least || int64(got.MaxAge) > most {
				t.Errorf("Max-Age = %d, want the token's life, %d to %d", got.MaxAge, least, most)
			}
			r.upload("video")
			a = r.do(request{path: "/jobs", cookie: got.Name + "=" + got.Value, header: http.Header{"X-Forwarded-Proto": {tt.proto}}})
			if a.status != 200 || !strings.Contains(a.body, `"state":"queued"`) {
				t.Errorf("jobs by the cookie: %d %q", a.status, a.body)
			}
		})
	}
}

func TestASessionIsRefusedAsALoginIs(t *testing.T) {
	t.Parallel()
	r := start(t)
	a := r.do(loginForm(sid, "wrong"))
	r.want(a, 401, "invalid credentials")
	r.want(r.do(loginForm(sid, "guest")), 401, "not authorized")
	for _, tt := range []struct{ status, want int }{{429, 429}, {503, 503}, {500, 503}, {404, 503}, {302, 503}} {
		r.setAuth(func(w http.ResponseWriter, _ *http.Request) {
			if tt.status == tt.want {
				w.Header().Set("Retry-After", "7")
			}
			w.WriteHeader(tt.status)
			fmt.Fprint(w, "driver: secret")
		})
		a := r.do(loginForm(sid, "sid123", "Accept", "application/json"))
		if a.status != tt.want || a.header.Get("Set-Cookie") != "" || a.header.Get("Retry-After") == "" {
			t.Errorf("auth answers %d: %d %q, %v", tt.status, a.status, a.body, a.header)
		}
	}
	r.setAuth(nil)
	a = r.do(loginForm(sid, "sid123"))
	r.want(a, 303, "")
}

func TestOnlyALoginFormBeginsASession(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.setAuth(func(http.ResponseWriter, *http.Request) { t.Error("auth was asked"); panic(http.ErrAbortHandler) })
	const good = "email=a%40b.c&password=x"
	for name, q := range map[string]request{
		"no body":            rawForm(""),
		"no password":        rawForm("email=a%40b.c"),
		"no e-mail":          rawForm("password=x"),
		"two passwords":      rawForm(good + "&password=y"),
		"two addresses":      rawForm(good + "&email=y"),
		"a bad escape":       rawForm(good + "&x=%zz"),
		"a semicolon":        rawForm("email=a%40b.c;password=x"),
		"too long":           rawForm(good + strings.Repeat("x", 8<<10)),
		"JSON":               rawForm(`{"email":"a@b.c","password":"x"}`, "Content-Type", "application/json"),
		"text":               rawForm(good, "Content-Type", "text/plain"),
		"no type":            rawForm(good, "Content-Type", ""),
		"parts":              {path: "/session", token: "-", form: []part{{"email", "", "a@b.c"}, {"password", "", "x"}}},
		"in the query":       {path: "/session?" + good, method: http.MethodPost, token: "-", header: rawForm("").header},
		"by a header":        {path: "/session", method: http.MethodPost, header: http.Header{"Authorization": {basic(sid, "sid123")}}, token: "-"},
		"half in the query":  {path: "/session?password=x", token: "-", header: rawForm("").header, body: strings.NewReader("email=a%40b.c")},
		"half, with a token": {path: "/session", header: rawForm("").header, body: strings.NewReader("email=a%40b.c")},
	} {
		a := r.do(q)
		if a.status != 400 || !strings.Contains(a.body, "one email and one password") || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %q", name, a.status, a.body)
		}
	}
}

func TestAuthHearsOfASessionWhatItHearsOfALogin(t *testing.T) {
	t.Parallel()
	r := start(t, behindTLS)
	var got []*http.Request
	r.setAuth(func(w http.ResponseWriter, req *http.Request) {
		got = append(got, req)
		if req.URL.Path == "/login" {
			fmt.Fprint(w, "a.b.c")
			return
		}
		fmt.Fprintf(w, `{"username":"sid@gmail.com","admin":true,"exp":%d}`, exp)
	})
	r.want(r.do(loginForm("sid@gmail.com", "p:ä &+%", "X-Forwarded-For", "198.51.100.7", "Cookie", mySession)), 303, "")
	if len(got) != 2 || got[0].URL.RequestURI() != "/login" || got[1].URL.RequestURI() != "/validate" {
		t.Fatalf("auth was asked %v", got)
	}
	if user, password, _ := got[0].BasicAuth(); user != sid || password != "p:ä &+%" || got[0].Header.Get("X-Forwarded-For") != "198.51.100.7" {
		t.Errorf("auth was asked to log in %q by %q, for %q", user, password, got[0].Header.Get("X-Forwarded-For"))
	}
	if a := got[1].Header.Values("Authorization"); !slices.Equal(a, []string{"Bearer a.b.c"}) {
		t.Errorf("auth was asked how long %q is good", a)
	}
	for _, req := range got {
		if c := req.Header.Get("Cookie"); c != "" {
			t.Errorf("auth got the cookie %q", c)
		}
	}
}

// public are the routes that ask nobody who they are. The session's own and the operators' have tests of their own.
var public = []string{
	"GET /", "GET /static/{version}/{name}", "GET /openapi.yaml", "GET /docs", "OPTIONS /uploads/", "OPTIONS /uploads/{id}",
	"POST /login", "POST /logout", "POST /session", "POST /session/end",
}

// asUser is a request to each route that asks who the user is.
func asUser(t *testing.T) (all []request) {
	t.Helper()
	var stub struct{ gateway.Arrivals }
	routes, ok := gateway.New(gateway.Config{Arrivals: stub}).Routes().(chi.Routes)
	if !ok {
		t.Fatal("the routes cannot be listed")
	}
	exact := map[string]request{
		"/upload":   {form: file("video")},
		"/download": {path: "/download?fid=" + job.NewID(time.Now())},
	}
	unseen := slices.Clone(public)
	err := chi.Walk(routes, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if i := slices.Index(unseen, method+" "+path); i >= 0 {
			unseen = slices.Delete(unseen, i, i+1)
			return nil
		}
		q := exact[path]
		q.method, q.path = method, cmp.Or(q.path, strings.NewReplacer("{id}", "no-id", "{delivery}", "no-id").Replace(path))
		all = append(all, q)
		return nil
	})
	if err != nil || len(unseen) > 0 {
		t.Fatalf("%v; there are no public routes %q", err, unseen)
	}
	return all
}

// noStreams refuses those who may have a stream of events: it would not end.
func noStreams(_ *rig, cfg *gateway.Config) { cfg.MaxStreams = -1 }

func TestTheCookieStandsForAnAuthorizationHeaderWhereThereIsNone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cookie        string
		authorization []string
		status        int // 0: as with a good token
		text          string
	}{
		"good":                         {mySession, nil, 0, ""},
		"good, among others":           {"a=b; session=" + sid + "; __Host-session=x", nil, 0, ""},
		"bad":                          {"session=bad", nil, 403, "not authorized"},
		"of a guest":                   {"session=guest:" + sid, nil, 401, "not authorized"},
		"two":                          {"session=" + sid + "; session=" + ann, nil, 403, "not authorized"},
		"twice the same":               {"session=" + sid + "; session=" + sid, nil, 403, "not authorized"},
		"empty":                        {"session=", nil, 401, "missing credentials"},
		"another name":                 {"token=" + sid + "; Session=" + sid + "; jwt=" + sid, nil, 401, "missing credentials"},
		"the name that it has by TLS":  {"__Host-session=" + sid, nil, 401, "missing credentials"},
		"bad, beside a good header":    {"session=bad", []string{"Bearer " + sid}, 0, ""},
		"good, beside a bad header":    {mySession, []string{"Bearer bad"}, 403, "not authorized"},
		"good, beside an empty header": {mySession, []string{""}, 401, "missing credentials"},
		"good, beside two headers":     {mySession, []string{"Bearer " + sid, "Bearer " + sid}, 403, "not authorized"},
		"good, beside another scheme":  {mySession, []string{basic(sid, "sid123")}, 403, "not authorized"},
		"with the scheme in it":        {`session="Bearer ` + sid + `"`, nil, 403, "not authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, noStreams)
			for _, q := range asUser(t) {
				byToken := q
				q.cookie, q.header = tt.cookie, http.Header{}
				if tt.authorization != nil {
					q.header["Authorization"] = tt.authorization
				}
				a := r.do(q)
				if tt.status != 0 {
					r.want(a, tt.status, textFor(q.method, tt.text))
				} else if want := r.do(byToken); a.status != want.status || a.status == 401 || a.status == 403 {
					t.Errorf("%s %s by the cookie: %d %q, by the token %d %q", q.method, q.path, a.status, a.body, want.status, want.body)
				}
			}
		})
	}
}

// textFor is the text, where an answer has a body.
func textFor(method, text string) string {
	if method == http.MethodHead {
		return ""
	}
	return text
}

func TestByTLSOnlyTheCookieOfTLSCounts(t *testing.T) {
	t.Parallel()
	r := start(t, behindTLS)
	for cookie, status := range map[string]int{
		"__Host-session=" + sid: 200, "session=" + sid: 401, "__Host-session=" + sid + "; session=" + ann: 200, "__Secure-session=" + sid: 401,
	} {
		a := r.do(request{path: "/jobs", cookie: cookie, header: http.Header{"X-Forwarded-Proto": {"https"}}})
		if a.status != status {
			t.Errorf("%s: %d %q, want %d", cookie, a.status, a.body, status)
		}
	}
}

func TestAnEndedSessionIsOver(t *testing.T) {
	t.Parallel()
	r := start(t)
	end := request{path: "/session/end", method: http.MethodPost, cookie: mySession}
	r.want(r.do(request{path: "/jobs", cookie: mySession}), 200, `{"jobs":[],"next":null}`)
	for name, q := range map[string]request{
		"good": end, "ended before": end, "none": {path: "/session/end", method: http.MethodPost, token: "-"},
	} {
		a := r.do(q)
		r.want(a, 303, "")
		if got := a.header.Get("Set-Cookie"); a.header.Get("Location") != "/" || got != "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" {
			t.Errorf("%s: to %q with the cookie %q", name, a.header.Get("Location"), got)
		}
	}
	r.want(r.do(request{path: "/jobs", cookie: mySession}), 403, "not authorized")

	r.setAuth(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	a := r.do(end)
	r.want(a, 503, web.Unavailable.Text)
	if a.header.Get("Set-Cookie") != "" {
		t.Error("the cookie is gone, and its token good")
	}
}

func TestLogoutEndsTheCookiesToken(t *testing.T) {
	t.Parallel()
	r := start(t)
	var got []string
	r.setAuth(func(w http.ResponseWriter, req *http.Request) {
		got = req.Header.Values("Authorization")
		fmt.Fprint(w, "logged out")
	})
	for cookie, want := range map[string][]string{mySession: {"Bearer " + sid}, "a=b": nil} {
		r.want(r.do(request{path: "/logout", method: http.MethodPost, cookie: cookie}), 200, "logged out")
		if !slices.Equal(got, want) {
			t.Errorf("auth was asked to end %q, want %q", got, want)
		}
	}
	r.do(request{path: "/login", method: http.MethodPost, cookie: mySession})
	if got != nil {
		t.Errorf("auth was asked to log in %q", got)
	}
}

// byOthers are the headers of what another site's page has a browser send.
var byOthers = map[string]http.Header{
	"cross-site":                 {"Sec-Fetch-Site": {"cross-site"}},
	"a sibling domain":           {"Sec-Fetch-Site": {"same-site"}},
	"an unknown Sec-Fetch-Site":  {"Sec-Fetch-Site": {"x"}},
	"another Origin":             {"Origin": {"https://evil.example"}},
	"the Origin null":            {"Origin": {"null"}},
	"our host on another port":   {"Origin": {"http://127.0.0.1:81"}},
	"our host in another's name": {"Origin": {"http://127.0.0.1.evil.example"}},
}

func TestAnotherSitesPageCannotUseTheSession(t *testing.T) {
	t.Parallel()
	r := start(t)
	failed := r.fail(r.upload("video").ID)
	changing := slices.Clip(slices.DeleteFunc(asUser(t), func(q request) bool { return q.method == http.MethodGet || q.method == http.MethodHead }))
	for name, h := range byOthers {
		for _, q := range append(changing,
			request{path: "/jobs/" + failed.ID + "/retry", method: http.MethodPost},
			request{path: "/jobs/" + failed.ID, method: http.MethodDelete},
			request{path: "/jobs/" + failed.ID + "/delete", method: http.MethodPost},
			request{path: "/logout", method: http.MethodPost},
			request{path: "/session/end", method: http.MethodPost},
			loginForm(sid, "sid123"),
		) {
			q.header = joined(q.header, h)
			q.cookie = mySession
			a := r.do(q)
			if a.status != 403 || !strings.Contains(a.body, "a page of another site has sent this: use this site's own page") || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %s %s = %d %q", name, q.method, q.path, a.status, a.body)
			}
		}
		if a := r.do(request{path: "/jobs/" + failed.ID, cookie: mySession, header: h.Clone()}); a.status != 200 {
			t.Errorf("%s: to look is refused: %d %q", name, a.status, a.body)
		}
		a := r.do(request{path: "/jobs/no-id", method: http.MethodDelete, header: h.Clone()})
		r.want(a, 404, "no such job") // no page can make a browser add a token
	}
	if j := r.job(failed.ID); j.Version != failed.Version || len(r.all()) != 1 {
		t.Errorf("jobs %v, one of them has changed: %+v", r.all(), j)
	}
	for _, h := range []http.Header{
		{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://" + r.addr}},
		{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://behind.a.proxy"}},
		{"Origin": {"http://" + r.addr}},
		{"Origin": {"https://" + r.addr}}, // a proxy in front speaks TLS
		{},                                // no browser
	} {
		a := r.do(request{path: "/jobs/no-id", method: http.MethodDelete, cookie: mySession, header: h.Clone()})
		r.want(a, 404, "no such job")
		q := loginForm(sid, "sid123")
		q.header = joined(q.header, h)
		r.want(r.do(q), 303, "")
	}
}

// joined is a header with all that is in both.
func joined(a, b http.Header) http.Header {
	all := http.Header{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}
