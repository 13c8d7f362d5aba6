package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"mp3converter/internal/user"
)

// all is the fingerprint that stands for every token.
var all user.Fingerprint

// raise is the version of somebody's tokens and the end of those of lower ones.
const raise = `INSERT INTO revoked (who, token, version, expires, changed) VALUES (?, ?, 1, 0, unixepoch())
	ON CONFLICT DO UPDATE SET version = version + 1, changed = unixepoch() RETURNING version`

// Revoke ends one token of a user; all if they have ended too many.
func (s *Users) Revoke(ctx context.Context, email string, token user.Fingerprint, expires time.Time) (r user.Revocation, err error) {
	err = s.db.transact(ctx, func(tx *sql.Tx) error {
		r, err = revoke(ctx, tx, user.Revocation{Who: user.Print(email), Token: token, Expires: expires})
		return err
	})
	return r, wrapped("revoke a token", err)
}

func revoke(ctx context.Context, tx *sql.Tx, r user.Revocation) (user.Revocation, error) {
	if _, err := tx.ExecContext(ctx, "DELETE FROM revoked WHERE expires > 0 AND expires <= unixepoch()"); err != nil {
		return r, err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO revoked (who, token, version, expires, changed) VALUES (?, ?, 0, ?, unixepoch()) ON CONFLICT DO NOTHING",
		r.Who[:], r.Token[:], r.Expires.Unix())
	if err != nil {
		return r, err
	}
	var n int
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM revoked WHERE who = ? AND expires > 0", r.Who[:]).Scan(&n)
	if err != nil || n <= user.MaxRevoked {
		return r, err
	}
	return revokeAll(ctx, tx, r.Who)
}

// RevokeAll ends all tokens that the user has been given so far.
func (s *Users) RevokeAll(ctx context.Context, email string) (r user.Revocation, err error) {
	err = s.db.transact(ctx, func(tx *sql.Tx) error {
		r, err = revokeAll(ctx, tx, user.Print(email))
		return err
	})
	return r, wrapped("revoke all tokens", err)
}

func revokeAll(ctx context.Context, tx *sql.Tx, who user.Fingerprint) (user.Revocation, error) {
	r := user.Revocation{Who: who}
	if _, err := tx.ExecContext(ctx, "DELETE FROM revoked WHERE who = ? AND expires > 0", who[:]); err != nil {
		return r, err
	}
	err := tx.QueryRowContext(ctx, raise, who[:], all[:]).Scan(&r.Version)
	return r, err
}

// Revoked returns what counts of what was stored within the last while, of all times if it is 0.
func (s *Users) Revoked(ctx context.Context, within time.Duration) ([]user.Revocation, error) {
	rows, err := s.db.read.QueryContext(ctx, `SELECT who, token, version, expires FROM revoked
		WHERE (expires = 0 OR expires > unixepoch()) AND (?1 = 0 OR changed >= unixepoch() - ?1)`, int64(within/time.Second))
	if err != nil {
		return nil, wrapped("look for revoked tokens", err)
	}
	found, err := collect(rows, scanRevocation)
	return found, wrapped("look for revoked tokens", err)
}

func scanRevocation(scan func(...any) error) (r user.Revocation, err error) {
	var who, token []byte
	var expires int64
	err = scan(&who, &token, &r.Version, &expires)
	copy(r.Who[:], who)
	copy(r.Token[:], token)
	if expires > 0 {
		r.Expires = time.Unix(expires, 0)
	}
	return r, err
}

// Failures returns the slots' tallies.
func (s *Users) Failures(ctx context.Context, slots ...user.Slot) ([]user.Tally, error) {
	tallies := make([]user.Tally, len(slots))
	for i, slot := range slots {
		var ms int64
		err := s.db.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(failures), 0), MAX(0, COALESCE(MAX("+nowMS+" - last), 0)) FROM login_failures WHERE slot = ?", slot).
			Scan(&tallies[i].Failures, &ms)
		if err != nil {
			return nil, wrapped("look for failed logins", err)
		}
		tallies[i].Age = time.Duration(ms) * time.Millisecond
	}
	return tallies, nil
}

const nowMS = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

// Fail counts one more in the slot and returns how many that makes.
func (s *Users) Fail(ctx context.Context, slot user.Slot, forget time.Duration) (n int, err error) {
	err = s.db.write.QueryRowContext(ctx, `INSERT INTO login_failures (slot, failures, last) VALUES (?, 1, `+nowMS+`) ON CONFLICT DO UPDATE
		SET failures = IIF(last < `+nowMS+` - ?, 1, failures + 1), last = `+nowMS+` RETURNING failures`, slot, forget.Milliseconds()).Scan(&n)
	return n, wrapped("count a failed login", err)
}

// Clear empties the slot.
func (s *Users) Clear(ctx context.Context, slot user.Slot) error {
	_, err := s.db.write.ExecContext(ctx, "DELETE FROM login_failures WHERE slot = ?", slot)
	return wrapped("forget failed logins", err)
}

// transact runs do as a whole.
func (db *DB) transact(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func wrapped(act string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}
