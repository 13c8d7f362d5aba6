package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/porttest"
	"mp3converter/internal/token"
	"mp3converter/internal/user"
)

func TestTheFakeCountsAsTheStoresDo(t *testing.T) {
	porttest.TestFailures(t, func(*testing.T) porttest.Failures { return newMemory() })
}

const ann, attacker, elsewhere = "ann@example.com", "203.0.113.9", "198.51.100.7"

// from logs in from an address and returns the status and the seconds of Retry-After.
func from(t *testing.T, s http.Handler, client, email, password string) (status, seconds int) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
	r.SetBasicAuth(email, password)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(client), 1234).String()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	seconds, err := strconv.Atoi(w.Header().Get("Retry-After"))
	if (w.Code == http.StatusTooManyRequests) != (err == nil) {
		t.Errorf("answer %d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if w.Code == http.StatusTooManyRequests && w.Body.String() != "too many failed logins, try again later" {
		t.Errorf("429 says %q", w.Body)
	}
	return w.Code, seconds
}

// quick is a service whose hashes cost nothing, and counts them.
func quick(t *testing.T, m *memory) (service, *int) {
	t.Helper()
	s, hashes := newService(t, m), new(int)
	s.hasher.derive = func(password, _ []byte, _ params, length int) []byte {
		*hashes++
		return append(make([]byte, length-len(password)), password...)
	}
	return s, hashes
}

// easy is the stored hash of a password of at most 32 bytes, as quick computes it.
func easy(password string) string {
	p := phc{params: cost, salt: make([]byte, saltBytes), hash: make([]byte, hashBytes)}
	copy(p.hash[hashBytes-len(password):], password)
	return p.String()
}

// security.md B5 21.
func TestWhoGuessesAPasswordWaitsLongerAndLonger(t *testing.T) {
	for name, email := range map[string]string{"of a user": ann, "of nobody": "nobody@example.com"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, hashes := quick(t, newMemory(user.User{Email: ann, Password: easy(password)}))
				for range 5 {
					if status, _ := from(t, s, attacker, email, "wrong"); status != http.StatusUnauthorized {
						t.Errorf("one of the first five = %d, want 401", status)
					}
				}
				for _, want := range []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900} {
					before := *hashes
					for range 4 { // impatience costs nothing, and gains nothing
						if status, wait := from(t, s, attacker, email, "wrong"); status != http.StatusTooManyRequests || wait != want {
							t.Fatalf("too early = %d, Retry-After %d, want 429 and %d", status, wait, want)
						}
					}
					time.Sleep(time.Duration(want)*time.Second - time.Millisecond)
					if status, wait := from(t, s, attacker, email, password); status != http.StatusTooManyRequests || wait != 1 || *hashes != before {
						t.Fatalf("a millisecond too early = %d, Retry-After %d, after %d hashes", status, wait, *hashes-before)
					}
					time.Sleep(time.Millisecond)
					if status, _ := from(t, s, attacker, email, "wrong"); status != http.StatusUnauthorized {
						t.Fatalf("after the wait = %d, want 401", status)
					}
				}
				if status, _ := from(t, s, elsewhere, ann, password); status != http.StatusOK {
					t.Errorf("the right password from another address = %d, want 200", status)
				}
				if status, _ := from(t, s, attacker, "bob@example.com", "wrong"); status != http.StatusUnauthorized {
					t.Errorf("another account from the same address = %d, want 401", status)
				}
			})
		})
	}
}

func TestAGoodLoginForgetsTheAccountsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(user.User{Email: ann, Password: easy(password)})
		s, _ := quick(t, m)
		for range 3 {
			for range 5 {
				if status, _ := from(t, s, elsewhere, ann, "slip"); status != http.StatusUnauthorized {
					t.Errorf("one of five slips = %d, want 401", status)
				}
			}
			time.Sleep(time.Second)
			if status, _ := from(t, s, elsewhere, ann, password); status != http.StatusOK {
				t.Errorf("then the right one = %d, want 200", status)
			}
		}
		m.countErr = errors.New("disk full")
		m.tallies[slotOf(s.cfg.Key, 1, "account", ann+"\x00"+elsewhere)] = tally{1, time.Now()}
		if status, _ := from(t, s, elsewhere, ann, password); status != http.StatusOK {
			t.Errorf("the right one when failures cannot be forgotten = %d, want 200", status)
		}
	})
}

