package testsuite

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestOnlyWhatHasWaitedInVainIsSentAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		takes time.Duration
		first int
		text  string
		want  int
	}{
		"a service that has waited":        {time.Second, 503, unavailable, 200},
		"one that has not":                 {0, 503, unavailable, 503},
		"one that has waited for no other": {time.Second, 503, "too many uploads or downloads at once, try again later", 503},
		"a slow refusal of another kind":   {time.Second, 500, unavailable, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != "video" {
					t.Errorf("the body is %q, %v", body, err)
				}
				if asked.Add(1) == 1 {
					time.Sleep(tt.takes)
					w.WriteHeader(tt.first)
					_, _ = io.WriteString(w, tt.text)
				}
			}))
			defer server.Close()
			if a := Send(t, Request{Base: server.URL, Method: http.MethodPost, Body: strings.NewReader("video")}); a.Status != tt.want {
				t.Errorf("status %d, want %d", a.Status, tt.want)
			}
		})
	}
}
