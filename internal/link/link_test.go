package link_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/link"
)

const (
	fid   = "6929b0b5c0ffee0000000002"
	owner = "sid@gmail.com"
	first = "the-first-secret-of-at-least-32-bytes"
	other = "another-secret-of-at-least-32-bytes.."
)

var expires = time.Unix(1_796_000_000, 0)

func key(t *testing.T, secrets string) link.Key {
	t.Helper()
	k, err := link.NewKey(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parsed(t *testing.T, query string) url.Values {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// golden is the link to the above under the first secret: those that are in mailboxes must go on working.
const golden = "fid=6929b0b5c0ffee0000000002&expires=1796000000&signature=okdAXDeFhFtWmt9LsmPjsYqU9dnUe3DfjUC8VTmEOLCPgDoq93fg30V7o50kW6N7"

func TestALinkLeadsToItsMP3UntilItExpires(t *testing.T) {
	k := key(t, first)
	query := k.Query(fid, owner, expires)
	if query != golden {
		t.Errorf("the link is %s, want %s", query, golden)
	}
	l, err := k.Verify(parsed(t, query), expires.Add(-time.Second))
	if err != nil || l.FID != fid || !l.IsOf(owner) {
		t.Errorf("Verify = %+v, %v, and it is of %s: %v", l, err, owner, l.IsOf(owner))
	}
	for _, somebody := range []string{"", "ann@example.com", "Sid@gmail.com", owner + "\n", owner[:12]} {
		if l.IsOf(somebody) {
			t.Errorf("it is of %q, too", somebody)
		}
	}
	if strings.Contains(query, "sid") || strings.Contains(query, "%40") {
		t.Errorf("the link tells whose it is: %s", query)
	}
	for _, late := range []time.Duration{0, time.Second, 1000 * time.Hour} {
		if _, err := k.Verify(parsed(t, query), expires.Add(late)); !errors.Is(err, link.ErrExpired) {
			t.Errorf("%v after its end: %v, want ErrExpired", late, err)
		}
	}
	if q := parsed(t, query+"&utm_source=mail"); q.Get(link.FID) == "" {
		t.Fatal("no fid")
	} else if _, err := k.Verify(q, expires.Add(-time.Hour)); err != nil {
		t.Errorf("with what some mail server has added: %v", err)
	}
}

func TestNothingElseIsALink(t *testing.T) {
	k := key(t, first)
	good := parsed(t, k.Query(fid, owner, expires))
	signature := good.Get(link.Signature)
	another := parsed(t, k.Query("6929b0b5c0ffee0000000003", owner, expires.Add(time.Hour))).Get(link.Signature)
	annes := parsed(t, k.Query(fid, "ann@example.com", expires)).Get(link.Signature)
	altered := func(name string, values ...string) url.Values {
		q := url.Values{}
		for n, v := range good {
			q[n] = v
		}
		q[name] = values
		return q
	}
	queries := map[string]url.Values{
		"nothing":                             {},
		"no fid":                              altered(link.FID),
		"an empty fid":                        altered(link.FID, ""),
		"another fid":                         altered(link.FID, "6929b0b5c0ffee0000000003"),
		"the fid in upper case":               altered(link.FID, strings.ToUpper(fid)),
		"two fids":                            altered(link.FID, fid, fid),
		"no end":                              altered(link.Expires),
		"a later end":                         altered(link.Expires, "1796000001"),
		"the end with a sign":                 altered(link.Expires, "+1796000000"),
		"the end with a zero":                 altered(link.Expires, "01796000000"),
		"the end with a space":                altered(link.Expires, " 1796000000"),
		"the end as a float":                  altered(link.Expires, "1.796e9"),
		"an end beyond numbers":               altered(link.Expires, "99999999999999999999"),
		"two ends":                            altered(link.Expires, "1796000000", "1896000000"),
		"no signature":                        altered(link.Signature),
		"an empty signature":                  altered(link.Signature, ""),
		"two signatures":                      altered(link.Signature, signature, signature),
		"a signature of another alphabet":     altered(link.Signature, strings.NewReplacer("-", "+", "_", "/").Replace(strings.Repeat("-", 64))),
		"a padded signature":                  altered(link.Signature, signature+"=="),
		"a signature with a line end":         altered(link.Signature, signature[:10]+"\n"+signature[10:]),
		"a short signature":                   altered(link.Signature, signature[:60]),
		"a long signature":                    altered(link.Signature, signature+"AAAA"),
		"a huge signature":                    altered(link.Signature, strings.Repeat("A", 1<<20)),
		"the signature of another link":       altered(link.Signature, another),
		"both halves of two links":            altered(link.Signature, signature[:20]+another[20:]),
		"the other halves":                    altered(link.Signature, another[:20]+signature[20:]),
		"another owner's mark":                altered(link.Signature, annes[:20]+signature[20:]),
		"an owner's mark cut off":             altered(link.Signature, signature[20:]),
		"the end's text at the end of the id": {link.FID: {fid + "\n1796000000"}, link.Expires: {""}, link.Signature: {signature}},
	}
	for i := range signature { // any letter, any of its bits
		b := []byte(signature)
		if b[i]++; b[i] == '{' || b[i] == ':' || b[i] == '[' || b[i] == '`' || b[i] == '.' {
			b[i] = 'b'
		}
		queries[fmt.Sprintf("letter %d of the signature", i)] = altered(link.Signature, string(b))
	}
	for name, q := range queries {
		if l, err := k.Verify(q, expires.Add(-time.Hour)); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("%s: Verify = %+v, %v, want ErrInvalid", name, l, err)
		}
		if _, err := k.Verify(q, expires.Add(time.Hour)); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("%s, later: %v, want ErrInvalid: only a good link is told to have expired", name, err)
		}
	}
}

func TestASecretIsReplacedWithoutEndingLinks(t *testing.T) {
	before, during, after := key(t, first), key(t, other+","+first), key(t, other)
	old, anew := parsed(t, before.Query(fid, owner, expires)), parsed(t, during.Query(fid, owner, expires))
	now := expires.Add(-time.Hour)
	for name, tt := range map[string]struct {
		key  link.Key
		q    url.Values
		want error
	}{
		"an old link, meanwhile": {during, old, nil},
		"a new link, meanwhile":  {during, anew, nil},
		"a new link, after":      {after, anew, nil},
		"an old link, after":     {after, old, link.ErrInvalid},
		"a new link, before":     {before, anew, link.ErrInvalid},
		"without any secret":     {link.Key{}, old, link.ErrInvalid},
	} {
		l, err := tt.key.Verify(tt.q, now)
		if !errors.Is(err, tt.want) || err == nil && !l.IsOf(owner) {
			t.Errorf("%s: %v, of its owner: %v, want %v", name, err, l.IsOf(owner), tt.want)
		}
	}
}

func TestSecretsAreLongAndNotShown(t *testing.T) {
	for _, secrets := range []string{"short-one", first + ",short-one", first + ",", ",", strings.Repeat("x", link.MinSecret-1)} {
		_, err := link.NewKey(secrets)
		if err == nil || !strings.Contains(err.Error(), "LINK_SECRET") || strings.Contains(err.Error(), "short-one") {
			t.Errorf("NewKey(%q) = %v, want an error that names LINK_SECRET and shows nothing of it", secrets, err)
		}
	}
	if k := key(t, strings.Repeat("x", link.MinSecret)); k.IsZero() || fmt.Sprintf("%v %+v %#v %s", k, k, k, k) != "*** *** *** ***" {
		t.Errorf("the key prints as %v %#v", k, k)
	}
	if k := key(t, ""); !k.IsZero() {
		t.Error("nothing makes a key")
	}
}
