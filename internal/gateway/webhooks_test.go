package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/gateway"
	"mp3converter/internal/hook"
	"mp3converter/internal/job"
)

func wanted(url string) request { return wantedBody(fmt.Sprintf(`{"url": %q}`, url)) }

func wantedBody(body string) request {
	return request{
		path: "/webhooks", method: http.MethodPost, body: strings.NewReader(body),
		header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
	}
}

// addHook makes a webhook as a user does, and returns its record.
func (r *rig) addHook(user string) hook.Hook {
	r.Helper()
	q := wanted("https://example.com/hook")
	q.token = user
	h, err := r.hooks.Get(r.Context(), r.json(r.do(q), 201)["id"].(string))
	r.must(err)
	return h
}

// deliver puts a job's end into the hook's log.
func (r *rig) deliver(h hook.Hook, ended time.Time) hook.Delivery {
	r.Helper()
	j := job.New(ended, r.rules, job.NewID(ended), h.Owner)
	r.must(j.Arrived(ended, r.rules, job.File{Name: "a.mp4"}))
	r.must(j.Stop(ended, r.rules, "x"))
	d, _ := h.OfJob(ended, j)
	r.must(r.deliveries.Insert(r.Context(), d))
	return d
}

func TestAWebhookIsMadeShownAndDeleted(t *testing.T) {
	t.Parallel()
	r := start(t)
	made := r.json(r.do(wanted("https://example.com/hook?key=1")), 201)
	h, err := r.hooks.Get(t.Context(), made["id"].(string))
	r.must(err)
	want := map[string]any{
		"id": h.ID, "url": "https://example.com/hook?key=1", "events": []any{"job.done", "job.failed"},
		"created_at": h.Created.Format(time.RFC3339Nano), "disabled_at": nil,
	}
	if diff := cmp.Diff(map[string]any{"webhooks": []any{want}}, r.json(r.do(request{path: "/webhooks"}), 200)); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	want["secret"] = string(h.Secret)
	if diff := cmp.Diff(want, made); diff != "" || !strings.HasPrefix(string(h.Secret), "whsec_") || h.Owner != sid {
		t.Errorf("made %+v (-want +got):\n%s", h, diff)
	}
	r.deliver(h, time.Now())
	if a := r.do(request{path: "/webhooks/" + h.ID, method: http.MethodDelete}); a.status != 204 || a.body != "" {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
	r.want(r.do(request{path: "/webhooks/" + h.ID, method: http.MethodDelete}), 404, "no such webhook")
	if log, err := r.deliveries.List(t.Context(), h.ID, "", 10); err != nil || len(log) > 0 {
		t.Errorf("left in the log: %v, %v", log, err)
	}
}

func TestNoWebhookIsMadeOfWhatIsNone(t *testing.T) {
	t.Parallel()
	r := start(t)
	const form = `the body must be {"url": "https://example.com/path"}`
	for body, want := range map[string]string{
		"":                                 form,
		"{}":                               "url must be a whole address",
		"null":                             "url must be a whole address",
		"[]":                               form,
		`{"url": 1}`:                       form,
		`{"url": "https://a.example"}x`:    form,
		`{"url": "https://a.example"}{}`:   form,
		`{"url": "https://a", "x": 1}`:     form,
		`{"url": "http://a.example"}`:      "url must begin with https://",
		`{"url": "https://10.0.0.1"}`:      "url must lead to a public address",
		`{"url": "https://u:p@a.example"}`: "url must be without user and password",
		`{"url": "` + strings.Repeat("x", 20<<10) + `"}`: form,
	} {
		a := r.do(wantedBody(body))
		if a.status != 400 || !strings.HasPrefix(a.body, want) {
			t.Errorf("%.60q: %d %s, want 400 %s", body, a.status, a.body, want)
		}
	}
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		q := wanted("https://example.com/")
		q.header = http.Header{"Content-Type": {media}}
		if a := r.do(q); a.status != 415 || a.body != "send JSON, with Content-Type: application/json" {
			t.Errorf("%q: %d %s", media, a.status, a.body)
		}
	}
	if a := r.do(request{path: "/webhooks"}); a.body != `{"webhooks":[]}` {
		t.Errorf("made: %s", a.body)
	}
}

