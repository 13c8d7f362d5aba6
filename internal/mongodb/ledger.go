package mongodb

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"mp3converter/internal/job"
	"mp3converter/internal/trail"
)

// Ledger stores jobs as documents that carry job.Job's bson names.
type Ledger struct {
	client  *Client
	jobs    *mongo.Collection
	records *records[job.Job]
}

func newLedger(c *Client) *Ledger {
	r := newRecords(c, Jobs, "jobs", "job", func(j *job.Job) (*string, *int64) { return &j.ID, &j.Version })
	r.stored = func(j job.Job) any { return document{j, time.Now()} }
	return &Ledger{client: c, jobs: r.in, records: r}
}

// Insert stores a new job at Version 1; fs.ErrExist if its ID or Key is taken.
func (l *Ledger) Insert(ctx context.Context, j job.Job) (err error) {
	ctx, span := trail.Start(ctx, trail.Client, "ledger insert", database)
	defer func() { span.End(err) }()
	return l.records.insert(ctx, j)
}

// Get returns the job; fs.ErrNotExist if there is none.
func (l *Ledger) Get(ctx context.Context, id string) (job.Job, error) {
	return l.records.get(ctx, "_id", id)
}

// ByKey returns the job with that Key; fs.ErrNotExist if there is none.
func (l *Ledger) ByKey(ctx context.Context, key string) (job.Job, error) {
	return l.records.get(ctx, "key", key)
}

// ByMP3 returns the owner's visible job whose MP3 has that id; fs.ErrNotExist if there is none.
func (l *Ledger) ByMP3(ctx context.Context, owner, id string) (job.Job, error) {
	jobs, err := l.records.find(ctx, append(visible(owner), bson.E{Key: "mp3", Value: bson.D{{Key: "$eq", Value: id}}}), bson.D{}, 1)
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
	jobs, err := l.records.find(ctx, append(by("mp3", id), seen), bson.D{}, sharers)
	if err != nil {
		return nil, fmt.Errorf("find the jobs of mp3 %s: %w", id, err)
	}
	return jobs, nil
}

// Update lets change alter the job and stores it, unless somebody else has stored it meanwhile: then it starts over.
// An error of change is returned as it is, with the job as read.
func (l *Ledger) Update(ctx context.Context, id string, change func(*job.Job) error) (j job.Job, err error) {
	ctx, span := trail.Start(ctx, trail.Client, "ledger update", database)
	defer func() {
		span.Set(trail.String("job.state", string(j.State)))
		span.End(err)
	}()
	return l.records.update(ctx, id, func(j *job.Job) error {
		j.Tried = slices.Clone(j.Tried) // change may alter it in place
		return change(j)
	})
}

// Remove forgets the job. Absence is nil.
func (l *Ledger) Remove(ctx context.Context, id string) error { return l.records.remove(ctx, id) }

// List returns the owner's visible jobs, newest first, at most limit, only ids below before unless that is "".
func (l *Ledger) List(ctx context.Context, owner, before string, limit int) ([]job.Job, error) {
	filter := visible(owner)
	if before != "" {
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: before}}})
	}
	jobs, err := l.records.find(ctx, filter, bson.D{{Key: "_id", Value: -1}}, limit)
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

// Undated returns jobs that an older version has ended, which have no dates yet, at most limit.
func (l *Ledger) Undated(ctx context.Context, limit int) ([]job.Job, error) {
	jobs, err := l.records.find(ctx, bson.D{
		{Key: "state", Value: bson.D{{Key: "$in", Value: bson.A{job.Done, job.Failed}}}}, {Key: "dated", Value: nil},
	}, bson.D{}, limit)
	if err != nil {
		return nil, fmt.Errorf("find jobs without dates: %w", err)
	}
	return jobs, nil
}

// findDue returns the jobs whose time in that field has come, the longest due first.
func (l *Ledger) findDue(ctx context.Context, field string, now time.Time, limit int) ([]job.Job, error) {
	return l.records.findWithin(ctx, upTo(field, now), bson.D{{Key: field, Value: 1}}, limit)
}

// Untold returns the jobs whose owners' webhooks somebody must see to by now, at most limit, the longest due first.
func (l *Ledger) Untold(ctx context.Context, now time.Time, limit int) ([]job.Job, error) {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	jobs, err := l.findDue(ctx, "tell_at", now, limit)
	if err != nil {
		return nil, fmt.Errorf("find jobs by tell_at: %w", err)
	}
	return jobs, nil
}

// dueSince is the earlier of the job's two times, of those that are due.
func dueSince(j job.Job, now time.Time) time.Time {
	if !j.CleanDue(now) || j.RingDue(now) && j.RingAt.Before(j.CleanAt) {
		return j.RingAt
	}
	return j.CleanAt
}
