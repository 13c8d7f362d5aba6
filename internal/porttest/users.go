package porttest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/user"
)

// Users stores who may log in. Addresses that differ only in the case of ASCII letters exclude each other (MySQL's
// collations let those that differ in accents exclude each other, too); apart from that they are compared byte for byte.
type Users interface {
	// Find returns the row of exactly that address; fs.ErrNotExist if there is none.
	Find(ctx context.Context, email string) (user.User, error)
	// Add stores a new row; fs.ErrExist if the address is taken, in whatever case.
	Add(ctx context.Context, u user.User) error
	// SetPassword replaces the password as stored, by an equal one too; fs.ErrNotExist if there is no row of exactly that address.
	SetPassword(ctx context.Context, email, hash string) error
	// ReplacePassword does so only if what is stored still is old, byte for byte; fs.ErrNotExist also if it is not. Of many
	// who replace one old password at once, one succeeds.
	ReplacePassword(ctx context.Context, email, old, hash string) error
	// List returns all rows sorted by the bytes of their addresses.
	List(ctx context.Context) ([]user.User, error)
	// Page returns at most limit rows without their passwords, in an order of the store's own, and only those after the address.
	Page(ctx context.Context, after string, limit int) ([]user.User, error)
	// Delete removes the row; fs.ErrNotExist if there is none of exactly that address.
	Delete(ctx context.Context, email string) error
}

