package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/token"
	"mp3converter/internal/user"
	"mp3converter/internal/web"
)

// MaxPassword is in bytes. Nobody types more, and hashing must not depend on how much a stranger sends.
const MaxPassword = 1024

// login answers with a token if the Basic credentials are those of a user.
func (s *Service) login(w http.ResponseWriter, r *http.Request) error {
	email, password, err := credentials(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
	defer cancel()
	u, err := s.authenticate(ctx, email, password, web.Client(r))
	if err != nil {
		return err
	}
	now := time.Now()
	signed, err := s.cfg.Key.Sign(token.Claims{
		Username: u.Email, Admin: u.Admin, Iat: now.Unix(), Exp: now.Add(s.cfg.Life).Unix(), ID: rand.Text(), Version: u.Version,
	})
	if err != nil {
		return err
	}
	web.Note(r.Context(), "user", u.Email)
	web.Text(w, http.StatusOK, signed)
	return nil
}

// credentials reads the Authorization header. What could not be anybody's is refused here: it costs no look and no hash,
// and whoever sends it learns only what they know.
func credentials(r *http.Request) (email, password string, err error) {
	if _, err := authorization(r.Header, errCredentials); err != nil {
		return "", "", err
	}
	email, password, ok := r.BasicAuth()
	if !ok || !job.IsAddress(email) || password == "" || len(password) > MaxPassword {
		return "", "", errCredentials
	}
	return email, password, nil
}

// authorization is the one header of that name; more than one are refused by the given error.
func authorization(h http.Header, several error) (string, error) {
	values := h.Values("Authorization")
	switch {
	case len(values) > 1:
		return "", fmt.Errorf("%w: %d Authorization headers", several, len(values))
	case len(values) == 0 || values[0] == "":
		return "", errMissing
	}
	return values[0], nil
}

// authenticate returns the user whose password it is. For an unknown address it does the same work and gives the same
// answer as for a wrong password. All of it happens in a slot of the hasher, so that of many attempts at once no more than
// there are slots see the count from before.
func (s *Service) authenticate(ctx context.Context, email, password string, client netip.Addr) (user.User, error) {
	release, err := s.hasher.acquire(ctx)
	if err != nil {
		return user.User{}, fmt.Errorf("check password: %w", err)
	}
	defer release()
	attempt, err := s.attempt(ctx, email, client)
	if err != nil {
		return user.User{}, err
	}
	u, err := s.cfg.Users.Find(ctx, email)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return user.User{}, err
	}
	v := s.hasher.check(password, u.Password) // "" if unknown, which no password fits
	if v.unreadable {
		web.Note(ctx, "unreadable_password_of", email)
	}
	if !v.good {
		if err := attempt.failed(ctx); err != nil {
			return user.User{}, err
		}
		return user.User{}, errCredentials
	}
	attempt.good(ctx)
	if v.rehash != "" {
		s.replace(ctx, u, v.rehash)
	}
	return u, nil
}

// replace stores a better hash of the password that was just right, unless it has been changed since. If it fails the
// login is none the worse: the next one tries again.
func (s *Service) replace(ctx context.Context, u user.User, hash string) {
	err := s.cfg.Users.ReplacePassword(ctx, u.Email, u.Password, hash)
	switch {
	case errors.Is(err, fs.ErrNotExist): // somebody was faster, and theirs stays
	case err != nil:
		web.Note(ctx, "rehash_err", err)
	default:
		web.Note(ctx, "rehashed", true)
	}
}
