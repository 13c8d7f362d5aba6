package arrival

import (
	"context"
	"io"
)

// maxStalls is how often in a row a reader may return nothing and no error, as in package bufio.
const maxStalls = 100

// Fill reads until the buffer is full or r ends. Unlike io.ReadFull it leaves r's error alone, so that an
// io.ErrUnexpectedEOF is r's own: a client that hung up.
func Fill(ctx context.Context, r io.Reader, buffer []byte) (n int, err error) {
	for stalls := 0; n < len(buffer) && err == nil; {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		var m int
		m, err = r.Read(buffer[n:])
		n += m
		if stalls++; m > 0 {
			stalls = 0
		}
		if stalls == maxStalls {
			return n, io.ErrNoProgress
		}
	}
	return n, err
}
