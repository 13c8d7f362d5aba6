package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/trail"
	"mp3converter/internal/web"
)

const (
	authTime   = 2 * time.Second  // for one whole answer; the auth service is next door
	authFresh  = 10 * time.Second // how long a good answer shows that auth is there
	authAnswer = 64 << 10         // bytes; a token has some hundred
	authPool   = 256              // connections kept: as many as a crowd asks by at once, or each wave makes its own
)

// Auth is the client of the auth service. Close it when nobody uses it any more.
type Auth struct {
	base     string
	client   *http.Client
	answered atomic.Int64 // the last good answer, in nanoseconds since 1970; 0 after a bad one
}

// NewAuth returns a client for the service at addr, host:port. A nil transport means a pool of connections of its own.
func NewAuth(addr string, transport http.RoundTripper) *Auth {
	if transport == nil {
		transport = &http.Transport{ // no Proxy: passwords and tokens go to auth and nowhere else
			DialContext:         (&net.Dialer{Timeout: authTime}).DialContext,
			MaxIdleConns:        authPool,
			MaxIdleConnsPerHost: authPool,
			IdleConnTimeout:     time.Minute, // less than the service's own, so that it seldom closes first
		}
	}
	return &Auth{base: "http://" + addr, client: &http.Client{
		Transport:     trail.Transport(transport),
		Timeout:       authTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the idle connections.
func (a *Auth) Close() { a.client.CloseIdleConnections() }

// Ready returns nil if auth is known to answer. Soon after a good answer that is so, and costs nothing; else auth is asked
// about no token, which it refuses.
func (a *Auth) Ready(ctx context.Context) error {
	if time.Since(time.Unix(0, a.answered.Load())) < authFresh {
		return nil
	}
	if _, err := a.claims(ctx, nil); !errors.Is(err, errNoToken) {
		return err
	}
	return nil
}

// reply is what auth has answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask posts nothing but the Authorization header and, if it is known, the client's address.
func (a *Auth) ask(ctx context.Context, path string, authorization []string, client netip.Addr) (reply, error) {
	return a.send(ctx, http.MethodPost, path, authorization, client)
}

// send is ask by any method.
func (a *Auth) send(ctx context.Context, method, path string, authorization []string, client netip.Addr) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, http.NoBody)
	if err != nil {
		return reply{}, err
	}
	req.Header["Authorization"] = authorization
	if client.IsValid() {
		req.Header.Set("X-Forwarded-For", client.String())
	}
	// Not sent: it tells net/http that the request may be repeated on a fresh connection if auth has just closed this one.
	req.Header["Idempotency-Key"] = nil
	resp, err := a.client.Do(req)
	if err != nil {
		return reply{}, fmt.Errorf("ask auth: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, authAnswer+1))
	if err != nil {
		return reply{}, fmt.Errorf("read auth's answer: %w", err)
	}
	if len(body) > authAnswer {
		return reply{}, fmt.Errorf("auth's answer to %s is longer than %d bytes", path, authAnswer)
	}
	return reply{resp.StatusCode, resp.Header, body}, nil
}

// validate returns what the token says of its user. Only auth itself can make a token bad: whatever else goes wrong is not the user's
// fault.
func (a *Auth) validate(ctx context.Context, authorization []string) (claims, error) {
	switch {
	case len(authorization) == 0 || len(authorization) == 1 && authorization[0] == "":
		return claims{}, errNoToken
	case len(authorization) > 1:
		return claims{}, errBadToken
	}
	answer, err := a.claims(ctx, authorization)
	if err != nil {
		return claims{}, err
	}
	return answer.claims()
}

// claims are what auth says of the token.
func (a *Auth) claims(ctx context.Context, authorization []string) (reply, error) {
	answer, err := a.ask(ctx, "/validate", authorization, netip.Addr{})
	switch {
	case err != nil:
	case answer.status == http.StatusOK:
	case answer.status == http.StatusUnauthorized:
		err = errNoToken
	case answer.status == http.StatusForbidden:
		err = errBadToken
	default:
		err = fmt.Errorf("auth answers /validate with %d", answer.status)
	}
	a.note(ctx, err == nil || errors.Is(err, errNoToken) || errors.Is(err, errBadToken))
	return answer, err
}

// pass returns auth's answer to a client's credentials: one of these statuses, or when to come again. Whatever else answers
// is not auth.
func (a *Auth) pass(r *http.Request, path string, authorization []string, statuses ...int) (reply, error) {
	answer, err := a.ask(r.Context(), path, authorization, web.Client(r))
	if err == nil && !slices.Contains(statuses, answer.status) && answer.header.Get("Retry-After") == "" {
		err = fmt.Errorf("auth answers %s with %d", path, answer.status)
	}
	a.note(r.Context(), err == nil)
	return answer, err
}

// note remembers whether auth has answered well.
func (a *Auth) note(ctx context.Context, well bool) {
	switch {
	case well:
		a.answered.Store(time.Now().UnixNano())
	case ctx.Err() == nil: // else it is the client who has gone
		a.answered.Store(0)
	}
}

// claims are what auth says of a good token.
type claims struct {
	Username string `json:"username"`
	Admin    any    `json:"admin"`    // only true is true: not "true", not 1
	Operator bool   `json:"operator"` // may look after everybody's jobs
	Exp      int64  `json:"exp"`      // seconds since 1970
}

// life is for how long they hold.
func (c claims) life() time.Duration { return time.Until(time.Unix(c.Exp, 0)) }

// claims takes auth's answer apart.
func (r reply) claims() (c claims, err error) {
	if err := json.Unmarshal(r.body, &c); err != nil {
		return c, fmt.Errorf("read auth's claims: %w", err)
	}
	if !job.IsAddress(c.Username) { // no message could carry it and no mail reach it
		return c, fmt.Errorf("%w: its user name is no e-mail address", errBadToken)
	}
	if c.Admin != true {
		return c, errNotAdmin
	}
	return c, nil
}

// login passes on what auth answers to a name and a password.
func (s *Service) login(w http.ResponseWriter, r *http.Request) error {
	answer, err := s.cfg.Auth.pass(r, "/login", r.Header.Values("Authorization"), http.StatusOK, http.StatusUnauthorized)
	return passOn(w, r, answer, err)
}

// logout passes on what auth answers to a token that is to end, or with ?all=true to all of its user.
func (s *Service) logout(w http.ResponseWriter, r *http.Request) error {
	authorization, err := credentials(r)
	if err != nil {
		return err
	}
	answer, err := s.endToken(r, authorization)
	return passOn(w, r, answer, err)
}

// endToken asks auth to end the token.
func (s *Service) endToken(r *http.Request, authorization []string) (reply, error) {
	path := "/logout"
	if all := r.URL.Query().Get("all"); all != "" {
		path += "?" + url.Values{"all": {all}}.Encode()
	}
	return s.cfg.Auth.pass(r, path, authorization, http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden)
}

// passOn answers as auth has, a refusal as a problem if the client asks for JSON. What is broken about auth is not passed
// on: the client is to come again, and reads nothing of ours or of whatever answers in auth's place.
func passOn(w http.ResponseWriter, r *http.Request, answer reply, err error) error {
	if err != nil {
		return err
	}
	if answer.status >= http.StatusBadRequest && web.WantsJSON(r) {
		return answer.refusal()
	}
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if v := answer.header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // a client that is gone reads nothing
	return nil
}

// refusal is auth's answer, as an error that is answered alike.
func (r reply) refusal() *web.Refusal {
	seconds, _ := strconv.Atoi(r.header.Get("Retry-After")) // absent is none
	return &web.Refusal{Code: r.status, Text: string(r.body), RetryAfter: time.Duration(seconds) * time.Second}
}

// user lets only requests with a good token through to h, and tells it whose.
func (s *Service) user(h func(w http.ResponseWriter, r *http.Request, user string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, err := s.authorize(r)
		if err != nil {
			return err
		}
		web.Note(r.Context(), "user", c.Username)
		return h(w, r, c.Username)
	}
}

// authorize returns what the request's token says, if it is good.
func (s *Service) authorize(r *http.Request) (claims, error) {
	authorization, err := credentials(r)
	if err != nil {
		return claims{}, err
	}
	return s.cfg.Auth.validate(r.Context(), authorization)
}
