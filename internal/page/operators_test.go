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

func TestOperatorsAreOfferedOnlyTriesThatCanHelp(t *testing.T) {
	t.Parallel()
	can, cannot := job.Job{ID: "can", State: job.Failed}, job.Job{ID: "cannot", State: job.Failed, VideoGone: true}
	w := httptest.NewRecorder()
	if err := (page.Admin{Failed: []job.Job{can, cannot}}).Write(w, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"can": true, "cannot": false} {
		if got := strings.Contains(w.Body.String(), "/admin/jobs/"+id+"/retry"); got != want {
			t.Errorf("the job that %s be tried again has the button: %v", id, got)
		}
	}
}

func TestOperatorsPagesAreAccessible(t *testing.T) {
	list := sample()
	for i := range list[:2] {
		list[i].Since, list[i].Rings = list[i].Created, 1
	}
	list[1].NotBefore = list[0].Created.Add(time.Hour + time.Minute)
	working := []job.Job{list[2]}
	working[0].Worker, working[0].Started = "converter-7d9f-x2x/1", list[0].Created
	working[0].LeaseUntil = list[0].Created.Add(time.Hour + time.Minute)
	for name, shown := range map[string]page.Page{
		"admin": page.Admin{
			User: "op@gmail.com", Now: list[0].Created.Add(time.Hour), Broker: true, Unknown: []string{"counts"},
			Queues: []job.Queue{{Name: "video", Waiting: 3, Consumers: 4, Dead: 1}, {Name: "mp3", Consumers: 4}},
			Queued: list[:2], Converting: working, Mails: list[3:4], Failed: list[6:9], Older: list[8].ID,
		},
		"admin-idle": page.Admin{User: "op@gmail.com"},
		"dead": page.Dead{User: "op@gmail.com", Broker: true, More: 7, Letters: []job.DeadLetter{
			{ID: strings.Repeat("a", 26), Queue: "video", Reason: "body is no message", Buried: list[0].Created, Bytes: 31, Start: []byte(`{"video_fid": "<script>alert(1)`)},
			{ID: strings.Repeat("b", 26), Queue: "mp3", Reason: "given up by the broker: delivery_limit", Bytes: 100_000, Cut: true, Start: []byte(strings.Repeat("x", 200))},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := browser.Open(t, browser.View{})
			p.Go(serve(t, shown))
			p.IsAccessible()
			p.Shots(name)
		})
	}
}
