package mysql

import (
	"context"
	"strings"
	"time"

	"mp3converter/internal/user"
)

// nowMS is the server's clock, one for all replicas, in milliseconds. No time zone and no summer time is in it.
const nowMS = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000"

// Failures returns the slots' tallies, in the slots' order. It asks once: a login waits for the answer.
func (d *DB) Failures(ctx context.Context, slots ...user.Slot) ([]user.Tally, error) {
	found := make(map[user.Slot]user.Tally, len(slots))
	marks := strings.TrimSuffix(strings.Repeat("?,", len(slots)), ",")
	args := make([]any, len(slots))
	for i, slot := range slots {
		args[i] = slot
	}
	rows, err := d.db.QueryContext(ctx, "SELECT slot, failures, "+nowMS+" - last FROM login_failure WHERE slot IN ("+marks+")", args...) //nolint:gosec // question marks
	if err != nil {
		return nil, wrap("look for failed logins", err)
	}
	defer rows.Close()
	for rows.Next() {
		var slot user.Slot
		var failures int
		var ms int64
		if err := rows.Scan(&slot, &failures, &ms); err != nil {
			return nil, wrap("look for failed logins", err)
		}
		found[slot] = user.Tally{Failures: failures, Age: time.Duration(max(0, ms)) * time.Millisecond}
	}
	tallies := make([]user.Tally, len(slots))
	for i, slot := range slots {
		tallies[i] = found[slot]
	}
	return tallies, wrap("look for failed logins", rows.Err())
}

// Fail counts one more in the slot and returns how many that makes. LAST_INSERT_ID carries the number out of the very
// statement that counts, so that nobody else has the same. The order of assignments counts: failures looks at the old last.
func (d *DB) Fail(ctx context.Context, slot user.Slot, forget time.Duration) (int, error) {
	const count = "UPDATE login_failure SET failures = LAST_INSERT_ID(IF(last < " + nowMS + " - ?, 1, failures + 1)), last = " + nowMS + " WHERE slot = ?"
	for {
		result, err := d.db.ExecContext(ctx, count, forget.Milliseconds(), slot)
		if err != nil {
			return 0, wrap("count a failed login", err)
		}
		if found, err := result.RowsAffected(); err != nil || found > 0 {
			n, _ := result.LastInsertId() // the driver has no error for it
			return int(n), wrap("count a failed login", err)
		}
		if _, err := d.db.ExecContext(ctx, "INSERT IGNORE INTO login_failure (slot, failures, last) VALUES (?, 0, "+nowMS+")", slot); err != nil {
			return 0, wrap("count a failed login", err)
		}
	}
}

// Clear empties the slot.
func (d *DB) Clear(ctx context.Context, slot user.Slot) error {
	_, err := d.db.ExecContext(ctx, "DELETE FROM login_failure WHERE slot = ?", slot)
	return wrap("forget failed logins", err)
}
