package porttest

import (
	"context"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mp3converter/internal/user"
)

// Tokens remembers which tokens were ended before their time. A user's row has a version: SetPassword and Delete raise it
// as RevokeAll does, in one with the change. ReplacePassword does not: the password is the same.
type Tokens interface {
	Users
	// Revoke ends one token of a user, who may have no row. What it returns is what was stored: if the user has
	// user.MaxRevoked that have not expired, all of theirs.
	Revoke(ctx context.Context, email string, token user.Fingerprint, expires time.Time) (user.Revocation, error)
	// RevokeAll ends all tokens that the user has been given so far.
	RevokeAll(ctx context.Context, email string) (user.Revocation, error)
	// Revoked returns what counts of all that was stored within the last while, to whole seconds; of all times if it is 0.
	Revoked(ctx context.Context, within time.Duration) ([]user.Revocation, error)
}

// TestTokens shows that a store keeps the port's terms. open returns an empty store, as for TestUsers.
func TestTokens(t *testing.T, open func(t *testing.T) Tokens) {
	for name, test := range map[string]func(*testing.T, Tokens){
		"a new user's version is 0":                       tokensNew,
		"another password raises the version":             tokensPassword,
		"a better hash of the same does not":              tokensReplace,
		"an address that is added again goes on counting": tokensDelete,
		"one token is ended, of a user or of nobody":      tokensOne,
		"all tokens are ended":                            tokensAll,
		"all at once, each counts":                        tokensAllAtOnce,
		"too many of one user are all of theirs":          tokensTooMany,
		"what has expired is forgotten":                   tokensExpired,
		"what changes nothing ends nothing":               tokensNothing,
		"only what is new is read":                        tokensWithin,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var (
	day   = time.Now().Add(24 * time.Hour).Truncate(time.Second)
	whoAn = user.Print(ann.Email)
)

func tokensNew(t *testing.T, s Tokens) {
	mustAdd(t, s, ann)
	wantVersion(t, s, ann.Email, 0)
	wantRevoked(t, s)
}

func tokensPassword(t *testing.T, s Tokens) {
	mustAdd(t, s, ann, bob)
	for version := range uint32(2) {
		if err := s.SetPassword(t.Context(), ann.Email, "other"); err != nil {
			t.Fatal(err)
		}
		wantVersion(t, s, ann.Email, version+1)
		wantRevoked(t, s, user.Revocation{Who: whoAn, Version: version + 1})
	}
	wantVersion(t, s, bob.Email, 0)
}

func tokensReplace(t *testing.T, s Tokens) {
	mustAdd(t, s, ann)
	if err := s.ReplacePassword(t.Context(), ann.Email, ann.Password, "other"); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, s, ann.Email, 0)
	wantRevoked(t, s)
}

func tokensDelete(t *testing.T, s Tokens) {
	mustAdd(t, s, ann)
	if err := s.Delete(t.Context(), ann.Email); err != nil {
		t.Fatal(err)
	}
	wantRevoked(t, s, user.Revocation{Who: whoAn, Version: 1})
	mustAdd(t, s, ann)
	wantVersion(t, s, ann.Email, 1)
}

func tokensOne(t *testing.T, s Tokens) {
	mustAdd(t, s, ann)
	var want []user.Revocation
	for _, email := range []string{ann.Email, "nobody@example.com"} {
		for _, token := range []string{"a", "b", "a"} { // the last is ended already
			one := user.Revocation{Who: user.Print(email), Token: user.Print(token), Expires: day}
			got, err := s.Revoke(t.Context(), email, one.Token, day)
			if diff := cmp.Diff(one, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("Revoke: %v\n%s", err, diff)
			}
			if !slices.Contains(want, one) {
				want = append(want, one)
			}
		}
	}
	wantRevoked(t, s, want...)
	wantVersion(t, s, ann.Email, 0)
}

func tokensAll(t *testing.T, s Tokens) {
	mustAdd(t, s, ann, bob)
	mustRevoke(t, s, ann.Email, "a")
	mustRevoke(t, s, bob.Email, "b")
	for version := range uint32(2) {
		want := user.Revocation{Who: whoAn, Version: version + 1}
		if got, err := s.RevokeAll(t.Context(), ann.Email); err != nil || got != want {
			t.Errorf("RevokeAll = %+v, %v, want %+v", got, err, want)
		}
		wantRevoked(t, s, want, user.Revocation{Who: user.Print(bob.Email), Token: user.Print("b"), Expires: day})
	}
	wantVersion(t, s, ann.Email, 2)
	wantVersion(t, s, bob.Email, 0)
}

func tokensAllAtOnce(t *testing.T, s Tokens) {
	mustAdd(t, s, ann)
	for _, err := range atOnce(8, func(int) error { _, err := s.RevokeAll(t.Context(), ann.Email); return err }) {
		if err != nil {
			t.Error(err)
		}
	}
	wantVersion(t, s, ann.Email, 8)
}

func tokensTooMany(t *testing.T, s Tokens) {
	mustAdd(t, s, ann)
	for i := range user.MaxRevoked {
		mustRevoke(t, s, ann.Email, string(rune('0'+i)))
	}
	mustRevoke(t, s, bob.Email, "b")
	wantVersion(t, s, ann.Email, 0)
	want := user.Revocation{Who: whoAn, Version: 1}
	if got, err := s.Revoke(t.Context(), ann.Email, user.Print("one more"), day); err != nil || got != want {
		t.Errorf("Revoke of one too many = %+v, %v, want %+v", got, err, want)
	}
	wantVersion(t, s, ann.Email, 1)
	wantRevoked(t, s, want, user.Revocation{Who: user.Print(bob.Email), Token: user.Print("b"), Expires: day})
}

func tokensExpired(t *testing.T, s Tokens) {
	for i := range user.MaxRevoked + 1 {
		if _, err := s.Revoke(t.Context(), ann.Email, user.Print(string(rune('0'+i))), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	wantRevoked(t, s) // and the many of one user are not too many
}

func tokensNothing(t *testing.T, s Tokens) {
	wantUserErr(t, s.SetPassword(t.Context(), "eve@example.com", "x"), fs.ErrNotExist)
	wantUserErr(t, s.Delete(t.Context(), "eve@example.com"), fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err1 := s.Revoke(ctx, ann.Email, user.Print("a"), day)
	_, err2 := s.RevokeAll(ctx, ann.Email)
	_, err3 := s.Revoked(ctx, 0)
	if err1 == nil || err2 == nil || err3 == nil {
		t.Errorf("with a context that is over: %v, %v, %v, want errors", err1, err2, err3)
	}
	wantRevoked(t, s)
}

func tokensWithin(t *testing.T, s Tokens) {
	mustRevoke(t, s, ann.Email, "a")
	for within, want := range map[time.Duration]int{time.Hour: 1, -time.Hour: 0} { // nothing has happened in the future
		if got, err := s.Revoked(t.Context(), within); err != nil || len(got) != want {
			t.Errorf("Revoked within %v: %+v, %v, want %d", within, got, err, want)
		}
	}
}

func mustRevoke(t *testing.T, s Tokens, email, token string) {
	t.Helper()
	if _, err := s.Revoke(t.Context(), email, user.Print(token), day); err != nil {
		t.Fatal(err)
	}
}

func wantVersion(t *testing.T, s Tokens, email string, want uint32) {
	t.Helper()
	got, err := s.Find(t.Context(), email)
	if err != nil || got.Version != want {
		t.Errorf("Find = %+v, %v, want version %d", got, err, want)
	}
}

// wantRevoked compares in no order.
func wantRevoked(t *testing.T, s Tokens, want ...user.Revocation) {
	t.Helper()
	got, err := s.Revoked(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	less := func(a, b user.Revocation) bool {
		return slices.Compare(append(a.Who[:], a.Token[:]...), append(b.Who[:], b.Token[:]...)) < 0
	}
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(less), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("revoked:\n%s", diff)
	}
}
