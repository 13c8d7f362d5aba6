package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheDescriptionIsServed(t *testing.T) {
	t.Parallel()
	r := start(t)
	yaml := r.do(request{path: "/openapi.yaml", token: "-"})
	if yaml.status != http.StatusOK || !strings.HasPrefix(yaml.body, "openapi: 3.1.0\n") {
		t.Errorf("/openapi.yaml = %d %.100q", yaml.status, yaml.body)
	}
	page := r.do(request{path: "/docs", token: "-"})
	if page.status != http.StatusOK || !strings.HasPrefix(page.body, "<!doctype html>") || !strings.HasSuffix(strings.TrimSpace(page.body), "</html>") {
		t.Errorf("/docs = %d %.100q", page.status, page.body)
	}
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self' 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("the page's policy is %q", policy)
	}
}
