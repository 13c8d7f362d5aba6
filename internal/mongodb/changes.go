package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/job"
)

// document is a job as it is stored. Those of versions before this one, and of others who store jobs, are never Changed.
type document struct {
	job.Job `bson:",inline"`
	Changed time.Time `bson:"changed"`
}

// Changes returns the owner's jobs, in any state but Uploading, that were stored at since or later, the longest ago first, at most
// limit.
func (l *Ledger) Changes(ctx context.Context, owner string, since time.Time, limit int) ([]job.Change, error) {
	if limit <= 0 {
		return nil, nil // to the server 0 is no limit
	}
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	filter := append(by("owner", owner), bson.E{Key: "changed", Value: bson.D{{Key: "$gte", Value: since}}},
		bson.E{Key: "state", Value: bson.D{{Key: "$ne", Value: job.Uploading}}})
	found, err := l.jobs.Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "changed", Value: 1}}).SetLimit(int64(limit)))
	var documents []document
	if err == nil {
		err = found.All(ctx, &documents)
	}
	if err != nil {
		return nil, fmt.Errorf("list what has changed of %s: %w", owner, err)
	}
	changes := make([]job.Change, len(documents))
	for i, d := range documents {
		changes[i] = job.Change{Job: d.Job, At: d.Changed}
	}
	return changes, nil
}
