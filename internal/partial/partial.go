// Package partial copies a part of a file that a store keeps in pieces, each held against the sum that was made of it when
// it was stored. Which part, the file's own tables say; so these are read first, and what is chosen after. Stores say how
// a piece is fetched, and read files whole by themselves: whatever is doubtful here is left to that.
package partial

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
)

// Sums are of a file's pieces: CRC-32C, four bytes each.
type Sums []byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Add returns the sums with one more.
func (s Sums) Add(piece []byte) Sums {
	return binary.LittleEndian.AppendUint32(s, crc32.Checksum(piece, castagnoli))
}

// of returns the sum of a piece.
func (s Sums) of(n int64) uint32 { return binary.LittleEndian.Uint32(s[4*n:]) }

// File is a stored file.
type File struct {
	Size  int64
	Piece int64 // bytes of each but the last
	Sums  Sums
	// Fetch returns a piece; several are fetched at once. io.ErrUnexpectedEOF in the chain says that it is not there, or
	// not whole; any other error, that the store is away.
	Fetch func(ctx context.Context, n int64) ([]byte, error)
}

// Scratch is what a part is copied to: a file that is as long as the stored one.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
}

const (
	// few pieces are not worth asking which: that takes one fetch after another.
	few = 16
	// atOnce is how many pieces are fetched, and in memory, at once.
	atOnce = 4
	// maxAhead is how many pieces more are fetched of a table that is being read through.
	maxAhead = 16
	// Choosing may read an eighth of the pieces, but minLooks at least, for a head and what lies at the end, and maxLooks at
	// most, one fetch after another as they are. In a file whose tables lie all over it more is a search in vain, and what it
	// has read is read again.
	lookShare = 8
	minLooks  = 4
	maxLooks  = 256
	// most is the share of a file, in per cent, beyond which it is read whole, from front to back.
	most = 60
)

// Copy writes the pieces that hold what choose returns to the scratch file, at their places, and returns how many bytes it
// read. It is 0 if the whole file is to be read: choose returns nil, or nearly all of it, or the sums are missing or do not
// agree. choose reads what it needs to know of the file from the io.ReaderAt.
func (f File) Copy(ctx context.Context, to Scratch, choose func(io.ReaderAt) []job.Span) (int64, error) {
	total := (f.Size + f.Piece - 1) / f.Piece
	if total < few || int64(len(f.Sums)) != 4*total {
		return 0, nil
	}
	c := &copying{File: f, ctx: ctx, to: to, have: make([]bool, total), looks: min(max(total/lookShare, minLooks), maxLooks)}
	spans := choose(c)
	var missing []int64
	if c.err == nil && spans != nil {
		missing = c.missing(spans)
		if c.tooMany(len(missing)) {
			return 0, nil
		}
		c.err = c.fetch(missing)
	}
	switch {
	case errors.Is(c.err, errDoubt):
		return 0, nil
	case c.err != nil:
		return c.read, c.err
	case spans == nil:
		return 0, nil
	}
	return c.read, nil
}

// errDoubt is why the whole file should be read.
var errDoubt = errors.New("the whole file is to be read")

// copying is one Copy. It is an io.ReaderAt that fetches what is read.
type copying struct {
	File
	ctx   context.Context //nolint:containedctx // an io.ReaderAt has no other place for it
	to    Scratch
	have  []bool // by piece
	count int64  // of them
	read  int64
	looks int64 // how many choose may have
	next  int64 // behind what was fetched for choose last
	ahead int64 // how much is fetched, at least, if that is asked for now
	err   error
}

// ReadAt implements io.ReaderAt.
func (c *copying) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > 0 && off >= 0 && off < c.Size {
		c.look(off/c.Piece, min(off+int64(len(p)), c.Size)-1)
	}
	if c.err != nil {
		return 0, c.err
	}
	return c.to.ReadAt(p, off)
}

// look fetches the pieces from first up to the one around the last byte, and some behind if this goes on what came before.
func (c *copying) look(first, lastByte int64) {
	last := lastByte / c.Piece
	for first <= last && c.have[first] {
		first++
	}
	if first > last || c.err != nil {
		return
	}
	c.ahead = max(1, min(2*c.ahead, maxAhead, c.looks-c.count))
	if first != c.next {
		c.ahead = 1
	}
	c.next = min(max(last+1, first+c.ahead), int64(len(c.have)))
	missing := c.missing([]job.Span{{From: first * c.Piece, To: min(c.next*c.Piece, c.Size)}})
	if c.count+int64(len(missing)) > c.looks {
		c.err = errDoubt
		return
	}
	c.err = c.fetch(missing)
}

// missing lists the pieces that hold the spans and are not there yet.
func (c *copying) missing(spans []job.Span) []int64 {
	var missing []int64
	last := int64(-1)
	for _, s := range spans {
		if s.From >= s.To {
			continue
		}
		for n := max(s.From/c.Piece, last+1); n*c.Piece < min(s.To, c.Size); n++ {
			if last = n; !c.have[n] {
				missing = append(missing, n)
			}
		}
	}
	return missing
}

// tooMany reports whether with so many more nearly the whole file would be read.
func (c *copying) tooMany(more int) bool { return (c.count+int64(more))*100 >= int64(len(c.have))*most }

// fetch copies the pieces.
func (c *copying) fetch(pieces []int64) error {
	fetching, ctx := errgroup.WithContext(c.ctx)
	fetching.SetLimit(atOnce)
	for _, n := range pieces {
		fetching.Go(func() error { return c.fetchOne(ctx, n) })
		c.have[n] = true
		c.count++
		c.read += c.length(n)
	}
	return fetching.Wait()
}

func (c *copying) fetchOne(ctx context.Context, n int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	piece, err := c.Fetch(ctx, n)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errDoubt
	case err != nil:
		return err
	case crc32.Checksum(piece, castagnoli) != c.Sums.of(n):
		return errDoubt
	}
	_, err = c.to.WriteAt(piece, n*c.Piece)
	return err
}

// length is how many bytes a piece has.
func (c *copying) length(n int64) int64 { return min(c.Piece, c.Size-n*c.Piece) }
