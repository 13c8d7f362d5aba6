package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// The first upload with a key makes the job, any other gets it.
func TestOneKeyIsOneJob(t *testing.T) {
	t.Parallel()
	r := start(t)
	keyed := func(user, key, content string) request {
		return request{path: "/upload", token: user, form: file(content), header: http.Header{"Idempotency-Key": {key}}}
	}
	first := r.do(keyed(sid, "k", "video"))
	r.want(first, 200, "success!")
	location := first.header.Get("Location")
	for name, tt := range map[string]struct {
		q    request
		same bool
	}{
		"the same again":        {keyed(sid, "k", "video"), true},
		"with another video":    {keyed(sid, "k", strings.Repeat("another ", mega)), true},
		"somebody else's":       {keyed(ann, "k", "video"), false},
		"another key":           {keyed(sid, "K", "video"), false},
		"without a key":         {request{path: "/upload", form: file("video")}, false},
		"of a form that is bad": {request{path: "/upload", form: []part{}, header: http.Header{"Idempotency-Key": {"k"}}}, true},
	} {
		a := r.do(tt.q)
		r.want(a, 200, "success!")
		if same := a.header.Get("Location") == location; same != tt.same {
			t.Errorf("%s: the same job: %v, want %v", name, same, tt.same)
		}
	}
	r.want(r.do(request{method: "DELETE", path: location}), 204, "")
	again := r.do(keyed(sid, "k", "video"))
	r.want(again, 200, "success!")
	if again.header.Get("Location") == location {
		t.Error("a deleted job still has its key")
	}
}

func TestARaceForAKey(t *testing.T) {
	t.Parallel()
	r := start(t)
	const rivals = 5
	var outs []*io.PipeWriter
	var answers []<-chan answer
	for range rivals { // each is under way before the first arrives
		q, out := slowly(request{header: http.Header{"Idempotency-Key": {"k"}}})
		answers, outs = append(answers, r.async(q)), append(outs, out)
		_, err := io.WriteString(out, opening)
		r.must(err)
	}
	r.eventually("all are under way", func() bool { return len(r.all()) == rivals })
	var g errgroup.Group
	for _, out := range outs {
		g.Go(func() error {
			_, err := io.WriteString(out, "video"+closing)
			return errors.Join(err, out.Close())
		})
	}
	r.must(g.Wait())
	locations := map[string]bool{}
	for _, a := range answers {
		a := <-a
		r.want(a, 200, "success!")
		locations[a.header.Get("Location")] = true
	}
	if len(locations) != 1 || len(r.all()) != 1 || len(r.stored()) != 2 {
		t.Errorf("answers name %v; jobs %q, files %q", locations, r.all(), r.stored())
	}
}
