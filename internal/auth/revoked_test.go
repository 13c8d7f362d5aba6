package auth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/token"
	"mp3converter/internal/user"
)

// ask posts with a bearer token.
func ask(t testing.TB, s http.Handler, path, bearer string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
	r.Header.Set("Authorization", "Bearer "+bearer)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func wantAnswer(t *testing.T, w *httptest.ResponseRecorder, code int, text string) {
	t.Helper()
	if w.Code != code || text != "" && w.Body.String() != text {
		t.Errorf("answer = %d %q, want %d %q", w.Code, w.Body, code, text)
	}
}

func wantGood(t *testing.T, s http.Handler, bearers ...string) {
	t.Helper()
	for _, b := range bearers {
		wantAnswer(t, ask(t, s, "/validate", b), http.StatusOK, "")
	}
}

func wantEnded(t *testing.T, s http.Handler, bearers ...string) {
	t.Helper()
	for _, b := range bearers {
		wantAnswer(t, ask(t, s, "/validate", b), http.StatusForbidden, "not authorized")
		wantAnswer(t, ask(t, s, "/logout", b), http.StatusForbidden, "not authorized")
	}
}

// tokenOf logs in.
func tokenOf(t *testing.T, s http.Handler, email string) string {
	t.Helper()
	w := login(t, s, email, password)
	wantAnswer(t, w, http.StatusOK, "")
	return w.Body.String()
}

// old is a token as the original makes it: two of one second are equal.
func old(t testing.TB, s service, email string, life time.Duration) string {
	t.Helper()
	now := time.Now()
	signed, err := s.cfg.Key.Sign(token.Claims{Username: email, Admin: true, Iat: now.Unix(), Exp: now.Add(life).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

const bob = "bob@example.com"

func both() *memory {
	return newMemory(user.User{Email: ann, Password: easy(password)}, user.User{Email: bob, Password: easy(password)})
}

func TestALogoutEndsItsTokenAndNoOther(t *testing.T) {
	s, _ := quick(t, both())
	one, two, bobs := tokenOf(t, s, ann), tokenOf(t, s, ann), tokenOf(t, s, bob)
	wantAnswer(t, ask(t, s, "/logout", one), http.StatusOK, "logged out")
	wantEnded(t, s, one)
	wantGood(t, s, two, bobs, tokenOf(t, s, ann))
	wantAnswer(t, ask(t, s, "/logout?all=false", two), http.StatusOK, "logged out")
	wantEnded(t, s, one, two)
	wantGood(t, s, bobs)
}

func TestALogoutOfAllEndsAllOfItsUser(t *testing.T) {
	s, _ := quick(t, both())
	one, two, theirs, bobs := tokenOf(t, s, ann), tokenOf(t, s, ann), old(t, s, ann, time.Hour), tokenOf(t, s, bob)
	wantAnswer(t, ask(t, s, "/logout?all=true", one), http.StatusOK, "logged out")
	wantEnded(t, s, one, two, theirs)
	wantGood(t, s, bobs)
}

func TestTheOriginalsTokensLogOut(t *testing.T) {
	s, _ := quick(t, both())
	one, two, ours := old(t, s, ann, time.Hour), old(t, s, ann, 2*time.Hour), tokenOf(t, s, ann)
	eternal, err := s.cfg.Key.Sign(token.Claims{Username: ann, Exp: 1<<63 - 1})
	if err != nil {
		t.Fatal(err)
	}
	wantGood(t, s, one, two, eternal)
	for _, b := range []string{one, eternal} {
		wantAnswer(t, ask(t, s, "/logout", b), http.StatusOK, "logged out")
	}
	if err := s.Refresh(t.Context()); err != nil { // forgets what has expired
		t.Fatal(err)
	}
	wantEnded(t, s, one, eternal)
	wantGood(t, s, two, ours)
}

func TestALogoutIsRefused(t *testing.T) {
	m := both()
	s, _ := quick(t, m)
	good := tokenOf(t, s, ann)
	for name, tt := range map[string]struct {
		path    string
		headers []string
		code    int
		text    string
	}{
		"without Authorization":  {"/logout", nil, 401, "missing credentials"},
		"with an empty one":      {"/logout", []string{""}, 401, "missing credentials"},
		"with two":               {"/logout", []string{"Bearer " + good, "Bearer " + good}, 403, "not authorized"},
		"with a password":        {"/logout", []string{"Basic YTpi"}, 403, "not authorized"},
		"with a bad token":       {"/logout", []string{"Bearer " + good + "x"}, 403, "not authorized"},
		"of neither all nor one": {"/logout?all=yes", []string{"Bearer " + good}, 400, "all must be true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tt.path, nil)
			r.Header["Authorization"] = tt.headers
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			wantAnswer(t, w, tt.code, tt.text)
		})
	}
	if len(m.revoked) > 0 {
		t.Errorf("revoked: %+v", m.revoked)
	}
	wantGood(t, s, good)
}

// security.md B5 15: a password changed, or a user deleted, by another process.
func TestWhatIsEndedElsewhereIsEndedHere(t *testing.T) {
	m := both()
	s, _ := quick(t, m)
	replica, _ := quick(t, m)
	one, two, theirs := tokenOf(t, s, ann), tokenOf(t, s, ann), old(t, s, ann, time.Hour)
	wantAnswer(t, ask(t, s, "/logout", one), http.StatusOK, "logged out")
	if err := replica.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEnded(t, replica, one)
	wantGood(t, replica, two, theirs)

	m.users[ann] = user.User{Email: ann, Password: easy(password), Version: 2}
	second := tokenOf(t, s, ann)
	m.users[ann] = user.User{Email: ann, Password: easy(password), Version: 3}
	m.revoked = append(m.revoked, user.Revocation{Who: user.Print(ann), Version: 3})
	for _, s := range []service{s, replica} {
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantEnded(t, s, one, two, theirs, second)
		wantGood(t, s, tokenOf(t, s, ann), tokenOf(t, s, bob))
	}
	m.revoked = append(m.revoked, user.Revocation{Who: user.Print(ann), Version: 2}) // comes late, and makes nothing good
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEnded(t, s, second)
}

func TestAStoreThatIsAwayChangesNoToken(t *testing.T) {
	m := both()
	s, _ := quick(t, m)
	ended, good := tokenOf(t, s, ann), tokenOf(t, s, ann)
	wantAnswer(t, ask(t, s, "/logout", ended), http.StatusOK, "logged out")
	m.findErr, m.storeErr = errors.New("dial 10.0.0.7: refused"), errors.New("dial 10.0.0.7: refused")
	for range 2 {
		if err := s.Refresh(t.Context()); err == nil {
			t.Error("Refresh returns nil while the store is away")
		}
		wantEnded(t, s, ended)
		wantGood(t, s, good)
		wantUnavailable(t, ask(t, s, "/logout", good))
		wantUnavailable(t, ask(t, s, "/logout?all=true", good))
		wantGood(t, s, good)
	}
	restarted, _ := quick(t, m) // knows nothing: nobody is told 403 because something is down
	wantGood(t, restarted, good, ended)
}

func TestWatchAsksForWhatIsNewAndNowAndThenForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := both()
		s, _ := quick(t, m)
		var log bytes.Buffer
		s.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Watch(ctx) }()

		time.Sleep(11*time.Minute + 500*time.Millisecond)
		synctest.Wait()
		m.mu.Lock()
		if n := len(m.asked); n != 660 || m.asked[0] != 0 || m.asked[1] != overlap {
			t.Errorf("asked %d times, first for %v, then %v", n, m.asked[0], m.asked[1])
		}
		if all := count(m.asked, 0); all != 2 {
			t.Errorf("asked for all %d times in 11 minutes, want twice", all)
		}
		m.asked, m.findErr = nil, errors.New("away")
		m.mu.Unlock()

		time.Sleep(40 * time.Second) // so long that what is new may be older than what is asked for
		m.mu.Lock()
		m.findErr = nil
		m.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if want := []time.Duration{0, overlap}; !slices.Equal(m.asked, want) {
			t.Errorf("after its absence the store is asked for %v, want %v", m.asked, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch = %v", err)
		}
		if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "level=WARN") || !strings.Contains(text, "known again") {
			t.Errorf("the log is not one line for the absence and one for the end:\n%s", text)
		}
	})
}

