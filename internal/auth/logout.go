package auth

import (
	"context"
	"net/http"
	"time"

	"mp3converter/internal/token"
	"mp3converter/internal/user"
	"mp3converter/internal/web"
)

// errAll answers whoever may have meant something else.
var errAll = web.Refuse(http.StatusBadRequest, "all must be true or false")

// logout ends the bearer token, or with ?all=true all that its user has. It takes effect here at once, and elsewhere
// within refreshEvery.
func (s *Service) logout(w http.ResponseWriter, r *http.Request) error {
	c, text, err := s.bearer(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
	defer cancel()
	ended, err := s.end(ctx, c, text, r.URL.Query().Get("all"))
	if err != nil {
		return err
	}
	s.revoked.add(ended)
	web.Note(r.Context(), "user", c.Username)
	web.Text(w, http.StatusOK, "logged out")
	return nil
}

func (s *Service) end(ctx context.Context, c token.Claims, text, all string) (user.Revocation, error) {
	switch all {
	case "true":
		return s.cfg.Revocations.RevokeAll(ctx, c.Username)
	case "", "false":
		const far = 100 * 365 * 24 * time.Hour // what others sign may be good for longer than a time.Time can say
		expires := min(c.Exp, time.Now().Add(far).Unix())
		return s.cfg.Revocations.Revoke(ctx, c.Username, printOf(c, text), time.Unix(expires, 0))
	default:
		return user.Revocation{}, errAll
	}
}
