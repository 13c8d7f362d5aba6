package embedded

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// records are rows of one table that each are a body with a version.
type records[T any] struct {
	db *DB

	name, get, insert, update string // what one is, and the statements
	// columns are what insert and update take for a record, beside the body that they take last: the id first, then the
	// version. An update stores over the version before.
	columns func(T) []any
	key     func(*T) (*string, *int64) // where a record has its id and version
}

// Insert stores a new record at Version 1; fs.ErrExist if what must be unique is taken.
func (r *records[T]) Insert(ctx context.Context, record T) error {
	id, version := r.key(&record)
	*version = 1
	if _, err := r.store(ctx, r.insert, record); err != nil {
		return fmt.Errorf("insert %s %s: %w", r.name, *id, err)
	}
	return nil
}

// Get returns the record; fs.ErrNotExist if there is none.
func (r *records[T]) Get(ctx context.Context, id string) (T, error) {
	record, err := scanBody[T](r.db.read.QueryRowContext(ctx, r.get, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return record, fmt.Errorf("get %s %.40q: %w", r.name, id, err)
	}
	return record, nil
}

// Update stores what change makes of the record, unless somebody else was faster: then it starts over, and change runs
// again. An error of change is returned as it is, with the record as read.
func (r *records[T]) Update(ctx context.Context, id string, change func(*T) error) (T, error) {
	var none T
	for {
		read, err := r.Get(ctx, id)
		if err != nil {
			return none, err
		}
		next := read
		if err := change(&next); err != nil {
			return read, err
		}
		_, version := r.key(&read)
		nextID, nextVersion := r.key(&next)
		*nextID, *nextVersion = id, *version+1
		stored, err := r.store(ctx, r.update, next)
		if err != nil {
			return none, fmt.Errorf("update %s %s: %w", r.name, id, err)
		}
		if stored {
			return next, nil
		} // another writer has succeeded, so all together get on
	}
}

// store runs insert or update, and reports whether it changed a row.
func (r *records[T]) store(ctx context.Context, statement string, record T) (bool, error) {
	body, err := json.Marshal(record)
	if err != nil {
		return false, err
	}
	stored, err := changed(r.db.write.ExecContext(ctx, statement, append(r.columns(record), string(body))...))
	if taken(err) {
		return false, fs.ErrExist
	}
	return stored, err
}

func (r *records[T]) all(ctx context.Context, query string, args ...any) ([]T, error) {
	rows, err := r.db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanBody[T])
}

func scanBody[T any](scan func(...any) error) (record T, err error) {
	var body []byte
	if err = scan(&body); err == nil {
		err = json.Unmarshal(body, &record)
	}
	return record, err
}
