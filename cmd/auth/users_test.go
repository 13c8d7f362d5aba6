package main

import (
	"context"
	"encoding/base64"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/auth"
	"mp3converter/internal/embedded"
	"mp3converter/internal/token"
	"mp3converter/internal/user"
)

// memory is a user table that counts how often it was closed.
type memory struct {
	rows   map[string]user.User
	closed int
}

func (m *memory) Page(context.Context, string, int) ([]user.User, error) { return nil, nil }

func (m *memory) Add(_ context.Context, u user.User) error {
	if _, taken := m.rows[u.Email]; taken {
		return fs.ErrExist
	}
	m.rows[u.Email] = u
	return nil
}

func (m *memory) SetPassword(_ context.Context, email, hash string) error {
	u, there := m.rows[email]
	if !there {
		return fs.ErrNotExist
	}
	u.Password = hash
	m.rows[email] = u
	return nil
}

func (m *memory) List(context.Context) ([]user.User, error) {
	var all []user.User
	for _, email := range slices.Sorted(maps.Keys(m.rows)) {
		all = append(all, m.rows[email])
	}
	return all, nil
}

func (m *memory) Delete(_ context.Context, email string) error {
	if _, there := m.rows[email]; !there {
		return fs.ErrNotExist
	}
	delete(m.rows, email)
	return nil
}

func (m *memory) Close() error { m.closed++; return nil }

// Find makes it the table of a service, too.
func (m *memory) Find(_ context.Context, email string) (user.User, error) {
	u, there := m.rows[email]
	if !there {
		return user.User{}, fs.ErrNotExist
	}
	return u, nil
}

// ReplacePassword is the service's as well.
func (m *memory) ReplacePassword(ctx context.Context, email, old, hash string) error {
	if m.rows[email].Password != old {
		return fs.ErrNotExist
	}
	return m.SetPassword(ctx, email, hash)
}

var (
	ann = user.User{Email: "ann@example.com", Password: auth.Hash("old password"), Admin: true}
	bob = user.User{Email: "bob@example.com", Password: "bob123"}
)

// command runs a command line over a table with ann and bob and returns what it printed.
func command(t *testing.T, in string, args ...string) (*memory, string, error) {
	t.Helper()
	table := &memory{rows: map[string]user.User{ann.Email: ann, bob.Email: bob}}
	opened := 0
	var out strings.Builder
	err := usersCommand(t.Context(), args, strings.NewReader(in), &out, func() (users, error) {
		opened++
		return table, nil
	})
	if table.closed != opened {
		t.Errorf("opened the table %d times, closed it %d times", opened, table.closed)
	}
	return table, out.String(), err
}

func TestAnAddedUserLogsIn(t *testing.T) {
	for name, tt := range map[string]struct {
		in, password string
		flags        []string
		admin        bool
	}{
		"a line":             {"new password\n", "new password", nil, true},
		"a line of Windows":  {"new password\r\n", "new password", nil, true},
		"no line end":        {"new password", "new password", nil, true},
		"spaces are part":    {" new password \n", " new password ", nil, true},
		"eight characters":   {"pässwörd", "pässwörd", nil, true},
		"1024 bytes":         {strings.Repeat("x", 1024) + "\n", strings.Repeat("x", 1024), nil, true},
		"no admin":           {"new password\n", "new password", []string{"--admin=false"}, false},
		"an admin by a flag": {"new password\n", "new password", []string{"-admin"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, args := range [][]string{
				slices.Concat([]string{"user", "add"}, tt.flags, []string{"eve@example.com"}),
				slices.Concat([]string{"user", "add", "eve@example.com"}, tt.flags),
			} {
				table, out, err := command(t, tt.in, args...)
				if err != nil || out != "added eve@example.com\n" {
					t.Errorf("%q: %q, %v", args, out, err)
				}
				wantLogin(t, table, "eve@example.com", tt.password, tt.admin)
			}
		})
	}
}

func TestAnAddedUsersAddressIsMadeNormal(t *testing.T) {
	table, out, err := command(t, "new password", "user", "add", "Eve@EXAMPLE.com")
	if err != nil || out != "added Eve@example.com\n" {
		t.Errorf("add: %q, %v, want what is stored to be said", out, err)
	}
	wantLogin(t, table, "Eve@example.com", "new password", true)
}

func TestAChangedPasswordIsTheOneThatLogsIn(t *testing.T) {
	for _, u := range []user.User{ann, bob} {
		table, out, err := command(t, "new password\n", "user", "passwd", u.Email)
		if err != nil || out != "changed the password of "+u.Email+"\n" {
			t.Errorf("passwd: %q, %v", out, err)
		}
		wantLogin(t, table, u.Email, "new password", u.Admin)
	}
}

