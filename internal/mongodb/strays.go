package mongodb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	scanTimeout = time.Hour // to read an index of all chunks
	scanBatch   = 1000      // files asked after at once
)

// Stray is chunks that make no file, and that nothing is known of.
type Stray struct {
	ID     string // of the file that they would be
	Chunks int64
}

// Named returns those of the ids that somebody has a use for: the ledger's method.
type Named = func(ctx context.Context, ids []string) (map[string]bool, error)

// Strays returns the chunks that have no description, are not named, and were all begun before the given time: an upload
// that is under way stores its description last. It reads the index of all chunks, where there is one. We leave no such
// chunks, for whatever we store the ledger names before; others who store files and die do.
func (s *Files) Strays(ctx context.Context, before time.Time, named Named) ([]Stray, error) {
	return s.scan(ctx, scan{files: s, before: before, named: named})
}

// RemoveStrays removes what Strays returns, and returns it too: after an error, what it has removed until then. Some are
// gone while others are not looked at yet, so that little can happen to one between the last look and its end.
func (s *Files) RemoveStrays(ctx context.Context, before time.Time, named Named) ([]Stray, error) {
	return s.scan(ctx, scan{files: s, before: before, named: named, remove: true})
}

func (s *Files) scan(ctx context.Context, sc scan) ([]Stray, error) {
	sc.batch, sc.found = counts{}, counts{}
	ctx, cancel := context.WithTimeout(ctx, scanTimeout)
	defer cancel()
	// Of files_id alone, so that the chunks themselves need not be read.
	all, err := s.chunks.Find(ctx, bson.D{{Key: "files_id", Value: bson.D{{Key: "$lt", Value: oldest(sc.before)}}}},
		options.Find().SetProjection(bson.D{{Key: "_id", Value: 0}, {Key: "files_id", Value: 1}}))
	if err != nil {
		return nil, fmt.Errorf("read the index of chunks: %w", err)
	}
	defer all.Close(ctx)
	for err == nil && all.Next(ctx) {
		id, _ := all.Current.Lookup("files_id").ObjectIDOK() // it is one, or it would not compare
		err = sc.add(ctx, id)
	}
	if err = errors.Join(err, all.Err()); err == nil {
		err = sc.settle(ctx)
	}
	if err != nil {
		err = fmt.Errorf("look for stray chunks: %w", err)
	}
	return sc.strays(), err
}

// counts is numbers of chunks, by file.
type counts map[bson.ObjectID]int64

// scan sorts out chunks as they come, many files at a time: all of them would not fit into memory, nor into a query.
type scan struct {
	files  *Files
	before time.Time
	named  Named
	remove bool
	batch  counts // nothing is known of these yet
	found  counts // the strays
}

func (sc scan) add(ctx context.Context, id bson.ObjectID) error {
	if sc.batch[id] == 0 && len(sc.batch) == scanBatch { // not before: the last file's chunks are still to come
		if err := sc.settle(ctx); err != nil {
			return err
		}
	}
	sc.batch[id]++
	return nil
}

// settle moves the strays of the batch to those found, and forgets the others. Where there is no index, the chunks of one
// file may be in several batches.
func (sc scan) settle(ctx context.Context) error {
	if err := sc.dropKnown(ctx); err != nil || len(sc.batch) == 0 {
		return err
	}
	if sc.remove {
		strays := bson.D{
			{Key: "files_id", Value: bson.D{{Key: "$in", Value: slices.Collect(maps.Keys(sc.batch))}}},
			{Key: "_id", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$gte", Value: oldest(sc.before)}}}}}, // as judged
		}
		if _, err := sc.files.chunks.DeleteMany(ctx, strays); err != nil {
			return fmt.Errorf("delete stray chunks: %w", err)
		}
	}
	for id, n := range sc.batch {
		sc.found[id] += n
	}
	clear(sc.batch)
	return nil
}

func (sc scan) strays() []Stray {
	var list []Stray
	for id, n := range sc.found {
		list = append(list, Stray{id.Hex(), n})
	}
	slices.SortFunc(list, func(a, b Stray) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// dropKnown leaves in the batch only what has no description, is not named and does not grow.
func (sc scan) dropKnown(ctx context.Context) error {
	if err := drop(ctx, sc.batch, sc.files.files, "_id"); err != nil || len(sc.batch) == 0 {
		return err
	}
	var ids []string
	for id := range sc.batch {
		ids = append(ids, id.Hex())
	}
	known, err := sc.named(ctx, ids)
	if err != nil {
		return err
	}
	maps.DeleteFunc(sc.batch, func(id bson.ObjectID, _ int64) bool { return known[id.Hex()] })
	if err := drop(ctx, sc.batch, sc.files.chunks, "files_id", bson.E{Key: "_id", Value: bson.D{{Key: "$gte", Value: oldest(sc.before)}}}); err != nil {
		return err
	}
	return drop(ctx, sc.batch, sc.files.files, "_id") // once more: they are few now, and an upload may have ended meanwhile
}

// drop removes from the batch whatever a document has in that field, of those that the conditions let through.
func drop(ctx context.Context, batch counts, in *mongo.Collection, field string, conditions ...bson.E) error {
	if len(batch) == 0 {
		return nil
	}
	filter := bson.D{{Key: field, Value: bson.D{{Key: "$in", Value: slices.Collect(maps.Keys(batch))}}}}
	found, err := in.Find(ctx, append(filter, conditions...), options.Find().SetProjection(bson.D{{Key: field, Value: 1}}))
	if err != nil {
		return fmt.Errorf("find files in %s: %w", in.Name(), err)
	}
	defer found.Close(ctx)
	for found.Next(ctx) {
		id, _ := found.Current.Lookup(field).ObjectIDOK()
		delete(batch, id)
	}
	return found.Err()
}

// Weigh returns how many bytes are stored under the id; of pieces that a dead Put left, how many at most, and whole is false.
func (s *Files) Weigh(ctx context.Context, id string) (bytes int64, whole bool, err error) {
	f, _, err := s.find(ctx, id)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f.Bytes, true, err
	}
	oid, err := objectID(id)
	if err != nil {
		return 0, true, nil // nothing is stored under what is no id
	}
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	n, err := s.chunks.CountDocuments(ctx, by("files_id", oid))
	if err != nil {
		return 0, false, fmt.Errorf("count chunks of file %s: %w", id, err)
	}
	return n * ChunkSize, n == 0, nil
}

// oldest is the lowest id that can have been made at the given time.
func oldest(t time.Time) (id bson.ObjectID) {
	binary.BigEndian.PutUint32(id[:], uint32(t.Unix())) //nolint:gosec // as in job.NewID
	return id
}
