package page_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mp3converter/internal/browser"
)

// file makes one of the test's own. Its size is odd, so that nothing is where it is by accident.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Repeat(content, 12345)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// halfSent returns a page that has sent half of a video's file; the rest is held until the test lets it go on.
func halfSent(t *testing.T) (s *tus, p *browser.Page, video string) {
	t.Helper()
	s = newTus(t)
	s.hold = make(chan struct{})
	p = browser.Open(t, browser.View{})
	p.Go(s.URL)
	video = file(t, "a.mp4", "video ")
	p.Choose("#file", video)
	p.Await("half is there", "document.querySelector('#uploads progress')?.value > .3")
	return s, p, video
}

// once refuses a method one time. It cuts the connection more often, until the page has asked how far it is: the browser
// itself repeats a few times what came to nothing on a connection that it had used before.
func once(method string, status int) func(r *http.Request) int {
	left := 1
	if status < 0 {
		left = 8
	}
	return func(r *http.Request) int {
		if status < 0 && r.Method == http.MethodHead {
			left = 0
		}
		if r.Method != method || left == 0 {
			return 0
		}
		left--
		return status
	}
}

func TestAnUploadGoesOnAfterEveryFault(t *testing.T) {
	for name, tt := range map[string]struct {
		method string
		status int
		want   []string // requests, those alike in a row as one
		keys   int      // of creations
	}{
		"creation cut":         {http.MethodPost, -1, []string{"POST -1", "POST 201", "PATCH 204"}, 1},
		"creation unavailable": {http.MethodPost, 503, []string{"POST 503", "POST 201", "PATCH 204"}, 1},
		"creation too early":   {http.MethodPost, 429, []string{"POST 429", "POST 201", "PATCH 204"}, 1},
		"sending cut":          {http.MethodPatch, -1, []string{"POST 201", "PATCH -1", "HEAD 200", "PATCH 204"}, 1},
		"another offset":       {http.MethodPatch, 409, []string{"POST 201", "PATCH 409", "HEAD 200", "PATCH 204"}, 1},
		"still held":           {http.MethodPatch, 423, []string{"POST 201", "PATCH 423", "HEAD 200", "PATCH 204"}, 1},
		"forgotten":            {http.MethodPatch, 404, []string{"POST 201", "PATCH 404", "POST 201", "PATCH 204"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTus(t)
			s.fault = once(tt.method, tt.status)
			p := browser.Open(t, browser.View{})
			p.Go(s.URL)
			p.Choose("#file", file(t, "a.mp4", "video "))
			p.Shows("#jobs", "a.mp4")
			if got := slices.Compact(s.requests()); !slices.Equal(got, tt.want) {
				t.Errorf("requests %v, want %v", got, tt.want)
			}
			if len(s.keys) != tt.keys || slices.Contains(s.keys, "") {
				t.Errorf("creations had the keys %q, want %d", s.keys, tt.keys)
			}
			if s.got()["a.mp4"] != strings.Repeat("video ", 12345) {
				t.Error("the server has another file")
			}
			p.Await("the upload's row is gone", "document.getElementById('uploads').hidden && !localStorage['mp3converter.uploads'].includes('a.mp4')")
		})
	}
}

func TestARefusedUploadSaysWhyAndCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	s.fault = once(http.MethodPost, http.StatusRequestEntityTooLarge)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.Choose("#file", file(t, "a.mp4", "video "))
	p.Shows("#uploads .says", "The server said 413: of 5.0 MB 1 are left.")
	p.Shows("#uploads .pause", "Try again")
	p.IsAccessible()
	p.Shot("upload-refused")
	p.Click("#uploads .pause")
	p.Shows("#jobs", "a.mp4")
}

func TestAFileThatIsTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.Choose("#file", file(t, "large.mp4", strings.Repeat("video ", 20)), file(t, "a.mp4", "video "))
	p.Shows("#problem", "Larger than 1.0 MB, and not uploaded: large.mp4.")
	p.Shows("#jobs", "a.mp4")
	if got := s.requests(); !slices.Equal(got, []string{"POST 201", "PATCH 204"}) {
		t.Errorf("requests %v", got)
	}
}

