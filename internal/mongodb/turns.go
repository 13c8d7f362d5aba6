package mongodb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// turns makes replacing a version of a job atomic on a server that cannot: FerretDB 1.24 finds the document, compares in
// its own memory and then overwrites it whatever it is by now, so that two of three racing claims would win. What it does
// do atomically is insert under a unique id. So whoever inserts the turn "job/version" may store over that version, the
// others have lost. On MongoDB turns does nothing.
//
// A turn's name is the version's, not the job's: one that is taken late stores over nothing, since the version is gone.
// The turn of a process that died is passed on after a time in which no command of its can still be running, if clocks
// agree to within the timeout of commands.
type turns struct {
	client *Client
	taken  *mongo.Collection

	mu     sync.Mutex
	needed *bool // nil until the server was asked
}

// turn is a right to store, of which the zero value is for servers that need none: the names it was taken under, the
// last one its own, those before of processes that died.
type turn []string

var errTurnTaken = errors.New("somebody else is storing over this version")

// take returns errTurnTaken if the turn is another's.
func (t *turns) take(ctx context.Context, id string, version int64) (turn, error) {
	if needed, err := t.ask(ctx); err != nil || !needed {
		return nil, err
	}
	var mine turn
	for name := fmt.Sprintf("%s/%d", id, version); ; name += "+" {
		mine = append(mine, name)
		err := t.insert(ctx, name)
		if !mongo.IsDuplicateKeyError(err) {
			return mine, err
		}
		switch dead, err := t.dead(ctx, name); {
		case err != nil:
			return nil, err
		case !dead:
			return nil, errTurnTaken
		}
	}
}

func (t *turns) insert(ctx context.Context, name string) error {
	ctx, cancel := t.client.bound(ctx)
	defer cancel()
	_, err := t.taken.InsertOne(ctx, bson.D{{Key: "_id", Value: name}, {Key: "at", Value: time.Now()}})
	return err
}

// dead reports whether the process that took the turn must have died: it has not given it back for twice as long as any
// of its commands may take.
func (t *turns) dead(ctx context.Context, name string) (bool, error) {
	ctx, cancel := t.client.bound(ctx)
	defer cancel()
	var doc struct {
		At time.Time `bson:"at"`
	}
	err := t.taken.FindOne(ctx, by("_id", name)).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil // given back meanwhile
	}
	return err == nil && time.Since(doc.At) > 2*t.client.timeout, err
}

// giveBack ends a turn after the attempt to store. If nobody knows whether the server is still at it, the turn stays
// until it is dead.
func (t *turns) giveBack(ctx context.Context, mine turn, stored error) {
	if !replied(stored) {
		return
	}
	ctx, cancel := t.client.bound(context.WithoutCancel(ctx))
	defer cancel()
	for _, name := range mine {
		_, _ = t.taken.DeleteOne(ctx, by("_id", name)) // one that stays is the turn of a version that is gone
	}
}

// replied reports whether err, of a command, is the server's last word on it.
func replied(err error) bool {
	_, ok := errors.AsType[mongo.ServerError](err)
	return err == nil || ok && !mongo.IsNetworkError(err) && !mongo.IsTimeout(err)
}

// ask finds out once whether the server is FerretDB 1.
func (t *turns) ask(ctx context.Context) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.needed == nil {
		ctx, cancel := t.client.bound(ctx)
		defer cancel()
		needed, err := isFerretDB(ctx, t.taken.Database())
		if err != nil {
			return false, err
		}
		t.needed = &needed
	}
	return *t.needed, nil
}
