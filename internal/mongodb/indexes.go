package mongodb

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Database is one of the four.
type Database string

// Their names, without a Prefix.
const (
	Videos Database = "videos"
	MP3s   Database = "mp3s"
	Jobs   Database = "jobs"
	Hooks  Database = "hooks"
)

// EnsureIndexes creates the indexes that are missing in the named databases, those that the caller writes to and may change.
// Call it at every start, before the first use: the driver would create GridFS's only while a bucket is empty. Any number of
// processes may do so at once.
func (c *Client) EnsureIndexes(ctx context.Context, in ...Database) error {
	for _, want := range []struct {
		of      Database
		in      *mongo.Collection
		indexes []mongo.IndexModel
	}{
		{Videos, c.videos.files, filesIndexes()},
		{Videos, c.videos.chunks, chunksIndexes()},
		{MP3s, c.mp3s.files, filesIndexes()},
		{MP3s, c.mp3s.chunks, chunksIndexes()},
		{Jobs, c.jobs.jobs, jobsIndexes()},
		{Hooks, c.hooks.records.in, hooksIndexes()},
		{Hooks, c.deliveries.records.in, deliveriesIndexes()},
	} {
		if !slices.Contains(in, want.of) {
			continue
		}
		for _, i := range want.indexes { // one at a time: FerretDB panics over four at once
			if err := createIndex(ctx, want.in, i); err != nil {
				return fmt.Errorf("create index %v of %s.%s: %w", i.Keys, want.in.Database().Name(), want.in.Name(), err)
			}
		}
	}
	return nil
}

func createIndex(ctx context.Context, in *mongo.Collection, i mongo.IndexModel) error {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	_, err := in.Indexes().CreateOne(ctx, i)
	return err
}

// filesIndexes and chunksIndexes are the GridFS specification's, under the names that every driver gives them.
func filesIndexes() []mongo.IndexModel { return []mongo.IndexModel{index("filename", "uploadDate")} }

func chunksIndexes() []mongo.IndexModel { return []mongo.IndexModel{unique(index("files_id", "n"))} }

func jobsIndexes() []mongo.IndexModel {
	return []mongo.IndexModel{
		unique(index("key")),
		index("owner", "_id"),
		index("owner", "state", "video_bytes", "mp3_bytes"), // all that Usage asks for: it reads no job
		index("owner", "changed"),
		index("owner", "state", "_id"),
		index("state", "_id"),
		index("state", "dated"),
		index("mp3"),
		index("tried"),
		index("ring_at"),
		index("clean_at"),
		index("since"),
		index("tell_at"),
	}
}

func hooksIndexes() []mongo.IndexModel {
	return []mongo.IndexModel{unique(index("owner", "slot")), index("next_at")}
}

func deliveriesIndexes() []mongo.IndexModel {
	return []mongo.IndexModel{index("hook", "_id"), index("hook", "due_at"), index("changed")}
}

// index is over the given fields, ascending.
func index(fields ...string) mongo.IndexModel {
	var keys bson.D
	for _, f := range fields {
		keys = append(keys, bson.E{Key: f, Value: int32(1)})
	}
	return mongo.IndexModel{Keys: keys}
}

func unique(i mongo.IndexModel) mongo.IndexModel {
	i.Options = options.Index().SetUnique(true)
	return i
}
