package auth

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/token"
	"mp3converter/internal/user"
)

const password = "correct horse"

// memory keeps users and the rest, unless it is away.
type memory struct {
	mu       sync.Mutex
	users    map[string]user.User
	tallies  map[user.Slot]tally
	revoked  []user.Revocation
	asked    []time.Duration // Revoked's arguments
	calls    []string        // of all but Revoked
	findErr  error
	storeErr error
	countErr error
	linger   time.Duration // after Failures has looked
}

type tally struct {
	failures int
	last     time.Time
}

func (m *memory) Failures(ctx context.Context, slots ...user.Slot) ([]user.Tally, error) {
	m.mu.Lock()
	defer time.Sleep(m.linger)
	defer m.mu.Unlock()
	m.calls = append(m.calls, "Failures")
	all := make([]user.Tally, len(slots))
	for i, slot := range slots {
		if t, there := m.tallies[slot]; there {
			all[i] = user.Tally{Failures: t.failures, Age: time.Since(t.last)}
		}
	}
	return all, errors.Join(ctx.Err(), m.findErr)
}

func (m *memory) Fail(ctx context.Context, slot user.Slot, forget time.Duration) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, "Fail")
	if err := errors.Join(ctx.Err(), m.countErr); err != nil {
		return 0, err
	}
	t := m.tallies[slot]
	if time.Since(t.last) > forget {
		t.failures = 0
	}
	m.tallies[slot] = tally{t.failures + 1, time.Now()}
	return t.failures + 1, nil
}

func (m *memory) Clear(ctx context.Context, slot user.Slot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, "Clear")
	delete(m.tallies, slot)
	return errors.Join(ctx.Err(), m.countErr)
}

func (m *memory) Revoke(_ context.Context, email string, token user.Fingerprint, expires time.Time) (user.Revocation, error) {
	return m.revoke(user.Revocation{Who: user.Print(email), Token: token, Expires: expires})
}

func (m *memory) RevokeAll(_ context.Context, email string) (user.Revocation, error) {
	return m.revoke(user.Revocation{Who: user.Print(email), Version: m.users[email].Version + 1})
}

func (m *memory) revoke(r user.Revocation) (user.Revocation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeErr == nil {
		m.revoked = append(m.revoked, r)
	}
	return r, m.storeErr
}

func (m *memory) Revoked(_ context.Context, within time.Duration) ([]user.Revocation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.findErr != nil {
		return nil, m.findErr
	}
	m.asked = append(m.asked, within)
	return m.revoked, nil
}

func (m *memory) Find(_ context.Context, email string) (user.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, "Find")
	if m.findErr != nil {
		return user.User{}, m.findErr
	}
	u, ok := m.users[email]
	if !ok {
		return user.User{}, fs.ErrNotExist
	}
	return u, nil
}

func (m *memory) ReplacePassword(_ context.Context, email, old, hash string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeErr != nil {
		return m.storeErr
	}
	u, ok := m.users[email]
	if !ok || u.Password != old {
		return fs.ErrNotExist
	}
	u.Password = hash
	m.users[email] = u
	return nil
}

func (m *memory) Page(ctx context.Context, after string, limit int) (page []user.User, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, email := range slices.Sorted(maps.Keys(m.users)) {
		if email > after && len(page) < limit {
			page = append(page, user.User{Email: email, Admin: m.users[email].Admin})
		}
	}
	return page, errors.Join(ctx.Err(), m.findErr)
}

func newMemory(users ...user.User) *memory {
	m := &memory{users: map[string]user.User{}, tallies: map[user.Slot]tally{}}
	for _, u := range users {
		m.users[u.Email] = u
	}
	return m
}

// service is one with its routes.
type service struct {
	*Service
	http.Handler
}

// store is all three ports.
type store interface {
	Users
	Failures
	Revocations
}

