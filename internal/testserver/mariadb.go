package testserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// MariaDB is the MySQL of the tests: MariaDB of Debian's package, run as a plain process by whoever runs the tests.
// root has no password and comes in over the server's socket only, see SQL. A start takes about a second.
type MariaDB struct{ *Server }

// What a program that uses the database of init.sql needs beside the address.
const (
	MySQLUser     = "auth_user"
	MySQLPassword = "Auth123"
	MySQLDatabase = "auth"
)

var sharedMariaDB = sync.OnceValues(func() (*MariaDB, error) {
	m, err := StartMariaDB()
	if err != nil {
		return m, err
	}
	return m, m.Init()
})

// MySQL returns a server shared by the whole test process, on which init.sql was run. A test that empties its table, or
// kills or freezes it, leaves it running for the next.
func MySQL(tb testing.TB) *MariaDB {
	tb.Helper()
	m, err := sharedMariaDB()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// StartMariaDB starts an empty server.
func StartMariaDB() (*MariaDB, error) {
	s, err := start(mariadb())
	return &MariaDB{s}, err
}

// Init runs init.sql.
func (m *MariaDB) Init() error {
	script, err := InitSQL()
	if err != nil {
		return err
	}
	_, err = m.SQL(script)
	return err
}

// Restart starts a killed server over the same data.
func (m *MariaDB) Restart() error { return m.run(mariadb()) }

// SQL runs a script as `mysql -u root < script` does and returns what it printed: rows of values with tabs between.
func (m *MariaDB) SQL(script string) (string, error) {
	client := exec.Command("mariadb", "--no-defaults", "--socket="+socketOf(m.Dir), "--user=root", "--batch", "--skip-column-names")
	client.Stdin = strings.NewReader(script)
	out, err := client.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), fmt.Errorf("mariadb: %s", exit.Stderr)
	}
	return string(out), err
}

// InitSQL is the text of the init.sql at the top of the repository.
func InitSQL() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if script, err := os.ReadFile(filepath.Join(dir, "init.sql")); err == nil {
			return string(script), nil
		}
	}
	return "", fmt.Errorf("no init.sql here or above: %w", errors.Join(err, os.ErrNotExist))
}

func mariadb() spec {
	return spec{
		name: "mariadb", install: "apt-get install mariadb-server",
		prepare: installMariaDB, ready: listening,
		command: func(dir, addr string) *exec.Cmd {
			return exec.Command(mariadbd(), mariadbArgs(dir, "--bind-address=127.0.0.1", "--port="+portOf(addr), "--socket="+socketOf(dir), "--pid-file="+filepath.Join(dir, "pid"))...)
		},
	}
}

// mariadbd is the program's path: Debian keeps it where only root looks.
func mariadbd() string {
	if path, err := exec.LookPath("mariadbd"); err == nil {
		return path
	}
	return "/usr/sbin/mariadbd"
}

// installMariaDB writes the system tables, so that root has no password.
func installMariaDB(dir string) error {
	out, err := exec.Command("mariadb-install-db", mariadbArgs(dir, "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// mariadbArgs are the least that a server needs, so that it starts quickly; a kill must lose nothing that was committed.
func mariadbArgs(dir string, more ...string) []string {
	me := "root"
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	return append([]string{
		"--no-defaults", "--user=" + me, "--datadir=" + filepath.Join(dir, "data"),
		"--tmpdir=" + dir, // a server that starts removes the temporary tables in its own, be they another server's
		"--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--skip-log-bin", "--skip-name-resolve",
	}, more...)
}

// socketOf is short: a socket's path has 107 bytes at most.
func socketOf(dir string) string { return filepath.Join(dir, "s") }
