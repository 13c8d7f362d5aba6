package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// maxTries bounds an update that finds the record changed each time. In every round somebody's update gets through, so
	// only a crowd of that size at one record can exhaust it.
	maxTries = 30
	maxPause = 50 * time.Millisecond // between two tries
)

var errCrowded = errors.New("it was changed by others at every try")

// records are documents of one type, each with a version. There is no lock: an update stores only over the version that it
// has read.
type records[T any] struct {
	client *Client
	in     *mongo.Collection
	turns  turns
	name   string                     // of one, for errors
	key    func(*T) (*string, *int64) // where a record has its id and version
	stored func(T) any                // what is stored of it; nil: itself
}

func newRecords[T any](c *Client, of Database, collection, name string, key func(*T) (*string, *int64)) *records[T] {
	db := c.database(of)
	return &records[T]{c, db.Collection(collection), turns{client: c, taken: db.Collection("turns")}, name, key, nil}
}

// insert stores a new record at version 1; fs.ErrExist if what must be unique is taken.
func (r *records[T]) insert(ctx context.Context, record T) error {
	ctx, cancel := r.client.bound(ctx)
	defer cancel()
	id, version := r.key(&record)
	*version = 1
	if _, err := r.in.InsertOne(ctx, r.document(record)); err != nil {
		return fmt.Errorf("insert %s %s: %w", r.name, *id, known(err))
	}
	return nil
}

// get returns the record that has the value; fs.ErrNotExist if there is none.
func (r *records[T]) get(ctx context.Context, field, value string) (T, error) {
	ctx, cancel := r.client.bound(ctx)
	defer cancel()
	var record T
	if err := r.in.FindOne(ctx, by(field, value)).Decode(&record); err != nil {
		var none T
		return none, fmt.Errorf("find %s with %s %s: %w", r.name, field, value, known(err))
	}
	return record, nil
}

// update lets change alter the record and stores it, unless somebody else has stored it meanwhile: then it starts over.
// An error of change is returned as it is, with the record as read.
func (r *records[T]) update(ctx context.Context, id string, change func(*T) error) (T, error) {
	var none T
	for try := range maxTries {
		read, err := r.get(ctx, "_id", id)
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
		switch stored, err := r.replace(ctx, id, *version, next); {
		case err != nil:
			return none, fmt.Errorf("update %s %s: %w", r.name, id, known(err))
		case stored:
			return next, nil
		}
		if err := pause(ctx, try); err != nil {
			return none, fmt.Errorf("update %s %s: %w", r.name, id, err)
		}
	}
	return none, fmt.Errorf("update %s %s: %w", r.name, id, errCrowded)
}

// replace stores next over the given version and reports whether that was still there.
func (r *records[T]) replace(ctx context.Context, id string, version int64, next T) (bool, error) {
	ctx = context.WithoutCancel(ctx) // a call that is cut off in the middle leaves its turn taken for all others
	mine, err := r.turns.take(ctx, id, version)
	if errors.Is(err, errTurnTaken) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ctx, cancel := r.client.bound(ctx)
	defer cancel()
	res, err := r.in.ReplaceOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "version", Value: version}}, r.document(next))
	r.turns.giveBack(ctx, mine, err)
	return err == nil && res.MatchedCount == 1, err
}

func (r *records[T]) document(record T) any {
	if r.stored == nil {
		return record
	}
	return r.stored(record)
}

// pause waits before the next try: at random, so that rivals fall out of step, and longer with each one.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(rand.N(min(time.Duration(try+1)*2*time.Millisecond, maxPause))) //nolint:gosec // no secret
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// remove forgets the record. Absence is nil.
func (r *records[T]) remove(ctx context.Context, id string) error {
	ctx, cancel := r.client.bound(ctx)
	defer cancel()
	if _, err := r.in.DeleteOne(ctx, by("_id", id)); err != nil {
		return fmt.Errorf("remove %s %s: %w", r.name, id, err)
	}
	return nil
}

func (r *records[T]) find(ctx context.Context, filter, sort bson.D, limit int) ([]T, error) {
	ctx, cancel := r.client.bound(ctx)
	defer cancel()
	return r.findWithin(ctx, filter, sort, limit)
}

// findWithin is find with the caller's deadline.
func (r *records[T]) findWithin(ctx context.Context, filter, sort bson.D, limit int) ([]T, error) {
	if limit <= 0 {
		return nil, nil // to the server 0 is no limit
	}
	found, err := r.in.Find(ctx, filter, options.Find().SetSort(sort).SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	var all []T
	err = found.All(ctx, &all)
	return all, err
}

// by is the filter for one field's value, of a type that no operator hides in.
func by[T string | bson.ObjectID](field string, value T) bson.D {
	return bson.D{{Key: field, Value: value}}
}

// ferretDuplicate is how FerretDB says of an update that its key is taken: not by the code for it.
const ferretDuplicate = "UNIQUE constraint failed"

// known turns what the driver says of a taken or absent document into the ports' words.
func known(err error) error {
	switch {
	case mongo.IsDuplicateKeyError(err), err != nil && strings.Contains(err.Error(), ferretDuplicate):
		return fs.ErrExist
	case errors.Is(err, mongo.ErrNoDocuments):
		return fs.ErrNotExist
	default:
		return err
	}
}