// security.md B5 32.
func TestWhoAGatewayNamesWaitsAndNobodyElseIsBelieved(t *testing.T) {
	const gateway = "10.1.2.3:4567"
	for name, tt := range map[string]struct {
		trusted []netip.Prefix
		from    string
		want    int // for a client that another address is named for
	}{
		"a gateway that is trusted": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, gateway, http.StatusUnauthorized},
		"a gateway that is not":     {nil, gateway, http.StatusTooManyRequests},
		"somebody else":             {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "203.0.113.9:4567", http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // or the wait may be over
				m := newMemory()
				s, _ := quick(t, m)
				behind := New(Config{Users: m, Failures: m, Revocations: m, Key: s.cfg.Key, TrustedProxies: tt.trusted})
				behind.hasher = s.hasher
				h := behind.Routes()
				try := func(client string) int {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
					r.RemoteAddr = tt.from
					r.Header.Set("X-Forwarded-For", client)
					r.SetBasicAuth(ann, "wrong")
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					return w.Code
				}
				for range 5 {
					try(attacker)
				}
				if got := try(attacker); got != http.StatusTooManyRequests {
					t.Errorf("the sixth = %d, want 429", got)
				}
				if got := try(elsewhere); got != tt.want {
					t.Errorf("for another client = %d, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestAfterAQuietHourAllIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := quick(t, newMemory())
		for range 2 {
			for range 5 {
				if status, _ := from(t, s, attacker, ann, "wrong"); status != http.StatusUnauthorized {
					t.Errorf("one of five = %d, want 401", status)
				}
			}
			if status, wait := from(t, s, attacker, ann, "wrong"); status != http.StatusTooManyRequests || wait != 1 {
				t.Errorf("the sixth = %d, Retry-After %d, want 429 and 1", status, wait)
			}
			time.Sleep(time.Hour + time.Millisecond)
		}
	})
}

func TestWhoTriesManyAccountsFromOneAddressWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := quick(t, newMemory(user.User{Email: ann, Password: easy(password)}))
		try := func(i int) (int, int) { return from(t, s, attacker, fmt.Sprintf("user%d@example.com", i), "wrong") }
		for i := range 100 {
			if status, _ := try(i); status != http.StatusUnauthorized {
				t.Fatalf("account %d = %d, want 401", i, status)
			}
		}
		for i, want := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			if status, wait := try(100 + i); status != http.StatusTooManyRequests || wait != want {
				t.Fatalf("one account more = %d, Retry-After %d, want 429 and %d", status, wait, want)
			}
			if status, _ := from(t, s, elsewhere, ann, password); status != http.StatusOK {
				t.Errorf("from another address = %d, want 200", status)
			}
			time.Sleep(time.Duration(want) * time.Second)
			if status, _ := from(t, s, attacker, ann, password); status != http.StatusOK {
				t.Errorf("somebody else at the address, after the wait = %d, want 200", status)
			}
			if status, _ := try(100 + i); status != http.StatusUnauthorized {
				t.Fatalf("after the wait = %d, want 401: a good login must not make up for others", status)
			}
		}
		time.Sleep(10*time.Minute + time.Millisecond)
		for i := range 100 { // a large office's mistakes of a day are not added up
			if status, _ := try(200 + i); status != http.StatusUnauthorized {
				t.Fatalf("account %d after ten quiet minutes = %d, want 401", i, status)
			}
		}
	})
}

