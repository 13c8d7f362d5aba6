package auth

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"mp3converter/internal/daemon"
)

// nowhere takes an answer.
type nowhere struct{ header http.Header }

func (w nowhere) Header() http.Header         { return w.header }
func (w nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (w nowhere) WriteHeader(int)             {}

// Every request of every user passes here. Allocations stand for the processor time, which a test cannot hold to anything.
func TestValidateAllocatesLittle(t *testing.T) {
	const limit = 155 // 140 are seen, log line and metrics included
	s := New(Config{Key: newKey(t, "k"), Log: daemon.NewLog(io.Discard, slog.LevelInfo, "auth")})
	h := s.Routes()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+old(t, service{Service: s}, ann, time.Hour))
	n := testing.AllocsPerRun(100, func() { h.ServeHTTP(nowhere{http.Header{}}, r) })
	t.Logf("%.0f allocations", n)
	if n > limit {
		t.Errorf("%.0f allocations, want at most %d", n, limit)
	}
}
