package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

func TestTokensAreJudgedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		authorization []string
		status        int
		text          string
	}{
		"no header":              {nil, 401, "missing credentials"},
		"an empty header":        {[]string{""}, 401, "missing credentials"},
		"a bad token":            {[]string{"Bearer bad"}, 403, "not authorized"},
		"no space":               {[]string{"Bearer"}, 403, "not authorized"},
		"another scheme":         {[]string{basic(sid, "sid123")}, 403, "not authorized"},
		"two headers":            {[]string{"Bearer " + sid, "Bearer " + sid}, 403, "not authorized"},
		"claim admin false":      {[]string{"Bearer guest:" + sid}, 401, "not authorized"},
		"a user without address": {[]string{"Bearer @"}, 403, "not authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, q := range []request{
				{path: "/upload", form: file("video")},
				{path: "/upload", body: strings.NewReader("no form")},
				{path: "/download?fid=" + job.NewID(time.Now())},
				{path: "/download"},
				{path: "/download", method: http.MethodHead},
				{path: "/jobs"},
				{path: "/jobs/no-id"},
				{path: "/jobs/no-id/events"},
				{path: "/events"},
				{path: "/jobs/no-id/retry", method: http.MethodPost},
				{path: "/jobs/no-id", method: http.MethodDelete},
			} {
				q.token, q.header = "-", http.Header{"Authorization": tt.authorization}
				a, text := r.do(q), tt.text
				if q.method == http.MethodHead {
					text = ""
				}
				r.want(a, tt.status, text)
			}
		})
	}
	r.wantNothing()
}

func TestWhatAuthAnswers(t *testing.T) {
	t.Parallel()
	r := start(t)
	valid := func(claims string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, claims) }
	}
	code := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, "driver: secret") }
	}
	for name, tt := range map[string]struct {
		auth   http.HandlerFunc
		status int
	}{
		"good":                       {valid(`{"username":"sid@gmail.com","admin":true}`), 200},
		"admin is a word":            {valid(`{"username":"sid@gmail.com","admin":"true"}`), 401},
		"admin is a number":          {valid(`{"username":"sid@gmail.com","admin":1}`), 401},
		"admin is missing":           {valid(`{"username":"sid@gmail.com"}`), 401},
		"no user":                    {valid(`{"admin":true}`), 403},
		"a user that injects a line": {valid(`{"username":"sid@gmail.com\r\nBcc: x@y","admin":true}`), 403},
		"two users":                  {valid(`{"username":"sid@gmail.com, ann@gmail.com","admin":true}`), 403},
		"no JSON":                    {valid(`<html>`), 503},
		"an endless answer":          {valid(`{"username":"` + strings.Repeat("a", 1<<20) + `"}`), 503},
		"401":                        {code(401), 401},
		"403":                        {code(403), 403},
		"400":                        {code(400), 503},
		"404":                        {code(404), 503},
		"429":                        {code(429), 503},
		"500":                        {code(500), 503},
		"503":                        {code(503), 503},
		"a redirect":                 {redirect, 503},
		"the connection breaks":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503},
		"half an answer and a break": {halfAnAnswer, 503},
	} {
		r.setAuth(tt.auth)
		a := r.do(request{path: "/jobs"})
		if a.status != tt.status || strings.Contains(a.body, "secret") {
			t.Errorf("%s: answer = %d %q, want %d", name, a.status, a.body, tt.status)
		}
		if got := a.header.Get("Retry-After"); (got != "") != (tt.status == 503) {
			t.Errorf("%s: Retry-After = %q", name, got)
		}
	}
}

func TestASilentAuthIsAway(t *testing.T) {
	t.Parallel()
	r := start(t, func(r *rig, cfg *gateway.Config) {
		cfg.Auth = gateway.NewAuth(r.authServer.Listener.Addr().String(), nil)
		r.Cleanup(cfg.Auth.Close)
	})
	for name, silent := range map[string]http.HandlerFunc{
		"at once":              func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
		"after half an answer": halfThenSilent,
	} {
		r.setAuth(silent)
		a := r.do(request{path: "/jobs"})
		if a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("silent %s: answer = %d %q, %v", name, a.status, a.body, a.header)
		}
	}
}

