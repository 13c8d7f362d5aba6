package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/token"
	"mp3converter/internal/user"
)

// listed asks for users with a token of somebody's.
func listed(t *testing.T, s service, query, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/users"+query, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func operated(t *testing.T, m *memory, operators ...string) service {
	t.Helper()
	made := New(Config{Users: m, Failures: m, Revocations: m, Key: newKey(t, "k"), Operators: operators})
	return service{made, made.Routes()}
}

func TestOnlyOfAnOperatorValidateSaysSo(t *testing.T) {
	for name, tt := range map[string]struct {
		operators []string
		admin     bool
		want      bool
	}{
		"an operator":               {[]string{bob, ann}, true, true},
		"nobody is one":             {nil, true, false},
		"others are":                {[]string{bob, "x" + ann}, true, false},
		"in another case":           {[]string{strings.ToUpper(ann)}, true, false},
		"one who may not be let in": {[]string{ann}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := operated(t, newMemory(), tt.operators...)
			now := time.Now().Unix()
			signed, err := s.cfg.Key.Sign(token.Claims{Username: ann, Admin: tt.admin, Iat: now, Exp: now + 60})
			if err != nil {
				t.Fatal(err)
			}
			w := ask(t, s, "/validate", signed)
			if got := strings.HasSuffix(w.Body.String(), `,"operator":true}`); got != tt.want || strings.Contains(w.Body.String(), "operator") != tt.want {
				t.Errorf("validate = %d %s; want operator: %v", w.Code, w.Body, tt.want)
			}
		})
	}
}

func TestOnlyOperatorsSeeUsers(t *testing.T) {
	s := operated(t, newMemory(user.User{Email: ann, Password: Hash(password), Admin: true}, user.User{Email: bob, Password: "plain"}), ann)
	anns := old(t, s, ann, time.Hour)
	const both = `{"users":[{"email":"ann@example.com","admin":true,"operator":true},{"email":"bob@example.com","admin":false,"operator":false}],"next":null}`
	for query, want := range map[string]string{
		"":                         both,
		"?limit=200":               both,
		"?limit=1":                 `{"users":[{"email":"ann@example.com","admin":true,"operator":true}],"next":"ann@example.com"}`,
		"?after=ann%40example.com": `{"users":[{"email":"bob@example.com","admin":false,"operator":false}],"next":null}`,
		"?after=z":                 `{"users":[],"next":null}`,
	} {
		if w := listed(t, s, query, anns); w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%q: %d %s, want %s", query, w.Code, w.Body, want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=201", "?limit=x", "?after=%ff", "?after=" + strings.Repeat("x", 1025)} {
		wantAnswer(t, listed(t, s, query, anns), http.StatusBadRequest, "limit must be 1 to 200 and after an address")
	}
	wantAnswer(t, listed(t, s, "", ""), http.StatusUnauthorized, "missing credentials")
	wantAnswer(t, listed(t, s, "", old(t, s, bob, time.Hour)), http.StatusForbidden, "not authorized")
	wantAnswer(t, listed(t, s, "", old(t, s, ann, -time.Hour)), http.StatusForbidden, "not authorized")
	ask(t, s, "/logout", anns)
	wantAnswer(t, listed(t, s, "", anns), http.StatusForbidden, "not authorized")
}

func TestWithoutItsStoreTheListIsUnavailable(t *testing.T) {
	m := newMemory()
	s := operated(t, m, ann)
	m.findErr = errors.New("dial 10.0.0.7: refused")
	if w := listed(t, s, "", old(t, s, ann, time.Hour)); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "10.0") {
		t.Errorf("users = %d %s", w.Code, w.Body)
	}
}
