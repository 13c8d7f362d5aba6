// Package token signs and verifies the JSON Web Tokens that say who somebody is: HS256 under a shared secret, with the
// claims of the original system and two of ours. It is pure: it reads no clock, no header and no database, and whether a user may do what
// they ask for is for its callers.
//
// Form, algorithm, signature and times are golang-jwt's. What it lets pass is refused here: tokens longer than any of
// ours, line ends, names given twice, claims of the wrong kind, header extensions, and tokens for somebody else.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrInvalid is in the chain of every error of Verify: forged, broken, expired or not for us. What else the chain says
// is for the log; a client learns nothing from it.
var ErrInvalid = errors.New("invalid token")

// MinSecret is the least number of bytes of a secret: as many as HS256 puts out (RFC 7518, 3.2).
const MinSecret = 32

const (
	maxBytes = 4 << 10          // a token with the longest address has about 600
	skew     = 30 * time.Second // by which the clock of whoever signed may be ahead of ours
)

// Claims are what a token says. Times are seconds since 1970, as on the wire. ID and Version are ours: the original's
// tokens have neither.
type Claims struct {
	Admin    bool   `json:"admin"` // may use the service; absent means no
	Exp      int64  `json:"exp"`   // from this second on the token is worth nothing
	Iat      int64  `json:"iat"`   // when it was signed; 0 if the token does not say
	Username string `json:"username"`
	ID       string `json:"jti,omitempty"` // tells the token from all others
	Version  uint32 `json:"ver,omitempty"` // of the user's tokens: those below the one that counts are worth nothing
}

// Key signs and verifies. The zero Key does neither.
type Key struct{ secrets [][]byte }

// Separator is between the secrets of a JWT_SECRET that has several.
const Separator = ","

// NewKey makes a key of JWT_SECRET: one secret, the bytes as they are, or several with commas between. The first signs,
// all verify, so that a secret is replaced without ending the tokens signed with the one before. A short one is refused:
// it could be found by trying.
func NewKey(secrets string) (Key, error) {
	var k Key
	for secret := range strings.SplitSeq(secrets, Separator) {
		if len(secret) < MinSecret {
			return Key{}, tooShort(len(secret), len(k.secrets), secrets)
		}
		k.secrets = append(k.secrets, []byte(secret))
	}
	return k, nil
}

func tooShort(length, before int, secrets string) error {
	which := ""
	if strings.Contains(secrets, Separator) {
		which = fmt.Sprintf(", of its secrets between commas number %d,", before+1)
	}
	return fmt.Errorf("JWT_SECRET%s has %d bytes; at least %d are needed, for example from: openssl rand -hex 32", which, length, MinSecret)
}

func (Key) String() string { return "***" }

// GoString keeps %#v from printing the secret.
func (Key) GoString() string { return "***" }

// Sign returns the token of the claims.
func (k Key) Sign(c Claims) (string, error) {
	if len(k.secrets) == 0 {
		return "", errors.New("sign token: no key")
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, &payload{Claims: c}).SignedString(k.secrets[0])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// Verify returns the claims of a token that was signed with the key and is valid at the time now. Every error is
// ErrInvalid.
func (k Key) Verify(token string, now time.Time) (Claims, error) {
	c, err := k.verify(token, now)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c, nil
}

func (k Key) verify(token string, now time.Time) (Claims, error) {
	if len(token) > maxBytes {
		return Claims{}, fmt.Errorf("%d bytes long", len(token))
	}
	if strings.ContainsAny(token, "\r\n") { // which encoding/base64 skips
		return Claims{}, errors.New("line end inside")
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithStrictDecoding(), // one text for one value, so a token cannot be altered in bits that do not count
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	var p payload
	_, err := parser.ParseWithClaims(token, &p, k.forToken)
	return p.Claims, err
}

// forToken is the library's question which key a token is signed with: one of ours, or none if its header is not to our liking.
// The header is decoded once more: the library's map no longer tells whether a name was given twice.
func (k Key) forToken(t *jwt.Token) (any, error) {
	if len(k.secrets) == 0 {
		return nil, errors.New("no key")
	}
	var set jwt.VerificationKeySet
	for _, secret := range k.secrets {
		set.Keys = append(set.Keys, secret)
	}
	text, _, _ := strings.Cut(t.Raw, ".")
	if text == ownHeader {
		return set, nil
	}
	head, _ := base64.RawURLEncoding.DecodeString(text) // the library has done it before
	return set, checkHeader(head)
}

// ownHeader is that of the tokens we sign: of nearly all that come.
var ownHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// Mac is a fingerprint that only who has the key, not the zero one, can make, and that is no signature of a token: those have no NUL in what
// they sign. Other purposes give other fingerprints.
func (k Key) Mac(purpose, text string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, k.secrets[0])
	h.Write([]byte(purpose + "\x00" + text))
	return [sha256.Size]byte(h.Sum(nil))
}
