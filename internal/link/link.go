// Package link signs and verifies the links by which a mail leads to an MP3 without a login: HMAC-SHA256 under a shared
// secret, over the MP3's id, the second from which the link is worth nothing, and its owner. It is pure: it reads no clock
// and no ledger, and whether the owner still has that MP3 is for its callers.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Why a link is refused.
var (
	ErrInvalid = errors.New("invalid link") // forged, altered, or signed under a secret that is gone
	ErrExpired = errors.New("link has expired")
)

// MinSecret is the least number of bytes of a secret: as many as the hash puts out.
const MinSecret = 32

// Separator is between the secrets of a LINK_SECRET that has several.
const Separator = ","

// Key signs and verifies. The zero Key does neither.
type Key struct{ secrets [][]byte }

// NewKey makes a key of LINK_SECRET: one secret, the bytes as they are, or several with commas between. The first signs, all
// verify, so that a secret is replaced without ending the links signed with the one before. Nothing makes the zero Key.
func NewKey(secrets string) (Key, error) {
	if secrets == "" {
		return Key{}, nil
	}
	var k Key
	for secret := range strings.SplitSeq(secrets, Separator) {
		if len(secret) < MinSecret {
			return Key{}, fmt.Errorf("LINK_SECRET, number %d of those between commas: %d bytes, and %d are the least; for example from: openssl rand -hex 32",
				len(k.secrets)+1, len(secret), MinSecret)
		}
		k.secrets = append(k.secrets, []byte(secret))
	}
	return k, nil
}

// IsZero reports whether the key does nothing: there are no links.
func (k Key) IsZero() bool { return len(k.secrets) == 0 }

func (Key) String() string { return "***" }

// GoString keeps %#v from printing the secrets.
func (Key) GoString() string { return "***" }

// Names of the parameters in a link's query.
const (
	FID       = "fid"
	Expires   = "expires" // seconds since 1970
	Signature = "signature"
)

// Query is the query of a link to the MP3 fid of that owner, which is worth nothing from expires on. The key is not zero.
func (k Key) Query(fid, owner string, expires time.Time) string {
	secret, end := k.secrets[0], strconv.FormatInt(expires.Unix(), 10)
	whose := fingerprint(secret, fid, owner)
	signature := slices.Concat(whose, sign(secret, fid, end, whose))
	return FID + "=" + url.QueryEscape(fid) + "&" + Expires + "=" + end + "&" + Signature + "=" + base64.RawURLEncoding.EncodeToString(signature)
}

// Link is one that was signed with the key and has not expired.
type Link struct {
	FID    string
	whose  []byte
	secret []byte
}

// IsOf reports whether the link was made for that owner.
func (l Link) IsOf(owner string) bool {
	return hmac.Equal(l.whose, fingerprint(l.secret, l.FID, owner))
}

// A signature is the owner's fingerprint and then the MAC, which covers it. So a forgery is refused before anybody is asked
// who the owner is, and a link tells nobody. Together they are a multiple of three bytes: their base64 has no idle bits.
const (
	whoseBytes     = 16
	signatureBytes = whoseBytes + sha256.Size
)

// Verify returns the link that a query is at the time now; ErrInvalid or ErrExpired. There is one text for each link: a
// parameter given twice, another number with the same value, another base64 of the same bytes are refused. Parameters of
// other names are none of ours.
func (k Key) Verify(query url.Values, now time.Time) (Link, error) {
	fid, end, text := one(query, FID), one(query, Expires), one(query, Signature)
	seconds, err := strconv.ParseInt(end, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != end || fid == "" {
		return Link{}, ErrInvalid
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(signature) != signatureBytes || strings.ContainsAny(text, "\r\n") { // which encoding/base64 skips
		return Link{}, ErrInvalid
	}
	l := Link{FID: fid, whose: signature[:whoseBytes]}
	for _, secret := range k.secrets {
		if hmac.Equal(signature[whoseBytes:], sign(secret, fid, end, l.whose)) {
			l.secret = secret
		}
	}
	switch {
	case l.secret == nil:
		return Link{}, ErrInvalid
	case !now.Before(time.Unix(seconds, 0)):
		return Link{}, ErrExpired
	}
	return l, nil
}

// one is the parameter's only value; "" if it has none or several.
func one(query url.Values, name string) string {
	if values := query[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// What is signed begins with what it is for, so that nothing else under the same secret can be taken for it, and a later
// version for this one. No part has a line end in it: there is one way to take the whole apart.
const (
	linkPurpose  = "mp3converter download link v1\n"
	ownerPurpose = "mp3converter download link's owner v1\n"
)

func sign(secret []byte, fid, end string, whose []byte) []byte {
	return mac(secret, linkPurpose+fid+"\n"+end+"\n", whose)
}

func fingerprint(secret []byte, fid, owner string) []byte {
	return mac(secret, ownerPurpose+fid+"\n", []byte(owner))[:whoseBytes]
}

func mac(secret []byte, text string, last []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	h.Write(last)
	return h.Sum(nil)
}
