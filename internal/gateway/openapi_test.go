package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"mp3converter/internal/apitest"
)

// The document has every route of the service, and the service every operation of the document.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	t.Parallel()
	var routes []string
	start(t).walk(func(route string) { routes = append(routes, route) })
	operations := apitest.Served().Operations()
	for _, route := range routes {
		if !slices.Contains(operations, route) {
			method, path, _ := strings.Cut(route, " ")
			t.Errorf("%s is in no place of the API's description. Add to internal/openapi/openapi.yaml, under paths:\n\n"+
				"  %s:\n    %s:\n      operationId: …\n      tags: [one of the list tags]\n      summary: …\n      x-curl: curl …\n      responses: …\n\n"+
				"with its parameters, body and every status it answers with, then\n"+
				"  go test ./internal/openapi -run README -update   # README's table\n"+
				"  go test ./internal/openapi ./internal/apitest ./internal/gateway\n"+
				"A route has its methods by name (r.Get, r.Post …) and its variable parts as {name}: r.Handle and * cannot be described.",
				route, path, strings.ToLower(method))
		}
	}
	for _, operation := range operations {
		if !slices.Contains(routes, operation) {
			t.Errorf("internal/openapi/openapi.yaml describes %s, which gateway.Service.Routes does not have", operation)
		}
	}
}

// walk tells of each route as the document names it.
func (r *rig) walk(tell func(route string)) {
	r.Helper()
	routes, ok := r.routes.(chi.Routes)
	if !ok {
		r.Fatalf("the routes are %T", r.routes)
	}
	r.must(chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		tell(method + " " + route)
		return nil
	}))
}

func TestTheDescriptionIsServed(t *testing.T) {
	t.Parallel()
	r := start(t)
	yaml := r.do(request{path: "/openapi.yaml", token: "-"})
	if yaml.status != http.StatusOK || !strings.HasPrefix(yaml.body, "openapi: 3.1.0\n") {
		t.Errorf("/openapi.yaml = %d %.100q", yaml.status, yaml.body)
	}
	page := r.do(request{path: "/docs", token: "-"})
	if page.status != http.StatusOK || !strings.HasPrefix(page.body, "<!DOCTYPE html>") || !strings.HasSuffix(strings.TrimSpace(page.body), "</html>") {
		t.Errorf("/docs = %d %.100q", page.status, page.body)
	}
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("the page's policy is %q", policy)
	}
}
