package rights

import (
	"net/http"
	"testing"

	"mp3converter/internal/testsuite"
)

// webhook has everything done that can be done with one, but for its end, and returns that.
func (in *installation) webhook(t *testing.T, p *testsuite.Person) (end func()) {
	t.Helper()
	receiver := testsuite.NewReceiver(t, nil)
	h := p.AddHook(t, receiver.URL)
	p.Get(t, "/webhooks")
	p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/webhooks/" + h.ID + "/test"})
	testsuite.Eventually(t, "a ping comes", func() bool { return len(receiver.Got(h.Secret)) == 1 })
	return func() {
		t.Helper()
		testsuite.Eventually(t, "a job's end is told", func() bool {
			all := receiver.Got(h.Secret)
			return len(all) > 1 && all[1].Type == "job.done" && all[1].Good
		})
		p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/webhooks/" + h.ID + "/deliveries/" + p.Deliveries(t, h)[0].ID + "/replay"})
		p.Do(t, testsuite.Request{Method: http.MethodDelete, Path: "/webhooks/" + h.ID})
	}
}
