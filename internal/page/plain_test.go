package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/page"
)

func TestScriptsThatDoNotComeLeaveThePlainPage(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+page.StaticRoot, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/words.js") { // which the others need
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		page.Static(w, r)
	})
	mux.HandleFunc("GET /{$}", s.home)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := browser.Open(t, browser.View{})
	seen := func(selector string) bool {
		return browser.Eval[bool](p, "document.querySelector('"+selector+"').checkVisibility()")
	}
	p.Go(server.URL)
	if !seen("#add button.plain") || !seen(".title a.plain") || seen("#limit .scripted") {
		t.Error("without its scripts the page hides what works without them, or promises more")
	}
	p.Go(s.URL)
	p.Await("the page is live", "document.documentElement.classList.contains('runs')")
	if seen("#add button.plain") || !seen("#limit .scripted") {
		t.Error("with its scripts the page shows what it does not need")
	}
}

func TestAnOlderBrowserUploads(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	browser.Eval[bool](p, "delete AbortSignal.any && delete AbortSignal.timeout && delete Navigator.prototype.locks")
	p.Choose("#file", file(t, "a.mp4", "video "))
	p.Shows("#jobs", "a.mp4")
}

func TestABrowserThatCannotUploadSaysSo(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	browser.Eval[bool](p, "delete XMLHttpRequest.prototype.send")
	p.Choose("#file", file(t, "a.mp4", "video "))
	p.Shows("#uploads .says", "This browser cannot upload it: xhr.send is not a function.")
	p.Shows("#uploads .pause", "Try again")
}
