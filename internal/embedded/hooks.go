package embedded

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"mp3converter/internal/hook"
)

// All that is asked of webhooks and their deliveries.
const (
	hookQuery     = `SELECT body FROM hooks WHERE id = ?`
	hookInsert    = `INSERT INTO hooks (id, version, owner, slot, next_at, body) VALUES (?, ?, ?, ?, ?, ?)`
	hookStatement = `UPDATE hooks SET version = ?2, owner = ?3, slot = ?4, next_at = ?5, body = ?6 WHERE id = ?1 AND version = ?2 - 1`
	hookRemove    = `DELETE FROM hooks WHERE id = ?`
	hooksOfQuery  = `SELECT body FROM hooks WHERE owner = ? ORDER BY slot`
	hooksDueQuery = `SELECT body FROM hooks WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2`

	deliveryQuery      = `SELECT body FROM deliveries WHERE id = ?`
	deliveryInsert     = `INSERT INTO deliveries (id, version, hook, due_at, changed, body) VALUES (?, ?, ?, ?, ?, ?)`
	deliveryStatement  = `UPDATE deliveries SET version = ?2, hook = ?3, due_at = ?4, changed = ?5, body = ?6 WHERE id = ?1 AND version = ?2 - 1`
	deliveriesQuery    = `SELECT body FROM deliveries WHERE hook = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3`
	deliveriesDueQuery = `SELECT body FROM deliveries WHERE hook = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3`
	deliveriesClear    = `DELETE FROM deliveries WHERE hook = ?`
	deliveriesForget   = `DELETE FROM deliveries WHERE changed < ? AND due_at IS NULL`
)

// Hooks keeps webhooks, on the terms of porttest.Hooks.
type Hooks struct{ *records[hook.Hook] }

// Hooks returns the webhooks of the database.
func (db *DB) Hooks() Hooks {
	return Hooks{&records[hook.Hook]{
		db: db, name: "webhook", get: hookQuery, insert: hookInsert, update: hookStatement,
		columns: func(h hook.Hook) []any { return []any{h.ID, h.Version, h.Owner, h.Slot, millis(h.NextAt)} },
		key:     func(h *hook.Hook) (*string, *int64) { return &h.ID, &h.Version },
	}}
}

// Of returns the owner's hooks, by Slot.
func (h Hooks) Of(ctx context.Context, owner string) ([]hook.Hook, error) {
	all, err := h.all(ctx, hooksOfQuery, owner)
	if err != nil {
		return nil, fmt.Errorf("list webhooks of %s: %w", owner, err)
	}
	return all, nil
}

// Remove forgets the hook. Absence is nil.
func (h Hooks) Remove(ctx context.Context, id string) error {
	if _, err := h.db.write.ExecContext(ctx, hookRemove, id); err != nil {
		return fmt.Errorf("remove webhook %.40q: %w", id, err)
	}
	return nil
}

// Due returns the hooks that a courier is to come to by now, at most limit, the longest due first.
func (h Hooks) Due(ctx context.Context, now time.Time, limit int) ([]hook.Hook, error) {
	due, err := h.all(ctx, hooksDueQuery, now.UnixMilli(), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list due webhooks: %w", err)
	}
	return due, nil
}

// Deliveries keeps what was sent to webhooks and what is to be, on the terms of porttest.Deliveries.
type Deliveries struct{ *records[hook.Delivery] }

// Deliveries returns the deliveries of the database.
func (db *DB) Deliveries() Deliveries {
	return Deliveries{&records[hook.Delivery]{
		db: db, name: "delivery", get: deliveryQuery, insert: deliveryInsert, update: deliveryStatement,
		columns: func(d hook.Delivery) []any {
			return []any{d.ID, d.Version, d.Hook, millis(d.DueAt), d.Changed.UnixMilli()}
		},
		key: func(d *hook.Delivery) (*string, *int64) { return &d.ID, &d.Version },
	}}
}

// List returns the hook's deliveries, newest first, at most limit, only ids below before unless that is "".
func (d Deliveries) List(ctx context.Context, of, before string, limit int) ([]hook.Delivery, error) {
	all, err := d.all(ctx, deliveriesQuery, of, cmp.Or(before, beyond), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return all, nil
}

// Due returns the hook's deliveries that are to be tried by now, at most limit, the longest due first.
func (d Deliveries) Due(ctx context.Context, of string, now time.Time, limit int) ([]hook.Delivery, error) {
	due, err := d.all(ctx, deliveriesDueQuery, of, now.UnixMilli(), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list due deliveries: %w", err)
	}
	return due, nil
}

// Clear forgets all deliveries of the hook.
func (d Deliveries) Clear(ctx context.Context, of string) error {
	if _, err := d.db.write.ExecContext(ctx, deliveriesClear, of); err != nil {
		return fmt.Errorf("clear the deliveries of webhook %s: %w", of, err)
	}
	return nil
}

// Forget removes the deliveries that have not changed since the given time, and returns how many. It leaves those that are to be made.
func (d Deliveries) Forget(ctx context.Context, since time.Time) (int, error) {
	result, err := d.db.write.ExecContext(ctx, deliveriesForget, since.UnixMilli())
	if err != nil {
		return 0, fmt.Errorf("forget old deliveries: %w", err)
	}
	gone, err := result.RowsAffected()
	return int(gone), err
}
