package openapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"mp3converter/internal/apitest"
	"mp3converter/internal/gateway"
)

// all is a gateway with all that brings routes. Nothing of it is called.
func all() *gateway.Service {
	var stub struct{ gateway.Arrivals }
	return gateway.New(gateway.Config{Arrivals: stub, Desk: &gateway.Desk{}})
}

// The document has every route of the gateway, and the gateway every operation of the document.
func TestTheDocumentHasEveryRoute(t *testing.T) {
	routes, ok := all().Routes().(chi.Routes)
	if !ok {
		t.Fatalf("the routes are %T", routes)
	}
	var there []string
	err := chi.Walk(routes, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		there = append(there, method+" "+path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	described := apitest.Served().Operations()
	for _, route := range there {
		if !slices.Contains(described, route) {
			method, path, _ := strings.Cut(route, " ")
			t.Errorf(toAdd, route, path, strings.ToLower(method))
		}
	}
	for _, operation := range described {
		if !slices.Contains(there, operation) {
			t.Errorf("openapi.yaml describes %s, which the gateway does not have. If it has it only by a setting, set that in all()", operation)
		}
	}
}

const toAdd = `%s is in no place of the API's description. Add to internal/openapi/openapi.yaml, under paths:

  %s:
    %s:
      operationId: …
      tags: [one of the list tags]
      summary: …
      x-curl: curl …
      responses: …

with its parameters, body, security if it is not a user's, and every status that it answers with, then
  go test ./internal/openapi -run README -update   # README's table
  go test ./internal/openapi ./internal/gateway    # which holds every answer against it
A route has its methods by name (r.Get, r.Post …) and its variable parts as {name}: r.Handle and * cannot be described.`
