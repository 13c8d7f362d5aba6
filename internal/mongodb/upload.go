package mongodb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"mp3converter/internal/arrival"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/partial"
)

// Reading and hashing go on while inserts are under way: inFlight batches of batchChunks chunks, and one more is being
// filled. The driver copies each batch twice and Go's collector needs as much again, so that one upload costs 10 to 20
// MiB. More in flight makes nothing faster that has been measured; FerretDB, whose writers wait for each other asleep,
// becomes slower.
const (
	batchChunks = 3
	inFlight    = 2
)

// maxChunks is what the three bytes of a chunk's id count to: 4 TiB.
const maxChunks = 1 << 24

// maxSums bounds what the description of a file has of its chunks' sums, in bytes: 64 GiB have more, and are read whole.
const maxSums = 1 << 20

// upload is one Put. Its chunks' ids follow from first, so that it can remove them and never touches what a rival, or the
// file that was there first, has under the same file id.
type upload struct {
	to        *Files
	id        bson.ObjectID
	first     bson.ObjectID // chunk 0's id; its last three bytes are zero
	sum       hash.Hash
	sums      partial.Sums // of the chunks read so far
	writer    int          // of a resumable upload: its number
	runs      runs         // of a resumable upload: of all its writers
	bytes     int64
	chunks    int64 // read so far
	inserted  bool  // there may be some on the server
	described bool  // the files document may be there
}

// chunkDoc is a document of fs.chunks.
type chunkDoc struct {
	ID   bson.ObjectID `bson:"_id"`
	File bson.ObjectID `bson:"files_id"`
	N    int32         `bson:"n"`
	Data []byte        `bson:"data"`

	Writer int `bson:"writer,omitempty"` // of a resumable upload
}

func newUpload(to *Files, id string) (*upload, error) {
	oid, err := objectID(id)
	if err != nil {
		return nil, err
	}
	first, err := objectID(job.NewID(time.Now()))
	if err != nil {
		return nil, err
	}
	return &upload{to: to, id: oid, first: chunkID(first, 0), sum: sha256.New()}, nil
}

// run stores the file and undoes what it did if it cannot.
func (u *upload) run(ctx context.Context, f job.File, r io.Reader) (job.File, error) {
	err := u.store(ctx, r)
	if err == nil {
		f.Bytes, f.SHA256, f.Stored = u.bytes, hex.EncodeToString(u.sum.Sum(nil)), time.Now().UTC().Truncate(time.Millisecond)
		err = u.describe(ctx, f)
	}
	if err != nil {
		return f, errors.Join(err, u.undo(ctx))
	}
	return f, nil
}

// store inserts the chunks. When it returns no insert is under way any more.
func (u *upload) store(ctx context.Context, r io.Reader) error {
	inserts, ctx := errgroup.WithContext(ctx)
	mine := make(chan struct{}, inFlight)
	err := u.read(ctx, r, func(batch []chunkDoc) error {
		mine <- struct{}{}
		if err := u.to.inserts.Take(ctx); err != nil { // before more is read: of many uploads most hold one batch
			u.recycle(batch)
			return err
		}
		u.inserted = true
		inserts.Go(func() error {
			err := u.insert(ctx, batch)
			u.to.inserts.Give(err)
			<-mine
			return err
		})
		return nil
	})
	if failed := inserts.Wait(); failed != nil && !errors.Is(err, failed) {
		err = errors.Join(err, failed)
	}
	return err
}

