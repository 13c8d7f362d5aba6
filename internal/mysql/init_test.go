package mysql_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/testserver"
	"mp3converter/internal/user"
)

var sid = user.User{
	Email: "sid@gmail.com", Admin: true,
	Password: "$argon2id$v=19$m=19456,t=2,p=1$bXAzY29udmVydGVyLXNpZA$ohtT9gt0vU/OyaBOsT2jyWIuzdCONSCBRUDQ5GTUU1c",
}

// whole prints all that init.sql could have changed.
const whole = "SHOW CREATE TABLE auth.user; SHOW CREATE TABLE auth.revoked; SHOW CREATE TABLE auth.login_failure; " +
	"SELECT * FROM auth.user ORDER BY id; SELECT HEX(who), version FROM auth.revoked; SELECT * FROM auth.login_failure; SHOW GRANTS FOR 'auth_user'@'%';"

func TestInitRunsAnyNumberOfTimes(t *testing.T) {
	server, script := testserver.MySQL(t), initSQL(t)
	run(t, server, "DROP DATABASE auth; DROP USER 'auth_user'@'%';")
	if out := run(t, server, script); out != "" {
		t.Errorf("init.sql prints %q", out)
	}
	wantUsers(t, open(t, config(t, server)), sid)
	run(t, server, "INSERT INTO auth.revoked VALUES ('w', 't', 1, 0, 0); INSERT INTO auth.login_failure VALUES (1, 2, 3)")
	defer empty(t, server)
	first := run(t, server, whole)
	for range 2 {
		run(t, server, script)
		if diff := cmp.Diff(first, run(t, server, whole)); diff != "" {
			t.Errorf("init.sql run again changed something:\n%s", diff)
		}
	}
}

func TestInitLeavesUsersAsTheyAre(t *testing.T) {
	server, script := testserver.MySQL(t), initSQL(t)
	for name, rows := range map[string][]user.User{
		"sid has another password":    {{Email: sid.Email, Password: "changed", Admin: false}},
		"sid is gone for good reason": {{Email: "ann@example.com", Password: "x", Admin: true}},
	} {
		t.Run(name, func(t *testing.T) {
			empty(t, server)
			users := open(t, config(t, server))
			for _, u := range rows {
				if err := users.Add(t.Context(), u); err != nil {
					t.Fatal(err)
				}
			}
			run(t, server, script)
			wantUsers(t, users, rows...)
		})
	}
}

func TestInitAdoptsTheOriginalsTable(t *testing.T) {
	server, script := testserver.MySQL(t), initSQL(t)
	for name, charset := range map[string]string{
		"in the server's character set": "",
		"in latin1":                     "CHARACTER SET latin1",
		"in binary order":               "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	} {
		t.Run(name, func(t *testing.T) {
			run(t, server, `SET NAMES utf8mb4; DROP DATABASE auth; CREATE DATABASE auth;
				CREATE TABLE auth.user (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, password VARCHAR(255) NOT NULL) `+charset+`;
				INSERT INTO auth.user (email, password) VALUES ('sid@gmail.com', 'sid123'), ('ann@example.com', '$écret');`)
			users := open(t, config(t, server))
			if err := users.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "init.sql") {
				t.Errorf("Ping before init.sql = %v, want an error that names it", err)
			}
			run(t, server, script)
			run(t, server, script)
			if err := users.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if err := users.SetPassword(t.Context(), sid.Email, sid.Password); err != nil {
				t.Error(err)
			}
			ann := user.User{Email: "ann@example.com", Password: "$écret", Admin: true}
			wantUsers(t, users, ann, sid)
			if again, err := users.Find(t.Context(), sid.Email); err != nil || again.Version != 1 {
				t.Errorf("Find after SetPassword = %+v, %v, want version 1", again, err)
			}
			if err := users.ReplacePassword(t.Context(), ann.Email, "$Écret", "x"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("ReplacePassword of another password = %v, want %v", err, fs.ErrNotExist)
			}
			if err := users.ReplacePassword(t.Context(), ann.Email, ann.Password, sid.Password); err != nil {
				t.Error(err)
			}
			ann.Password = sid.Password
			wantUsers(t, users, ann, sid)
			run(t, server, "DROP DATABASE auth;\n"+script)
		})
	}
}

func TestTheServiceIsGrantedWhatItNeedsAndNoMore(t *testing.T) {
	out := run(t, testserver.MySQL(t), "SHOW GRANTS FOR 'auth_user'@'%'")
	grants := strings.Split(strings.TrimSpace(out), "\n")[1:] // the first line is USAGE with the password's hash
	slices.Sort(grants)
	var want []string
	for _, table := range []string{"login_failure", "revoked", "user"} {
		want = append(want, "GRANT SELECT, INSERT, UPDATE, DELETE ON `auth`.`"+table+"` TO `auth_user`@`%`")
	}
	if diff := cmp.Diff(want, grants); diff != "" {
		t.Error(diff)
	}
}
