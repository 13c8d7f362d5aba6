package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"runtime"
	"time"
)

// errBusy means that more people log in at once than there is memory and processor for.
var errBusy = errors.New("too many logins at once")

// hasher checks passwords, a bounded number at a time: each hash takes cost.memory, and attackers send many.
type hasher struct {
	slots  chan struct{}
	wait   time.Duration // for a slot
	derive deriveFunc    // tests count its calls
	nobody phc           // whom a password is compared with where there is no hash to compare it with
}

func newHasher(wait time.Duration) *hasher {
	return &hasher{
		slots:  make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
		wait:   wait,
		derive: argon2id,
		nobody: phc{params: cost, salt: make([]byte, saltBytes), hash: make([]byte, hashBytes)},
	}
}

// verdict is what check found.
type verdict struct {
	good       bool
	rehash     string // what to store instead, if good and what is stored is weaker than it should be
	unreadable bool   // what is stored is a broken or absurdly dear hash
}

// check compares a password with what is stored: an Argon2id PHC string, or the original's plain text, or "" if there is
// no such user. Whichever it is and whatever the outcome, it hashes once; twice only when a weak hash was right. Whoever
// calls it has acquired a slot.
func (h *hasher) check(password, stored string) verdict {
	switch {
	case stored == "":
		h.fits(password, h.nobody)
		return verdict{}
	case Hashed(stored):
		return h.checkPHC(password, stored)
	default:
		return h.checkPlain(password, stored)
	}
}

func (h *hasher) checkPHC(password, stored string) verdict {
	p, err := parsePHC(stored)
	if err != nil {
		h.fits(password, h.nobody)
		return verdict{unreadable: true}
	}
	v := verdict{good: h.fits(password, p)}
	if v.good && p.weaker(cost) {
		v.rehash = newPHC(password, h.derive).String()
	}
	return v
}

// checkPlain compares with the original's plain text. The hash that a right password is replaced by is the work that a
// wrong one has to do as well.
func (h *hasher) checkPlain(password, stored string) verdict {
	a, b := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(stored)) // hides the length, too
	if subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
		return verdict{good: true, rehash: newPHC(password, h.derive).String()}
	}
	h.fits(password, h.nobody)
	return verdict{}
}

// fits hashes the password as p was and compares.
func (h *hasher) fits(password string, p phc) bool {
	got := h.derive([]byte(password), p.salt, p.params, len(p.hash))
	return subtle.ConstantTimeCompare(got, p.hash) == 1
}

// acquire takes a slot. It gives up with errBusy after h.wait, and with ctx's error when that is over.
func (h *hasher) acquire(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.wait, errBusy)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
