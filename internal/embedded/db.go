package embedded

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// DB is one SQLite file with users, jobs, mails and webhooks. All writes go through one connection, so they queue in Go and never
// meet a locked database; reads run beside them.
type DB struct {
	write *sql.DB
	read  *sql.DB
}

//go:embed schema.sql
var schema string

//go:embed sessions.sql
var sessions string

//go:embed usage.sql
var usage string

//go:embed alternatives.sql
var alternatives string

//go:embed backlog.sql
var backlog string

//go:embed hooks.sql
var hooks string

//go:embed states.sql
var states string

//go:embed keep.sql
var keep string

//go:embed changes.sql
var changes string

// versions holds what brings a database of version i (PRAGMA user_version) to i+1. Only append: others have the old ones.
var versions = [...]string{schema, sessions, usage, alternatives, backlog, hooks, keep, changes, states}

// readers is how many reads run at once. Each connection has a page cache of 2 MB.
const readers = 4

// settings are those of every connection. FULL fsyncs the log at each commit: what is confirmed survives power loss. The
// timeout only helps against people with a sqlite3 shell.
var settings = []string{"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"}

// OpenDB opens the database at path and brings its schema up to date; without a file it makes one, the folder must be
// there. Jobs, Users, Inbox, Hooks and Deliveries are views of it. The caller must Close it when none is in use any more.
func OpenDB(path string) (*DB, error) {
	db, err := openDB(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return db, nil
}

func openDB(path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	write, err := connect(path, 1)
	if err != nil {
		return nil, err
	}
	if err := migrate(write); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := connect(path, readers, "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return &DB{write: write, read: read}, nil
}

func connect(path string, connections int, more ...string) (*sql.DB, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": append(more, settings...)}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// migrate applies the versions that the database lacks, all or none.
func migrate(db *sql.DB) error {
	ctx := context.Background() // milliseconds, at start
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(versions) {
		return fmt.Errorf("written by a newer program: its version is %d, this program knows %d", version, len(versions))
	}
	for _, statements := range versions[version:] {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return fmt.Errorf("update the schema: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(versions))); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file.
func (db *DB) Close() error { return errors.Join(db.read.Close(), db.write.Close()) }

// taken reports whether err is that of a unique column.
func taken(err error) bool {
	var refused *sqlite.Error
	if !errors.As(err, &refused) {
		return false
	}
	return refused.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || refused.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// changed reports whether a statement that ended with err changed a row.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

// collect scans all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(scan func(...any) error) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