func TestAHashIsThatOfTheInputAndNeedsNoTable(t *testing.T) {
	table, out, err := command(t, "new password\n", "hash")
	if err != nil || table.closed != 0 {
		t.Fatalf("hash: %v, and the table was opened %d times", err, table.closed)
	}
	table.rows[ann.Email] = user.User{Email: ann.Email, Password: strings.TrimSuffix(out, "\n")}
	wantLogin(t, table, ann.Email, "new password", false)
}

func TestADeletedUserIsGone(t *testing.T) {
	table, out, err := command(t, "", "user", "delete", ann.Email)
	if err != nil || out != "deleted "+ann.Email+"\n" {
		t.Errorf("delete: %q, %v", out, err)
	}
	if diff := cmp.Diff(map[string]user.User{bob.Email: bob}, table.rows); diff != "" {
		t.Error(diff)
	}
}

func TestTheListShowsWhoButNoPassword(t *testing.T) {
	_, out, err := command(t, "", "user", "list")
	want := "" +
		"E-MAIL           ADMIN  PASSWORD\n" +
		"ann@example.com  true   hashed\n" +
		"bob@example.com  false  plain text until the next login\n"
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Errorf("list: %v\n%s", err, diff)
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	for _, args := range [][]string{{"user", "-h"}, {"user", "help"}, {"user", "add", "--help"}, {"hash", "-h"}} {
		_, out, err := command(t, "", args...)
		if err != nil || out != usersUsage {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}

func TestAMistakeChangesNothingAndSaysWhatToDo(t *testing.T) {
	const secret = "Tr0ub4dor&3"
	for name, tt := range map[string]struct {
		args string
		in   string
		want string
	}{
		"no command":                  {"user", "", "usage:"},
		"unknown command":             {"user create eve@example.com", "", "usage:"},
		"no address":                  {"user add", secret, "whose"},
		"a password as argument":      {"user add eve@example.com " + secret, secret, "a password is no argument"},
		"a password as flag":          {"user add --password=" + secret + " eve@example.com", secret, "never an argument"},
		"a password to change to":     {"user passwd ann@example.com " + secret, secret, "a password is no argument"},
		"a password to hash":          {"hash " + secret, secret, "never an argument"},
		"a password as address":       {"user add " + secret, secret, "no e-mail address"},
		"a flag of another command":   {"user passwd --admin ann@example.com", secret, "usage:"},
		"a flag that is no boolean":   {"user add --admin=" + secret + " eve@example.com", secret, "usage:"},
		"list of somebody":            {"user list ann@example.com", "", "too many"},
		"an address with a name":      {"user add <eve@example.com>", secret, "no e-mail address"},
		"an address that is taken":    {"user add ann@example.com", secret, "auth user passwd ann@example.com"},
		"nobody's password":           {"user passwd eve@example.com", secret, "auth user list"},
		"nobody to delete":            {"user delete Ann@example.com", "", "auth user list"},
		"no password":                 {"user add eve@example.com", "", "no password on standard input"},
		"an empty line":               {"user add eve@example.com", "\n", "no password on standard input"},
		"a short password":            {"user add eve@example.com", "7 chars", "fewer than 8"},
		"a short password of umlauts": {"user add eve@example.com", "äöüäöü", "fewer than 8"},
		"a long password":             {"user add eve@example.com", strings.Repeat("x", 1025), "more than 1024"},
		"an endless password":         {"user passwd ann@example.com", strings.Repeat("x", 1<<20), "more than 1024"},
		"two lines":                   {"user add eve@example.com", secret + "\n" + secret + "\n", "more than one line"},
	} {
		t.Run(name, func(t *testing.T) {
			table, out, err := command(t, tt.in, strings.Fields(tt.args)...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || out != "" {
				t.Errorf("auth %s: %q, %v, want an error with %q and no output", tt.args, out, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the password: %v", err)
			}
			if diff := cmp.Diff(map[string]user.User{ann.Email: ann, bob.Email: bob}, table.rows); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// wantLogin checks that the service over the table lets the user in, and what the token says.
func wantLogin(t *testing.T, table *memory, email, password string, admin bool) {
	t.Helper()
	key, err := token.NewKey(strings.Repeat("k", token.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	db, err := embedded.OpenDB(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	service := auth.New(auth.Config{Users: table, Failures: db.Users(), Revocations: db.Users(), Key: key}).Routes()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(email+":"+password)))
	login := httptest.NewRecorder()
	service.ServeHTTP(login, r)
	r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", nil)
	r.Header.Set("Authorization", "Bearer "+login.Body.String())
	claims := httptest.NewRecorder()
	service.ServeHTTP(claims, r)
	want := `{"admin":false,`
	if admin {
		want = `{"admin":true,`
	}
	if login.Code != http.StatusOK || !strings.HasPrefix(claims.Body.String(), want) || !auth.Hashed(table.rows[email].Password) {
		t.Errorf("login of %s = %d, validate = %d %s, stored %s; want %s…", email, login.Code, claims.Code, claims.Body, table.rows[email].Password, want)
	}
}
