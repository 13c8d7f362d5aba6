package hook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Secret is the key that a hook's deliveries are signed with, as its owner was shown it once: whsec_ and base64. Whoever
// signs needs it as it is, so it is stored as it is, and whoever reads the store can sign.
type Secret string

const (
	secretPrefix = "whsec_"
	secretBytes  = 32
)

// NewSecret returns a random one.
func NewSecret() Secret {
	var key [secretBytes]byte
	_, _ = rand.Read(key[:]) // never fails: crypto/rand
	return Secret(secretPrefix + base64.StdEncoding.EncodeToString(key[:]))
}

// String, GoString and LogValue keep it from being printed.
func (Secret) String() string { return "***" }

// GoString is for %#v.
func (Secret) GoString() string { return "***" }

// LogValue is for slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// Header returns the headers of a delivery that is sent now, by version 1 of Standard Webhooks: which one it is, when it is
// sent, and an HMAC-SHA256 of both and the body. The specification's own library does this in as many lines.
func Header(secret Secret, id string, now time.Time, body string) http.Header {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(secret), secretPrefix)) // NewSecret made it
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + body))
	return http.Header{
		"Content-Type":      {"application/json"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {at},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
}
