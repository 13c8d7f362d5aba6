package page_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mp3converter/internal/browser"
)

func TestAfterAReloadTheSameFileGoesOn(t *testing.T) {
	t.Parallel()
	s, p, video := halfSent(t)
	s.set(func() { s.hold = nil })
	p.Go(s.URL)
	p.Shows("#uploads .says", "Choose the file again")
	p.IsAccessible()
	p.Choose("#file", video)
	p.Shows("#jobs", "a.mp4")
	if s.got()["a.mp4"] != strings.Repeat("video ", 12345) {
		t.Error("the server has another file")
	}
	if creations := s.creations(); creations != 1 {
		t.Errorf("%d uploads were begun, want 1", creations)
	}
}

// A creation whose answer the page did not live to hear is repeated with its key, or its upload would hold the quota.
func TestAfterAReloadACreationIsRepeatedWithItsKey(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	reply := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(reply) // or a server that waits for it never closes
	var first atomic.Bool
	s.fault = func(r *http.Request) int {
		if r.Method == http.MethodPost && first.CompareAndSwap(false, true) {
			close(asked)
			<-answer
		}
		return 0
	}
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	video := file(t, "a.mp4", "video ")
	p.Choose("#file", video)
	<-asked
	p.Go(s.URL)
	reply()
	p.Shows("#uploads .says", "Choose the file again")
	p.Choose("#file", video)
	p.Shows("#jobs", "a.mp4")
	if len(s.keys) != 1 {
		t.Errorf("creations had the keys %q, want one", s.keys)
	}
}

func TestAfterAReloadOnlyWhatIsGoneIsForgotten(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		kept   bool
	}{
		"restarting": {http.StatusServiceUnavailable, true},
		"logged out": {http.StatusUnauthorized, true},
		"run out":    {http.StatusNotFound, false},
		"ended":      {http.StatusGone, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p, video := halfSent(t)
			s.set(func() { s.hold, s.fault = nil, once(http.MethodHead, tt.status) })
			p.Go(s.URL)
			if tt.kept {
				p.Shows("#uploads .says", "Choose the file again")
			} else {
				p.Await("it is forgotten", "!localStorage['mp3converter.uploads'].includes('a.mp4')")
			}
			p.Choose("#file", video)
			p.Shows("#jobs", "a.mp4")
			if goesOn := s.creations() == 1; goesOn != tt.kept {
				t.Errorf("it went on: %v, want %v; requests %v", goesOn, tt.kept, s.requests())
			}
		})
	}
}
