package mysql

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"mp3converter/internal/user"
)

// Find returns the row of exactly that address; fs.ErrNotExist if there is none.
func (d *DB) Find(ctx context.Context, email string) (user.User, error) {
	_, u, err := d.find(ctx, email)
	return u, wrap("find user", err)
}

// find also returns the row's id, by which the other methods change it. The table's collation, whichever it is, takes
// more addresses for the same than we do, so bytes are compared here; and it takes only UTF-8.
func (d *DB) find(ctx context.Context, email string) (id int64, u user.User, err error) {
	if !utf8.ValidString(email) {
		return 0, user.User{}, fs.ErrNotExist
	}
	// In one statement: a version from after a change of the password would let in the password from before.
	const statement = "SELECT id, email, password, admin, COALESCE((SELECT version FROM revoked WHERE who = ? AND token = ?), 0) FROM user WHERE email = ?"
	who := user.Print(email)
	err = d.db.QueryRowContext(ctx, statement, who[:], all[:], email).Scan(&id, &u.Email, &u.Password, &u.Admin, &u.Version)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && u.Email != email:
		return 0, user.User{}, fs.ErrNotExist
	case err != nil:
		return 0, user.User{}, err
	}
	return id, u, nil
}

// Add stores a new row; fs.ErrExist if the address is taken, in whatever case.
func (d *DB) Add(ctx context.Context, u user.User) error {
	_, err := d.db.ExecContext(ctx, "INSERT INTO user (email, password, admin) VALUES (?, ?, ?)", u.Email, u.Password, u.Admin)
	if number(err) == erDuplicate {
		err = fs.ErrExist
	}
	return wrap("add user", err)
}

// SetPassword replaces the password as stored and ends the user's tokens; fs.ErrNotExist if there is no row of exactly
// that address.
func (d *DB) SetPassword(ctx context.Context, email, hash string) error {
	id, _, err := d.find(ctx, email)
	if err == nil {
		err = d.ending(ctx, email, "UPDATE user SET password = ? WHERE id = ?", hash, id)
	}
	return wrap("set password", err)
}

// ReplacePassword replaces the password if it still is old; fs.ErrNotExist if it is not, or there is no row of exactly that
// address. The old one is sent and compared as bytes of UTF-8, whatever the column's character set and collation.
func (d *DB) ReplacePassword(ctx context.Context, email, old, hash string) error {
	id, _, err := d.find(ctx, email)
	if err == nil {
		const statement = "UPDATE user SET password = ? WHERE id = ? AND CAST(CONVERT(password USING utf8mb4) AS BINARY) = ?"
		err = one(ctx, d.db, statement, hash, id, []byte(old))
	}
	return wrap("replace password", err)
}

// Delete removes the row and ends the user's tokens; fs.ErrNotExist if there is none of exactly that address.
func (d *DB) Delete(ctx context.Context, email string) error {
	id, _, err := d.find(ctx, email)
	if err == nil {
		err = d.ending(ctx, email, "DELETE FROM user WHERE id = ?", id)
	}
	return wrap("delete user", err)
}

// ending runs a statement that is to hit the user's row, and ends their tokens.
func (d *DB) ending(ctx context.Context, email, statement string, args ...any) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := one(ctx, tx, statement, args...); err != nil {
		return err
	}
	if err := raise(ctx, tx, user.Print(email)); err != nil {
		return err
	}
	return tx.Commit()
}

// executor is the database or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// one runs a statement that is to hit a row; fs.ErrNotExist if somebody has deleted or changed it in the meantime.
func one(ctx context.Context, db executor, statement string, args ...any) error {
	result, err := db.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = fs.ErrNotExist
	}
	return err
}

// Page returns at most limit rows without their passwords: in the order of the table's collation, those after the address.
func (d *DB) Page(ctx context.Context, after string, limit int) ([]user.User, error) {
	rows, err := d.db.QueryContext(ctx, "SELECT email, admin FROM user WHERE email > ? ORDER BY email LIMIT ?", after, limit)
	if err != nil {
		return nil, wrap("list users", err)
	}
	defer rows.Close()
	var page []user.User
	for rows.Next() {
		var u user.User
		if err := rows.Scan(&u.Email, &u.Admin); err != nil {
			return nil, wrap("list users", err)
		}
		page = append(page, u)
	}
	return page, wrap("list users", rows.Err())
}

// List returns all rows sorted by the bytes of their addresses.
func (d *DB) List(ctx context.Context) ([]user.User, error) {
	users, err := d.all(ctx)
	if err != nil {
		return nil, wrap("list users", err)
	}
	// Not by ORDER BY: it would sort as the table's collation does.
	slices.SortFunc(users, func(a, b user.User) int { return strings.Compare(a.Email, b.Email) })
	return users, nil
}

func (d *DB) all(ctx context.Context) ([]user.User, error) {
	rows, err := d.db.QueryContext(ctx, "SELECT email, password, admin FROM user")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var users []user.User
	for rows.Next() {
		var u user.User
		if err := rows.Scan(&u.Email, &u.Password, &u.Admin); err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, rows.Err()
}