func TestTwoUploadsRunAtOnceAndTheOthersWait(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	s.hold = make(chan struct{})
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.Choose("#file", file(t, "a.mp4", "a"), file(t, "b.mp4", "b"), file(t, "c.mp4", "c"), file(t, "d.mp4", "d"))
	p.Await("two run", "[...document.querySelectorAll('#uploads progress')].filter((bar) => bar.value > .3).length >= 2")
	p.Shows("#uploads li:nth-child(3)", "Waiting for its turn")
	p.Await("the title says how far", "/^\\d+ % – /.test(document.title)")
	p.IsAccessible()
	p.Shot("uploading")
	close(s.hold)
	p.Await("all are there", "document.querySelectorAll('#jobs li').length === 4 && document.getElementById('uploads').hidden")
	if s.most != 2 {
		t.Errorf("%d were sent at once, want 2", s.most)
	}
}

func TestAnUploadCanBePausedAndCancelled(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	s.hold = make(chan struct{})
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.Choose("#file", file(t, "a.mp4", "a"), file(t, "b.mp4", "b"))
	p.Await("both run", "[...document.querySelectorAll('#uploads progress')].every((bar) => bar.value > .3)")
	p.Click("#uploads li:first-child .pause")
	p.Shows("#uploads li:first-child .says", "Paused")
	p.Click("#uploads li:last-child .cancel")
	p.Await("one row is left, with the focus", "document.querySelectorAll('#uploads li').length === 1 && document.activeElement.closest('#uploads li')")
	p.Shot("upload-paused")
	s.set(func() { s.hold = nil })
	p.Click("#uploads li:first-child .pause")
	p.Shows("#jobs", "a.mp4")
	if got := s.got(); len(got) != 1 || len(got["a.mp4"]) != 12345 || len(s.uploads) != 1 {
		t.Errorf("the server has %d uploads, %d of them whole", len(s.uploads), len(got))
	}
}

// Who asks how far an upload is breaks off whoever sends it, so one page must not do both.
func TestNothingIsSentUntilItIsKnownHowFarItIs(t *testing.T) {
	t.Parallel()
	s, p, video := halfSent(t)
	answer := make(chan struct{})
	reply := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(reply) // or a server that waits for it never closes
	var asked atomic.Bool
	s.set(func() {
		s.hold, s.fault = nil, func(r *http.Request) int {
			if r.Method == http.MethodHead && asked.CompareAndSwap(false, true) {
				<-answer
			}
			return 0
		}
	})
	p.Go(s.URL)
	p.Shows("#uploads .says", "Choose the file again")
	p.Choose("#file", video)
	p.Shows("#uploads .says", "Waiting for its turn")
	reply()
	p.Shows("#jobs", "a.mp4")
	if got := s.requests(); !slices.Equal(got, []string{"POST 201", "PATCH -1", "HEAD 200", "HEAD 200", "PATCH 204"}) {
		t.Errorf("requests %v", got)
	}
}

func TestAnUploadWhoseFateIsUnknownCanBeTriedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		fate int
		says string
	}{
		"cut":        {-1, "The server cannot be reached."},
		"restarting": {http.StatusServiceUnavailable, "The server is not available."},
		"logged out": {http.StatusUnauthorized, "You are no longer logged in. Log in in another tab, then go on here."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTus(t)
			s.fault, s.fate = once(http.MethodPatch, http.StatusNotFound), tt.fate
			p := browser.Open(t, browser.View{})
			p.Go(s.URL)
			p.Choose("#file", file(t, "a.mp4", "video "))
			p.Shows("#uploads .says", tt.says)
			s.set(func() { s.fate = 0 })
			p.Click("#uploads .pause")
			p.Shows("#jobs", "a.mp4")
			if got := s.requests(); !slices.Equal(got, []string{"POST 201", "PATCH 404", "HEAD 200", "PATCH 204"}) {
				t.Errorf("requests %v", got)
			}
		})
	}
}

func TestWhoeverIsLoggedOutIsToldSo(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.Choose("#file", file(t, "a.mp4", "video "))
	p.Shows("#jobs", "a.mp4")
	s.set(func() { s.fault = func(*http.Request) int { return http.StatusUnauthorized } })
	p.Click("[popovertarget]")
	p.Click("#jobs .danger")
	p.Shows("#problem", "A.mp4: You are no longer logged in. Log in in another tab, then go on here.")
	p.Choose("#file", file(t, "b.mp4", "video "))
	p.Shows("#uploads .says", "You are no longer logged in. Log in in another tab, then go on here.")
}

func TestAPageOfBeforeAnotherLoginShowsNothingOfTheirs(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	s.set(func() { s.user = "ann@gmail.com" })
	p.Choose("#file", file(t, "a.mp4", "video "))
	p.Shows("#problem", "You are logged in as somebody else: reload the page.")
	if text := strings.TrimSpace(p.Text("#jobs")); text != "" {
		t.Errorf("the list has %q", text)
	}
}
