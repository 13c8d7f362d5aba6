// Package mysql keeps users in the original system's table: database auth, table user, on MySQL or MariaDB; and beside it
// which tokens were ended and what logins failed. It knows SQL and nothing of passwords; the tables are made and altered by
// init.sql, never here.
package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// Config says where the database is.
type Config struct {
	Host     string
	Port     int // 0 means 3306
	User     string
	Password string
	Database string
}

// What a connection may take. A caller who is in more of a hurry gives its call a context with a deadline.
const (
	dialTimeout = 5 * time.Second
	ioTimeout   = 10 * time.Second
	connections = 10              // one is busy for a millisecond or two; a password's hash takes fifty times as long
	connAge     = 3 * time.Minute // below what firewalls and wait_timeout let pass, and new servers are found after it
)

// DB is these tables. Its methods are safe for concurrent use; each fails when the database is away and works
// again when it is back.
type DB struct{ db *sql.DB }

// Open prepares a DB. It does not connect: whoever needs the database to be there asks Ping.
func Open(c Config) (*DB, error) {
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(c.Host, strconv.Itoa(port(c.Port)))
	cfg.User, cfg.Passwd, cfg.DBName = c.User, c.Password, c.Database
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	cfg.ClientFoundRows = true   // an UPDATE that changes nothing has found its row
	cfg.InterpolateParams = true // one round trip instead of three; safe in utf8mb4
	cfg.ConnectionAttributes = "program_name:mp3converter"
	cfg.Logger = &driver.NopLogger{} // what it would print comes back as an error as well
	err := cfg.Apply(driver.Charset("utf8mb4", "utf8mb4_general_ci"))
	if err != nil {
		return nil, fmt.Errorf("database settings: %w", err)
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("database settings: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxLifetime(connAge)
	return &DB{db}, nil
}

func port(n int) int {
	if n == 0 {
		return 3306
	}
	return n
}

// Ping returns nil if the database is there and has what the other methods need. The error says what to do.
func (d *DB) Ping(ctx context.Context) error {
	for _, columns := range []string{"id, email, password, admin FROM user", "who, token, version, expires, changed FROM revoked", "slot, failures, last FROM login_failure"} {
		var n int
		// The limit keeps it as cheap as a bare ping; names and the right to read are checked all the same.
		err := d.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT "+columns+" LIMIT 1) AS any_row").Scan(&n)
		if err != nil {
			return wrap("look at the tables", err)
		}
	}
	return nil
}

// Prepared reports what an older database lacks, and init.sql makes. A server that is away is for Ping to report.
func (d *DB) Prepared(ctx context.Context) error {
	err := d.Ping(ctx)
	if outdated(err) {
		return err
	}
	return nil
}

// wrap says what was being done, and what to do about an error that an operator can mend.
func wrap(act string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w%s", act, err, advice(err))
}

// Error numbers, the same in MySQL and MariaDB.
const (
	erDuplicate       = 1062
	erDatabaseDenied  = 1044
	erLoginDenied     = 1045
	erUnknownDatabase = 1049
	erUnknownColumn   = 1054
	erTableDenied     = 1142
	erColumnDenied    = 1143
	erUnknownTable    = 1146
)

func advice(err error) string {
	switch {
	case outdated(err):
		return ": run init.sql"
	case number(err) == erLoginDenied:
		return ": run init.sql, or correct MYSQL_USER and MYSQL_PASSWORD"
	default:
		return ""
	}
}

// outdated reports whether the database, or a right in it, is not there.
func outdated(err error) bool {
	switch number(err) {
	case erDatabaseDenied, erUnknownDatabase, erUnknownColumn, erTableDenied, erColumnDenied, erUnknownTable:
		return true
	default:
		return false
	}
}

// number is the server's error number, 0 if the error is not the server's.
func number(err error) uint16 {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// Close closes the connections.
func (d *DB) Close() error { return d.db.Close() }
