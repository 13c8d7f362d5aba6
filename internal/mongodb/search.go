package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/job"
)

// Wanted says which jobs an operator looks for. What is empty is no condition.
type Wanted struct {
	State  job.State
	Owner  string
	Before string // only ids below it, that is older jobs
}

// Search returns jobs of any owner and in any state, newest first, at most limit. It is for operators, who may wait while all
// of an owner's jobs are read for those in one state.
func (l *Ledger) Search(ctx context.Context, w Wanted, limit int) ([]job.Job, error) {
	filter := bson.D{}
	if w.State != "" {
		filter = append(filter, bson.E{Key: "state", Value: w.State})
	}
	if w.Owner != "" {
		filter = append(filter, by("owner", w.Owner)...)
	}
	if w.Before != "" {
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: w.Before}}})
	}
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	jobs, err := l.records.findWithin(ctx, filter, bson.D{{Key: "_id", Value: -1}}, limit)
	if err != nil {
		return nil, fmt.Errorf("search jobs: %w", err)
	}
	return jobs, nil
}

// InState returns jobs in one state, of any owner, newest first, at most limit, only ids below before unless that is "".
func (l *Ledger) InState(ctx context.Context, state job.State, before string, limit int) ([]job.Job, error) {
	return l.Search(ctx, Wanted{State: state, Before: before}, limit)
}

// Oldest returns jobs in one state, of any owner, oldest first, at most limit.
func (l *Ledger) Oldest(ctx context.Context, state job.State, limit int) ([]job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	jobs, err := l.records.findWithin(ctx, by("state", string(state)), bson.D{{Key: "_id", Value: 1}}, limit)
	if err != nil {
		return nil, fmt.Errorf("find the oldest %s jobs: %w", state, err)
	}
	return jobs, nil
}

// CleanDue returns the jobs that are to be cleaned, at most limit, the longest due first: Due without those to be rung for.
// Like Search it is for operators.
func (l *Ledger) CleanDue(ctx context.Context, now time.Time, limit int) ([]job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	jobs, err := l.findDue(ctx, "clean_at", now, limit)
	if err != nil {
		return nil, fmt.Errorf("list what is to be cleaned: %w", err)
	}
	return jobs, nil
}

// Named returns those of the ids that any job names: as its own and its video's, as its MP3's, or as one that an attempt may
// have stored an MP3 under.
func (l *Ledger) Named(ctx context.Context, ids []string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	one := bson.D{{Key: "$in", Value: ids}}
	found, err := l.jobs.Find(ctx, bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: "_id", Value: one}}, bson.D{{Key: "mp3", Value: one}}, bson.D{{Key: "tried", Value: one}},
	}}}, options.Find().SetProjection(bson.D{{Key: "mp3", Value: 1}, {Key: "tried", Value: 1}}))
	var jobs []job.Job
	if err == nil {
		err = found.All(ctx, &jobs)
	}
	if err != nil {
		return nil, fmt.Errorf("find the jobs that name a file: %w", err)
	}
	named := map[string]bool{}
	for _, j := range jobs {
		for _, id := range append(j.Tried, j.ID, j.MP3) {
			named[id] = true
		}
	}
	return named, nil
}