// TestUsers shows that a store of users keeps the port's terms. open returns an empty store and registers its end with
// t.Cleanup; it is called once per test.
func TestUsers(t *testing.T, open func(t *testing.T) Users) {
	for name, test := range map[string]func(*testing.T, Users){
		"what is added is found":                         usersFound,
		"an address is taken once, in whatever case":     usersTaken,
		"of many who add one address, one wins":          usersTakenAtOnce,
		"an address is found byte for byte":              usersByBytes,
		"a password is replaced, by an equal one too":    usersPassword,
		"a password that has changed is not replaced":    usersReplace,
		"of many who replace one password, one wins":     usersReplaceAtOnce,
		"an old password is compared byte for byte":      usersReplaceByBytes,
		"a deleted user is gone and may be added again":  usersDelete,
		"the list is whole and sorted":                   usersList,
		"pages have everybody once, and no passwords":    usersPages,
		"what is no SQL to begin with stays data":        usersOdd,
		"a context that is over is not a missing person": usersCancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// The two who are in most tests.
var (
	ann = user.User{Email: "ann@example.com", Password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA", Admin: true}
	bob = user.User{Email: "bob@example.com", Password: "bob123"}
)

func usersFound(t *testing.T, users Users) {
	mustAdd(t, users, ann, bob)
	for _, want := range []user.User{ann, bob} {
		wantUser(t, users, want)
	}
	_, err := users.Find(t.Context(), "eve@example.com")
	wantUserErr(t, err, fs.ErrNotExist)
}

func usersTaken(t *testing.T, users Users) {
	mustAdd(t, users, ann)
	for _, email := range []string{"ann@example.com", "Ann@Example.com"} {
		err := users.Add(t.Context(), user.User{Email: email, Password: "other"})
		wantUserErr(t, err, fs.ErrExist)
	}
	wantUser(t, users, ann)
}

func usersTakenAtOnce(t *testing.T, users Users) {
	oneWins(t, users, ann.Email, fs.ErrExist, func(mine string) error {
		return users.Add(t.Context(), user.User{Email: ann.Email, Password: mine})
	})
}

// oneWins lets rivals at once try what stores a password of their own. All but one must be refused by the error lost, and
// the winner's password must be the user's.
func oneWins(t *testing.T, users Users, email string, lost error, try func(mine string) error) {
	t.Helper()
	password := func(i int) string { return string(rune('a' + i)) }
	var won []string
	for i, err := range atOnce(8, func(i int) error { return try(password(i)) }) {
		if err == nil {
			won = append(won, password(i))
		} else {
			wantUserErr(t, err, lost)
		}
	}
	got, err := users.Find(t.Context(), email)
	if err != nil || len(won) != 1 || got.Password != won[0] {
		t.Errorf("%q won, and the password of %s is %q, %v; want one winner, and theirs", won, email, got.Password, err)
	}
}

func usersByBytes(t *testing.T, users Users) {
	mustAdd(t, users, ann)
	for _, email := range []string{"", "ANN@example.com", "ann@example.com ", "ann@example.com\x00", "ann%", "ánn@example.com"} {
		_, err := users.Find(t.Context(), email)
		wantUserErr(t, err, fs.ErrNotExist)
		wantUserErr(t, users.SetPassword(t.Context(), email, "stolen"), fs.ErrNotExist)
		wantUserErr(t, users.ReplacePassword(t.Context(), email, ann.Password, "stolen"), fs.ErrNotExist)
		wantUserErr(t, users.Delete(t.Context(), email), fs.ErrNotExist)
	}
	wantUser(t, users, ann)
}

func usersPassword(t *testing.T, users Users) {
	mustAdd(t, users, ann, bob)
	changed := bob
	changed.Password = ann.Password
	for range 2 {
		if err := users.SetPassword(t.Context(), bob.Email, changed.Password); err != nil {
			t.Fatal(err)
		}
		changed.Version++ // see Tokens
		wantUser(t, users, changed)
	}
	wantUser(t, users, ann)
	wantUserErr(t, users.SetPassword(t.Context(), "eve@example.com", "x"), fs.ErrNotExist)
}

func usersReplace(t *testing.T, users Users) {
	mustAdd(t, users, ann, bob)
	changed := bob
	for _, hash := range []string{ann.Password, ann.Password, "bob456"} { // one is equal to the old one
		if err := users.ReplacePassword(t.Context(), bob.Email, changed.Password, hash); err != nil {
			t.Fatal(err)
		}
		changed.Password = hash
		wantUser(t, users, changed)
	}
	wantUserErr(t, users.ReplacePassword(t.Context(), bob.Email, bob.Password, "late"), fs.ErrNotExist)
	wantUserErr(t, users.ReplacePassword(t.Context(), "eve@example.com", "", "x"), fs.ErrNotExist)
	wantUser(t, users, changed)
	wantUser(t, users, ann)
}

func usersReplaceAtOnce(t *testing.T, users Users) {
	mustAdd(t, users, bob)
	oneWins(t, users, bob.Email, fs.ErrNotExist, func(mine string) error {
		return users.ReplacePassword(t.Context(), bob.Email, bob.Password, mine)
	})
}

// usersReplaceByBytes holds against collations, paddings, character sets and quoting.
func usersReplaceByBytes(t *testing.T, users Users) {
	odd := user.User{Email: bob.Email, Password: `'Pässword\"☃ `}
	mustAdd(t, users, odd)
	for _, old := range []string{
		"", "%", strings.ToLower(odd.Password), strings.Replace(odd.Password, "ä", "a", 1), strings.Replace(odd.Password, "ä", "\xe4", 1),
		strings.TrimSuffix(odd.Password, " "), odd.Password + " ", odd.Password + "\x00",
	} {
		wantUserErr(t, users.ReplacePassword(t.Context(), bob.Email, old, "stolen"), fs.ErrNotExist)
		wantUser(t, users, odd)
	}
	if err := users.ReplacePassword(t.Context(), bob.Email, odd.Password, "x"); err != nil {
		t.Error(err)
	}
}

func usersDelete(t *testing.T, users Users) {
	mustAdd(t, users, ann, bob)
	if err := users.Delete(t.Context(), ann.Email); err != nil {
		t.Fatal(err)
	}
	_, err := users.Find(t.Context(), ann.Email)
	wantUserErr(t, err, fs.ErrNotExist)
	wantUserErr(t, users.Delete(t.Context(), ann.Email), fs.ErrNotExist)
	wantUser(t, users, bob)
	mustAdd(t, users, ann)
	again := ann
	again.Version = 1
	wantUser(t, users, again)
}

func usersList(t *testing.T, users Users) {
	wantUsers(t, users)
	zoe := user.User{Email: "Zoe@example.com", Password: "x", Admin: true}
	mustAdd(t, users, bob, ann, zoe)
	wantUsers(t, users, zoe, ann, bob)
}

func usersPages(t *testing.T, users Users) {
	zoe := user.User{Email: "Zoe@example.com", Password: "x", Admin: true}
	odd := user.User{Email: `o'brien"--;\@exämple.com`, Password: "x"}
	mustAdd(t, users, bob, ann, zoe, odd)
	got := map[string]bool{} // admin
	for after, pages := "", 0; ; pages++ {
		page, err := users.Page(t.Context(), after, 2)
		if err != nil || len(page) > 2 || pages > 3 {
			t.Fatalf("page %d after %q = %v, %v", pages, after, page, err)
		}
		if len(page) == 0 {
			break
		}
		for _, u := range page {
			if _, before := got[u.Email]; before || u.Password != "" {
				t.Errorf("%s comes twice, or with the password %q", u.Email, u.Password)
			}
			got[u.Email] = u.Admin
		}
		after = page[len(page)-1].Email
	}
	if diff := cmp.Diff(map[string]bool{bob.Email: false, ann.Email: true, zoe.Email: true, odd.Email: false}, got); diff != "" {
		t.Error(diff)
	}
}

func usersOdd(t *testing.T, users Users) {
	odd := user.User{Email: `o'brien"--;\@exämple.com`, Password: `'; DROP TABLE user; -- %s ☃`, Admin: true}
	mustAdd(t, users, odd)
	wantUser(t, users, odd)
	wantUsers(t, users, odd)
}

func usersCancelled(t *testing.T, users Users) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := users.Find(ctx, ann.Email); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find with a context that is over: %v, want an error that is not %v", err, fs.ErrNotExist)
	}
}

func mustAdd(t *testing.T, users Users, all ...user.User) {
	t.Helper()
	for _, u := range all {
		if err := users.Add(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
}

func wantUser(t *testing.T, users Users, want user.User) {
	t.Helper()
	got, err := users.Find(t.Context(), want.Email)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func wantUsers(t *testing.T, users Users, want ...user.User) {
	t.Helper()
	got, err := users.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]user.User{}, want...), append([]user.User{}, got...)); diff != "" {
		t.Error(diff)
	}
}

func wantUserErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}
