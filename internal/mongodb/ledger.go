package mongodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/job"
)

const (
	// maxTries bounds an Update that finds the job changed each time. In every round somebody's update gets through, so
	// only a crowd of that size at one job can exhaust it.
	maxTries = 30
	maxPause = 50 * time.Millisecond // between two tries
)

var errCrowded = errors.New("the job was changed by others at every try")

// Ledger stores jobs as documents that carry job.Job's bson names. It holds no lock: an Update stores only over the
// version that it has read.
type Ledger struct {
	client *Client
	jobs   *mongo.Collection
	turns  turns
}

func newLedger(c *Client) *Ledger {
	db := c.database(Jobs)
	return &Ledger{client: c, jobs: db.Collection("jobs"), turns: turns{client: c, taken: db.Collection("turns")}}
}

// Insert stores a new job at Version 1; fs.ErrExist if its ID or Key is taken.
func (l *Ledger) Insert(ctx context.Context, j job.Job) error {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	j.Version = 1
	if _, err := l.jobs.InsertOne(ctx, j); err != nil {
		return fmt.Errorf("insert job %s: %w", j.ID, known(err))
	}
	return nil
}

// Get returns the job; fs.ErrNotExist if there is none.
func (l *Ledger) Get(ctx context.Context, id string) (job.Job, error) {
	return l.one(ctx, "_id", id)
}

// ByKey returns the job with that Key; fs.ErrNotExist if there is none.
func (l *Ledger) ByKey(ctx context.Context, key string) (job.Job, error) {
	return l.one(ctx, "key", key)
}

// ByMP3 returns the owner's visible job whose MP3 has that id; fs.ErrNotExist if there is none.
func (l *Ledger) ByMP3(ctx context.Context, owner, id string) (job.Job, error) {
	jobs, err := l.find(ctx, append(visible(owner), bson.E{Key: "mp3", Value: bson.D{{Key: "$eq", Value: id}}}), bson.D{}, 1)
	if err == nil && len(jobs) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("find the job of mp3 %s: %w", id, err)
	}
	return jobs[0], nil
}

// sharers bounds the jobs of one MP3. Only messages of the original system can make more than one.
const sharers = 100

// AllByMP3 returns the visible jobs whose MP3 has that id, whoever owns them.
func (l *Ledger) AllByMP3(ctx context.Context, id string) ([]job.Job, error) {
	jobs, err := l.find(ctx, append(by("mp3", id), seen), bson.D{}, sharers)
	if err != nil {
		return nil, fmt.Errorf("find the jobs of mp3 %s: %w", id, err)
	}
	return jobs, nil
}

func (l *Ledger) one(ctx context.Context, field, value string) (job.Job, error) {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	var j job.Job
	if err := l.jobs.FindOne(ctx, by(field, value)).Decode(&j); err != nil {
		return job.Job{}, fmt.Errorf("find job with %s %s: %w", field, value, known(err))
	}
	return j, nil
}

// Update lets change alter the job and stores it, unless somebody else has stored it meanwhile: then it starts over.
// An error of change is returned as it is, with the job as read.
func (l *Ledger) Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	for try := range maxTries {
		read, err := l.Get(ctx, id)
		if err != nil {
			return job.Job{}, err
		}
		next := read
		next.Tried = slices.Clone(read.Tried) // change may alter it in place
		if err := change(&next); err != nil {
			return read, err
		}
		next.ID, next.Version = read.ID, read.Version+1
		switch stored, err := l.replace(ctx, read.Version, next); {
		case err != nil:
			return job.Job{}, fmt.Errorf("update job %s: %w", id, known(err))
		case stored:
			return next, nil
		}
		if err := pause(ctx, try); err != nil {
			return job.Job{}, fmt.Errorf("update job %s: %w", id, err)
		}
	}
	return job.Job{}, fmt.Errorf("update job %s: %w", id, errCrowded)
}

// replace stores next over the given version and reports whether that was still there.
func (l *Ledger) replace(ctx context.Context, version int64, next job.Job) (bool, error) {
	ctx = context.WithoutCancel(ctx) // a call that is cut off in the middle leaves its turn taken for all others
	mine, err := l.turns.take(ctx, next.ID, version)
	if errors.Is(err, errTurnTaken) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	res, err := l.jobs.ReplaceOne(ctx, bson.D{{Key: "_id", Value: next.ID}, {Key: "version", Value: version}}, next)
	l.turns.giveBack(ctx, mine, err)
	return err == nil && res.MatchedCount == 1, err
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

// Remove forgets the job. Absence is nil.
func (l *Ledger) Remove(ctx context.Context, id string) error {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	if _, err := l.jobs.DeleteOne(ctx, by("_id", id)); err != nil {
		return fmt.Errorf("remove job %s: %w", id, err)
	}
	return nil
}

// List returns the owner's visible jobs, newest first, at most limit, only ids below before unless that is "".
func (l *Ledger) List(ctx context.Context, owner, before string, limit int) ([]job.Job, error) {
	filter := visible(owner)
	if before != "" {
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: before}}})
	}
	jobs, err := l.find(ctx, filter, bson.D{{Key: "_id", Value: -1}}, limit)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return jobs, nil
}