func count[T comparable](all []T, one T) (n int) {
	for _, v := range all {
		if v == one {
			n++
		}
	}
	return n
}

func TestWhatHasExpiredIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := both()
		s, _ := quick(t, m)
		for range 3 {
			wantAnswer(t, ask(t, s, "/logout", tokenOf(t, s, ann)), http.StatusOK, "logged out")
		}
		wantAnswer(t, ask(t, s, "/logout?all=true", tokenOf(t, s, bob)), http.StatusOK, "logged out")
		m.revoked = nil
		time.Sleep(24*time.Hour - time.Second)
		if err := s.Refresh(t.Context()); err != nil || len(s.revoked.tokens) != 3 {
			t.Errorf("a second early %d tokens are known, %v, want 3", len(s.revoked.tokens), err)
		}
		time.Sleep(time.Second)
		if err := s.Refresh(t.Context()); err != nil || len(s.revoked.tokens) != 0 || len(s.revoked.versions) != 1 {
			t.Errorf("then %d tokens and %d users, %v, want none and one", len(s.revoked.tokens), len(s.revoked.versions), err)
		}
	})
}

// The contract's four fields, in the contract's order, and no word to the store.
func TestValidateSaysFourThingsAndAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(user.User{Email: ann, Password: easy(password), Admin: true, Version: 3})
		s, _ := quick(t, m)
		bearer := tokenOf(t, s, ann)
		m.calls = nil
		w := ask(t, s, "/validate", bearer)
		wantAnswer(t, w, http.StatusOK, `{"admin":true,"exp":946771200,"iat":946684800,"username":"ann@example.com"}`)
		if len(m.calls)+len(m.asked) > 0 {
			t.Errorf("the store was asked %q", m.calls)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	key := newKey(b, "k")
	s := New(Config{Key: key})
	for i := range 10_000 {
		name := string(rune('a' + i))
		s.revoked.add(user.Revocation{Who: user.Print(name), Version: 1}, user.Revocation{Who: user.Print(name), Token: user.Print(name), Expires: time.Now().Add(time.Hour)})
	}
	bearer := old(b, service{Service: s}, ann, time.Hour)
	h := s.Routes()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/validate", nil)
	r.Header.Set("Authorization", "Bearer "+bearer)
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
