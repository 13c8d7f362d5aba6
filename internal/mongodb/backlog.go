package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/job"
)

// Backlog returns what there is to do. Its numbers are counted in an index, and so cost what they find.
func (l *Ledger) Backlog(ctx context.Context) (job.Backlog, error) {
	b := job.Backlog{Jobs: map[job.State]int{}}
	for _, state := range job.Waiting {
		n, err := l.count(ctx, state)
		if err != nil {
			return job.Backlog{}, fmt.Errorf("count %s jobs: %w", state, err)
		}
		b.Jobs[state] = int(n)
	}
	oldest, err := l.oldest(ctx)
	if err != nil {
		return job.Backlog{}, fmt.Errorf("find the oldest job: %w", err)
	}
	b.Oldest = oldest
	return b, nil
}

func (l *Ledger) count(ctx context.Context, state job.State) (int64, error) {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	return l.jobs.CountDocuments(ctx, by("state", string(state)))
}

// oldest is zero if nobody waits. What is compared with says that it is a time: most jobs have none.
func (l *Ledger) oldest(ctx context.Context) (time.Time, error) {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	var found struct {
		Since time.Time `bson:"since"`
	}
	err := l.jobs.FindOne(ctx, bson.D{{Key: "since", Value: bson.D{{Key: "$gt", Value: time.Unix(0, 0)}}}},
		options.FindOne().SetSort(bson.D{{Key: "since", Value: 1}}).SetProjection(bson.D{{Key: "since", Value: 1}})).Decode(&found)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return time.Time{}, nil
	}
	return found.Since.UTC(), err
}
