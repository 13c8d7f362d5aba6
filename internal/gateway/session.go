package gateway

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mp3converter/internal/web"
)

// A browser's session is the same token as any other client's, in a cookie that no script can read. It stands for an
// Authorization header in requests that have none.

// sessionPath is where the page's login form goes.
const sessionPath = "/session"

// origins tells requests of this site's own pages from those that another site's page has the browser send: by
// Sec-Fetch-Site, or else by Origin and Host. What has neither comes from no browser. A page of ours must therefore not be sent
// with the Referrer-Policy no-referrer: its forms would come with the Origin null.
var origins = http.NewCrossOriginProtection()

// cookieName is that of the session. By TLS it has the prefix with which browsers take it only from this very host and only
// by TLS, so neither a sibling domain nor whoever holds the wire at another time can plant one.
func cookieName(r *http.Request) string {
	if web.ByTLS(r) {
		return "__Host-session"
	}
	return "session"
}

// credentials are the request's Authorization headers, or the session's token as one if there are none at all. The browser
// adds the cookie to whatever any page makes it send, so what changes something must come from a page of ours: else it is
// errForeign.
func credentials(r *http.Request) ([]string, error) {
	if values, there := r.Header["Authorization"]; there {
		return values, nil
	}
	var authorization []string
	for _, c := range r.CookiesNamed(cookieName(r)) {
		if c.Value != "" {
			authorization = append(authorization, "Bearer "+c.Value) // of several, none is taken
		}
	}
	if authorization == nil {
		return nil, nil
	}
	return authorization, sameSite(r)
}

// sameSite returns errForeign for a request that another site's page has made a browser send and that may change something.
func sameSite(r *http.Request) error {
	if err := origins.Check(r); err != nil {
		return fmt.Errorf("%w: %w", errForeign, err)
	}
	return nil
}

// beginSession logs in by a form, on auth's terms for /login, and hands out the token as a cookie. It asks who sends the form
// even without a cookie: a page that logs its visitor in as somebody else would get their next uploads.
func (s *Service) beginSession(w http.ResponseWriter, r *http.Request) error {
	if err := sameSite(r); err != nil {
		return err
	}
	email, password, err := loginForm(w, r)
	if err != nil {
		return err
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(email+":"+password))
	answer, err := s.cfg.Auth.pass(r, "/login", []string{basic}, http.StatusOK, http.StatusUnauthorized)
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		return answer.refusal()
	}
	token := string(answer.body)
	c, err := s.cfg.Auth.validate(r.Context(), []string{"Bearer " + token}) // how long it is good, and whether for anything
	if err != nil {
		return err
	}
	web.Note(r.Context(), "user", c.Username)
	setCookie(w, r, token, c.life())
	http.Redirect(w, r, cmp.Or(leadsTo(r), "/"), http.StatusSeeOther)
	return nil
}

// leadsTo is where the login form leads to, if it is not the site's page. It is one of ours whatever the request says, so that no
// link to our login can lead elsewhere.
func leadsTo(r *http.Request) string {
	if r.URL.Query().Get("to") == adminPath {
		return adminPath
	}
	return ""
}

// endSession ends the token and forgets the cookie; a token that is no longer good has ended already. While auth is away the
// cookie stays, for the token is good for as long.
func (s *Service) endSession(w http.ResponseWriter, r *http.Request) error {
	if err := sameSite(r); err != nil {
		return err
	}
	authorization, err := credentials(r)
	if err != nil {
		return err
	}
	answer, err := s.endToken(r, authorization)
	if err != nil {
		return err
	}
	switch answer.status {
	case http.StatusOK, http.StatusUnauthorized, http.StatusForbidden:
	default:
		return answer.refusal()
	}
	setCookie(w, r, "", 0)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// setCookie has the browser keep the token for so long, or forget it if that is nothing.
func setCookie(w http.ResponseWriter, r *http.Request, token string, life time.Duration) {
	seconds := int(life / time.Second)
	if seconds <= 0 {
		token, seconds = "", -1 // Max-Age=0
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where it can be: on plain HTTP the browser would not take it
		Name: cookieName(r), Value: token, Path: "/", MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: web.ByTLS(r),
	})
}

// maxLoginForm is in bytes: more than the longest address and password that auth takes, each byte as %XX.
const maxLoginForm = 8 << 10

// loginForm returns what is in the form's two fields.
func loginForm(w http.ResponseWriter, r *http.Request) (email, password string, err error) {
	form, err := smallForm(w, r, maxLoginForm)
	switch {
	case errors.Is(err, errNoForm):
		return "", "", errNoLoginForm
	case err != nil:
		return "", "", err
	case len(form["email"]) != 1 || len(form["password"]) != 1:
		return "", "", errNoLoginForm
	}
	return form.Get("email"), form.Get("password"), nil
}