// read hands all that r yields to insert, in batches. It ends early when ctx does, with its cause.
func (u *upload) read(ctx context.Context, r io.Reader, insert func([]chunkDoc) error) error {
	for end := false; !end; {
		batch, err := u.nextBatch(ctx, r)
		end = err == io.EOF //nolint:errorlint // as io.Reader has it: a wrapped io.EOF is no clean end
		if err != nil && !end {
			u.recycle(batch)
			return err
		}
		if len(batch) > 0 {
			if err := insert(batch); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextBatch returns the next chunks and, if there are fewer than batchChunks, r's error.
func (u *upload) nextBatch(ctx context.Context, r io.Reader) (batch []chunkDoc, err error) {
	for len(batch) < batchChunks && err == nil {
		var chunk chunkDoc
		if chunk, err = u.next(ctx, r); len(chunk.Data) > 0 {
			batch = append(batch, chunk)
		}
	}
	return batch, err
}

// next returns the next chunk, without Data if there is none, and r's error.
func (u *upload) next(ctx context.Context, r io.Reader) (chunkDoc, error) {
	if u.chunks == maxChunks {
		return chunkDoc{}, fmt.Errorf("more than %d chunks", maxChunks)
	}
	buffer := u.to.buffers.Get().(*[ChunkSize]byte)
	n, err := arrival.Fill(ctx, r, buffer[:])
	if n == 0 {
		u.to.buffers.Put(buffer)
		return chunkDoc{}, err
	}
	chunk := chunkDoc{
		ID: chunkID(u.first, u.chunks), File: u.id, N: int32(u.chunks), Data: buffer[:n], //nolint:gosec // at most maxChunks
	}
	_, _ = u.sum.Write(chunk.Data) // never fails: package hash
	u.sums = u.sums.Add(chunk.Data)
	u.chunks, u.bytes = u.chunks+1, u.bytes+int64(n)
	return chunk, err
}

// insert stores a batch and gives its buffers back. It does not end with ctx, only with its own deadline: a cancelled
// insert may still happen on the server, after undo.
func (u *upload) insert(ctx context.Context, batch []chunkDoc) error {
	defer u.recycle(batch)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.to.client.insertTime())
	defer cancel()
	_, err := u.to.chunks.InsertMany(ctx, batch)
	if err != nil {
		return fmt.Errorf("insert chunks from %d on: %w", batch[0].N, unsettled(err))
	}
	return failpoint.At(failpoint.ChunksStored)
}

func (u *upload) recycle(batch []chunkDoc) {
	for _, c := range batch {
		u.to.buffers.Put((*[ChunkSize]byte)(c.Data[:ChunkSize]))
	}
}

// describe makes the chunks a file: from here on it can be opened.
func (u *upload) describe(ctx context.Context, f job.File) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := failpoint.At(failpoint.FileWhole); err != nil {
		return err
	}
	if len(u.sums) > maxSums {
		u.sums = nil
	}
	if len(u.runs) <= runBytes {
		u.runs = nil
	}
	ctx, cancel := u.to.client.bound(context.WithoutCancel(ctx)) // as in insert
	defer cancel()
	_, err := u.to.files.InsertOne(ctx, filesDoc{
		ID: u.id, Length: f.Bytes, Chunk: ChunkSize, Uploaded: f.Stored, Name: f.Name,
		Metadata: metadata{Job: f.Job, Owner: f.Owner, Type: f.Type, SHA256: f.SHA256, First: u.first, Runs: u.runs, Sums: u.sums},
	})
	u.described = !mongo.IsDuplicateKeyError(err)
	if err == nil {
		err = failpoint.At(failpoint.FileStored)
	}
	return unsettled(err)
}

// unsettled marks what leaves open whether the server did, or is about to do, what it was told.
func unsettled(err error) error {
	if mongo.IsTimeout(err) || mongo.IsNetworkError(err) {
		return fmt.Errorf("%w: %w", job.ErrUnsettled, err)
	}
	return known(err)
}

// undo removes what the upload has stored, also when ctx is over. A client waits for it, so it has a command's time; what
// it leaves is found from the ledger.
func (u *upload) undo(ctx context.Context) error {
	ctx, cancel := u.to.client.bound(context.WithoutCancel(ctx))
	defer cancel()
	if u.described {
		if _, err := u.to.files.DeleteOne(ctx, append(by("_id", u.id), by("metadata.firstChunk", u.first)...)); err != nil {
			return fmt.Errorf("remove its description: %w", err)
		}
	}
	if !u.inserted {
		return nil
	}
	mine := bson.D{{Key: "$gte", Value: u.first}, {Key: "$lte", Value: chunkID(u.first, maxChunks-1)}}
	if _, err := u.to.chunks.DeleteMany(ctx, append(by("files_id", u.id), bson.E{Key: "_id", Value: mine})); err != nil {
		return fmt.Errorf("remove its chunks: %w", err)
	}
	return nil
}

// chunkID is first with the chunk's number in the last three bytes.
func chunkID(first bson.ObjectID, n int64) bson.ObjectID {
	first[9], first[10], first[11] = byte(n>>16), byte(n>>8), byte(n) //nolint:gosec // at most maxChunks
	return first
}
