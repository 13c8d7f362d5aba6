// Package auth logs users in and out and says whose a token is: POST /login and POST /validate of the original system, and
// POST /logout. To operators it lists users. It hashes and compares passwords, has whoever guesses wait, and knows which tokens were ended; where all
// that is kept, how a token is made (package token), and what a user may do with it are left to others.
package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/token"
	"mp3converter/internal/user"
	"mp3converter/internal/web"
)

// Users is where users are kept. Any error but fs.ErrNotExist means that it is away.
type Users interface {
	// Find returns the user with exactly this address; fs.ErrNotExist if there is none.
	Find(ctx context.Context, email string) (user.User, error)
	// ReplacePassword replaces a user's password as it is stored, but only if that still is old; else fs.ErrNotExist.
	ReplacePassword(ctx context.Context, email, old, hash string) error
	// Page returns at most limit users, without their passwords, in an order of the store's own: those after the address.
	Page(ctx context.Context, after string, limit int) ([]user.User, error)
}

// Config is what a Service is made of. Users to Key are required.
type Config struct {
	Users       Users
	Failures    Failures
	Revocations Revocations
	Key         token.Key
	// Operators are the addresses of those who may look after everybody's jobs. It is not in their tokens: /validate says it, so
	// whoever is taken off the list is no operator from the restart on.
	Operators []string
	// TrustedProxies are those whose word is taken for who the client is: the gateways.
	TrustedProxies []netip.Prefix

	// Life is how long a token is good; 0 means the original's 24 hours.
	Life time.Duration
	// Timeout is how long a login waits in all, for the store and for its turn to hash; 0 means 1.8 s. It is shorter than
	// the gateway's 2 s, so that a frozen database is answered with 503 and not with silence.
	Timeout time.Duration

	Log     *slog.Logger          // of requests; nil discards
	Metrics prometheus.Registerer // of requests; nil discards
}

// Service answers /login, /validate, /logout and /users.
type Service struct {
	cfg     Config
	hasher  *hasher
	revoked *revoked
}

// New returns the service of a configuration.
func New(c Config) *Service {
	if c.Life == 0 {
		c.Life = 24 * time.Hour
	}
	if c.Timeout == 0 {
		c.Timeout = 1800 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return &Service{cfg: c, hasher: newHasher(c.Timeout), revoked: newRevoked()}
}

// Why a request is refused.
var (
	errMissing     = errors.New("no credentials")
	errCredentials = errors.New("credentials refused")
	errNoOperator  = errors.New("not an operator")
	errPage        = errors.New("limit or after is malformed")
)

// answers are the contract's. What is in no row is the store being away: 503.
var answers = web.Errors{
	{Err: errMissing, Refusal: web.Refusal{Code: http.StatusUnauthorized, Text: "missing credentials"}},
	{Err: errCredentials, Refusal: web.Refusal{Code: http.StatusUnauthorized, Text: "invalid credentials"}},
	{Err: token.ErrInvalid, Refusal: web.Refusal{Code: http.StatusForbidden, Text: "not authorized"}},
	{Err: errNoOperator, Refusal: web.Refusal{Code: http.StatusForbidden, Text: "not authorized"}},
	{Err: errPage, Refusal: web.Refusal{Code: http.StatusBadRequest, Text: "limit must be 1 to 200 and after an address"}},
	{Err: errBusy, Refusal: web.Unavailable},
}

// Routes are the service's. Call it once: it registers the metrics of requests.
func (s *Service) Routes() http.Handler {
	r := chi.NewRouter()
	r.Use(web.Behind(s.cfg.TrustedProxies), web.Inside, web.Log(s.cfg.Log, s.cfg.Metrics), web.Secure)
	r.Post("/login", answers.Handle(s.login))
	r.Post("/validate", answers.Handle(s.validate))
	r.Post("/logout", answers.Handle(s.logout))
	r.Get("/users", answers.Handle(s.listUsers))
	return r
}
