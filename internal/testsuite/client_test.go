package testsuite

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestToWaitInVainIsNotToBeCutOff(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   int
	}{
		"cut off":                     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0},
		"cut off within the answer":   {func(w http.ResponseWriter, _ *http.Request) { half(w); panic(http.ErrAbortHandler) }, 0},
		"waits in vain":               {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Hung},
		"waits in vain for the other": {func(w http.ResponseWriter, r *http.Request) { half(w); <-r.Context().Done() }, Hung},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			client := &http.Client{Timeout: patience}
			if tt.want == Hung {
				client.Timeout = 200 * time.Millisecond
			}
			a, err := Request{Base: server.URL}.TryBy(client)
			if err == nil || a.Status != tt.want || IsHung(err) != (tt.want == Hung) {
				t.Errorf("status %d, %v, want %d", a.Status, err, tt.want)
			}
		})
	}
}

// half sends the beginning of an answer.
func half(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "2")
	_, _ = w.Write([]byte("h")) // a client that is gone reads nothing
	w.(http.Flusher).Flush()
}
