package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
)

var _ io.ReadSeekCloser = (*reader)(nil)

// reader reads one file. It asks for chunks at the first Read and after a jump only, so seeking costs nothing: that is
// how http.ServeContent finds the size.
type reader struct {
	ctx   context.Context // io.Reader has none; Open's rules the reading, as documented
	from  *Files
	file  job.File
	where layout

	at     int64   // the next Read's offset
	rest   []byte  // of the chunk around at, not yet read
	stream *stream // the chunks after; nil before the first Read and after a jump
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, fmt.Errorf("read file %s: %w", r.file.ID, fs.ErrClosed)
	case len(p) == 0:
		return 0, nil
	case r.at >= r.file.Bytes:
		return 0, io.EOF
	}
	if err := r.ctx.Err(); err != nil { // also while there are chunks fetched ahead
		return 0, fmt.Errorf("read file %s: %w", r.file.ID, err)
	}
	if len(r.rest) == 0 {
		if err := r.advance(); err != nil {
			r.stop()
			return 0, fmt.Errorf("read file %s: %w", r.file.ID, err)
		}
	}
	n := copy(p, r.rest)
	r.rest, r.at = r.rest[n:], r.at+int64(n)
	return n, nil
}

// advance makes the rest that of the chunk around r.at.
func (r *reader) advance() error {
	if r.stream == nil {
		r.stream = newStream(r.ctx, r.from, r.where, r.at/r.where.chunkSize)
	}
	data, err := r.stream.next()
	if err == nil {
		err = failpoint.At(failpoint.ChunkRead)
	}
	if err == nil {
		r.rest = data[r.at%r.where.chunkSize:]
	}
	return err
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.file.Bytes
	default:
		return 0, fmt.Errorf("seek in file %s: whence %d", r.file.ID, whence)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek in file %s: %w", r.file.ID, errNegative)
	}
	if offset != r.at {
		r.stop()
		r.at = offset
	}
	return offset, nil
}

var errNegative = errors.New("offset before the start")

// Close ends the reading ahead.
func (r *reader) Close() error {
	r.stop()
	r.closed = true
	return nil
}

func (r *reader) stop() {
	if r.stream != nil {
		r.stream.close()
	}
	r.stream, r.rest = nil, nil
}
