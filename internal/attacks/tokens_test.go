package attacks

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"
	"mp3converter/internal/user"
)

const hs256 = `{"alg":"HS256","typ":"JWT"}`

var b64 = base64.RawURLEncoding

// signed is a token with the MAC of its first two parts.
func signed(hash func() hash.Hash, key, header, claims string) string {
	text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(claims))
	mac := hmac.New(hash, []byte(key))
	mac.Write([]byte(text))
	return text + "." + b64.EncodeToString(mac.Sum(nil))
}

// sign signs with the right key, rightly.
func sign(header, claims string) string {
	return signed(sha256.New, testsuite.JWTSecret, header, claims)
}

// claims are good ones, and more, which begins with a comma.
func claims(email, more string) string {
	now := time.Now().Unix()
	return fmt.Sprintf(`{"username":%q,"admin":true,"iat":%d,"exp":%d%s}`, email, now, now+3600, more)
}

// bad tries tokens at the gateway and at auth itself. All must be refused as the contract says.
func (p *probe) bad(tokens map[string]string) {
	p.Helper()
	for variant, token := range tokens {
		p.refused(variant, http.Header{"Authorization": {"Bearer " + token}}, "403 not authorized")
	}
}

func (p *probe) refused(variant string, h http.Header, want ...string) {
	p.Helper()
	_, got := p.send(testsuite.Request{Path: "/jobs", Header: h})
	p.is(variant, got, want...)
	_, got = p.send(testsuite.Request{Base: p.AuthURL, Method: http.MethodPost, Path: "/validate", Header: h})
	p.is(variant+", at auth", got, want...)
}

func (p *probe) good() string { return claims(p.me.Email, "") }

const forbidden = "403 not authorized; the list has 401, the contract 403 for bad tokens"

