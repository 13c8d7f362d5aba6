// Package token signs and verifies the JSON Web Tokens that say who somebody is: HS256 under one shared secret, with the
// claims of the original system. It is pure: it reads no clock, no header and no database, and whether a user may do what
// they ask for is for its callers.
//
// It is written on the standard library because so little of JWT may be accepted: one algorithm, one key, one form. The
// signature is checked before a byte of JSON is looked at, so what is parsed was written by somebody who has the secret.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrInvalid is in the chain of every error of Verify: forged, broken, expired or not for us. What else the chain says
// is for the log; a client learns nothing from it.
var ErrInvalid = errors.New("invalid token")

// MinSecret is the least number of bytes of a secret: as many as HS256 puts out (RFC 7518, 3.2).
const MinSecret = 32

const (
	header   = `{"alg":"HS256","typ":"JWT"}`
	maxBytes = 4 << 10          // a token with the longest address has about 600
	skew     = 30 * time.Second // by which the clock of whoever signed may be ahead of ours
)

// Claims are what a token says. Times are seconds since 1970, as on the wire.
type Claims struct {
	Admin    bool   `json:"admin"` // may use the service; absent means no
	Exp      int64  `json:"exp"`   // from this second on the token is worth nothing
	Iat      int64  `json:"iat"`   // when it was signed; 0 if the token does not say
	Username string `json:"username"`
}

// Key signs and verifies. The zero Key does neither.
type Key struct{ secret []byte }

// NewKey makes a key of the bytes of JWT_SECRET, as they are. A short secret is refused: it could be found by trying.
func NewKey(secret string) (Key, error) {
	if len(secret) < MinSecret {
		return Key{}, fmt.Errorf("JWT_SECRET has %d bytes; at least %d are needed, for example from: openssl rand -hex 32", len(secret), MinSecret)
	}
	return Key{[]byte(secret)}, nil
}

func (Key) String() string { return "***" }

// GoString keeps %#v from printing the secret.
func (Key) GoString() string { return "***" }

// Sign returns the token of the claims.
func (k Key) Sign(c Claims) (string, error) {
	if len(k.secret) == 0 {
		return "", errors.New("sign token: no key")
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	text := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString(payload)
	return text + "." + encoding.EncodeToString(k.mac(text)), nil
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
	head, payload, err := k.open(token)
	if err != nil {
		return Claims{}, err
	}
	if err := checkHeader(head); err != nil {
		return Claims{}, err
	}
	return parseClaims(payload, now)
}

// open checks the signature and returns the decoded header and payload.
func (k Key) open(token string) (head, payload []byte, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("%d parts", len(parts))
	}
	signature, err := decode(parts[2])
	if err != nil {
		return nil, nil, err
	}
	if len(k.secret) == 0 || !hmac.Equal(signature, k.mac(parts[0]+"."+parts[1])) {
		return nil, nil, errors.New("wrong signature")
	}
	if head, err = decode(parts[0]); err != nil {
		return nil, nil, err
	}
	payload, err = decode(parts[1])
	return head, payload, err
}

func (k Key) mac(text string) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// encoding is strict: one text for one value, so a token cannot be altered in bits that do not count.
var encoding = base64.RawURLEncoding.Strict()

func decode(part string) ([]byte, error) {
	if strings.ContainsAny(part, "\r\n") { // which encoding/base64 skips
		return nil, errors.New("line end inside")
	}
	return encoding.DecodeString(part)
}
