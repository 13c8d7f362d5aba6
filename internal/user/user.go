// Package user is what the user database holds: rows of users, which of their tokens were ended, and failed logins. It does
// no I/O and judges nothing: package auth hashes, compares and counts, the stores (packages mysql and embedded) keep what is
// here, and all three mean these types.
package user

import (
	"crypto/sha256"
	"time"
)

// User may log in.
type User struct {
	Email    string // what logs in and what mails go to; unique, and stores compare its bytes
	Password string // an Argon2id PHC string, or the original's plain text until its first login
	Admin    bool   // may use the service: the token's claim of that name

	// Version of the user's tokens that is good. It outlives the row: an address that is deleted and added again goes on
	// counting. Find tells it; lists do not.
	Version uint32
}

// Fingerprint stands for an address or a token where only sameness counts: a dump of it tells nobody either of them.
type Fingerprint [sha256.Size]byte

// Print returns the fingerprint of a text.
func Print(text string) Fingerprint { return sha256.Sum256([]byte(text)) }

// Revocation says which tokens of a user are worth nothing although they have not expired.
type Revocation struct {
	Who     Fingerprint // of the address
	Token   Fingerprint // of the one token; zero means all that are older than Version
	Version uint32
	Expires time.Time // of the token, after which nobody needs to know; zero means never, as for all of somebody's
}

// MaxRevoked is how many tokens of one user are kept apart. One more, and all that the user has are ended: logging in and
// out must fill nobody's table.
const MaxRevoked = 100

// Slot is where failed logins are counted. Whoever counts maps what they count to few enough slots.
type Slot uint32

// Tally is what a slot holds.
type Tally struct {
	Failures int
	Age      time.Duration // since the last failure
}
