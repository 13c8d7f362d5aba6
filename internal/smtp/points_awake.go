//go:build failpoints

package smtp

import (
	"io"
	"net"

	"github.com/wneessen/go-mail"

	"mp3converter/internal/failpoint"
)

// marked returns the connection with the two fail points of a dialogue in it and in the letter: both are inside the library.
func marked(conn net.Conn, msg *mail.Msg) net.Conn {
	m := &markedConn{Conn: conn}
	parts := msg.GetParts()
	for i, part := range parts {
		write := part.GetWriteFunc()
		part.SetWriteFunc(func(w io.Writer) (int64, error) {
			if i == 0 { // once in a letter
				w = &halfWriter{to: w}
			}
			n, err := write(w)
			m.written = err == nil && i == len(parts)-1
			return n, err
		})
	}
	return m
}

// markedConn is at LetterEnded when it is read from after the letter was written: the library sends the dot and then waits.
// The library uses it from one goroutine.
type markedConn struct {
	net.Conn
	written bool
}

func (c *markedConn) Read(p []byte) (int, error) {
	if c.written {
		c.written = false
		if err := failpoint.At(failpoint.LetterEnded); err != nil {
			_ = c.Conn.Close()
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// halfWriter is at LetterHalf in the middle of the text.
type halfWriter struct{ to io.Writer }

func (h *halfWriter) Write(p []byte) (int, error) {
	n, err := h.to.Write(p[:len(p)/2])
	if err == nil {
		err = failpoint.At(failpoint.LetterHalf)
	}
	if err != nil {
		return n, err
	}
	m, err := h.to.Write(p[len(p)/2:])
	return n + m, err
}