// redirect sends whoever follows to good claims.
func redirect(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path != "/elsewhere" {
		http.Redirect(w, req, "/elsewhere", http.StatusTemporaryRedirect)
		return
	}
	fmt.Fprint(w, `{"username":"sid@gmail.com","admin":true}`)
}

func halfAnAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `{"username":"sid@gmail.com","admin":true}`)
}

func halfThenSilent(w http.ResponseWriter, req *http.Request) {
	fmt.Fprint(w, `{"username":`)
	_ = http.NewResponseController(w).Flush()
	<-req.Context().Done()
}

func TestNothingButTheAuthorizationGoesToAuth(t *testing.T) {
	t.Parallel()
	r := start(t)
	var got *http.Request
	var body []byte
	r.setAuth(func(w http.ResponseWriter, req *http.Request) {
		got = req
		body, _ = io.ReadAll(req.Body)
		fmt.Fprint(w, `{"username":"sid@gmail.com","admin":true}`)
	})
	for path, want := range map[string]string{
		"/login?all=true&x=y": "/login", "/logout?x=y": "/logout", "/logout?all=true&x=y": "/logout?all=true", "/logout?all=%26x": "/logout?all=%26x",
		"/jobs/x/retry": "/validate",
	} {
		r.do(request{
			path: path, body: strings.NewReader("secret"), token: "-", method: http.MethodPost,
			header: http.Header{
				"Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "X-User": {"root"}, "Idempotency-Key": {"k"},
				"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Host": {"x"}, "X-Real-Ip": {"198.51.100.7"}, "Forwarded": {"for=198.51.100.7"},
			},
		})
		if got.Method != http.MethodPost || got.URL.RequestURI() != want || len(body) > 0 {
			t.Errorf("%s: auth got %s %s with %q", path, got.Method, got.URL, body)
		}
		for name, values := range got.Header {
			switch name {
			case "Authorization", "User-Agent", "Accept-Encoding", "Content-Length":
			case "X-Forwarded-For": // who has connected, and not who they say they are
				if want == "/validate" || !slices.Equal(values, []string{"127.0.0.1"}) {
					t.Errorf("%s: auth got X-Forwarded-For %q", path, values)
				}
			case "X-Request-Id": // under which its answer is logged here
				if len(values) != 1 || !job.IsRequestID(values[0]) {
					t.Errorf("%s: auth got X-Request-Id %q", path, values)
				}
			default:
				t.Errorf("%s: auth got %s", path, name)
			}
		}
	}
}

// security.md B5 32.
func TestAuthIsToldWhoTheTrustedProxiesSayTheClientIs(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	var got []string
	r.setAuth(func(w http.ResponseWriter, req *http.Request) {
		got = req.Header["X-Forwarded-For"]
		fmt.Fprint(w, "a.b.c")
	})
	for _, path := range []string{"/login", "/logout"} {
		r.do(request{method: http.MethodPost, path: path, token: "-", header: http.Header{"X-Forwarded-For": {"127.0.0.9, 198.51.100.7"}}})
		if !slices.Equal(got, []string{"198.51.100.7"}) {
			t.Errorf("%s: auth got X-Forwarded-For %q, want the last that is no proxy", path, got)
		}
	}
}

func TestLogoutPassesOnWhatAuthAnswers(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		status int
		body   string
		want   int
	}{
		"good":          {200, "logged out", 200},
		"a wrong all":   {400, "all must be true or false", 400},
		"no token":      {401, "missing credentials", 401},
		"a bad token":   {403, "not authorized", 403},
		"an older auth": {404, "404 page not found", 503},
		"a broken auth": {500, "driver: secret", 503},
	} {
		t.Run(name, func(t *testing.T) {
			r.setAuth(func(w http.ResponseWriter, req *http.Request) {
				if req.Header.Get("Authorization") != "Bearer x" {
					t.Error("auth did not get the token")
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			a := r.do(request{method: http.MethodPost, path: "/logout", token: "-", header: http.Header{"Authorization": {"Bearer x"}}})
			if a.status != tt.want || tt.want == tt.status && a.body != tt.body || strings.Contains(a.body, "secret") {
				t.Errorf("answer = %d %q, want %d", a.status, a.body, tt.want)
			}
		})
	}
	r.setAuth(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "not authorized")
	})
	a := r.do(request{method: http.MethodPost, path: "/logout", token: "-", header: http.Header{"Accept": {"application/json"}}})
	r.wantProblem(a, 403, `"detail":"not authorized"`)
}

