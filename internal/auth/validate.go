package auth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"mp3converter/internal/token"
	"mp3converter/internal/web"
)

// answer is what /validate says: the contract's four claims, whatever else the token has. Of an operator it says that, too.
type answer struct {
	token.Claims
	Operator bool `json:"operator,omitempty"`
}

// validate answers with the claims of a good bearer token. It asks no store: who was let in stays in while it is away.
func (s *Service) validate(w http.ResponseWriter, r *http.Request) error {
	c, _, err := s.bearer(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, answer{
		Claims: token.Claims{Admin: c.Admin, Exp: c.Exp, Iat: c.Iat, Username: c.Username}, Operator: s.isOperator(c),
	})
}

// isOperator reports whether the token is one of an operator's, who must be let in as everybody is.
func (s *Service) isOperator(c token.Claims) bool { return c.Admin && s.names(c.Username) }

// names reports whether the address is among the operators'.
func (s *Service) names(email string) bool { return slices.Contains(s.cfg.Operators, email) }

// bearer returns the claims and the text of a bearer token that is good and was not ended.
func (s *Service) bearer(r *http.Request) (c token.Claims, text string, err error) {
	value, err := authorization(r.Header, token.ErrInvalid)
	if err != nil {
		return c, "", err
	}
	text, ok := strings.CutPrefix(value, "Bearer ")
	if !ok {
		return c, "", fmt.Errorf("%w: not of the form: Bearer <token>", token.ErrInvalid)
	}
	c, err = s.cfg.Key.Verify(text, time.Now())
	if err == nil && s.revoked.has(c, text) {
		err = fmt.Errorf("%w: it was ended", token.ErrInvalid)
	}
	return c, text, err
}
