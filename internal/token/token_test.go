package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	secret = "0123456789abcdef0123456789abcdef"
	iat    = 1_700_000_000
	day    = 86400
)

var (
	sid = Claims{Username: "sid@gmail.com", Admin: true, Exp: iat + day, Iat: iat}
	now = time.Unix(iat+60, 0)
)

// What PyJWT 2.6.0, the original's library, made of sid's claims in the original's order and in ours.
const (
	original = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VybmFtZSI6InNpZEBnbWFpbC5jb20iLCJleHAiOjE3MDAwODY0MDAsImlhdCI6MTcwMDAwMDAwMCwiYWRtaW4iOnRydWV9.MSDpgnsEUaJZQzm_dI8j7t3FMySId-Mk9Preh9R9iHg"
	python   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhZG1pbiI6dHJ1ZSwiZXhwIjoxNzAwMDg2NDAwLCJpYXQiOjE3MDAwMDAwMDAsInVzZXJuYW1lIjoic2lkQGdtYWlsLmNvbSJ9.0k3mKEGZ3h1Ppji0kIrvKm9AaMITRbHP-7L6iOwb46s"
)

func key(tb testing.TB) Key {
	tb.Helper()
	k, err := NewKey(secret)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestATokenIsTheOneThatPyJWTMakes(t *testing.T) {
	got, err := key(t).Sign(sid)
	if err != nil || got != python {
		t.Errorf("Sign = %s, %v, want %s", got, err, python)
	}
}

func TestATokenOfTheOriginalIsGood(t *testing.T) {
	for _, token := range []string{original, python} {
		got, err := key(t).Verify(token, now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sid, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAShortSecretIsRefusedByTheVariablesName(t *testing.T) {
	for _, short := range []string{"", "sarcasm", secret[1:]} {
		_, err := NewKey(short)
		if err == nil || !strings.Contains(err.Error(), "JWT_SECRET") {
			t.Errorf("NewKey of %d bytes: %v, want an error that names JWT_SECRET", len(short), err)
		}
		if short != "" && strings.Contains(fmt.Sprint(err), short) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestTheZeroKeyNeitherSignsNorVerifies(t *testing.T) {
	var zero Key
	if token, err := zero.Sign(sid); err == nil {
		t.Errorf("Sign = %s, want an error", token)
	}
	head, payload := enc(header), enc(claims)
	if _, err := zero.Verify(head+"."+payload+"."+signed(sha256.New, "", head, payload), now); !errors.Is(err, ErrInvalid) {
		t.Errorf("Verify of a token signed with no key: %v", err)
	}
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		in := struct{ K Key }{key(t)}
		if got := fmt.Sprintf(format, in) + fmt.Sprintf(format, in.K); strings.Contains(got, secret) || strings.Contains(got, fmt.Sprintf("%d", []byte(secret))) {
			t.Errorf("Sprintf(%q) = %s", format, got)
		}
	}
}

func TestATokenKeepsItsNameAndVersion(t *testing.T) {
	want := Claims{Username: "sid@gmail.com", Exp: iat + day, Iat: iat, ID: "a-name", Version: 1<<32 - 1}
	token, err := key(t).Sign(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key(t).Verify(token, now); err != nil || got != want {
		t.Errorf("Verify = %+v, %v, want %+v", got, err, want)
	}
}

func TestOfSeveralSecretsTheFirstSignsAndAllVerify(t *testing.T) {
	second, third := strings.Repeat("2", MinSecret), strings.Repeat("3", MinSecret)
	rotated, err := NewKey(second + "," + secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		verifier, signer string
		good             bool
	}{
		"the first":           {second + "," + secret, second, true},
		"the second":          {second + "," + secret, secret, true},
		"one that is gone":    {second + "," + third, secret, false},
		"all of them at once": {second + "," + secret, second + secret, false},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := NewKey(tt.verifier)
			if err != nil {
				t.Fatal(err)
			}
			head, payload := enc(header), enc(claims)
			_, err = k.Verify(head+"."+payload+"."+signed(sha256.New, tt.signer, head, payload), now)
			if good := err == nil; good != tt.good {
				t.Errorf("Verify: %v, want good = %v", err, tt.good)
			}
		})
	}
	token, err := rotated.Sign(sid)
	if err != nil {
		t.Fatal(err)
	}
	if first, err := NewKey(second); err != nil {
		t.Error(err)
	} else if _, err := first.Verify(token, now); err != nil {
		t.Errorf("the first secret does not verify what was signed: %v", err)
	}
}

func TestEachOfSeveralSecretsIsLongEnough(t *testing.T) {
	for _, list := range []string{secret + ",", "," + secret, secret + ",short-one," + secret, secret + ",," + secret} {
		_, err := NewKey(list)
		if err == nil || !strings.Contains(err.Error(), "JWT_SECRET") || strings.Contains(err.Error(), "short-one") {
			t.Errorf("NewKey(%q) = %v, want an error that names JWT_SECRET and shows nothing of it", list, err)
		}
	}
}

func TestAMacTellsPurposesAndKeysApart(t *testing.T) {
	other, err := NewKey(strings.Repeat("x", MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	mac := key(t).Mac("address", "x")
	for name, got := range map[string][32]byte{
		"another purpose":                  key(t).Mac("account", "x"),
		"another text":                     key(t).Mac("address", "y"),
		"another key":                      other.Mac("address", "x"),
		"text that looks like the purpose": key(t).Mac("a", "ddressx"),
	} {
		if got == mac {
			t.Errorf("%s gives the same", name)
		}
	}
	if mac != key(t).Mac("address", "x") {
		t.Error("the same gives another")
	}
}

// The header and claims of a good token; the tables below put other things in their place.
const (
	header = `{"alg":"HS256","typ":"JWT"}`
	claims = `{"username":"sid@gmail.com","exp":1700086400,"iat":1700000000,"admin":true}`
)

func TestTimesAndUnusedClaims(t *testing.T) {
	for name, tt := range map[string]struct {
		head, payload string
		at            time.Time
		good          bool
	}{
		"the last second":                {payload: claims, at: time.Unix(iat+day-1, 0), good: true},
		"the second of exp":              {payload: claims, at: time.Unix(iat+day, 0)},
		"signed by a clock 30 s ahead":   {payload: claims, at: time.Unix(iat-30, 0), good: true},
		"signed by a clock 31 s ahead":   {payload: claims, at: time.Unix(iat-31, 0)},
		"nbf in the past":                {payload: `{"username":"u","exp":1700086400,"nbf":1700000000}`, good: true},
		"nbf in the future":              {payload: `{"username":"u","exp":1700086400,"nbf":1700001000}`},
		"nbf by a clock 30 s ahead":      {payload: `{"username":"u","exp":1700086400,"nbf":1700000090}`, good: true},
		"nbf by a clock 31 s ahead":      {payload: `{"username":"u","exp":1700086400,"nbf":1700000091}`},
		"exp as far as a number goes":    {payload: `{"username":"u","exp":9223372036854775807}`, good: true},
		"iat long before time began":     {payload: `{"username":"u","exp":1700086400,"iat":-9223372036854775808}`, good: true},
		"no iat":                         {payload: `{"username":"u","exp":1700086400}`, good: true},
		"unknown claims":                 {payload: `{"username":"u","exp":1700086400,"iss":"x","sub":{"a":[1]}}`, good: true},
		"white space":                    {payload: " {\"username\" : \"u\",\n\"exp\": 1700086400 } ", good: true},
		"no typ":                         {head: `{"alg":"HS256"}`, payload: claims, good: true},
		"typ in lower case":              {head: `{"typ":"jwt","alg":"HS256"}`, payload: claims, good: true},
		"a key id is not looked up":      {head: `{"alg":"HS256","kid":"../../dev/null","jku":"http://127.0.0.1:1/","jwk":{"k":""},"x5u":"http://127.0.0.1:1/"}`, payload: claims, good: true},
		"a user with quotes and unicode": {payload: `{"username":"o'brien\"@exämple.com","exp":1700086400}`, good: true},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.head == "" {
				tt.head = header
			}
			if tt.at.IsZero() {
				tt.at = now
			}
			_, err := key(t).Verify(made(tt.head, tt.payload), tt.at)
			if good := err == nil; good != tt.good || !good && !errors.Is(err, ErrInvalid) {
				t.Errorf("Verify at %v: %v, want good = %v", tt.at.Unix(), err, tt.good)
			}
		})
	}
}

func TestAdminIsATrueBooleanOrNo(t *testing.T) {
	for payload, want := range map[string]bool{
		`{"username":"u","exp":1700086400,"admin":true}`:  true,
		`{"username":"u","exp":1700086400,"admin":false}`: false,
		`{"username":"u","exp":1700086400}`:               false,
		`{"username":"u","exp":1700086400,"ADMIN":true}`:  false,
	} {
		got, err := key(t).Verify(made(header, payload), now)
		if err != nil || got.Admin != want {
			t.Errorf("Verify of %s: admin %v, %v, want %v", payload, got.Admin, err, want)
		}
	}
}

func TestHostileTokensAreInvalid(t *testing.T) {
	for name, token := range hostile() {
		t.Run(name, func(t *testing.T) {
			got, err := key(t).Verify(token, now)
			if !errors.Is(err, ErrInvalid) || got != (Claims{}) {
				t.Errorf("Verify(%.200s) = %+v, %v, want %v", token, got, err, ErrInvalid)
			}
		})
	}
}

func TestOneFlippedBitAnywhereIsInvalid(t *testing.T) {
	for i := range len(original) {
		for bit := range 8 {
			token := []byte(original)
			token[i] ^= 1 << bit
			if _, err := key(t).Verify(string(token), now); !errors.Is(err, ErrInvalid) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
	}
}

// hostile are the tokens of people who want in, most of them signed as only somebody with the secret could.
func hostile() map[string]string {
	head, payload := enc(header), enc(claims)
	all := map[string]string{
		"nothing":                      "",
		"two dots":                     "..",
		"no dots":                      "token",
		"two parts":                    head + "." + payload,
		"an empty signature":           head + "." + payload + ".",
		"five parts, as JWE has":       original + ".a.b",
		"a megabyte of dots":           strings.Repeat(".", 1<<20),
		"over 4 KiB":                   made(header, `{"username":"`+strings.Repeat("u", 4<<10)+`","exp":1700086400}`),
		"another secret":               head + "." + payload + "." + signed(sha256.New, strings.Repeat("x", 32), head, payload),
		"HS512 and the right secret":   enc(`{"alg":"HS512"}`) + "." + payload + "." + signed(sha512.New, secret, enc(`{"alg":"HS512"}`), payload),
		"HS384 and the right secret":   enc(`{"alg":"HS384"}`) + "." + payload + "." + signed(sha512.New384, secret, enc(`{"alg":"HS384"}`), payload),
		"HS512 under an HS256 header":  head + "." + payload + "." + signed(sha512.New, secret, head, payload),
		"a signature cut to one byte":  original[:len(original)-41],
		"padding":                      original + "=",
		"a space before":               " " + original,
		"a line end after":             original + "\n",
		"a line end in the signature":  original[:len(original)-4] + "\r\n" + original[len(original)-4:],
		"bits that do not count":       original[:len(original)-1] + "h", // decodes to the same bytes if decoding is lax
		"the alphabet of base64":       strings.NewReplacer("-", "+", "_", "/").Replace(original),
		"a header that is no JSON":     made("alg=HS256", claims),
		"a header that is no base64":   signedText("?"+head[1:], payload),
		"claims that are no JSON":      made(header, `{"username":`),
		"claims that are no base64":    signedText(head, "?"+payload[1:]),
		"claims that are an array":     made(header, "["+claims+"]"),
		"claims that are null":         made(header, "null"),
		"claims twice":                 made(header, claims+claims),
		"a comma too many":             made(header, strings.Replace(claims, "}", ",}", 1)),
		"objects 1000 deep":            made(header, strings.Repeat(`{"a":`, 1000)+"1"+strings.Repeat("}", 1000)),
		"arrays 2000 deep and no end":  made(header, `{"username":"u","exp":1700086400,"a":`+strings.Repeat("[", 2000)),
		"a name without a value":       made(header, `{"username":"u","exp":1700086400,"a"}`),
		"a name that is no string":     made(header, `{1:2}`),
		"two names that say the same":  made(header, `{"username":"u","exp":1700086400,"admin":false,"admin":true}`),
		"a name twice by an escape":    made(header, `{"username":"u","exp":1700086400,"admin":false,"\u0061dmin":true}`),
		"alg twice":                    made(`{"alg":"none","alg":"HS256"}`, claims),
		"a name in the wrong case":     made(header, `{"USERNAME":"u","exp":1700086400}`),
		"no username":                  made(header, `{"exp":1700086400}`),
		"an empty username":            made(header, `{"username":"","exp":1700086400}`),
		"a username that is an array":  made(header, `{"username":["u"],"exp":1700086400}`),
		"a username that is an object": made(header, `{"username":{"$ne":null},"exp":1700086400}`),
		"an audience":                  made(header, `{"username":"u","exp":1700086400,"aud":"other"}`),
		"an audience of nobody":        made(header, `{"username":"u","exp":1700086400,"aud":[]}`),
		"nbf as far as a number goes":  made(header, `{"username":"u","exp":1700086400,"nbf":9223372036854775807}`),
		"typ twice":                    made(`{"alg":"HS256","typ":"at+jwt","typ":"JWT"}`, claims),
	}
	for _, alg := range []string{`"none"`, `"None"`, `"nOnE"`, `"RS256"`, `"HS384"`, `"HS512"`, `"ES256"`, `"hs256"`, `""`, `null`, `256`, `["HS256"]`} {
		all["alg "+alg] = made(`{"alg":`+alg+`,"typ":"JWT"}`, claims)
		all["alg "+alg+" and no signature"] = enc(`{"alg":`+alg+`}`) + "." + payload + "."
	}
	for _, head := range []string{
		`{}`, `{"typ":"JWT"}`, `{"alg":"HS256","typ":"at+jwt"}`, `{"alg":"HS256","typ":1}`, `{"alg":"HS256","typ":null}`, `{"alg":"HS256","crit":["exp"]}`,
		`{"alg":"HS256","crit":[]}`, `{"alg":"HS256","b64":false}`, `{"alg":"HS256","b64":false,"crit":["b64"]}`,
	} {
		all["header "+head] = made(head, claims)
	}
	for _, exp := range []string{
		"null", `"1700086400"`, "1700086400.5", "1.7000864e9", "1e308", "-1", "0", "9223372036854775808", "1700000000", "true", "[1700086400]", "{}",
	} {
		all["exp "+exp] = made(header, `{"username":"u","exp":`+exp+`}`)
	}
	for _, iat := range []string{"null", `"1"`, "1.5", "1700001000", "9223372036854775807", "1e3"} {
		all["iat "+iat] = made(header, `{"username":"u","exp":1700086400,"iat":`+iat+`}`)
	}
	for _, jti := range []string{"null", "1", `{"a":[1]}`, "true"} {
		all["jti "+jti] = made(header, `{"username":"u","exp":1700086400,"jti":`+jti+`}`)
	}
	for _, ver := range []string{"null", `"1"`, "-1", "1.5", "4294967296", "true"} {
		all["ver "+ver] = made(header, `{"username":"u","exp":1700086400,"ver":`+ver+`}`)
	}
	for _, admin := range []string{`"true"`, "1", "null", "[true]", `{"$ne":false}`} {
		all["admin "+admin] = made(header, `{"username":"u","exp":1700086400,"admin":`+admin+`}`)
	}
	all["no exp"] = made(header, `{"username":"u","iat":1700000000}`)
	return all
}

func FuzzVerify(f *testing.F) {
	f.Add(original)
	for _, token := range hostile() {
		if len(token) < 1<<10 {
			f.Add(token)
		}
	}
	k := key(f)
	f.Fuzz(func(t *testing.T, token string) {
		got, err := k.Verify(token, now)
		if err != nil {
			if !errors.Is(err, ErrInvalid) || got != (Claims{}) {
				t.Errorf("Verify = %+v, %v: neither good nor ErrInvalid", got, err)
			}
			return
		}
		head, rest, _ := strings.Cut(token, ".")
		payload, _, _ := strings.Cut(rest, ".")
		if want := signedText(head, payload); token != want {
			t.Errorf("Verify accepted a token that differs from what we sign:\n%s\n%s", token, want)
		}
	})
}

// FuzzClaims lets the fuzzer past the signature.
func FuzzClaims(f *testing.F) {
	f.Add(header, claims)
	f.Add(`{"alg":"HS256","crit":[]}`, `{"username":"u","exp":1700086400,"admin":1}`)
	k := key(f)
	f.Fuzz(func(t *testing.T, head, payload string) {
		c, err := k.Verify(made(head, payload), now)
		if err != nil {
			return
		}
		if c.Username == "" || c.Exp <= now.Unix() || c.Iat > now.Unix()+30 {
			t.Errorf("Verify accepted %+v from %q %q", c, head, payload)
		}
		again, err := k.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Verify(again, now); err != nil || got != c {
			t.Errorf("the claims %+v came back as %+v, %v", c, got, err)
		}
	})
}

// made signs any header and payload.
func made(head, payload string) string { return signedText(enc(head), enc(payload)) }

func signedText(head, payload string) string {
	return head + "." + payload + "." + signed(sha256.New, secret, head, payload)
}

func signed(sum func() hash.Hash, secret, head, payload string) string {
	h := hmac.New(sum, []byte(secret))
	h.Write([]byte(head + "." + payload))
	return enc(string(h.Sum(nil)))
}

func enc(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