func TestAUserHasTenWebhooksAtMost(t *testing.T) {
	t.Parallel()
	r := start(t)
	made, refused := 0, 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 13 {
		all.Go(func() {
			a := r.do(wanted("https://example.com/"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.status == 201:
				made++
			case a.status == 409 && a.body == "a user may have 10 webhooks: delete one first":
				refused++
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	all.Wait()
	if made != 10 || refused != 3 {
		t.Errorf("%d made, %d refused", made, refused)
	}
	mine, err := r.hooks.Of(t.Context(), sid)
	r.must(err)
	r.do(request{path: "/webhooks/" + mine[4].ID, method: http.MethodDelete})
	r.addHook(sid)
	r.addHook(ann)
}

func TestWebhooksAreTheirOwners(t *testing.T) {
	t.Parallel()
	r := start(t)
	h, other := r.addHook(sid), r.addHook(sid)
	d := r.deliver(h, time.Now())
	for name, tt := range map[string]struct{ hook, delivery, user, want string }{
		"somebody else's":             {h.ID, d.ID, ann, "no such webhook"},
		"an unknown one":              {job.NewID(time.Now()), d.ID, sid, "no such webhook"},
		"no id":                       {"x", d.ID, sid, "no such webhook"},
		"another's delivery of mine":  {other.ID, d.ID, sid, "no such delivery"},
		"an unknown delivery":         {h.ID, job.NewID(time.Now()), sid, "no such delivery"},
		"what is no id of a delivery": {h.ID, "x", sid, "no such delivery"},
	} {
		r.want(r.do(request{path: "/webhooks/" + tt.hook + "/deliveries/" + tt.delivery + "/replay", method: http.MethodPost, token: tt.user}), 404, tt.want)
		if tt.want != "no such webhook" {
			continue
		}
		for path, method := range map[string]string{"": http.MethodDelete, "/test": http.MethodPost, "/deliveries": http.MethodGet} {
			if a := r.do(request{path: "/webhooks/" + tt.hook + path, method: method, token: tt.user}); a.status != 404 || a.body != tt.want {
				t.Errorf("%s: %s %s: %d %s", name, method, path, a.status, a.body)
			}
		}
	}
	if a := r.do(request{path: "/webhooks", token: ann}); a.body != `{"webhooks":[]}` {
		t.Errorf("somebody else sees %s", a.body)
	}
	if now, err := r.deliveries.Get(t.Context(), d.ID); err != nil || now.Version != 1 {
		t.Errorf("the delivery is now %+v, %v", now, err)
	}
}

func TestTheLogIsListedByPage(t *testing.T) {
	t.Parallel()
	r := start(t)
	h := r.addHook(sid)
	var want []any
	for i := range 5 {
		want = append([]any{r.deliver(h, time.Unix(int64(1e9+i), 0)).ID}, want...)
	}
	r.deliver(r.addHook(sid), time.Now())
	var got []any
	query := "?limit=2"
	for range 3 {
		v := r.json(r.do(request{path: "/webhooks/" + h.ID + "/deliveries" + query}), 200)
		for _, d := range v["deliveries"].([]any) {
			got = append(got, d.(map[string]any)["id"])
		}
		query = fmt.Sprint("?limit=2&before=", v["next"])
		if (v["next"] == nil) != (len(got) == len(want)) {
			t.Errorf("after %d of %d next is %v", len(got), len(want), v["next"])
		}
	}
	if !cmp.Equal(got, want) {
		t.Errorf("by page = %v, want %v", got, want)
	}
	for _, query := range []string{"?limit=0", "?limit=201", "?before=x"} {
		r.want(r.do(request{path: "/webhooks/" + h.ID + "/deliveries" + query}), 400, "limit must be 1 to 200 and before a delivery's id")
	}
}

func TestADeliveryAsItsOwnerSeesItAndReplaysIt(t *testing.T) {
	t.Parallel()
	r := start(t)
	h := r.addHook(sid)
	d := r.deliver(h, time.Now())
	rules := hook.Rules{Steps: []time.Duration{time.Second}, Lease: time.Minute}
	for i := range 2 {
		var err error
		d, err = r.deliveries.Update(t.Context(), d.ID, func(d *hook.Delivery) error {
			return d.Tried(time.Now(), rules, i, hook.Answer{Status: 500 * i, Error: "no answer in time"})
		})
		r.must(err)
	}
	want := map[string]any{
		"id": d.ID, "event": "job.failed", "job": d.Job, "state": "failed", "attempts": 2.0, "status": 500.0, "error": "no answer in time",
		"next_try_at": nil, "created_at": d.Created.Format(time.RFC3339Nano), "changed_at": d.Changed.Format(time.RFC3339Nano),
	}
	got := r.json(r.do(request{path: "/webhooks/" + h.ID + "/deliveries"}), 200)
	if diff := cmp.Diff(map[string]any{"deliveries": []any{want}, "next": nil}, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	v := r.json(r.do(request{path: "/webhooks/" + h.ID + "/deliveries/" + d.ID + "/replay", method: http.MethodPost}), 202)
	if v["id"] != d.ID || v["state"] != "pending" || v["next_try_at"] == nil {
		t.Errorf("replayed: %v", v)
	}
	r.wantWoken(h)
}

func (r *rig) wantWoken(h hook.Hook) {
	r.Helper()
	if due, err := r.hooks.Due(r.Context(), time.Now(), 10); err != nil || len(due) != 1 || due[0].ID != h.ID {
		r.Errorf("due are %v, %v, want the hook", due, err)
	}
}

func TestATestIsSentOnceMoreWithinItsMinute(t *testing.T) {
	t.Parallel()
	r := start(t)
	h := r.addHook(sid)
	ids := map[any]bool{}
	for range 3 {
		v := r.json(r.do(request{path: "/webhooks/" + h.ID + "/test", method: http.MethodPost}), 202)
		ids[v["id"]] = true
		if v["event"] != "ping" || v["job"] != nil || v["state"] != "pending" {
			t.Errorf("answer %v", v)
		}
	}
	if len(ids) > 2 { // two if a minute begins
		t.Errorf("%d deliveries", len(ids))
	}
	r.wantWoken(h)
}

func TestADisabledWebhookIsTestedOnly(t *testing.T) {
	t.Parallel()
	r := start(t)
	h := r.addHook(sid)
	d := r.deliver(h, time.Now())
	_, err := r.hooks.Update(t.Context(), h.ID, func(h *hook.Hook) error { h.Disabled = time.Now(); return nil })
	r.must(err)
	path := "/webhooks/" + h.ID
	r.want(r.do(request{path: path + "/deliveries/" + d.ID + "/replay", method: http.MethodPost}), 409, "the webhook is disabled: a test that its receiver accepts enables it")
	v := r.json(r.do(request{path: path + "/test", method: http.MethodPost}), 202)
	r.json(r.do(request{path: fmt.Sprint(path, "/deliveries/", v["id"], "/replay"), method: http.MethodPost}), 202)
	list := r.json(r.do(request{path: "/webhooks"}), 200)["webhooks"].([]any)
	if list[0].(map[string]any)["disabled_at"] == nil {
		t.Errorf("listed as %v", list)
	}
}

func TestOldDeliveriesAreForgotten(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, c *gateway.Config) { c.KeepDeliveries = time.Hour })
	h := r.addHook(sid)
	old, young := r.deliver(h, time.Now().Add(-2*time.Hour)), r.deliver(h, time.Now())
	_, err := r.deliveries.Update(t.Context(), old.ID, func(d *hook.Delivery) error { return d.Drop(d.Changed, "x") })
	r.must(err) // what is still to be made is kept
	ctx, stop := context.WithCancel(t.Context())
	var forgetting sync.WaitGroup
	forgetting.Go(func() { _ = r.service.Forget(ctx) })
	r.eventually("the old one is forgotten", func() bool {
		_, err := r.deliveries.Get(t.Context(), old.ID)
		return err != nil
	})
	stop()
	forgetting.Wait()
	_, err = r.deliveries.Get(t.Context(), young.ID)
	r.must(err)
}
