package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// payload is Claims as the library reads, judges and writes them.
type payload struct {
	Claims
	jwt.RegisteredClaims `json:"-"` // the times once more, for the library to compare
	audience             bool
}

// UnmarshalJSON takes each claim as exactly its kind; one that we have no use for is ignored.
func (p *payload) UnmarshalJSON(data []byte) error {
	fields, err := object(data)
	if err != nil {
		return err
	}
	var nbf int64
	err = errors.Join(fields.read("username", &p.Username), fields.read("admin", &p.Admin),
		fields.read("exp", &p.Exp), fields.read("iat", &p.Iat), fields.read("nbf", &nbf),
		fields.read("jti", &p.Claims.ID), fields.read("ver", &p.Version))
	if err != nil {
		return err
	}
	if _, there := fields["exp"]; there {
		p.ExpiresAt = date(p.Exp, 0)
	}
	// The library's own leeway would lengthen exp as well.
	p.IssuedAt, p.NotBefore = date(p.Iat, -skew), date(nbf, -skew)
	_, p.audience = fields["aud"]
	return nil
}

// Validate adds to what the library has checked by then: the signature and the times.
func (p *payload) Validate() error {
	switch {
	case p.Username == "":
		return errors.New("no username")
	case p.audience:
		return errors.New("for another audience")
	}
	return nil
}

// date keeps far seconds far: beyond what time.Time can hold it would start again in the past.
func date(seconds int64, shift time.Duration) *jwt.NumericDate {
	return &jwt.NumericDate{Time: time.Unix(min(seconds, math.MaxInt64/2), 0).Add(shift)}
}

// checkHeader refuses what would change what the signature or the payload means. Where a key could be found (kid, jku,
// jwk, x5u) is ignored: all are tried.
func checkHeader(head []byte) error {
	fields, err := object(head)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	typ := "JWT"
	if err := fields.read("typ", &typ); err != nil || !strings.EqualFold(typ, "JWT") {
		return errors.New("header: another typ")
	}
	_, crit := fields["crit"] // extensions that must be understood (RFC 7515, 4.1.11); we know none
	_, b64 := fields["b64"]
	if crit || b64 {
		return errors.New("header: unknown extension")
	}
	return nil
}

// members are those of a JSON object.
type members map[string]json.RawMessage

// object splits a JSON object whose syntax the library has checked. encoding/json alone would let the last of two equal
// names win, and take ADMIN for admin.
func object(data []byte) (members, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	fields := members{}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err := errors.Join(err, d.Decode(&value)); err != nil {
			return nil, err
		}
		key, _ := name.(string) // the decoder allows nothing else here
		if _, twice := fields[key]; twice {
			return nil, errors.New("one name twice")
		}
		fields[key] = value
	}
	return fields, nil
}

// read decodes the member, if there is one, into a value of exactly its kind: numbers are whole, null is no value.
func (f members) read(name string, into any) error {
	raw, there := f[name]
	if !there {
		return nil
	}
	if string(raw) == "null" {
		return fmt.Errorf("%s: null", name)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