func TestLoginPassesOnWhatAuthAnswers(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		status            int
		body, media, wait string
	}{
		"good":           {200, "a.b.c", "text/plain; charset=utf-8", ""},
		"no credentials": {401, "missing credentials", "text/plain", ""},
		"bad ones":       {401, "invalid credentials", "text/html; charset=utf-8", ""},
		"too many":       {429, "later", "text/plain", "7"},
		"database down":  {503, "service unavailable", "text/plain", "5"},
	} {
		t.Run(name, func(t *testing.T) {
			r.setAuth(func(w http.ResponseWriter, req *http.Request) {
				if req.Header.Get("Authorization") != basic(sid, "sid123") {
					t.Error("auth did not get the credentials")
				}
				w.Header().Set("Content-Type", tt.media)
				if tt.wait != "" {
					w.Header().Set("Retry-After", tt.wait)
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			a := r.do(request{method: http.MethodPost, path: "/login", token: "-", header: http.Header{"Authorization": {basic(sid, "sid123")}}})
			r.want(a, tt.status, tt.body)
			if a.header.Get("Content-Type") != tt.media || a.header.Get("Retry-After") != tt.wait {
				t.Errorf("header = %v", a.header)
			}
		})
	}
}

func TestAuthIsAway(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Auth = gateway.NewAuth(gone.Listener.Addr().String(), nil) })
	for _, q := range []request{
		{path: "/login", method: http.MethodPost, header: http.Header{"Authorization": {basic(sid, "sid123")}}, token: "-"},
		{path: "/upload", form: file("video")},
		{path: "/download?fid=" + job.NewID(time.Now())},
	} {
		a := r.do(q)
		r.wantProblem(a, 503, "try again")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", q.path)
		}
	}
	r.wantNothing()
}

func TestReadinessNamesAuthThatIsAway(t *testing.T) {
	t.Parallel()
	asked, status := 0, http.StatusUnauthorized
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(status)
	}))
	defer server.Close()
	auth := gateway.NewAuth(server.Listener.Addr().String(), nil)
	defer auth.Close()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Auth = auth })
	for range 3 {
		if err := auth.Ready(t.Context()); err != nil {
			t.Errorf("auth answers, and is %v", err)
		}
	}
	if asked != 1 {
		t.Errorf("auth was asked %d times whether it is there, want once", asked)
	}
	status = http.StatusInternalServerError
	r.wantProblem(r.do(request{path: "/jobs"}), 503, "try again")
	if err := auth.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("auth answers with 500, and is %v", err)
	}
	status = http.StatusUnauthorized
	if err := auth.Ready(t.Context()); err != nil {
		t.Errorf("auth is back, and is %v", err)
	}
}

func TestABrokenAuthIsAway(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, status := range []int{500, 502, 504, 302, 403, 404} { // of a proxy, or of whatever is at AUTH_SVC_ADDRESS
		r.setAuth(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, "Traceback (most recent call last)")
		})
		for _, path := range []string{"/login", "/upload"} {
			if path == "/upload" && status == http.StatusForbidden {
				continue // auth's word on a bad token
			}
			a := r.do(request{path: path, method: http.MethodPost})
			r.want(a, 503, web.Unavailable.Text)
			if a.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", path)
			}
		}
	}
}

func TestAuthRestarts(t *testing.T) {
	t.Parallel()
	r := start(t)
	for range 50 { // a connection that auth has closed while it was idle must not cost a user the request
		if a := r.do(request{path: "/jobs"}); a.status != 200 {
			t.Errorf("answer = %d %s", a.status, a.body)
		}
		r.authServer.CloseClientConnections()
	}
}

func TestARefusedLoginIsAProblemToThoseWhoAskForJSON(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.setAuth(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "service unavailable")
	})
	a := r.do(request{path: "/login", method: http.MethodPost, header: http.Header{"Accept": {"application/json"}}})
	r.wantProblem(a, 503, `"detail":"service unavailable"`)
	if got := a.header.Get("Content-Type") + a.header.Get("Retry-After"); got != "application/problem+json5" {
		t.Errorf("Content-Type and Retry-After: %s", got)
	}
}
