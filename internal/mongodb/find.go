package mongodb

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/job"
)

// Find is List of the jobs that pass the filter.
func (l *Ledger) Find(ctx context.Context, owner string, f job.Filter, before string, limit int) ([]job.Job, error) {
	filter := visible(owner)
	if len(f.States) > 0 {
		filter = append(by("owner", owner), bson.E{Key: "state", Value: bson.D{{Key: "$in", Value: f.States}}})
	}
	if f.Profile != "" {
		filter = append(filter, bson.E{Key: "profile", Value: f.Profile})
	}
	if f.Name != "" {
		filter = append(filter, bson.E{Key: "name", Value: bson.D{{Key: "$regex", Value: literally(f.Name)}}})
	}
	if before != "" {
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: before}}})
	}
	jobs, err := l.records.find(ctx, filter, bson.D{{Key: "_id", Value: -1}}, limit)
	if err != nil {
		return nil, fmt.Errorf("find jobs: %w", err)
	}
	return jobs, nil
}

// literally is the pattern of a text in which only the case of A to Z does not matter: what more the option i takes for the
// same letter depends on the engine.
func literally(text string) string {
	var pattern strings.Builder
	for _, c := range text {
		if lower, upper := strings.ToLower(string(c)), strings.ToUpper(string(c)); c < 0x80 && lower != upper {
			pattern.WriteString("[" + lower + upper + "]")
			continue
		}
		pattern.WriteString(regexp.QuoteMeta(string(c)))
	}
	return pattern.String()
}
