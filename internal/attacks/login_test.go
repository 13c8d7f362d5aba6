package attacks

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"mp3converter/internal/auth"
	"mp3converter/internal/testsuite"
	"mp3converter/internal/user"
)

// login tries to log in at the gateway.
func (p *probe) login(client *http.Client, authorization string) (testsuite.Answer, string) {
	p.Helper()
	return p.loginWith(client, authorization, nil)
}

func (p *probe) loginWith(client *http.Client, authorization string, h http.Header) (testsuite.Answer, string) {
	p.Helper()
	return p.sendBy(client, testsuite.Request{Method: http.MethodPost, Path: "/login", Auth: authorization, Header: h})
}

// user makes somebody who can log in, and has a token without.
func (p *probe) user() *testsuite.Person {
	p.Helper()
	who := p.Add(p, user.User{Password: testsuite.Hashed(), Admin: true})
	who.Token = sign(hs256, claims(who.Email, ""))
	return who
}

const (
	invalid = "401 invalid credentials"
	tooMany = "429 too many failed logins, try again later"
)

// wait is how many seconds an answer says to wait.
func (p *probe) wait(a testsuite.Answer) (seconds int) {
	p.Helper()
	if _, err := fmt.Sscan(a.Header.Get("Retry-After"), &seconds); err != nil {
		p.Errorf("Retry-After: %v", err)
	}
	return seconds
}

// whileLockedOut guesses wrong until it is told to wait for some seconds, does what must be refused meanwhile, and then
// checks it. What a busy machine has drawn out beyond the wait proves nothing, and is done again.
func (p *probe) whileLockedOut(guess func(password string) (testsuite.Answer, string), try func() (check func())) {
	p.Helper()
	for range 50 {
		began := time.Now()
		a, _ := guess("wrong")
		if a.Status != http.StatusTooManyRequests {
			continue // one of the free ones, or the one after a wait
		}
		wait := p.wait(a)
		sure := time.Duration(wait-1) * time.Second // it is told in whole seconds, rounded up
		if wait >= 3 {
			check := try()
			if time.Since(began) < sure {
				check()
				return
			}
		}
		time.Sleep(time.Duration(wait) * time.Second)
	}
	p.Fatalf("never locked out for long enough to see it")
}

// loginMemory, in MiB, is more than the hashes of as many logins as may be under way at once take on two cores, under the race
// detector, and less than those of 100.
var loginMemory = int64(200 + 300*runtime.NumCPU())

