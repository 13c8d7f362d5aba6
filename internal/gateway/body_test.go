package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// sender is a connection on which some bytes arrive now and then.
type sender struct {
	http.ResponseWriter
	every    time.Duration
	bytes    int
	deadline time.Time
}

func (s *sender) SetReadDeadline(t time.Time) error { s.deadline = t; return nil }

func (s *sender) Read(p []byte) (int, error) {
	if next := time.Now().Add(s.every); !s.deadline.IsZero() && next.After(s.deadline) {
		time.Sleep(time.Until(s.deadline))
		return 0, fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded)
	}
	time.Sleep(s.every)
	return min(len(p), s.bytes), nil
}

func TestHowSlowASenderMayBe(t *testing.T) {
	for name, tt := range map[string]struct {
		every time.Duration
		bytes int
		store time.Duration // what taking a piece takes
		want  error         // within an hour
	}{
		"fast":                       {time.Second, 64 << 10, 0, nil},
		"slow but steady":            {10 * time.Second, 8 << 10, 0, nil},
		"with long pauses":           {29 * time.Second, 16 << 10, 0, nil},
		"fast, into a slow store":    {time.Second, 16 << 10, time.Minute, nil},
		"with pauses that are long":  {31 * time.Second, 1 << 20, 0, errStalled},
		"dripping":                   {time.Second, 1, 0, errStalled},
		"dripping into a slow store": {time.Second, 1, time.Minute, errStalled},
		"just too slow":              {10 * time.Second, 4 << 10, 0, errStalled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sender{ResponseWriter: httptest.NewRecorder(), every: tt.every, bytes: tt.bytes}
				b := &body{ctx: t.Context(), src: io.NopCloser(s), control: http.NewResponseController(s), stall: 30 * time.Second, left: 30 * time.Second}
				var err error
				for start := time.Now(); err == nil && time.Since(start) < time.Hour; {
					_, err = b.Read(make([]byte, 64<<10))
					time.Sleep(tt.store)
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("read = %v, want %v", err, tt.want)
				}
			})
		})
	}
}
