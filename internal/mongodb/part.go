package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/partial"
)

// Copy copies a part of the file, as partial.File has it: 0 for what others stored, or what Put stored before it kept sums.
func (r *reader) Copy(to partial.Scratch, choose func(io.ReaderAt) []job.Span) (int64, error) {
	if len(r.where.sums) == 0 {
		return 0, nil
	}
	f := partial.File{Size: r.where.length, Piece: ChunkSize, Sums: r.where.sums, Fetch: r.chunk}
	n, err := f.Copy(r.ctx, to, choose)
	if err != nil {
		return n, fmt.Errorf("copy of file %s: %w", r.file.ID, err)
	}
	return n, nil
}

// chunk returns one chunk, found by its own id: that has an index everywhere, on FerretDB too, and the driver asks again by
// itself if the server goes away meanwhile.
func (r *reader) chunk(ctx context.Context, n int64) (chunk []byte, err error) {
	if err := r.from.fetches.Take(ctx); err != nil {
		return nil, err
	}
	defer func() { r.from.fetches.Give(err) }()
	ctx, cancel := r.from.client.bound(ctx)
	defer cancel()
	doc, err := r.from.chunks.FindOne(ctx, bson.D{{Key: "_id", Value: r.where.chunk(n)}}).Raw()
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return nil, fmt.Errorf("chunk %d is missing: %w", n, io.ErrUnexpectedEOF)
	case err != nil:
		return nil, fmt.Errorf("find chunk %d: %w", n, err)
	}
	number, _ := number(doc, "n")
	_, data, _ := doc.Lookup("data").BinaryOK()
	if file, ok := doc.Lookup("files_id").ObjectIDOK(); !ok || file != r.where.file || number != n {
		return nil, fmt.Errorf("chunk %d is another file's: %w", n, io.ErrUnexpectedEOF)
	}
	return data, failpoint.At(failpoint.ChunkRead)
}
