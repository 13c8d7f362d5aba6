package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/browser"
	"mp3converter/internal/job"
	"mp3converter/internal/page"
)

// sample is one job in each state that a list can show.
func sample() []job.Job {
	at := time.Date(2026, 11, 28, 18, 40, 0, 0, time.UTC)
	jobs := []job.Job{
		{Name: "Überfahrt, 2. Tag.mp4", State: job.Queued, VideoBytes: 1_234_567_890},
		{Name: "Band rehearsal.mov", State: job.Queued, VideoBytes: 48_000_000, Profile: job.High, Attempt: 1, Detail: "the store was away"},
		{Name: "Lecture 7 – Fourier series and what they are good for.mkv", State: job.Converting, Percent: 42, VideoBytes: 734_003_200, Profile: job.Voice, Attempt: 1},
		{Name: "Interview.webm", State: job.Converted, Mail: job.MailPending, VideoBytes: 91_000_000, Percent: 100},
		{Name: "Holiday.mp4", State: job.Done, Mail: job.MailSent, VideoBytes: 412_345_678, Profile: job.Best, Percent: 100},
		{Name: "Grandmother tells.avi", State: job.Done, Mail: job.MailFailed, VideoBytes: 64_000_000, Percent: 100},
		{Name: "screen-recording-" + strings.Repeat("2026-11-28-", 12) + ".mp4", State: job.Failed, Reason: job.ReasonNoAudio, VideoBytes: 5_000_000},
		{Name: "", State: job.Failed, Reason: job.ReasonCrashed, VideoBytes: 999, Profile: job.CBR128},
		{Name: "<script>alert(1)</script>.mp4", State: job.Failed, Reason: job.ReasonNoVideo, VideoBytes: 10_000},
		{Name: "Last spring.mp4", State: job.Done, Mail: job.MailSent, VideoWas: 64_000_000, VideoGone: true, MP3Gone: true, MP3Until: at.AddDate(0, -1, 0)},
		{Name: "Last autumn.mp4", State: job.Failed, Reason: job.ReasonCrashed, VideoWas: 64_000_000, VideoGone: true, VideoUntil: at.AddDate(0, -1, 0)},
	}
	for i := range jobs {
		j := &jobs[i]
		j.ID = job.NewID(at.Add(-time.Duration(i) * time.Hour))
		j.Owner, j.Created = "sid@gmail.com", at.Add(-time.Duration(i)*time.Hour)
		if j.Profile == "" {
			j.Profile = job.Standard
		}
		if j.State == job.Converted || j.State == job.Done {
			if j.MP3Until.IsZero() {
				j.VideoUntil, j.MP3Until = at.AddDate(0, 0, 1), at.AddDate(50, 0, 0)
			}
			j.MP3, j.MP3Bytes, j.Duration = j.ID, j.VideoBytes/37, 3*time.Minute+7*time.Second+time.Duration(i)*time.Hour/3
		}
	}
	return jobs
}

// serve is a gateway of which nothing is there but its pages.
func serve(t *testing.T, v page.Page) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+page.StaticRoot, page.Static)
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := v.Write(w, http.StatusOK); err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestEveryPageIsAccessible(t *testing.T) {
	list := sample()
	for name, v := range map[string]page.Page{
		"login":         page.Login{},
		"login-refused": page.Login{Problem: "That e-mail and password do not belong together."},
		"problem":       page.Problem{Text: "the file does not fit into your quota: of 1000000 bytes 20 are left, delete jobs that you no longer need"},
		"empty":         page.Home{User: "sid@gmail.com", MaxUpload: 4 << 30},
		"list":          page.Home{User: "sid@gmail.com", Operator: true, MaxUpload: 4 << 30, Jobs: list, Older: list[0].ID},
		"older":         page.Home{User: "sid@gmail.com", MaxUpload: 4 << 30, Jobs: list[4:7], Before: list[3].ID},
		"searched":      page.Home{User: "sid@gmail.com", MaxUpload: 4 << 30, Jobs: list[4:6], Older: list[5].ID, Search: page.Search{Name: "a", Show: "ready"}},
		"nothing-found": page.Home{User: "sid@gmail.com", MaxUpload: 4 << 30, Search: page.Search{Name: "nothing & <more>"}},
		"one":           page.Home{User: "sid@gmail.com", MaxUpload: 4 << 30, Jobs: list[4:5], Only: list[4].ID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := browser.Open(t, browser.View{})
			url := serve(t, v)
			if home, ok := v.(page.Home); ok {
				url += home.Search.Path("")
			}
			p.Go(url)
			p.IsAccessible()
			if name == "list" || name == "searched" {
				p.Shots(name)
			} else {
				p.Shot(name)
			}
		})
	}
}
