package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// The id is in the answer, in an error that is JSON, and in the log.
func TestARequestKeepsAGoodIDOfItsOwn(t *testing.T) {
	for sent, kept := range map[string]bool{"0123456789abcdef": true, "a.b-c_D": true, "": false, "two words": false, strings.Repeat("x", 65): false} {
		var log strings.Builder
		h := Log(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())(table.Handle(func(http.ResponseWriter, *http.Request) error { return errGone }))
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("X-Request-Id", sent)
		r.Header.Set("Accept", "application/json")
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		id := answer.Header().Get("X-Request-Id")
		var said problem
		if err := json.Unmarshal(answer.Body.Bytes(), &said); err != nil || said.RequestID != id || id == "" {
			t.Errorf("sent %q: the error has %q (%v), the header %q", sent, said.RequestID, err, id)
		}
		if (id == sent) != kept || !strings.Contains(log.String(), "request="+id) {
			t.Errorf("sent %q: became %q; logged %s", sent, id, log.String())
		}
	}
}
