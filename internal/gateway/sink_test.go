package gateway

import (
	"bytes"
	"net/http"
	"net/http/httptest"
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
