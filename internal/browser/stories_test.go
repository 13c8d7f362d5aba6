package browser_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mp3converter/internal/browser"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// The stories of the page, all on one suite, whose conversions take as long as the sound plays.
func TestStories(t *testing.T) {
	s := testsuite.OneProgram(t, "FFMPEG="+testsuite.SlowFFmpeg(t), "SANDBOX=off").Suite
	for name, story := range map[string]func(*testing.T, *testsuite.Suite){
		"from the login to a playing MP3":              theMainJob,
		"a wrong password, and logging out":            theDoor,
		"a video without sound, on a phone":            theFailedVideo,
		"a connection that breaks":                     theLostConnection,
		"a reload in the middle of an upload":          theReload,
		"without JavaScript":                           withoutScripts,
		"by keyboard alone":                            byKeyboard,
		"a job that ends while the window is not seen": theHiddenWindow,
		"an upload that two tabs show":                 theOtherTab,
		"a search that new jobs come into":             theSearch,
		"an operator who looks after others' jobs":     theOperator,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, s)
		})
	}
}

// named is a copy of a file under a name that people see.
func named(t *testing.T, file, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(testsuite.Read(t, file)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// heavy is a video of that size, most of which is nothing.
func heavy(t *testing.T, name string, size int) string {
	t.Helper()
	clip := []byte(testsuite.Read(t, testsuite.Clip(t)))
	free := make([]byte, size-len(clip))
	binary.BigEndian.PutUint32(free, uint32(len(free)))
	copy(free[4:], "free")
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, append(clip, free...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func theMainJob(t *testing.T, s *testsuite.Suite) {
	who := somebody(t, s)
	p := browser.Open(t, browser.View{})
	saved := p.Downloads()
	login(p, s.URL, who)
	p.IsAccessible()
	p.TabTo("Sound")
	p.Type("v") // Voice

	clip := testmedia.Clip(t, testmedia.Spec{Seconds: 8})
	// What the page has shown counts, also if nobody came to look meanwhile.
	browser.Eval[bool](p, `!new MutationObserver(() => {
		const bar = document.querySelector('#jobs progress');
		window.moved ||= bar && bar.value > 0 && bar.value < 100;
	}).observe(document.body, {subtree: true, childList: true, attributes: true})`)
	drop := p.Drag(".drop", named(t, clip, "Überfahrt, 2. Tag.mp4"))
	p.Await("the page takes it", "document.body.classList.contains('dropping')")
	p.Shot("dropping")
	drop()
	p.Shows("#jobs h3", "Überfahrt, 2. Tag.mp4")
	p.Await("progress is live", "window.moved")
	p.IsAccessible()
	p.Shot("converting")
	p.Shows("#jobs .ready", "Ready")
	p.Shows("#live", "Überfahrt, 2. Tag.mp4 is ready")
	p.Shows("#jobs .facts", "0:08")
	p.Shows("#jobs .facts", "Voice")

	p.Click("[data-play]")
	p.Await("the MP3 plays", "document.querySelector('audio').currentTime > .3 && !document.querySelector('audio').paused")
	if seconds := browser.Eval[float64](p, "document.querySelector('audio').duration"); seconds < 7.9 || seconds > 8.1 {
		t.Errorf("it lasts %g s, want 8", seconds)
	}
	p.IsAccessible()
	p.Shots("playing")
	p.Click("a[download]")
	mp3 := filepath.Join(t.TempDir(), "mp3.mp3")
	if err := os.WriteFile(mp3, saved("Überfahrt, 2. Tag.mp3"), 0o600); err != nil {
		t.Fatal(err)
	}
	testsuite.Lasts(t, mp3, testmedia.Duration(t, clip))
	who.Login(t)
	if jobs := who.List(t, "").Jobs; len(jobs) != 1 || jobs[0].Profile != "voice" {
		t.Errorf("jobs %+v", jobs)
	}
}

func theDoor(t *testing.T, s *testsuite.Suite) {
	who := somebody(t, s)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.LogIn(who.Email, "wrong", "[role=alert]", "do not belong together")
	p.LogIn(who.Email, testsuite.Password, ".who", who.Email)
	p.Shows("#empty", "Nothing here yet")
	if cookies := browser.Eval[string](p, "document.cookie"); cookies != "" {
		t.Errorf("scripts can read %q", cookies)
	}
	p.Click(".top button")
	p.Shows("h1", "Log in")
	p.Go(s.URL)
	p.Shows("h1", "Log in")
}

func theFailedVideo(t *testing.T, s *testsuite.Suite) {
	who := somebody(t, s)
	p := browser.Open(t, browser.View{Phone: true})
	login(p, s.URL, who)
	p.Choose("#file", named(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4"))
	p.Shows("#jobs .failed", "Not converted. The file has no sound. Check that it plays with sound on your device, then upload it again.")
	p.Shows("#live", "silent.mp4: Not converted.")
	p.IsAccessible()
	p.Shots("failed")
	if wide := browser.Eval[bool](p, "document.documentElement.scrollWidth > innerWidth"); wide {
		t.Error("the page is wider than the phone")
	}
	who.Login(t)
	first := *who.List(t, "").Jobs[0].Started
	p.Click("[data-act=retry] button")
	p.Await("the page knows of the second try", "!document.querySelector('[data-act=retry][aria-busy]')")
	failsAgain(t, who, first)
	p.Shows("#jobs .failed", "Not converted.")
	p.Click("[popovertarget]")
	p.Shows(".ask", "Delete silent.mp4 for good?")
	p.IsAccessible()
	p.Shot("delete-phone-light")
	p.Click(".danger")
	p.Shows("#empty", "Nothing here yet")
	p.Shows("#live", "silent.mp4 is deleted")
	if jobs := who.List(t, "").Jobs; len(jobs) != 0 {
		t.Errorf("jobs %+v, want none", jobs)
	}
}

// failsAgain waits until the only job of somebody, which was begun at first, has been tried anew.
func failsAgain(t *testing.T, who *testsuite.Person, first string) {
	t.Helper()
	testsuite.Eventually(t, "it is tried again", func() bool {
		jobs := who.List(t, "").Jobs
		return len(jobs) == 1 && jobs[0].State == "failed" && jobs[0].Attempts == 1 && jobs[0].Started != nil && *jobs[0].Started != first
	})
}

func theLostConnection(t *testing.T, s *testsuite.Suite) {
	const size = 6 << 20
	who := somebody(t, s)
	w := newWire(t, strings.TrimPrefix(s.URL, "http://"))
	p := browser.Open(t, browser.View{})
	login(p, w.URL, who)
	w.CutAfter(4 << 20)
	before := w.up.Load()
	p.Choose("#file", heavy(t, "heavy.mp4", size))
	p.Shows("#uploads .says", "The connection is lost.")
	p.IsAccessible()
	p.Shot("lost")
	w.Mend()
	p.Shows("#jobs h3", "heavy.mp4")
	if sent := w.up.Load() - before; sent > size+1<<20 {
		t.Errorf("%d bytes went up for a file of %d: it did not go on where it stopped", sent, size)
	}
	p.Shows("#jobs .ready", "Ready")
	who.Login(t)
	if jobs := who.List(t, "").Jobs; len(jobs) != 1 || jobs[0].Bytes != size {
		t.Errorf("jobs %+v, want one of %d bytes", jobs, size)
	}
}

func theReload(t *testing.T, s *testsuite.Suite) {
	const size = 5 << 20
	who := somebody(t, s)
	w := newWire(t, strings.TrimPrefix(s.URL, "http://"))
	p := browser.Open(t, browser.View{})
	login(p, w.URL, who)
	w.CutAfter(3 << 20)
	before := w.up.Load()
	video := heavy(t, "heavy.mp4", size)
	p.Choose("#file", video)
	p.Shows("#uploads .says", "The connection is lost.")
	w.Mend()
	p.Go(w.URL)
	p.Shows("#uploads .says", "Interrupted. Choose the file again to go on.")
	p.Choose("#file", video)
	p.Shows("#jobs h3", "heavy.mp4")
	if sent := w.up.Load() - before; sent > size+1<<20 {
		t.Errorf("%d bytes went up for a file of %d: it did not go on where it stopped", sent, size)
	}
}

func theOtherTab(t *testing.T, s *testsuite.Suite) {
	const size = 6 << 20
	who := somebody(t, s)
	w := newWire(t, strings.TrimPrefix(s.URL, "http://"))
	p := browser.Open(t, browser.View{})
	login(p, w.URL, who)
	release := w.HoldAfter(3 << 20)
	defer release() // or the wire waits for it
	before := w.up.Load()
	video := heavy(t, "heavy.mp4", size)
	p.Choose("#file", video)
	p.Await("a part is there", "document.querySelector('#uploads progress')?.value > .3")
	other := p.Another()
	other.Go(w.URL)
	other.Shows("#uploads .says", "Under way in another tab or window.")
	other.Choose("#file", video)
	release()
	p.Shows("#jobs h3", "heavy.mp4")
	other.Shows("#jobs h3", "heavy.mp4")
	other.Await("it is over there, too", "document.getElementById('uploads').hidden")
	if broken := browser.Eval[int](p, "performance.getEntriesByType('resource').filter((e) => e.name.includes('/uploads/')).length"); broken > 2 {
		t.Errorf("%d requests for an upload that needs two: the other tab has broken in", broken)
	}
	if sent := w.up.Load() - before; sent > size+1<<20 {
		t.Errorf("%d bytes went up for a file of %d", sent, size)
	}
	who.Login(t)
	if jobs := who.List(t, "").Jobs; len(jobs) != 1 || jobs[0].Bytes != size {
		t.Errorf("jobs %+v, want one of %d bytes", jobs, size)
	}
}

func withoutScripts(t *testing.T, s *testsuite.Suite) {
	who := somebody(t, s)
	p := browser.Open(t, browser.View{NoScripts: true})
	saved := p.Downloads()
	login(p, s.URL, who)
	p.Shot("without-scripts")
	p.Choose("#file", named(t, testsuite.Clip(t), "clip.mp4"))
	p.Click("#add .main")
	p.Shows("#jobs h3", "clip.mp4")
	testsuite.Eventually(t, "it is ready", func() bool {
		p.Go(s.URL)
		return browser.Eval[bool](p, "document.querySelector('.ready') !== null")
	})
	p.Click(".title a") // reload
	p.Shows("#jobs .ready", "Ready")
	p.Shot("without-scripts-ready")
	p.Fill("#q", "no such")
	p.Click(".search button")
	p.Shows("#empty", "Nothing found")
	p.Click("#empty .all")
	p.Click("a[download]")
	if mp3 := saved("clip.mp3"); !bytes.HasPrefix(mp3, []byte("ID3")) {
		t.Errorf("the MP3 begins with %.10q", mp3)
	}
	p.Click("[popovertarget]")
	p.Click(".danger")
	p.Shows("#empty", "Nothing here yet")

	p.Choose("#file", named(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4"))
	p.Click("#add .main")
	p.Shows("#jobs h3", "silent.mp4")
	testsuite.Eventually(t, "it has failed", func() bool {
		p.Go(s.URL)
		return browser.Eval[bool](p, "document.querySelector('.failed') !== null")
	})
	who.Login(t)
	first := *who.List(t, "").Jobs[0].Started
	browser.Eval[bool](p, "window.old = true")
	p.Click("[data-act=retry] button")
	p.Await("the page comes again", "!window.old && document.querySelector('#jobs li')")
	failsAgain(t, who, first) // the page may have come when it had
	p.Choose("#file", named(t, testmedia.File(t, ".mp4", nil), "empty.mp4"))
	p.Click("#add .main")
	p.Shows(".problem", "The file is empty.")
}

// byKeyboard never touches the mouse, but for the browser's own dialog to choose a file.
func byKeyboard(t *testing.T, s *testsuite.Suite) {
	who := somebody(t, s)
	p := browser.Open(t, browser.View{})
	p.Go(s.URL)
	p.Await("the first field has the focus", "document.activeElement.id === 'email'")
	p.Type(who.Email + "\t" + testsuite.Password + "\r")
	p.Shows("h1", "Turn videos into MP3s")
	p.Await("the page is live", "document.documentElement.classList.contains('runs')")
	p.TabTo("Log out")
	p.TabTo("Choose videos or drop them here")
	p.Shot("focus")
	p.Choose("#file", named(t, testsuite.Clip(t), "clip.mp4"))
	p.TabTo("Sound")
	p.Shows("#jobs .ready", "Ready")
	p.TabTo("Play clip.mp4")
	p.Type("\r")
	p.Await("the MP3 plays", "document.querySelector('audio').currentTime > .1")
	p.Type(" ")
	p.Await("it is quiet", "document.querySelector('audio').paused")
	p.TabTo("Download clip.mp3")
	p.TabTo("Delete clip.mp4")
	p.Type("\r")
	p.Await("the question has the focus", "document.activeElement.textContent === 'Keep'")
	p.Type("\r")
	p.Await("it is back", "document.activeElement.textContent === 'Delete clip.mp4'")
	p.Type("\r")
	p.TabTo("Delete")
	p.Type("\r")
	p.Shows("#empty", "Nothing here yet")
	p.Await("the focus is not lost", "document.activeElement.id === 'jobs-title'")
}

func theHiddenWindow(t *testing.T, s *testsuite.Suite) {
	who := s.Someone(t)
	kept := who.Upload(t, testsuite.Clip(t), "kept.mp4")
	gone := who.Upload(t, testsuite.Clip(t), "gone.mp4")
	p := browser.Open(t, browser.View{})
	login(p, s.URL, who)
	p.Shows("#jobs h3", "gone.mp4")
	p.Hide(true)
	who.Reaches(t, kept, "done")
	who.Do(t, testsuite.Request{Method: "DELETE", Path: "/jobs/" + gone})
	p.Hide(false)
	p.Shows("#jobs .ready", "Ready")
	p.Await("the other one is gone", "document.querySelectorAll('#jobs li').length === 1")
}

// theSearch is by the page's own form, and what comes by events keeps to it.
func theSearch(t *testing.T, s *testsuite.Suite) {
	who := s.Someone(t)
	clip := testsuite.Clip(t)
	talk, holiday := who.Upload(t, clip, "talk.mp4"), who.Upload(t, clip, "Holiday.mp4")
	p := browser.Open(t, browser.View{})
	login(p, s.URL, who)
	lists := func(names ...string) {
		t.Helper()
		p.Await(strings.Join(names, " and ")+" are listed", "[...document.querySelectorAll('#jobs h3')].map((h) => h.textContent).join() === '"+strings.Join(names, ",")+"'")
	}
	lists("Holiday.mp4", "talk.mp4")
	p.TabTo("Search")
	p.Type("holi")
	lists("Holiday.mp4")
	p.Shows("#live", "1 found")
	p.IsAccessible()
	p.Shots("search")
	who.Upload(t, clip, "another talk.mp4")
	who.Reaches(t, talk, "done")
	who.Upload(t, clip, "holiday 2.mp4")
	lists("holiday 2.mp4", "Holiday.mp4") // the events before were of others

	p.TabTo("Show")
	p.Type("f") // Failed
	p.Shows("#empty", "Nothing found")
	p.Go(browser.Eval[string](p, "location.href"))
	p.Shows("#empty", "Nothing found")
	p.Click("#empty .all")
	lists("holiday 2.mp4", "another talk.mp4", "Holiday.mp4", "talk.mp4")
	if address := browser.Eval[string](p, "location.pathname + location.search"); address != "/" {
		t.Errorf("the address is %s", address)
	}
	who.Do(t, testsuite.Request{Method: "DELETE", Path: "/jobs/" + holiday})
	lists("holiday 2.mp4", "another talk.mp4", "talk.mp4")
}
