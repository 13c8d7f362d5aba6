package page_test

import (
	"slices"
	"strings"
	"testing"

	"mp3converter/internal/browser"
)

func TestWhatOneOfTwoInterruptedTabsGoesOnWithIsElsewhereInTheOther(t *testing.T) {
	t.Parallel()
	s, p, video := halfSent(t)
	p.Go(s.URL)
	p.Shows("#uploads .says", "Choose the file again")
	other := p.Another()
	other.Go(s.URL)
	other.Shows("#uploads .says", "Choose the file again")
	p.Choose("#file", video)
	other.Shows("#uploads .says", "Under way in another tab or window.")
	other.Await("it cannot be cancelled there", "document.querySelector('#uploads .cancel').hidden")
	close(s.hold)
	p.Shows("#jobs", "a.mp4")
	other.Await("it is over there, too", "document.getElementById('uploads').hidden")
	if creations := s.creations(); creations != 1 || s.got()["a.mp4"] != strings.Repeat("video ", 12345) {
		t.Errorf("requests %v", s.requests())
	}
}

func TestOneOfTwoTabsCarriesAnUpload(t *testing.T) {
	t.Parallel()
	s, p, video := halfSent(t)
	other := p.Another()
	other.Go(s.URL)
	other.Shows("#uploads .says", "Under way in another tab or window.")
	other.Await("it knows how far", "document.querySelector('#uploads progress').value > .3")
	other.IsAccessible()
	other.Shot("upload-elsewhere")
	other.Choose("#file", video)
	close(s.hold)
	p.Shows("#jobs", "a.mp4")
	other.Await("it is over there, too", "document.getElementById('uploads').hidden")
	got := s.requests()
	if len(got) == 3 && got[2] == "HEAD 200" { // the browser may tell a tab late what another has forgotten; then it asks, and is told that all is there
		got = got[:2]
	}
	if !slices.Equal(got, []string{"POST 201", "PATCH 204"}) {
		t.Errorf("requests %v", got)
	}
}

func TestATabGoesOnWithAnUploadWhoseTabIsClosed(t *testing.T) {
	t.Parallel()
	s := newTus(t)
	s.hold = make(chan struct{})
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	other := p.Another()
	other.Go(s.URL)
	video, asked := file(t, "a.mp4", "video "), file(t, "b.mp4", "video ")
	other.Choose("#file", video, asked)
	other.Await("half of both is there", "[...document.querySelectorAll('#uploads progress')].filter((bar) => bar.value > .3).length === 2")
	p.Go(s.URL)
	p.Shows("#uploads li:last-child .says", "Under way in another tab or window.")
	p.Choose("#file", video)
	s.set(func() { s.hold = nil })
	other.Close()
	p.Shows("#jobs", "a.mp4")
	p.Shows("#uploads .says", "Choose the file again")
	p.Choose("#file", asked)
	p.Shows("#jobs", "b.mp4")
	if creations := s.creations(); creations != 2 || len(s.got()) != 2 {
		t.Errorf("%d uploads were begun and %d are whole, want 2: %v", creations, len(s.got()), s.requests())
	}
}
