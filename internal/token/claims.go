package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// checkHeader accepts HS256 and nothing that would change what the signature or the payload means. Where a key could be
// found (kid, jku, jwk, x5u) is ignored: there is one.
func checkHeader(head []byte) error {
	fields, err := object(head)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	var alg, typ string
	if err := errors.Join(fields.read("alg", &alg), fields.read("typ", &typ)); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	_, crit := fields["crit"] // extensions that must be understood (RFC 7515, 4.1.11); we know none
	_, b64 := fields["b64"]
	switch {
	case alg != "HS256":
		return fmt.Errorf("header: alg %q", alg)
	case typ != "" && !strings.EqualFold(typ, "JWT"):
		return fmt.Errorf("header: typ %q", typ)
	case crit || b64:
		return errors.New("header: unknown extension")
	}
	return nil
}

// parseClaims reads the claims and judges their times. A claim that we have no use for is ignored, but for an audience:
// a token that names one is for somebody else.
func parseClaims(payload []byte, now time.Time) (Claims, error) {
	fields, err := object(payload)
	if err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	var c Claims
	var nbf int64
	err = errors.Join(fields.read("username", &c.Username), fields.read("admin", &c.Admin),
		fields.read("exp", &c.Exp), fields.read("iat", &c.Iat), fields.read("nbf", &nbf))
	if err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	_, aud := fields["aud"]
	_, exp := fields["exp"]
	latest := now.Add(skew).Unix()
	switch {
	case !exp:
		return Claims{}, errors.New("claims: no exp")
	case c.Exp <= now.Unix():
		return Claims{}, errors.New("claims: expired")
	case c.Iat > latest, nbf > latest:
		return Claims{}, errors.New("claims: from the future")
	case c.Username == "":
		return Claims{}, errors.New("claims: no username")
	case aud:
		return Claims{}, errors.New("claims: for another audience")
	}
	return c, nil
}

// members are those of a JSON object.
type members map[string]json.RawMessage

// object splits a JSON object. encoding/json alone would let the last of two equal names win, and take ADMIN for admin.
func object(data []byte) (members, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	fields := members{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // the decoder allows nothing else here
		if _, twice := fields[key]; twice {
			return nil, fmt.Errorf("%q twice", key)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		fields[key] = value
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
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
