package stories

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"
)

// sign makes a token as PyJWT does: the JSON, as it is, signed with HS256.
func sign(secret, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const hs256 = `{"alg":"HS256","typ":"JWT"}`

// claims are what the original puts into a token, in its order; life is from now on.
func claims(email string, admin bool, life time.Duration) string {
	now := time.Now()
	return fmt.Sprintf(`{"username": "%s", "exp": %d, "iat": %d, "admin": %v}`, email, now.Add(life).Unix(), now.Unix(), admin)
}

func theToken(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	before := time.Now().Unix()
	p.Login(t)
	parts := strings.Split(p.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token %q has %d parts", p.Token, len(parts))
	}
	head, payload := decoded(t, parts[0]), decoded(t, parts[1])
	if head != hs256 {
		t.Errorf("header = %s, want %s", head, hs256)
	}
	var c map[string]any
	if err := json.Unmarshal([]byte(payload), &c); err != nil {
		t.Fatal(err)
	}
	iat, _ := c["iat"].(float64)
	if now := time.Now().Unix(); int64(iat) < before || int64(iat) > now {
		t.Errorf("iat = %v, want now, %d to %d", c["iat"], before, now)
	}
	jti, _ := c["jti"].(string) // beside the original's four; ver comes with the first token that is ended
	if c["exp"] != iat+86400 || c["username"] != p.Email || c["admin"] != true || len(jti) < 22 || len(c) != 5 {
		t.Errorf("claims = %s", payload)
	}
	if want := sign(s.Secret, head, payload); p.Token != want {
		t.Errorf("the token %s is not signed with the secret: want %s", p.Token, want)
	}
}

func decoded(t *testing.T, part string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func loginRows(t *testing.T, s *testsuite.Suite)        { logins(t, s, s.AuthURL) }
func gatewayLoginRows(t *testing.T, s *testsuite.Suite) { logins(t, s, s.URL) }

func logins(t *testing.T, s *testsuite.Suite, base string) {
	p := s.Someone(t)
	for name, tt := range map[string]struct{ auth, body string }{
		"no Authorization":     {"", "missing credentials"},
		"an unknown e-mail":    {testsuite.Basic("nobody@example.com", p.Password), "invalid credentials"},
		"a wrong password":     {testsuite.Basic(p.Email, p.Password+"."), "invalid credentials"},
		"no password":          {testsuite.Basic(p.Email, ""), "invalid credentials"},
		"an address in caps":   {testsuite.Basic(strings.ToUpper(p.Email), p.Password), "invalid credentials"},
		"the hash":             {testsuite.Basic(p.Email, testsuite.Hashed()), "invalid credentials"},
		"another scheme":       {"Bearer " + p.Token, "invalid credentials"},
		"no base64":            {"Basic %%%", "invalid credentials"},
		"base64 of no colon":   {"Basic " + base64.StdEncoding.EncodeToString([]byte(p.Email)), "invalid credentials"},
		"a scheme and no more": {"Basic", "invalid credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			a := testsuite.Send(t, testsuite.Request{Base: base, Method: http.MethodPost, Path: "/login", Auth: tt.auth})
			a.Is(t, http.StatusUnauthorized, tt.body)
			plain(t, a)
		})
	}
	a := testsuite.Send(t, testsuite.Request{Base: base, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(p.Email, p.Password)})
	if a.Status != http.StatusOK || strings.Count(a.Body, ".") != 2 || strings.TrimSpace(a.Body) != a.Body {
		t.Errorf("login = %d %q, want the bare token", a.Status, a.Body)
	}
	plain(t, a)
}

// plain fails the test unless the answer says that it is text.
func plain(t *testing.T, a testsuite.Answer) {
	t.Helper()
	if got := a.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type = %q", got)
	}
}

func validateRows(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	good := claims(p.Email, true, time.Hour)
	for name, tt := range map[string]struct {
		header http.Header
		status int
		body   string
	}{
		"no header":       {nil, 401, "missing credentials"},
		"an empty header": {http.Header{"Authorization": {""}}, 401, "missing credentials"},
		"no space":        {bearer("", "Bearer"), 403, "not authorized"},
		"no scheme":       {bearer("", p.Token), 403, "not authorized"},
		"another scheme":  {bearer("Basic", p.Token), 403, "not authorized"},
		"no token":        {bearer("Bearer", "bad"), 403, "not authorized"},
		"expired":         {bearer("Bearer", sign(s.Secret, hs256, claims(p.Email, true, -time.Second))), 403, "not authorized"},
		"another's key":   {bearer("Bearer", sign(strings.Repeat("x", 32), hs256, good)), 403, "not authorized"},
		"no exp":          {bearer("Bearer", sign(s.Secret, hs256, `{"username":"`+p.Email+`","admin":true}`)), 403, "not authorized"},
		"alg none":        {bearer("Bearer", sign(s.Secret, `{"alg":"none","typ":"JWT"}`, good)), 403, "not authorized"},
		"alg HS512":       {bearer("Bearer", sign(s.Secret, `{"alg":"HS512","typ":"JWT"}`, good)), 403, "not authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			a := testsuite.Send(t, testsuite.Request{Base: s.AuthURL, Method: http.MethodPost, Path: "/validate", Header: tt.header})
			a.Is(t, tt.status, tt.body)
			plain(t, a)
		})
	}
	now := time.Now().Unix()
	original := sign(s.Secret, `{"typ":"JWT","alg":"HS256"}`, fmt.Sprintf(`{"username":"%s","exp":%d,"iat":%d,"admin":true}`, p.Email, now+60, now))
	a := testsuite.Send(t, testsuite.Request{Base: s.AuthURL, Method: http.MethodPost, Path: "/validate", Auth: "Bearer " + original})
	a.Is(t, http.StatusOK, fmt.Sprintf(`{"admin":true,"exp":%d,"iat":%d,"username":"%s"}`, now+60, now, p.Email))
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
}

// bearer is an Authorization header with any scheme.
func bearer(scheme, token string) http.Header {
	return http.Header{"Authorization": {strings.TrimSpace(scheme + " " + token)}}
}
