package mysql

import (
	"context"
	"database/sql"
	"time"

	"mp3converter/internal/user"
)

// all is the fingerprint that stands for every token.
var all user.Fingerprint

// raise makes all tokens of the user old.
func raise(ctx context.Context, db executor, who user.Fingerprint) error {
	_, err := db.ExecContext(ctx, `INSERT INTO revoked (who, token, version, expires, changed) VALUES (?, ?, 1, 0, UNIX_TIMESTAMP())
		ON DUPLICATE KEY UPDATE version = version + 1, changed = UNIX_TIMESTAMP()`, who[:], all[:])
	return err
}

// Revoke ends one token of a user; all if they have ended too many. Each statement leaves what may stay, so there is no
// transaction: whoever comes next goes on.
func (d *DB) Revoke(ctx context.Context, email string, token user.Fingerprint, expires time.Time) (user.Revocation, error) {
	r := user.Revocation{Who: user.Print(email), Token: token, Expires: expires}
	// The limit is more than one who comes can leave, so the table does not grow.
	_, err := d.db.ExecContext(ctx, "DELETE FROM revoked WHERE expires BETWEEN 1 AND UNIX_TIMESTAMP() LIMIT 1000")
	if err != nil {
		return r, wrap("forget expired tokens", err)
	}
	_, err = d.db.ExecContext(ctx, "INSERT IGNORE INTO revoked (who, token, version, expires, changed) VALUES (?, ?, 0, ?, UNIX_TIMESTAMP())",
		r.Who[:], token[:], expires.Unix())
	if err != nil {
		return r, wrap("revoke a token", err)
	}
	var n int
	err = d.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM revoked WHERE who = ? AND expires > UNIX_TIMESTAMP()", r.Who[:]).Scan(&n)
	if err != nil || n <= user.MaxRevoked {
		return r, wrap("count revoked tokens", err)
	}
	return d.RevokeAll(ctx, email)
}

// RevokeAll ends all tokens that the user has been given so far.
func (d *DB) RevokeAll(ctx context.Context, email string) (user.Revocation, error) {
	r := user.Revocation{Who: user.Print(email)}
	if err := raise(ctx, d.db, r.Who); err != nil {
		return r, wrap("revoke all tokens", err)
	}
	_, err := d.db.ExecContext(ctx, "DELETE FROM revoked WHERE who = ? AND expires > 0", r.Who[:]) // they are among all
	if err == nil {
		err = d.db.QueryRowContext(ctx, "SELECT version FROM revoked WHERE who = ? AND token = ?", r.Who[:], all[:]).Scan(&r.Version)
	}
	return r, wrap("revoke all tokens", err)
}

// Revoked returns what counts of what was stored within the last while, of all times if it is 0.
func (d *DB) Revoked(ctx context.Context, within time.Duration) ([]user.Revocation, error) {
	statement, args := "SELECT who, token, version, expires FROM revoked WHERE (expires = 0 OR expires > UNIX_TIMESTAMP())", []any{}
	if within != 0 {
		statement, args = statement+" AND changed >= UNIX_TIMESTAMP() - ?", []any{int64(within / time.Second)}
	}
	found, err := d.revoked(ctx, statement, args...)
	return found, wrap("look for revoked tokens", err)
}

func (d *DB) revoked(ctx context.Context, statement string, args ...any) ([]user.Revocation, error) {
	rows, err := d.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []user.Revocation
	for rows.Next() {
		r, err := scanRevocation(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

func scanRevocation(rows *sql.Rows) (r user.Revocation, err error) {
	var who, token sql.RawBytes
	var expires int64
	err = rows.Scan(&who, &token, &r.Version, &expires)
	copy(r.Who[:], who)
	copy(r.Token[:], token)
	if expires > 0 {
		r.Expires = time.Unix(expires, 0)
	}
	return r, err
}
