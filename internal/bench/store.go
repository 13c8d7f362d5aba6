package main

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"mp3converter/internal/mongodb"
)

// store is the MongoDB that the services use, seen twice: by our own adapter, to put things where the services find them,
// and by the bare driver, whose work is what the services are compared with.
type store struct {
	ours *mongodb.Client
	bare *mongo.Client
}

// openStore connects and makes the databases as the services want them.
func openStore(ctx context.Context, uri string) (*store, error) {
	ours, err := mongodb.Connect(uri, "bench")
	if err != nil {
		return nil, err
	}
	s := &store{ours: ours}
	journal := true // as our own: what is compared makes the same promise
	s.bare, err = mongo.Connect(options.Client().ApplyURI(uri).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}))
	if err == nil {
		err = s.ours.EnsureIndexes(ctx, mongodb.Videos, mongodb.MP3s, mongodb.Jobs)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *store) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.ours.Close(ctx)
	if s.bare != nil {
		_ = s.bare.Disconnect(ctx)
	}
}

// empty drops all that the services have stored: FerretDB scans a whole collection for each query, so whoever came second
// would pay for the first.
func (s *store) empty(ctx context.Context) error {
	for _, name := range []string{"videos", "mp3s", "jobs"} {
		if err := s.bare.Database(name).Drop(ctx); err != nil {
			return fmt.Errorf("drop %s: %w", name, err)
		}
	}
	return s.ours.EnsureIndexes(ctx, mongodb.Videos, mongodb.MP3s, mongodb.Jobs)
}

func (s *store) chunks(database string) *mongo.Collection {
	return s.bare.Database(database).Collection("fs.chunks")
}

// insert is the plainest upload that could be: the chunks of one file, in batches, so many inserts at once.
func (s *store) insert(ctx context.Context, size int64, batch, writers int) error {
	file, chunks := bson.NewObjectID(), (size+mongodb.ChunkSize-1)/mongodb.ChunkSize
	return atOnce(ctx, writers, func(ctx context.Context, i int) error {
		for first := int64(i * batch); first < chunks; first += int64(writers * batch) {
			var docs []bson.D
			for n := first; n < min(first+int64(batch), chunks); n++ {
				from, to := n*mongodb.ChunkSize, min((n+1)*mongodb.ChunkSize, size)
				docs = append(docs, bson.D{
					{Key: "_id", Value: bson.NewObjectID()}, {Key: "files_id", Value: file},
					{Key: "n", Value: int32(n)}, {Key: "data", Value: noise(from, to)},
				})
			}
			if _, err := s.chunks("videos").InsertMany(ctx, docs); err != nil {
				return fmt.Errorf("insert chunks: %w", err)
			}
		}
		return nil
	})
}

// find is the plainest download that could be: the chunks of one file, in order, to nowhere.
func (s *store) find(ctx context.Context, file bson.ObjectID, size int64) error {
	const batch = 64 // 16 MiB: what MongoDB puts into one answer at most
	cursor, err := s.chunks("mp3s").Find(ctx, bson.D{{Key: "files_id", Value: file}},
		options.Find().SetSort(bson.D{{Key: "n", Value: 1}}).SetBatchSize(batch))
	if err != nil {
		return fmt.Errorf("find chunks: %w", err)
	}
	defer cursor.Close(ctx)
	var got int64
	for cursor.Next(ctx) {
		_, data, _ := cursor.Current.Lookup("data").BinaryOK()
		got += int64(len(data))
	}
	if err := cursor.Err(); err != nil {
		return fmt.Errorf("find chunks: %w", err)
	}
	return wantBytes(got, size)
}
