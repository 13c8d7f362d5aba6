package checker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Stores is what MongoDB holds.
type Stores struct {
	Jobs         []Job
	Videos, MP3s Bucket
}

// Job is a document of jobs.jobs, in the part that matters.
type Job struct {
	ID          string `bson:"_id"`
	Owner       string `bson:"owner"`
	Key         string `bson:"key"`
	Name        string `bson:"name"`
	Profile     string `bson:"profile"`
	State       string `bson:"state"`
	VideoBytes  int64  `bson:"video_bytes"`
	VideoSHA256 string `bson:"video_sha256"`
	MP3         string `bson:"mp3"`
	MP3Bytes    int64  `bson:"mp3_bytes"`
	VideoGone   bool   `bson:"video_gone"` // kept long enough
	MP3Gone     bool   `bson:"mp3_gone"`
	Reason      string `bson:"reason"`
	Mail        string `bson:"mail"`
}

// Bucket is a GridFS bucket.
type Bucket struct {
	Name   string
	Files  []File
	Chunks []Chunk
	Data   map[string][]byte // the chunks of each file in their order, by id; only where it was asked for
}

// File is a document of fs.files.
type File struct {
	ID       bson.ObjectID `bson:"_id"`
	Length   int64         `bson:"length"`
	Metadata struct {
		SHA256 string `bson:"sha256"`
		Job    string `bson:"job"` // that it was made for; empty if somebody else stored it
	} `bson:"metadata"`
}

// Chunk is a document of fs.chunks without its bytes.
type Chunk struct {
	File  bson.ObjectID
	N     int64
	Bytes int64
	SHA   string // of the file's chunks up to this one
}

// Look reads the stores. FerretDB scans a whole collection for each query, so each is read once.
func Look(ctx context.Context, db *mongo.Client) (Stores, error) {
	var s Stores
	found, err := db.Database("jobs").Collection("jobs").Find(ctx, bson.D{})
	if err == nil {
		err = found.All(ctx, &s.Jobs)
	}
	if err != nil {
		return s, fmt.Errorf("look at jobs: %w", err)
	}
	if s.Videos, err = bucket(ctx, db, "videos", false); err == nil {
		s.MP3s, err = bucket(ctx, db, "mp3s", true)
	}
	return s, err
}

func bucket(ctx context.Context, db *mongo.Client, name string, keep bool) (Bucket, error) {
	b := Bucket{Name: name, Data: map[string][]byte{}}
	found, err := db.Database(name).Collection("fs.files").Find(ctx, bson.D{})
	if err == nil {
		err = found.All(ctx, &b.Files)
	}
	if err != nil {
		return b, fmt.Errorf("look at files of %s: %w", name, err)
	}
	chunks, err := db.Database(name).Collection("fs.chunks").Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "files_id", Value: 1}, {Key: "n", Value: 1}}).SetBatchSize(8))
	if err != nil {
		return b, fmt.Errorf("look at chunks of %s: %w", name, err)
	}
	defer chunks.Close(ctx)
	sums := map[bson.ObjectID]hash.Hash{}
	for chunks.Next(ctx) {
		var doc struct {
			File bson.ObjectID `bson:"files_id"`
			N    int64         `bson:"n"`
			Data []byte        `bson:"data"`
		}
		if err := chunks.Decode(&doc); err != nil {
			return b, fmt.Errorf("look at chunks of %s: %w", name, err)
		}
		if sums[doc.File] == nil {
			sums[doc.File] = sha256.New()
		}
		_, _ = sums[doc.File].Write(doc.Data) // never fails: package hash
		b.Chunks = append(b.Chunks, Chunk{doc.File, doc.N, int64(len(doc.Data)), hex.EncodeToString(sums[doc.File].Sum(nil))})
		if keep {
			b.Data[doc.File.Hex()] = append(b.Data[doc.File.Hex()], doc.Data...)
		}
	}
	if err := chunks.Err(); err != nil {
		return b, fmt.Errorf("look at chunks of %s: %w", name, err)
	}
	return b, nil
}

// file returns a file that is there.
func (b Bucket) file(id string) (File, bool) {
	for _, f := range b.Files {
		if f.ID.Hex() == id {
			return f, true
		}
	}
	return File{}, false
}

// whole returns the SHA-256 of a file's chunks, or what is wrong with them.
func (b Bucket) whole(f File) (sum, wrong string) {
	var n, bytes int64
	sum = hex.EncodeToString(sha256.New().Sum(nil))
	for _, c := range b.Chunks {
		if c.File != f.ID {
			continue
		}
		if c.N != n {
			return "", fmt.Sprintf("chunk %d stands where chunk %d should", c.N, n)
		}
		n, bytes, sum = n+1, bytes+c.Bytes, c.SHA
	}
	switch {
	case bytes != f.Length:
		return "", fmt.Sprintf("its chunks hold %d bytes of %d", bytes, f.Length)
	case f.Metadata.SHA256 != "" && f.Metadata.SHA256 != sum:
		return "", fmt.Sprintf("its bytes have SHA-256 %s, its document says %s", sum, f.Metadata.SHA256)
	}
	return sum, ""
}