var tokens = []row{
	{number: 1, attack: "alg none, in any case, with and without a signature", expected: forbidden, try: func(p *probe) {
		for _, alg := range []string{"none", "None", "nOnE", "NONE", ""} {
			token := sign(`{"alg":"`+alg+`","typ":"JWT"}`, p.good())
			bare, _, _ := strings.Cut(token[strings.IndexByte(token, '.')+1:], ".")
			p.bad(map[string]string{alg + " signed": token, alg + " bare": token[:strings.IndexByte(token, '.')] + "." + bare + "."})
		}
	}},
	{number: 2, attack: "HS384, HS512 with the right key", expected: forbidden, try: func(p *probe) {
		p.bad(map[string]string{
			"HS384": signed(sha512.New384, testsuite.JWTSecret, `{"alg":"HS384","typ":"JWT"}`, p.good()),
			"HS512": signed(sha512.New, testsuite.JWTSecret, `{"alg":"HS512","typ":"JWT"}`, p.good()),
		})
	}},
	{number: 3, attack: "RS256 in the header, a MAC or a real RSA signature", expected: forbidden, try: func(p *probe) {
		const header = `{"alg":"RS256","typ":"JWT"}`
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			p.Fatal(err)
		}
		text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(p.good()))
		sum := sha256.Sum256([]byte(text))
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			p.Fatal(err)
		}
		p.bad(map[string]string{"MAC": sign(header, p.good()), "RSA": text + "." + b64.EncodeToString(sig)})
	}},
	{number: 4, attack: "kid as path, SQL, URL; jku, x5u, jwk of one's own", expected: forbidden + "; ignored if the secret fits; nobody is called", try: func(p *probe) {
		l, calls := p.listener()
		url := "http://" + l + "/keys"
		empty := map[string]string{ // the key that each would lead to
			`"kid":"../../../../dev/null"`: "", `"kid":"' UNION SELECT 'x' -- "`: "x", `"kid":"` + url + `"`: "", `"jku":"` + url + `"`: "",
			`"x5u":"` + url + `"`: "", `"jwk":{"kty":"oct","k":"eA"}`: "x",
		}
		for member, key := range empty {
			header := `{"alg":"HS256","typ":"JWT",` + member + `}`
			p.bad(map[string]string{member: signed(sha256.New, key, header, p.good())})
			_, got := p.send(testsuite.Request{Path: "/jobs", Auth: "Bearer " + sign(header, p.good())})
			p.is(member+" under the secret", got, "200")
		}
		p.is("calls", fmt.Sprintf("%d calls", calls.Load()), "0 calls")
	}},
	{number: 5, attack: "crit with an unknown extension", expected: forbidden, try: func(p *probe) {
		p.bad(map[string]string{
			"crit": sign(`{"alg":"HS256","typ":"JWT","crit":["x"],"x":1}`, p.good()), "empty": sign(`{"alg":"HS256","typ":"JWT","crit":[]}`, p.good()),
		})
	}},
	{number: 6, attack: "b64 false", expected: forbidden, try: func(p *probe) {
		p.bad(map[string]string{
			"b64": sign(`{"alg":"HS256","typ":"JWT","b64":false}`, p.good()), "with crit": sign(`{"alg":"HS256","crit":["b64"],"b64":false}`, p.good()),
		})
	}},
	{number: 7, attack: "a JWE of five parts; two, four, one", expected: forbidden, try: func(p *probe) {
		jwe := strings.Repeat(b64.EncodeToString([]byte(`{"alg":"dir","enc":"A128GCM"}`))+".", 4) + "x"
		p.bad(map[string]string{
			"five": jwe, "four": p.me.Token + ".x", "two": p.me.Token[:strings.LastIndexByte(p.me.Token, '.')], "one": "x", "empty parts": "..",
		})
	}},
	{number: 8, attack: "another key; one bit flipped in each part; no signature", expected: forbidden, try: func(p *probe) {
		p.bad(map[string]string{"another key": signed(sha256.New, strings.Repeat("k", 32), hs256, p.good())})
		from := 0
		for i, part := range strings.Split(p.me.Token, ".") {
			at := from + len(part)/2
			flipped := []byte(p.me.Token)
			flipped[at] ^= 1
			p.bad(map[string]string{fmt.Sprintf("part %d", i): string(flipped)})
			from += len(part) + 1
		}
		p.bad(map[string]string{"none": p.me.Token[:strings.LastIndexByte(p.me.Token, '.')+1]})
	}},
	{number: 9, attack: "exp missing, past, a string, 1e308, negative, 2^63, null, fractional", expected: forbidden, try: func(p *probe) {
		all := map[string]string{"missing": sign(hs256, fmt.Sprintf(`{"username":%q,"admin":true}`, p.me.Email))}
		for _, exp := range []string{"1", fmt.Sprint(time.Now().Unix() - 1), `"9999999999"`, "1e308", "-1", "9223372036854775808", "null", "9999999999.5", "[]", "true"} {
			all[exp] = sign(hs256, fmt.Sprintf(`{"username":%q,"admin":true,"exp":%s}`, p.me.Email, exp))
		}
		p.bad(all)
	}},
	{number: 10, attack: "nbf, iat in the future beyond the leeway", expected: forbidden, try: func(p *probe) {
		far := time.Now().Unix() + 600
		p.bad(map[string]string{
			"nbf": sign(hs256, claims(p.me.Email, fmt.Sprintf(`,"nbf":%d`, far))),
			"iat": sign(hs256, fmt.Sprintf(`{"username":%q,"admin":true,"iat":%d,"exp":%d}`, p.me.Email, far, far+60)),
		})
	}},
	{number: 11, attack: "for another audience, of another typ", expected: forbidden + "; iss is in no token of ours, and ignored", try: func(p *probe) {
		p.bad(map[string]string{
			"aud": sign(hs256, claims(p.me.Email, `,"aud":"bank"`)), "auds": sign(hs256, claims(p.me.Email, `,"aud":["bank"]`)),
			"typ": sign(`{"alg":"HS256","typ":"at+jwt"}`, p.good()), "typ number": sign(`{"alg":"HS256","typ":1}`, p.good()),
		})
	}},
	{number: 12, attack: "a claim or header member twice, in another case", expected: forbidden, try: func(p *probe) {
		p.bad(map[string]string{
			"admin": sign(hs256, claims(p.me.Email, `,"admin":true`)), "username": sign(hs256, claims(p.me.Email, fmt.Sprintf(`,"username":%q`, p.victim.Email))),
			"alg":        sign(`{"alg":"HS256","alg":"HS256","typ":"JWT"}`, p.good()),
			"other case": sign(hs256, fmt.Sprintf(`{"Username":%q,"Admin":true,"Exp":9999999999}`, p.victim.Email)),
		})
	}},
	{number: 13, attack: "1 MB of dots, JSON 10 000 deep, both again as long as a header may be", expected: "431, 403 not authorized", try: func(p *probe) {
		deep := b64.EncodeToString([]byte(strings.Repeat(`{"a":`, 10_000)))
		for _, base := range []string{p.URL, p.AuthURL} {
			for variant, tt := range map[string]struct{ token, want string }{
				"dots": {strings.Repeat(".", 1<<20), "431"}, "deep": {deep + "." + deep + ".x", "431"},
				"15 KB of dots": {strings.Repeat(".", 15<<10), "403"}, "15 KB deep": {deep[:8000] + "." + deep[:4000] + ".x", "403"},
				"deep and signed": {sign(hs256, strings.Repeat(`{"a":`, 2000)), "403"}, "deep and whole": {sign(hs256, strings.Repeat(`{"a":`, 400)+"1"+strings.Repeat("}", 400)), "403"},
			} {
				path := "GET /jobs"
				if base == p.AuthURL {
					path = "POST /validate"
				}
				got, _ := p.raw(base, path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: Bearer "+tt.token+"\r\n\r\n")
				p.is(variant, status(got), tt.want)
			}
		}
		p.bounded(p.Auth, loginMemory)
	}},
	{number: 15, attack: "the token of a user who was deleted, or has another password", expected: "403 not authorized, within seconds; the list has 401", try: func(p *probe) {
		for command, stdin := range map[string]string{"delete": "", "passwd": "another passphrase"} {
			who := p.user()
			if _, got := p.send(testsuite.Request{Path: "/jobs", Auth: "Bearer " + who.Token}); got != "200" {
				p.Fatalf("before: %s", got)
			}
			cmd := exec.CommandContext(p.Context(), testsuite.Release.Path(p, "auth"), "user", command, who.Email)
			cmd.Env = append(p.Database(), "PATH="+os.Getenv("PATH"), "JWT_SECRET="+testsuite.JWTSecret)
			cmd.Stdin = strings.NewReader(stdin)
			if out, err := cmd.CombinedOutput(); err != nil {
				p.Fatalf("auth user %s: %v: %s", command, err, out)
			}
			got := testsuite.Awaited(p, "the token ends", func() (string, bool) {
				_, got := p.send(testsuite.Request{Path: "/jobs", Auth: "Bearer " + who.Token})
				return got, got != "200"
			})
			p.is(command, got, "403 not authorized")
		}
	}},
	{number: 16, attack: "two Authorization headers, two spaces, a tab, no space, another case or scheme", expected: forbidden + "; never 500", try: func(p *probe) {
		b := "Bearer " + p.me.Token
		for _, base := range []string{"GET /jobs", "POST /validate"} {
			at := p.URL
			if base == "POST /validate" {
				at = p.AuthURL
			}
			for variant, lines := range map[string]string{
				"two": "Authorization: " + b + "\r\nAuthorization: " + b, "two, one empty": "Authorization:\r\nAuthorization: " + b,
				"two spaces": "Authorization: Bearer  " + p.me.Token, "a tab": "Authorization: Bearer\t" + p.me.Token,
				"no space": "Authorization: Bearer" + p.me.Token, "lower case": "Authorization: bearer " + p.me.Token,
				"Basic": "Authorization: Basic " + p.me.Token, "bare": "Authorization: " + p.me.Token, "a list": "Authorization: " + b + ", " + b,
			} {
				got, _ := p.raw(at, base+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n"+lines+"\r\n\r\n")
				p.is(variant, answered(got), "403 not authorized")
			}
		}
	}},
	{number: 17, attack: "a good token in the query, a cookie, another header", expected: "ignored: 401 missing credentials; only the session's cookie counts, and no header goes before it but Authorization", try: func(p *probe) {
		for variant, r := range map[string]testsuite.Request{
			"query":   {Path: "/jobs?token=" + p.me.Token + "&access_token=" + p.me.Token + "&session=" + p.me.Token},
			"cookie":  {Path: "/jobs", Header: http.Header{"Cookie": {"token=" + p.me.Token + "; Authorization=Bearer " + p.me.Token}}},
			"cookies": {Path: "/jobs", Header: http.Header{"Cookie": {"Session=" + p.me.Token + "; sessions=" + p.me.Token + "; session=; __Secure-session=" + p.me.Token}}},
			"by TLS":  {Path: "/jobs", Header: http.Header{"Cookie": {"__Host-session=" + p.me.Token}, "X-Forwarded-Proto": {"https"}}}, // of no trusted proxy
			"header":  {Path: "/jobs", Header: http.Header{"X-Authorization": {"Bearer " + p.me.Token}, "X-Access-Token": {p.me.Token}, "Proxy-Authorization": {"Bearer " + p.me.Token}}},
		} {
			_, got := p.send(r)
			p.is(variant, got, "401 missing credentials")
		}
		cookie := http.Header{"Cookie": {"session=" + p.me.Token}}
		_, got := p.send(testsuite.Request{Path: "/jobs", Header: cookie})
		p.is("session", got, "200")
		_, got = p.send(testsuite.Request{Path: "/jobs", Header: cookie, Auth: "Bearer " + p.me.Token + "x"})
		p.is("session, beside a bad header", got, "403 not authorized")
		_, got = p.send(testsuite.Request{Path: "/jobs", Header: http.Header{"Cookie": {"session=" + p.me.Token + "; session=" + p.me.Token}}})
		p.is("two sessions", got, "403 not authorized")
	}},
	{number: 18, attack: `admin false, "true", 1, null, absent`, expected: "401 not authorized for false and absent, 403 for what is no boolean", try: func(p *probe) {
		exp := time.Now().Unix() + 600
		for admin, want := range map[string]string{`,"admin":false`: "401 not authorized", "": "401 not authorized", `,"admin":"true"`: "403 not authorized", `,"admin":1`: "403 not authorized", `,"admin":null`: "403 not authorized", `,"admin":[true]`: "403 not authorized"} {
			token := sign(hs256, fmt.Sprintf(`{"username":%q,"exp":%d%s}`, p.me.Email, exp, admin))
			for _, r := range []testsuite.Request{{Path: "/jobs"}, {Path: "/download?fid=" + p.done.ID}, {Method: http.MethodPost, Path: "/upload"}, {Method: http.MethodDelete, Path: "/jobs/" + p.done.ID}} {
				r.Auth = "Bearer " + token
				_, got := p.send(r)
				p.is(admin+" "+r.Path, got, want)
			}
		}
		guest := p.Add(p, user.User{Password: testsuite.Hashed(), Admin: false})
		a, _ := p.login(p.client, testsuite.Basic(guest.Email, guest.Password))
		_, got := p.send(testsuite.Request{Path: "/jobs", Auth: "Bearer " + a.Body})
		p.is("a guest's own", got, "401 not authorized")
	}},
	{number: 19, attack: "auth with a secret of 8 bytes, or the published one", expected: "refuses to start, and names the variable", try: func(p *probe) {
		for variant, tt := range map[string]struct{ secret, names string }{
			"8 bytes": {"sarcasm1", "JWT_SECRET"}, "none": {"", "JWT_SECRET"}, "short second": {testsuite.JWTSecret + ",sarcasm1", "JWT_SECRET"},
			"published": {publishedSecret(p), "JWT_SECRET"},
		} {
			ctx, cancel := context.WithTimeout(p.Context(), 30*time.Second) // for an auth that does start
			defer cancel()
			cmd := exec.CommandContext(ctx, testsuite.Release.Path(p, "auth"))
			cmd.Env = append(p.Database(), "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0", "JWT_SECRET="+tt.secret, testsuite.QuickEnd)
			out, err := cmd.CombinedOutput()
			got := "starts"
			if err != nil && ctx.Err() == nil && strings.Contains(string(out), tt.names) && (tt.secret == "" || !strings.Contains(string(out), tt.secret)) {
				got = "exits, naming " + tt.names
			}
			p.is(variant, got, "exits, naming JWT_SECRET")
		}
	}},
}

// publishedSecret is the one in manifests/.
func publishedSecret(t testing.TB) string {
	t.Helper()
	_, rest, ok := strings.Cut(testsuite.Read(t, "../../manifests/auth.yaml"), "JWT_SECRET: ")
	line, _, _ := strings.Cut(rest, "\n")
	if !ok || len(line) < 32 {
		t.Fatal("manifests/auth.yaml has no JWT_SECRET")
	}
	return strings.Trim(strings.TrimSpace(line), `"'`)
}

// status is that of the first answer on a bare connection.
func status(answers string) string {
	rest, ok := strings.CutPrefix(answers, "HTTP/1.1 ")
	if !ok || len(rest) < 3 {
		return "closed"
	}
	return rest[:3]
}

// answered is the first answer on a bare connection in words.
func answered(answers string) string {
	head, body, _ := strings.Cut(answers, "\r\n\r\n")
	_ = head
	return strings.TrimSpace(status(answers) + " " + body)
}

// bounded fails the row if the process has ever had more memory, in MiB, than one that takes what strangers send piece by
// piece, or in turns. The race detector takes several times as much as a release does.
func (p *probe) bounded(s *testsuite.Process, most int64) {
	p.Helper()
	n := peak(p, s) >> 20
	p.see(fmt.Sprintf("%s had %d MiB at most", s.Name, n))
	if n > most {
		p.Errorf("%s had %d MiB, want %d at most", s.Name, n, most)
	}
}