// Usage returns what the owner's jobs take. It asks twice: of two sums in one question FerretDB 1.24 adds up the first only.
// So numbers and bytes may be of two moments, each after the call.
func (l *Ledger) Usage(ctx context.Context, owner string) (u job.Usage, err error) {
	jobs, err := l.sums(ctx, owner, int32(1))
	if err != nil {
		return job.Usage{}, fmt.Errorf("count the jobs of %s: %w", owner, err)
	}
	bytes, err := l.sums(ctx, owner, bson.D{{Key: "$sum", Value: bson.A{"$video_bytes", "$mp3_bytes"}}})
	if err != nil {
		return job.Usage{}, fmt.Errorf("add up the bytes of %s: %w", owner, err)
	}
	for _, state := range job.States {
		u.Count(state, int(jobs[state]), bytes[state])
	}
	return u, nil
}

// sums adds up what of the owner's jobs, by state.
func (l *Ledger) sums(ctx context.Context, owner string, what any) (map[job.State]int64, error) {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	found, err := l.jobs.Aggregate(ctx, mongo.Pipeline{
		{{Key: "$match", Value: by("owner", owner)}},
		{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$state"}, {Key: "sum", Value: bson.D{{Key: "$sum", Value: what}}}}}},
	})
	if err != nil {
		return nil, err
	}
	var rows []struct {
		State job.State `bson:"_id"`
		Sum   int64
	}
	err = found.All(ctx, &rows)
	sums := map[job.State]int64{}
	for _, r := range rows {
		sums[r.State] = r.Sum
	}
	return sums, err
}

// visible is for the jobs that the owner may know of.
func visible(owner string) bson.D { return append(by("owner", owner), seen) }

// seen is what job.Job.Visible has it.
var seen = bson.E{Key: "state", Value: bson.D{{Key: "$nin", Value: bson.A{job.Uploading, job.Deleted}}}}

// Due returns the jobs that are to be rung for or cleaned, at most limit of each, the longest due first.
func (l *Ledger) Due(ctx context.Context, now time.Time, limit int) ([]job.Job, error) {
	var due []job.Job
	for _, field := range []string{"ring_at", "clean_at"} { // two queries: each reads one index up to now, and stops
		bound, cancel := l.client.bound(ctx)
		jobs, err := l.findDue(bound, field, now, limit)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("find jobs by %s: %w", field, err)
		}
		due = append(due, jobs...)
	}
	slices.SortFunc(due, func(a, b job.Job) int {
		return cmp.Or(dueSince(a, now).Compare(dueSince(b, now)), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(due, func(a, b job.Job) bool { return a.ID == b.ID }), nil
}

// findDue returns the jobs whose time in that field has come, the longest due first.
func (l *Ledger) findDue(ctx context.Context, field string, now time.Time, limit int) ([]job.Job, error) {
	return l.findWithin(ctx, bson.D{{Key: field, Value: bson.D{{Key: "$lte", Value: now}}}}, bson.D{{Key: field, Value: 1}}, limit)
}

// dueSince is the earlier of the job's two times, of those that are due.
func dueSince(j job.Job, now time.Time) time.Time {
	if !j.CleanDue(now) || j.RingDue(now) && j.RingAt.Before(j.CleanAt) {
		return j.RingAt
	}
	return j.CleanAt
}

func (l *Ledger) find(ctx context.Context, filter, sort bson.D, limit int) ([]job.Job, error) {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	return l.findWithin(ctx, filter, sort, limit)
}

// findWithin is find with the caller's deadline.
func (l *Ledger) findWithin(ctx context.Context, filter, sort bson.D, limit int) ([]job.Job, error) {
	if limit <= 0 {
		return nil, nil // to the server 0 is no limit
	}
	found, err := l.jobs.Find(ctx, filter, options.Find().SetSort(sort).SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	var jobs []job.Job
	err = found.All(ctx, &jobs)
	return jobs, err
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
