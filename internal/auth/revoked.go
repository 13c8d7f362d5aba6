package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mp3converter/internal/token"
	"mp3converter/internal/user"
)

// Revocations remembers which tokens were ended early, for all replicas; porttest.Tokens has the full terms.
type Revocations interface {
	Revoke(ctx context.Context, email string, token user.Fingerprint, expires time.Time) (user.Revocation, error)
	RevokeAll(ctx context.Context, email string) (user.Revocation, error)
	Revoked(ctx context.Context, within time.Duration) ([]user.Revocation, error)
}

// How the store is followed.
const (
	refreshEvery = time.Second      // so long may a token live that was ended elsewhere
	refreshTime  = 5 * time.Second  // patience with the store
	overlap      = time.Minute      // what is new is asked for this far back: a row may be committed after a younger one
	reloadEvery  = 10 * time.Minute // all is asked for, whatever was missed
)

// revoked is what is known of the store. It outlives the store's absence: what was ended stays ended, and what was good
// stays good.
type revoked struct {
	mu       sync.RWMutex
	versions map[user.Fingerprint]uint32       // of users: older tokens are worth nothing
	tokens   map[[2]user.Fingerprint]time.Time // of user and token: when nobody needs to know any more

	refreshing     sync.Mutex
	reached, whole time.Time // when the store was asked last, and for all, with success
}

func newRevoked() *revoked {
	return &revoked{versions: map[user.Fingerprint]uint32{}, tokens: map[[2]user.Fingerprint]time.Time{}}
}

// add learns. Nothing is unlearned but what has expired: what the store has just been told here may not be in what it
// answered before.
func (r *revoked) add(all ...user.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range all {
		if one.Token == (user.Fingerprint{}) {
			r.versions[one.Who] = max(r.versions[one.Who], one.Version)
		} else {
			r.tokens[[2]user.Fingerprint{one.Who, one.Token}] = one.Expires
		}
	}
}

func (r *revoked) forgetExpired(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for token, expires := range r.tokens {
		if !now.Before(expires) {
			delete(r.tokens, token)
		}
	}
}

// has reports whether the token of these claims was ended. One without a version, as the original's, has version 0, which
// is a new user's: it is good until all of its user's are ended.
func (r *revoked) has(c token.Claims, text string) bool {
	who, token := user.Print(c.Username), printOf(c, text)
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ended := r.tokens[[2]user.Fingerprint{who, token}]
	return ended || c.Version < r.versions[who]
}

// printOf is a token's fingerprint: that of its name, or for lack of one of its text, of which there is only one.
func printOf(c token.Claims, text string) user.Fingerprint {
	if c.ID != "" {
		return user.Print("jti " + c.ID)
	}
	return user.Print("token " + text)
}

// Refresh asks the store which tokens were ended since it was asked last. Once before serving, and then Watch.
func (s *Service) Refresh(ctx context.Context) error {
	r := s.revoked
	r.refreshing.Lock()
	defer r.refreshing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	within, now := overlap, time.Now()
	all := now.Sub(r.reached) > overlap/2 || now.Sub(r.whole) > reloadEvery
	if all {
		within = 0
	}
	found, err := s.cfg.Revocations.Revoked(ctx, within)
	if err != nil {
		return err
	}
	r.add(found...)
	r.forgetExpired(now)
	r.reached = now
	if all {
		r.whole = now
	}
	return nil
}

// Watch refreshes until ctx ends. While the store is away it goes on with what it knows.
func (s *Service) Watch(ctx context.Context) error {
	away := false
	for tick := time.NewTicker(refreshEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
		}
		err := s.Refresh(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !away:
			s.cfg.Log.WarnContext(ctx, "tokens that are ended elsewhere stay good here", "err", err)
		case err == nil && away:
			s.cfg.Log.Log(ctx, slog.LevelInfo, "ended tokens are known again")
		}
		away = err != nil
	}
}