// Of those who come at once when a wait is over, through two replicas, one password is looked at.
func TestOneAttemptGetsThroughWhenAWaitIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(user.User{Email: ann, Password: easy(password)})
		one, hashes1 := quick(t, m)
		two, hashes2 := quick(t, m)
		for range 5 {
			from(t, one, attacker, ann, "wrong")
		}
		time.Sleep(time.Second)
		*hashes1, *hashes2 = 0, 0
		m.linger = time.Millisecond // so that many have seen that the wait is over before the first is counted
		const all = 40
		answers := make(chan int, all)
		for i := range all {
			go func() {
				status, _ := from(t, []service{one, two}[i%2], attacker, ann, "wrong")
				answers <- status
			}()
		}
		count := map[int]int{}
		for range all {
			count[<-answers]++
		}
		if count[http.StatusUnauthorized] != 1 || count[http.StatusTooManyRequests] != all-1 || *hashes1+*hashes2 != 1 {
			t.Errorf("answers %v after %d hashes, want one 401 and one hash", count, *hashes1+*hashes2)
		}
	})
}

// Whoever goes away as soon as they have seen that no token comes must be counted all the same.
func TestAnAttemptCountsThoughItsClientIsGone(t *testing.T) {
	m := newMemory()
	s, _ := quick(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	s.hasher.derive = func(_, _ []byte, _ params, length int) []byte {
		cancel()
		return make([]byte, length+1)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", nil)
	r.SetBasicAuth(ann, "wrong")
	s.ServeHTTP(httptest.NewRecorder(), r)
	if len(m.tallies) != 2 {
		t.Errorf("tallies: %v, want the account's and the address's", m.tallies)
	}
}

func TestWaits(t *testing.T) {
	p := policy{free: 3, first: time.Second, longest: time.Minute}
	for name, tt := range map[string]struct {
		tally user.Tally
		want  time.Duration
	}{
		"no failure":                {user.Tally{}, 0},
		"the last but one free":     {user.Tally{Failures: 2}, 0},
		"the last free":             {user.Tally{Failures: 3}, time.Second},
		"half of it is over":        {user.Tally{Failures: 3, Age: 500 * time.Millisecond}, 500 * time.Millisecond},
		"it is over":                {user.Tally{Failures: 3, Age: time.Second}, 0},
		"the sixth doubling":        {user.Tally{Failures: 9}, time.Minute},
		"so many that bits run out": {user.Tally{Failures: 3 + 64}, time.Minute},
		"as many as there can be":   {user.Tally{Failures: 1<<32 - 1}, time.Minute},
	} {
		if got := p.wait(tt.tally); got != tt.want {
			t.Errorf("%s: wait(%+v) = %v, want %v", name, tt.tally, got, tt.want)
		}
	}
	if perAccount.longest >= forget || perAddress.longest >= forgetAddress {
		t.Error("failures are forgotten before the wait is over")
	}
}

func TestAHouseholdIsOneAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b string
		same bool
	}{
		"one IPv4 address":      {"198.51.100.7", "198.51.100.7", true},
		"two IPv4 addresses":    {"198.51.100.7", "198.51.100.8", false},
		"one IPv6 network":      {"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		"two IPv6 networks":     {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		"IPv4, and IPv6 of old": {"198.51.100.7", "64:ff9b::198.51.100.7", false},
	} {
		if same := household(netip.MustParseAddr(tt.a)) == household(netip.MustParseAddr(tt.b)); same != tt.same {
			t.Errorf("%s: %s and %s the same: %v, want %v", name, tt.a, tt.b, same, tt.same)
		}
	}
	household(netip.Addr{}) // of a request without one
}

// However many names strangers think of, the store has no more rows than there are slots, and they do not know whose.
func TestSlotsAreFewAndSecret(t *testing.T) {
	key, other := newKey(t, "k"), newKey(t, "x")
	moved := 0
	for i := range 10_000 {
		text := strconv.Itoa(i)
		address, account := slotOf(key, 0, "address", text), slotOf(key, 1, "account", text)
		if address >= slots || account < slots || account >= 2*slots {
			t.Fatalf("slots of %s: %d and %d", text, address, account)
		}
		if slotOf(other, 0, "address", text) != address {
			moved++
		}
	}
	if moved < 9_900 {
		t.Errorf("with another key only %d of 10000 have another slot", moved)
	}
}

func newKey(t testing.TB, letter string) token.Key {
	t.Helper()
	key, err := token.NewKey(strings.Repeat(letter, token.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
