package auth

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"mp3converter/internal/token"
	"mp3converter/internal/web"
)

// validate answers with the claims of a good bearer token. It needs no store: who was let in stays in while it is away.
func (s *Service) validate(w http.ResponseWriter, r *http.Request) error {
	value, err := authorization(r.Header, token.ErrInvalid)
	if err != nil {
		return err
	}
	bearer, ok := strings.CutPrefix(value, "Bearer ")
	if !ok {
		return fmt.Errorf("%w: not of the form: Bearer <token>", token.ErrInvalid)
	}
	claims, err := s.cfg.Key.Verify(bearer, time.Now())
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, claims)
}
