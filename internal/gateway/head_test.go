package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/gateway"
)

// TestWhatThereIsToGetHasAHead asks each route that has a GET. A stream's HEAD ends, though the stream would not.
func TestWhatThereIsToGetHasAHead(t *testing.T) {
	t.Parallel()
	r := start(t)
	a := r.do(request{path: "/upload", token: op, form: file("video")})
	r.want(a, http.StatusOK, "success!")
	fill := strings.NewReplacer("/jobs/{id}", a.header.Get("Location"), "{version}/{name}", "any/style.css", "{id}", "no-id")
	paths := []string{"/download?fid=no-id", "/jobs?limit=x", "/?before=x", "/nothing"}
	for _, route := range gets(t) {
		paths = append(paths, fill.Replace(route))
	}
	if len(paths) < 15 {
		t.Fatalf("only %q", paths)
	}
	for _, path := range paths {
		q := request{path: path, token: op}
		q.method = http.MethodHead
		head := r.do(q)
		if strings.HasSuffix(path, "/events") {
			if kind := head.header.Get("Content-Type"); head.status != http.StatusOK || kind != "text/event-stream; charset=utf-8" {
				t.Errorf("HEAD %s = %d %v", path, head.status, head.header)
			}
			continue
		}
		q.method = http.MethodGet
		get := r.do(q)
		for _, own := range []string{"X-Request-Id", "Date", "Content-Length"} { // a long page's is left out
			head.header.Del(own)
			get.header.Del(own)
		}
		if head.status != get.status || head.body != "" || get.status == http.StatusMethodNotAllowed {
			t.Errorf("HEAD %s = %d %q, GET = %d", path, head.status, head.body, get.status)
		}
		if diff := cmp.Diff(get.header, head.header); diff != "" {
			t.Errorf("HEAD %s has other headers:\n%s", path, diff)
		}
	}
	for path, allowed := range map[string]string{"/upload": "POST", "/jobs": "GET, HEAD"} {
		a := r.do(request{method: http.MethodPatch, path: path})
		if got := a.header.Get("Allow"); a.status != http.StatusMethodNotAllowed || got != allowed {
			t.Errorf("PATCH %s = %d, Allow %q", path, a.status, got)
		}
	}
	r.want(r.do(request{method: http.MethodHead, path: "/upload"}), http.StatusMethodNotAllowed, "")
}

// gets are the routes of a gateway that have a GET.
func gets(t *testing.T) (all []string) {
	t.Helper()
	var stub struct{ gateway.Arrivals }
	routes, ok := gateway.New(gateway.Config{Arrivals: stub, Desk: &gateway.Desk{}}).Routes().(chi.Routes)
	if !ok {
		t.Fatal("the routes cannot be listed")
	}
	err := chi.Walk(routes, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method == http.MethodGet {
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
