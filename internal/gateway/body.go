package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"mp3converter/internal/web"
)

// Pace is how many bytes a client must send within Config.Stall. So a slow client may be slow, and one that sends a byte now and
// then to keep its place is as silent as one that sends none.
const Pace = 16 << 10

const (
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

// patient gives each request's body to its handler as a *body.
func (s *Service) patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		b := &body{ctx: r.Context(), src: r.Body, control: http.NewResponseController(w), stall: s.cfg.Stall, left: s.cfg.Stall}
		b.deadline(time.Now().Add(s.cfg.Stall)) // net/http itself reads a little of what the handler leaves
		r.Body = b
		defer context.AfterFunc(b.ctx, func() { b.deadline(time.Now()) })() // whoever waits for the client waits no longer
		next.ServeHTTP(w, r)
		b.linger()
	})
}

// body is a request's body that gives up on a client that goes silent. The time in which nobody reads is not the client's.
type body struct {
	ctx     context.Context // the request's
	src     io.ReadCloser
	control *http.ResponseController
	stall   time.Duration

	left  time.Duration // of the client's time for this pace
	got   int           // bytes of this pace
	begun bool          // a client that expects 100-continue has got it
	ended bool          // nothing more can be read
	whole bool          // all of it was read

	failure error                 // what Read has said, but for io.EOF
	stopped atomic.Pointer[error] // why nobody wants the rest
}

// Read returns errStalled, errCut, web.ErrStopping, or what interrupt was told, when the body ends too early.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // bare, as below
		b.failure = err
	}
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	b.begun = true
	start := time.Now()
	b.deadline(start.Add(b.left))
	if b.cutOff() { // after the deadline was set, which else would replace the one that its end sets
		return 0, web.ErrStopping
	}
	if why := b.stopped.Load(); why != nil { // likewise
		return 0, *why
	}
	n, err := b.src.Read(p)
	b.left -= time.Since(start)
	if b.got += n; b.got >= Pace {
		b.got, b.left = 0, b.stall
	}
	if err == nil {
		return n, nil
	}
	b.ended = true
	switch {
	case err == io.EOF: // bare, as a reader says it; a wrapped one is a failure
		b.whole = true
		return n, io.EOF
	case b.cutOff():
		b.ended = false
		return n, web.ErrStopping
	case errors.Is(err, os.ErrDeadlineExceeded) && b.stopped.Load() != nil:
		return n, *b.stopped.Load()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errStalled
	default:
		return n, fmt.Errorf("%w: %w", errCut, err)
	}
}

// interrupt has whoever reads, now or later, read no more.
func (b *body) interrupt(why error) {
	b.stopped.Store(&why)
	b.deadline(time.Now())
}

// cutOff tells the end of the process's grace from that of the connection, by which net/http ends the context as well.
func (b *body) cutOff() bool { return errors.Is(context.Cause(b.ctx), web.ErrStopping) }

// Close closes the body beneath.
func (b *body) Close() error { return b.src.Close() }

// partly reports whether the request's body was begun and not read to its end.
func partly(r *http.Request) bool {
	b, ok := r.Body.(*body)
	return ok && b.begun && !b.whole
}

// linger sends the answer and takes for a while what the client is still sending: closing the connection with bytes
// unread resets it, and many a client would lose the answer with it.
func (b *body) linger() {
	if !b.begun || b.ended || b.control.Flush() != nil {
		return
	}
	b.deadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, b.src, lingerBytes) // whatever ends it, the connection is closed
}

// deadline is for reads. Where there is no connection, in tests, there is nothing to wait for either.
func (b *body) deadline(t time.Time) { _ = b.control.SetReadDeadline(t) }