var logins = []row{
	{number: 20, attack: "an unknown user, and a wrong password", expected: "the same status, body and headers", try: func(p *probe) {
		who := p.user()
		known, got := p.login(p.client, testsuite.Basic(who.Email, "wrong"))
		p.is("known", got, invalid)
		unknown, got := p.login(p.client, testsuite.Basic(testsuite.NewAddress(), "wrong"))
		p.is("unknown", got, invalid)
		for _, a := range []testsuite.Answer{known, unknown} {
			a.Header.Del("Date")
			a.Header.Del("X-Request-Id")
		}
		p.is("headers", fmt.Sprint(unknown.Header), fmt.Sprint(known.Header))
		p.seen = []string{invalid + " ×2, headers alike"}
	}},
	{number: 20, attack: "the times of 200 logins of either kind", expected: "medians differ by less than 5 %; without -full the work is counted", slow: true, try: func(p *probe) {
		who := p.user()
		var differ float64
		for range 3 { // the machine may have been busy with one kind
			var known, unknown []time.Duration
			for range 200 {
				for _, kind := range []struct {
					email string
					times *[]time.Duration
				}{{who.Email, &known}, {testsuite.NewAddress(), &unknown}} {
					client := p.clientAt(p.place()) // nobody has to wait for a guess of their own
					start := time.Now()
					_, got := p.login(client, testsuite.Basic(kind.email, "wrong"))
					*kind.times = append(*kind.times, time.Since(start))
					if got != invalid {
						p.Fatalf("login: %s", got)
					}
					client.CloseIdleConnections()
				}
			}
			slices.Sort(known)
			slices.Sort(unknown)
			a, b := known[100], unknown[100]
			if differ = 100 * float64(max(a, b)-min(a, b)) / float64(max(a, b)); differ < 5 {
				break
			}
		}
		p.see(fmt.Sprintf("medians differ by %.1f %%", differ))
		if differ >= 5 {
			p.Errorf("medians differ by %.1f %%", differ)
		}
	}},
	{number: 20, attack: "the work of logins of either kind", expected: "one hash each", elsewhere: []string{"internal/auth TestEveryRefusedLoginDoesTheSameWork"}},
	{number: 21, attack: "50 wrong passwords for an account from one address", expected: "429 with a Retry-After that grows; the owner gets in from elsewhere", try: func(p *probe) {
		who := p.user()
		guess := func(password string) (testsuite.Answer, string) {
			return p.login(p.client, testsuite.Basic(who.Email, password))
		}
		var waits []int
		for range 50 {
			a, got := guess("wrong")
			p.is("guess", got, invalid, tooMany)
			if a.Status == http.StatusTooManyRequests {
				waits = append(waits, p.wait(a))
				if len(waits) < 3 { // wait it out, so that the next is longer
					time.Sleep(time.Duration(waits[len(waits)-1])*time.Second + 100*time.Millisecond)
				}
			}
		}
		if len(waits) < 40 || slices.Max(waits) < 2*waits[0] {
			p.Errorf("waits: %v", waits)
		}
		p.whileLockedOut(guess, func() func() {
			_, got := guess(who.Password)
			return func() { p.is("the right password from there", got, tooMany) }
		})
		_, got := p.login(p.clientAt(p.place()), testsuite.Basic(who.Email, who.Password))
		p.is("the right password from elsewhere", got, "200")
	}},
	{number: 21, attack: "20 wrong passwords by the login form", expected: "429 as at /login, for both doors", try: func(p *probe) {
		who := p.user()
		guess := func(password string) (testsuite.Answer, string) { return p.send(loginForm(who.Email, password)) }
		for range 20 {
			_, got := guess("wrong")
			p.is("guess", got, invalid, tooMany)
		}
		p.whileLockedOut(guess, func() func() {
			_, form := guess(who.Password)
			_, login := p.login(p.client, testsuite.Basic(who.Email, who.Password))
			return func() {
				p.is("the right password", form, tooMany)
				p.is("the right password at /login", login, tooMany)
			}
		})
	}},
	{number: 22, attack: "passwords of 1 MB and 10 KB, of 65 bytes less one or with another last one, with a NUL, composed and decomposed letters", expected: "431, 401; nothing is cut off", try: func(p *probe) {
		const long, nfc, nfd = "a password of 64 bytes and more, of which the last ones count too: 1", "pässwörd", "pa\u0308sswo\u0308rd"
		a := p.Add(p, user.User{Password: auth.Hash(long), Admin: true})
		b := p.Add(p, user.User{Password: auth.Hash(nfc), Admin: true})
		for _, tt := range []struct{ variant, email, password, want string }{
			{"1 MB", a.Email, strings.Repeat("x", 1<<20), "431"}, {"10 KB", a.Email, strings.Repeat("x", 10<<10), invalid},
			{"less one", a.Email, long[:len(long)-1], invalid}, {"64 bytes", a.Email, long[:64], invalid}, {"another last", a.Email, long[:len(long)-1] + "2", invalid},
			{"the whole", a.Email, long, "200"}, {"NUL", a.Email, long + "\x00x", invalid}, {"composed", b.Email, nfc, "200"}, {"decomposed", b.Email, nfd, invalid},
			{"empty", b.Email, "", invalid},
		} {
			client := p.clientAt(p.place())
			_, got := p.login(client, testsuite.Basic(tt.email, tt.password))
			if tt.variant == "1 MB" {
				raw, _ := p.raw(p.URL, "POST /login HTTP/1.1\r\nHost: x\r\nAuthorization: "+testsuite.Basic(tt.email, tt.password)+"\r\n\r\n")
				got, tt.want = status(raw), "431"
			}
			p.is(tt.variant, got, tt.want)
		}
	}},
	{number: 23, attack: "Basic without colon, bad base64, a user name of 64 KB and of 8 KB, another scheme, nothing", expected: "401 invalid credentials, 431", try: func(p *probe) {
		for variant, authorization := range map[string]string{
			"no colon": "Basic c2lkQGdtYWlsLmNvbQ==", "bad base64": "Basic =%", "base64url": "Basic c2lk-_", "no space": "Basic", "Digest": "Digest username=\"x\"",
			"8 KB": testsuite.Basic(strings.Repeat("x", 8<<10)+"@b.c", "x"), "only a colon": testsuite.Basic("", ""),
		} {
			_, got := p.login(p.clientAt(p.place()), authorization)
			p.is(variant, got, invalid)
		}
		got, _ := p.raw(p.URL, "POST /login HTTP/1.1\r\nHost: x\r\nAuthorization: "+testsuite.Basic(strings.Repeat("x", 64<<10), "x")+"\r\n\r\n")
		p.is("64 KB", status(got), "431")
	}},
	{number: 24, attack: "SQL quotes, comments, % and _, another case, spaces in the e-mail", expected: invalid, try: func(p *probe) {
		who := p.user()
		local, domain, _ := strings.Cut(who.Email, "@")
		for _, email := range []string{
			who.Email + "' OR '1'='1", "' OR 1=1 -- ", who.Email + "'-- ", `" OR ""="`, `\' OR 1=1 #`, "%", "%@example.com", local[:5] + "%@" + domain, local[:len(local)-1] + "_@" + domain,
			strings.ToUpper(who.Email), who.Email + " ", " " + who.Email, who.Email + "\x00", local + "@" + strings.ToUpper(domain), who.Email + "; DROP TABLE user", "x@y' UNION SELECT 1,2,3 -- ",
		} {
			_, got := p.login(p.clientAt(p.place()), testsuite.Basic(email, who.Password))
			p.is(email, got, invalid)
		}
		_, got := p.login(p.client, testsuite.Basic(who.Email, who.Password))
		p.is("after that", got, "200")
	}},
	{number: 25, attack: "100 logins at once", expected: "200 or 503; memory bounded", refuses: true, alone: true, try: func(p *probe) {
		who := p.user()
		var all sync.WaitGroup
		got := make([]string, 100)
		for i := range got {
			all.Go(func() { _, got[i] = p.login(p.clientAt(p.place()), testsuite.Basic(who.Email, who.Password)) })
		}
		all.Wait()
		for _, answer := range got {
			p.is("one of 100", answer, "200", "503 service unavailable, try again later")
		}
		if !slices.Contains(got, "200") {
			p.Error("nobody got in")
		}
		p.bounded(p.Auth, loginMemory)
	}},
}
