// Package arrival counts what arrives of a resumable upload, piece by piece, from where another process has left off: so the
// upload ends with the SHA-256 and the sums of one that came at once. It is for stores; where they put the pieces is theirs.
package arrival

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"

	"mp3converter/internal/job"
	"mp3converter/internal/partial"
)

// maxSums bounds the sums of one file, in bytes: 64 GiB have more, and are read whole.
const maxSums = 1 << 20

// MaxBatch bounds what a store gathers of an upload before the ledger can hear of it, in bytes. With the slowest client that is not
// cut off, this is how long an upload that goes on may be silent in the ledger.
const MaxBatch = 768 << 10

// Count is the pieces so far. Full ones all have the same size; one that is shorter ends the file.
type Count struct {
	Pieces int64
	Bytes  int64
	Tail   []byte // bytes that a has beyond its pieces: the next one begins with them

	writer int
	runs   []byte
	sum    hash.Hash
	sums   partial.Sums
}

// Resume goes on at a, whose pieces have that size.
func Resume(a job.Arrival, size int64) (*Count, error) {
	sum := sha256.New()
	if len(a.Hash) > 0 {
		if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(a.Hash); err != nil {
			return nil, fmt.Errorf("state of the SHA-256: %w", err)
		}
	}
	c := &Count{
		Bytes: a.Offset - int64(len(a.Tail)), Tail: a.Tail, writer: a.Writer, runs: a.Runs, sum: sum, sums: slices.Clip(a.Sums),
	}
	c.Pieces = (c.Bytes + size - 1) / size
	return c, nil
}

// Add counts one more piece. What a snapshot has of the sums is not touched.
func (c *Count) Add(piece []byte) {
	_, _ = c.sum.Write(piece) // never fails: package hash
	if int64(len(c.sums)) == 4*c.Pieces && len(c.sums) < maxSums {
		c.sums = c.sums.Add(piece)
	} else {
		c.sums = nil
	}
	c.Pieces, c.Bytes, c.Tail = c.Pieces+1, c.Bytes+int64(len(piece)), nil
}

// Runs replaces what the store says of where its pieces are.
func (c *Count) Runs(runs []byte) { c.runs = runs }

// At is how far it is, with a tail that follows the pieces.
func (c *Count) At(tail []byte) (job.Arrival, error) {
	a := job.Arrival{
		Writer: c.writer, Offset: c.Bytes + int64(len(tail)), Sums: slices.Clip(c.sums), Runs: c.runs, Tail: slices.Clone(tail),
	}
	if c.Pieces == 0 {
		return a, nil
	}
	var err error
	a.Hash, err = c.sum.(encoding.BinaryMarshaler).MarshalBinary()
	return a, err
}

// Describe fills in what f is when all of it has arrived at a.
func Describe(f job.File, a job.Arrival) (job.File, error) {
	if a.Offset != f.Bytes || len(a.Tail) > 0 {
		return f, fmt.Errorf("%d of %d bytes have arrived", a.Offset, f.Bytes)
	}
	c, err := Resume(a, max(1, a.Offset))
	if err != nil {
		return f, err
	}
	f.SHA256 = hex.EncodeToString(c.sum.Sum(nil))
	return f, nil
}