func newService(t *testing.T, s store) service {
	t.Helper()
	key, err := token.NewKey(strings.Repeat("k", token.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	made := New(Config{Users: s, Failures: s, Revocations: s, Key: key})
	return service{made, made.Routes()}
}

func login(t *testing.T, s http.Handler, email, password string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
	r.SetBasicAuth(email, password)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestATokenSaysWhatTheUsersRowSays(t *testing.T) {
	hash := Hash(password)
	for name, admin := range map[string]bool{"an admin": true, "no admin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // so that the clock stands still
				s := newService(t, newMemory(user.User{Email: "ann@example.com", Password: hash, Admin: admin, Version: 7}))
				w := login(t, s, "ann@example.com", password)
				got, err := s.cfg.Key.Verify(w.Body.String(), time.Now())
				if err != nil {
					t.Fatalf("%v in answer %d %q", err, w.Code, w.Body)
				}
				now := time.Now().Unix()
				if len(got.ID) < 22 { // 128 bits
					t.Errorf("the token's name is %q", got.ID)
				}
				want := token.Claims{Username: "ann@example.com", Admin: admin, Iat: now, Exp: now + 86400, ID: got.ID, Version: 7}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What strangers can find out by the work that a login makes: nothing.
func TestEveryRefusedLoginDoesTheSameWork(t *testing.T) {
	users := newMemory(
		user.User{Email: "hashed@example.com", Password: Hash(password)},
		user.User{Email: "plain@example.com", Password: password},
		user.User{Email: "broken@example.com", Password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA"},
		user.User{Email: "greedy@example.com", Password: "$argon2id$v=19$m=4194304,t=2,p=1$bXAzY29udmVydGVyLXNpZA$ohtT9gt0vU/OyaBOsT2jyWIuzdCONSCBRUDQ5GTUU1c"},
		user.User{Email: "locked@example.com", Password: ""},
	)
	s := newService(t, users)
	before := maps.Clone(users.users)
	var work []params
	s.hasher.derive = func(password, salt []byte, p params, length int) []byte {
		if len(salt) != saltBytes || length != hashBytes {
			t.Errorf("salt of %d bytes, hash of %d, want %d and %d", len(salt), length, saltBytes, hashBytes)
		}
		work = append(work, p)
		return argon2id(password, salt, p, length)
	}
	for _, email := range append(slices.Sorted(maps.Keys(users.users)), "unknown@example.com") {
		for _, wrong := range []string{"\x00", strings.Repeat("x", MaxPassword)} {
			work, users.calls = nil, nil
			w := login(t, s, email, wrong)
			if w.Code != http.StatusUnauthorized || w.Body.String() != "invalid credentials" {
				t.Errorf("%s, %.10q: %d %q", email, wrong, w.Code, w.Body)
			}
			if diff := cmp.Diff([]params{cost}, work, cmp.AllowUnexported(params{})); diff != "" {
				t.Errorf("%s, %.10q: the work differs:\n%s", email, wrong, diff)
			}
			if want := []string{"Failures", "Find", "Fail", "Fail"}; !slices.Equal(users.calls, want) {
				t.Errorf("%s, %.10q: the store is asked %q, want %q", email, wrong, users.calls, want)
			}
		}
	}
	if diff := cmp.Diff(before, users.users); diff != "" {
		t.Errorf("a refused login changed a row:\n%s", diff)
	}
}

func TestWhatIsStoredWeaklyIsHashedAnewByAGoodLogin(t *testing.T) {
	derived := func(p params, salt, hash int) string {
		weak := phc{params: p, salt: []byte(strings.Repeat("s", salt))}
		weak.hash = argon2id([]byte(password), weak.salt, p, hash)
		return weak.String()
	}
	good := cost
	for name, tt := range map[string]struct {
		stored string
		rehash bool
	}{
		"plain text of the original":    {password, true},
		"as it should be":               {derived(good, 16, 32), false},
		"less memory":                   {derived(params{8 * 1024, 2, 1}, 16, 32), true},
		"fewer passes":                  {derived(params{19 * 1024, 1, 1}, 16, 32), true},
		"fewer passes over more memory": {derived(params{46 * 1024, 1, 1}, 16, 32), false},
		"a short salt":                  {derived(good, 8, 32), true},
		"a short hash":                  {derived(good, 16, 16), true},
		"stronger than ours":            {derived(params{64 * 1024, 3, 4}, 16, 32), false},
	} {
		t.Run(name, func(t *testing.T) {
			users := newMemory(user.User{Email: "ann@example.com", Password: tt.stored})
			s := newService(t, users)
			if w := login(t, s, "ann@example.com", password); w.Code != http.StatusOK {
				t.Fatalf("login: %d %q", w.Code, w.Body)
			}
			now := users.users["ann@example.com"].Password
			if tt.rehash == (now == tt.stored) {
				t.Errorf("stored: %s, then %s; want a new hash: %v", tt.stored, now, tt.rehash)
			}
			if p, err := parsePHC(now); err != nil || p.weaker(cost) {
				t.Errorf("stored now: %s, %v", now, err)
			}
			for _, tt := range []struct {
				password string
				want     int
			}{{password, http.StatusOK}, {now, http.StatusUnauthorized}, {"wrong", http.StatusUnauthorized}} {
				if w := login(t, s, "ann@example.com", tt.password); w.Code != tt.want {
					t.Errorf("login with %.20q after it: %d, want %d", tt.password, w.Code, tt.want)
				}
			}
		})
	}
}

func TestALoginThatCannotStoreItsNewHashIsGoodAllTheSame(t *testing.T) {
	users := newMemory(user.User{Email: "ann@example.com", Password: password})
	users.storeErr = errors.New("read only")
	if w := login(t, newService(t, users), "ann@example.com", password); w.Code != http.StatusOK {
		t.Errorf("login: %d %q, want 200", w.Code, w.Body)
	}
}

// What somebody stores while a login makes its hash is newer than what the login has found.
func TestAPasswordChangedDuringALoginStays(t *testing.T) {
	users := newMemory(user.User{Email: "ann@example.com", Password: password})
	s := newService(t, users)
	passwd := user.User{Email: "ann@example.com", Password: Hash("brand new")}
	s.hasher.derive = func(password, salt []byte, p params, length int) []byte {
		users.mu.Lock()
		defer users.mu.Unlock()
		users.users["ann@example.com"] = passwd
		return argon2id(password, salt, p, length)
	}
	if w := login(t, s, "ann@example.com", password); w.Code != http.StatusOK {
		t.Errorf("login with what was the password when it began: %d %q, want 200", w.Code, w.Body)
	}
	if diff := cmp.Diff(passwd, users.users["ann@example.com"]); diff != "" {
		t.Errorf("the login has overwritten the new password:\n%s", diff)
	}
}

func TestAStoredHashIsNoPassword(t *testing.T) {
	for _, stored := range []string{Hash(password), "$argon2id$v=19$broken", "$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"} {
		s := newService(t, newMemory(user.User{Email: "ann@example.com", Password: stored}))
		if w := login(t, s, "ann@example.com", stored); w.Code != http.StatusUnauthorized {
			t.Errorf("login with what is stored, %s: %d, want 401", stored, w.Code)
		}
	}
}

func TestAStoreThatIsAwayOrSilentIsUnavailable(t *testing.T) {
	for name, users := range map[string]store{
		"away":   &memory{findErr: errors.New("dial 10.0.0.7: refused")},
		"full":   &memory{countErr: errors.New("disk full"), tallies: map[user.Slot]tally{}},
		"silent": silent{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wantUnavailable(t, login(t, newService(t, users), "ann@example.com", password))
			})
		})
	}
}

// silent answers nobody before they give up.
type silent struct{ *memory }

func (silent) Failures(ctx context.Context, _ ...user.Slot) ([]user.Tally, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) Find(ctx context.Context, _ string) (user.User, error) {
	<-ctx.Done()
	return user.User{}, ctx.Err()
}

func (silent) ReplacePassword(ctx context.Context, _, _, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// security.md B5 25.
func TestHashesAtOnceAreBounded(t *testing.T) {
	stored := Hash(password)
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, newMemory(user.User{Email: "ann@example.com", Password: stored}))
		var running atomic.Int64
		hold := make(chan struct{})
		s.hasher.derive = func(password, salt []byte, p params, length int) []byte {
			running.Add(1)
			<-hold
			return argon2id(password, salt, p, length)
		}
		const all = 100
		answers := make(chan *httptest.ResponseRecorder, all)
		for range all {
			go func() { answers <- login(t, s, "ann@example.com", password) }()
		}
		synctest.Wait()
		slots := 2 * runtime.GOMAXPROCS(0)
		if got := int(running.Load()); got != slots {
			t.Errorf("%d hashes at once, want %d", got, slots)
		}
		for range all - slots {
			wantUnavailable(t, <-answers) // after two seconds of the bubble's time
		}
		close(hold)
		for range slots {
			if w := <-answers; w.Code != http.StatusOK {
				t.Errorf("login that had a slot: %d %q", w.Code, w.Body)
			}
		}
		if w := login(t, s, "ann@example.com", password); w.Code != http.StatusOK {
			t.Errorf("login after the rush: %d %q", w.Code, w.Body)
		}
	})
}

func TestAClientThatGoesAwayGivesUpItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(time.Hour)
		for range cap(h.slots) {
			if _, err := h.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := h.acquire(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("acquire = %v, want %v", err, context.Canceled)
		}
	})
}

func wantUnavailable(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answer = %d %q, Retry-After %q, want 503 with one", w.Code, w.Body, w.Header().Get("Retry-After"))
	}
}
