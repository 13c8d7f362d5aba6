package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"mp3converter/internal/user"
)

// Users keeps who may log in, which tokens were ended and what logins failed, on the terms of porttest.Users, Tokens and
// Failures.
type Users struct{ db *DB }

// Users returns the users of the database.
func (db *DB) Users() *Users { return &Users{db} }

// The column's collation ignores case, which keeps addresses apart; a row is meant only by its exact address.
const exactly = " WHERE email = ?1 AND email = ?1 COLLATE BINARY"

const usersQuery = "SELECT email, admin FROM users WHERE email > ?1 ORDER BY email LIMIT ?2"

// Find returns the row of that address; fs.ErrNotExist if there is none.
func (s *Users) Find(ctx context.Context, email string) (user.User, error) {
	who := user.Print(email)
	var u user.User
	err := s.db.read.QueryRowContext(ctx, "SELECT email, password, admin, COALESCE((SELECT version FROM revoked WHERE who = ?2 AND token = ?3), 0) FROM users"+exactly,
		email, who[:], all[:]).Scan(&u.Email, &u.Password, &u.Admin, &u.Version)
	if errors.Is(err, sql.ErrNoRows) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return user.User{}, fmt.Errorf("find user %q: %w", email, err)
	}
	return u, nil
}

// Add stores a new row; fs.ErrExist if the address is taken.
func (s *Users) Add(ctx context.Context, u user.User) error {
	_, err := s.db.write.ExecContext(ctx, "INSERT INTO users (email, password, admin) VALUES (?, ?, ?)", u.Email, u.Password, u.Admin)
	if taken(err) {
		err = fs.ErrExist
	}
	if err != nil {
		return fmt.Errorf("add user %q: %w", u.Email, err)
	}
	return nil
}

// SetPassword replaces the password as stored and ends the user's tokens; fs.ErrNotExist if there is no such row.
func (s *Users) SetPassword(ctx context.Context, email, hash string) error {
	if err := s.ending(ctx, email, "UPDATE users SET password = ?2"+exactly, email, hash); err != nil {
		return fmt.Errorf("set the password of user %q: %w", email, err)
	}
	return nil
}

// ReplacePassword replaces the password if it still is old; fs.ErrNotExist if it is not, or there is no such row.
func (s *Users) ReplacePassword(ctx context.Context, email, old, hash string) error {
	if err := one(ctx, s.db.write, "UPDATE users SET password = ?3"+exactly+" AND password = ?2", email, old, hash); err != nil {
		return fmt.Errorf("replace the password of user %q: %w", email, err)
	}
	return nil
}

// Delete removes the row and ends the user's tokens; fs.ErrNotExist if there is none.
func (s *Users) Delete(ctx context.Context, email string) error {
	if err := s.ending(ctx, email, "DELETE FROM users"+exactly, email); err != nil {
		return fmt.Errorf("delete user %q: %w", email, err)
	}
	return nil
}

// List returns all rows sorted by address.
func (s *Users) List(ctx context.Context) ([]user.User, error) {
	rows, err := s.db.read.QueryContext(ctx, "SELECT email, password, admin FROM users ORDER BY email COLLATE BINARY")
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	all, err := collect(rows, scanUser)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return all, nil
}

// Page returns at most limit rows without their passwords, those after the address, in an order that ignores case.
func (s *Users) Page(ctx context.Context, after string, limit int) ([]user.User, error) {
	rows, err := s.db.read.QueryContext(ctx, usersQuery, after, max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	page, err := collect(rows, func(scan func(...any) error) (u user.User, err error) {
		err = scan(&u.Email, &u.Admin)
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return page, nil
}

// ending runs a statement that must change the user's row, and ends their tokens.
func (s *Users) ending(ctx context.Context, email, statement string, args ...any) error {
	return s.db.transact(ctx, func(tx *sql.Tx) error {
		if err := one(ctx, tx, statement, args...); err != nil {
			return err
		}
		_, err := revokeAll(ctx, tx, user.Print(email))
		return err
	})
}

// executor is a database or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// one runs a statement that must change a row.
func one(ctx context.Context, db executor, statement string, args ...any) error {
	found, err := changed(db.ExecContext(ctx, statement, args...))
	if err == nil && !found {
		return fs.ErrNotExist
	}
	return err
}

func scanUser(scan func(...any) error) (u user.User, err error) {
	err = scan(&u.Email, &u.Password, &u.Admin)
	return u, err
}
