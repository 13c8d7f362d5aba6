package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// taker is a client that takes each piece in the time that it is told to, and notes how large it is.
type taker struct {
	http.ResponseWriter
	takes []time.Duration
	sizes []int
}

func (c *taker) Write(p []byte) (int, error) {
	time.Sleep(c.takes[min(len(c.sizes), len(c.takes)-1)])
	c.sizes = append(c.sizes, len(p))
	return c.ResponseWriter.Write(p)
}

func TestWhoeverIsSlowGetsSmallPieces(t *testing.T) {
	const small, large = smallPiece, largePiece
	for name, tt := range map[string]struct {
		takes []time.Duration
		want  []int
	}{
		"fast":         {[]time.Duration{0}, []int{small, large, large, 4 * small}},
		"slow":         {[]time.Duration{10 * time.Second}, slices.Repeat([]int{small}, 21)},
		"slow at once": {[]time.Duration{0, 0, 10 * time.Second}, append([]int{small, large, large}, slices.Repeat([]int{small}, 4)...)},
		"fast at last": {[]time.Duration{10 * time.Second, 10 * time.Second, 0}, []int{small, small, small, large, large, 2 * small}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := httptest.NewRecorder()
				client := &taker{ResponseWriter: w, takes: tt.takes}
				file := bytes.Repeat([]byte("sound"), 21*small/5)
				file = append(file, make([]byte, 21*small-len(file))...)
				s := &sink{ResponseWriter: client, control: http.NewResponseController(client), patience: time.Minute}
				n, err := s.ReadFrom(struct{ *bytes.Reader }{bytes.NewReader(file)})
				if err != nil || n != int64(len(file)) || !bytes.Equal(w.Body.Bytes(), file) {
					t.Errorf("ReadFrom = %d, %v, want the %d bytes of the file", n, err, len(file))
				}
				if !slices.Equal(client.sizes, tt.want) {
					t.Errorf("pieces of %d, want %d", client.sizes, tt.want)
				}
			})
		})
	}
}

// narrow is a client behind a buffer that takes the first bytes at once, and a line that takes the others at its pace.
type narrow struct {
	http.ResponseWriter
	buffer   int // bytes free
	pace     int // bytes a second
	deadline time.Time
}

func (c *narrow) SetWriteDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

func (c *narrow) Write(p []byte) (int, error) {
	over := max(0, len(p)-c.buffer)
	c.buffer -= len(p) - over
	if done := time.Now().Add(time.Duration(over) * time.Second / time.Duration(c.pace)); done.After(c.deadline) {
		time.Sleep(time.Until(c.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(time.Duration(over) * time.Second / time.Duration(c.pace))
	return c.ResponseWriter.Write(p)
}

// However much of the file is taken at once at first.
func TestHowSlowAReaderMayBe(t *testing.T) {
	const slowest = smallPiece / 60 // as with uploads: half a kilobyte a second
	file := bytes.Repeat([]byte("sound"), 1<<20/5)
	for name, tt := range map[string]struct {
		pace int
		want error
	}{
		"slow":     {slowest + 1, nil},
		"too slow": {slowest / 2, os.ErrDeadlineExceeded},
	} {
		for _, buffer := range []int{0, smallPiece, smallPiece + 1, 200_000} {
			t.Run(fmt.Sprint(name, ", at once ", buffer), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client := &narrow{ResponseWriter: httptest.NewRecorder(), buffer: buffer, pace: tt.pace}
					s := &sink{ResponseWriter: client, control: http.NewResponseController(client), patience: time.Minute}
					if n, err := s.ReadFrom(struct{ *bytes.Reader }{bytes.NewReader(file)}); !errors.Is(err, tt.want) {
						t.Errorf("after %d of %d bytes: %v, want %v", n, len(file), err, tt.want)
					}
				})
			})
		}
	}
}
