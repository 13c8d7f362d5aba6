package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// params are what Argon2id costs.
type params struct {
	memory  uint32 // KiB
	time    uint32 // passes over the memory
	threads uint8
}

// cost is OWASP's smallest recommendation; a hash takes about 30 ms here.
var cost = params{memory: 19 * 1024, time: 2, threads: 1}

const (
	saltBytes = 16
	hashBytes = 32
)

// Bounds of what a stored hash may ask for, so that nobody who can write a row can stop the service by it. They leave
// room for the defaults of other libraries.
const (
	maxMemory  = 64 * 1024 // KiB
	maxTime    = 10
	maxThreads = 8
	maxSalt    = 64
	maxHash    = 64
	minSalt    = 8  // RFC 9106, 3.1
	minHash    = 16 // fewer bytes would be too easy to hit
)

// phc is a stored Argon2id hash; its text is the PHC string, $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
type phc struct {
	params
	salt, hash []byte
}

// Hash returns the Argon2id PHC string of a password, under a fresh salt: what a row of the user table holds.
func Hash(password string) string { return newPHC(password, argon2id).String() }

func newPHC(password string, derive deriveFunc) phc {
	p := phc{params: cost, salt: make([]byte, saltBytes)}
	_, _ = rand.Read(p.salt) // never fails: crypto/rand
	p.hash = derive([]byte(password), p.salt, p.params, hashBytes)
	return p
}

// deriveFunc is argon2id.
type deriveFunc func(password, salt []byte, p params, length int) []byte

func argon2id(password, salt []byte, p params, length int) []byte {
	return argon2.IDKey(password, salt, p.time, p.memory, p.threads, uint32(length)) //nolint:gosec // hashBytes or at most maxHash
}

// Hashed tells a hash, even a broken one, from the original's plain text: somebody who has seen a hash must not be able to
// log in with it.
func Hashed(stored string) bool { return strings.HasPrefix(stored, "$argon2") }

var errPHC = errors.New("no Argon2id hash within bounds")

// parsePHC accepts exactly what String writes.
func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 {
		return phc{}, errPHC
	}
	var p phc
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return phc{}, errPHC
	}
	var err, err2 error
	p.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	p.hash, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || !p.bounded() || p.String() != s {
		return phc{}, errPHC
	}
	return p, nil
}

func (p phc) bounded() bool {
	return p.time >= 1 && p.time <= maxTime && p.threads >= 1 && p.threads <= maxThreads &&
		p.memory >= 8*uint32(p.threads) && p.memory <= maxMemory &&
		len(p.salt) >= minSalt && len(p.salt) <= maxSalt && len(p.hash) >= minHash && len(p.hash) <= maxHash
}

func (p phc) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memory, p.time, p.threads, enc.EncodeToString(p.salt), enc.EncodeToString(p.hash))
}

// weaker reports whether to guess the password behind p costs less than it should. Memory and passes make up for each
// other.
func (p phc) weaker(than params) bool {
	return p.memory*p.time < than.memory*than.time || len(p.salt) < saltBytes || len(p.hash) < hashBytes
}
