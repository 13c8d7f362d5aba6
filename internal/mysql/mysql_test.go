package mysql_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"mp3converter/internal/mysql"
	"mp3converter/internal/porttest"
	"mp3converter/internal/testserver"
	"mp3converter/internal/user"
)

func TestMain(m *testing.M) { testserver.Main(m) }

func TestUsers(t *testing.T) {
	server := testserver.MySQL(t)
	porttest.TestUsers(t, func(t *testing.T) porttest.Users {
		empty(t, server)
		return open(t, config(t, server))
	})
}

func TestTokens(t *testing.T) {
	server := testserver.MySQL(t)
	porttest.TestTokens(t, func(t *testing.T) porttest.Tokens {
		empty(t, server)
		return open(t, config(t, server))
	})
}

func TestFailures(t *testing.T) {
	server := testserver.MySQL(t)
	porttest.TestFailures(t, func(t *testing.T) porttest.Failures {
		empty(t, server)
		return open(t, config(t, server))
	})
}

func TestWhatHasExpiredIsDeletedByWhoComesNext(t *testing.T) {
	server := testserver.MySQL(t)
	empty(t, server)
	run(t, server, "INSERT INTO auth.revoked VALUES ('old', 't', 0, 1, 0), ('kept', '', 7, 0, 0)")
	if _, err := open(t, config(t, server)).Revoke(t.Context(), sid.Email, user.Print("t"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := run(t, server, "SELECT COUNT(*), MAX(version) FROM auth.revoked"); got != "2\t7\n" {
		t.Errorf("rows and highest version: %q, want the kept one and the new one", got)
	}
	empty(t, server)
}

func TestPingSaysWhatToDo(t *testing.T) {
	server := testserver.MySQL(t)
	good := config(t, server)
	for name, tt := range map[string]struct {
		before, after string // SQL
		alter         func(*mysql.Config)
		want          string
	}{
		"nothing is missing": {},
		"no rows":            {before: "DELETE FROM auth.user"},
		"no table":           {before: "RENAME TABLE auth.user TO auth.gone", after: "RENAME TABLE auth.gone TO auth.user", want: "init.sql"},
		"no column": {
			before: "ALTER TABLE auth.user RENAME COLUMN admin TO gone", after: "ALTER TABLE auth.user RENAME COLUMN gone TO admin", want: "init.sql",
		},
		"no table of tokens":   {before: "RENAME TABLE auth.revoked TO auth.gone", after: "RENAME TABLE auth.gone TO auth.revoked", want: "init.sql"},
		"no table of failures": {before: "RENAME TABLE auth.login_failure TO auth.gone", after: "RENAME TABLE auth.gone TO auth.login_failure", want: "init.sql"},
		"no rights": {
			before: "REVOKE SELECT ON auth.user FROM 'auth_user'@'%'", after: "GRANT SELECT ON auth.user TO 'auth_user'@'%'", want: "init.sql",
		},
		"no database":    {alter: func(c *mysql.Config) { c.Database = "users" }, want: "init.sql"},
		"wrong password": {alter: func(c *mysql.Config) { c.Password = "wrong-secret" }, want: "MYSQL_PASSWORD"},
		"unknown user":   {alter: func(c *mysql.Config) { c.User = "nobody" }, want: "MYSQL_USER"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, server, tt.before)
			defer run(t, server, tt.after)
			cfg := good
			if tt.alter != nil {
				tt.alter(&cfg)
			}
			users := open(t, cfg)
			err := users.Ping(t.Context())
			if prepared := users.Prepared(t.Context()); (prepared != nil) != (tt.want == "init.sql") {
				t.Errorf("Prepared = %v", prepared)
			}
			if tt.want == "" && err != nil {
				t.Error(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Ping = %v, want an error that names %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), cfg.Password) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestADatabaseMayComeLaterAndGoInBetween(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	server, err := testserver.StartMariaDB()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	run(t, server, initSQL(t))
	server.Kill()

	users := open(t, config(t, server))
	defer users.Close()
	wantAway(t, users)
	if err := users.Prepared(t.Context()); err != nil {
		t.Errorf("Prepared = %v of a server that is away, which says nothing of its tables", err)
	}
	for range 2 {
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		wantThere(t, users)
		server.Kill()
		wantAway(t, users)
	}
}

func TestAFrozenDatabaseKeepsNobodyBeyondTheirDeadline(t *testing.T) {
	server := testserver.MySQL(t)
	for name, warm := range map[string]bool{"over a connection from before": true, "over a new connection": false} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			users := open(t, config(t, server))
			defer users.Close()
			if warm {
				wantThere(t, users)
			}
			thaw := server.Freeze(t)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := users.Find(ctx, "sid@gmail.com")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Find in a frozen database: %v, want %v", err, context.DeadlineExceeded)
			}
			thaw()
			wantThere(t, users)
		})
	}
}

func TestAnAddressThatIsNoTextIsNobodys(t *testing.T) {
	users := open(t, config(t, testserver.MySQL(t)))
	for _, email := range []string{"\xff@example.com", strings.Repeat("x", 1<<16) + "@example.com"} {
		if _, err := users.Find(t.Context(), email); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Find(%.20q) = %v, want %v", email, err, fs.ErrNotExist)
		}
	}
}

// wantAway checks that a missing database is not taken for a missing user.
func wantAway(t *testing.T, users *mysql.DB) {
	t.Helper()
	_, err := users.Find(t.Context(), "sid@gmail.com")
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find without a database: %v, want an error that is not %v", err, fs.ErrNotExist)
	}
	if err := users.Ping(t.Context()); err == nil {
		t.Error("Ping without a database returns nil")
	}
}

func wantThere(t *testing.T, users *mysql.DB) {
	t.Helper()
	if err := users.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := users.List(t.Context()); err != nil {
		t.Error(err)
	}
}

func wantUsers(t *testing.T, users *mysql.DB, want ...user.User) {
	t.Helper()
	got, err := users.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func open(t *testing.T, c mysql.Config) *mysql.DB {
	t.Helper()
	db, err := mysql.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func config(t *testing.T, server *testserver.MariaDB) mysql.Config {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return mysql.Config{Host: host, Port: n, User: testserver.MySQLUser, Password: testserver.MySQLPassword, Database: testserver.MySQLDatabase}
}

// empty leaves the tables as init.sql makes them, without sid.
func empty(t *testing.T, server *testserver.MariaDB) {
	t.Helper()
	run(t, server, "DELETE FROM auth.user; DELETE FROM auth.revoked; DELETE FROM auth.login_failure")
}

func initSQL(t *testing.T) string {
	t.Helper()
	script, err := testserver.InitSQL()
	if err != nil {
		t.Fatal(err)
	}
	return script
}

func run(t *testing.T, server *testserver.MariaDB, script string) string {
	t.Helper()
	out, err := server.SQL(script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
