package gateway

import (
	"net/http"
	"strconv"
	"sync"

	"mp3converter/internal/openapi"
	"mp3converter/internal/page"
)

// describe serves the API's description for programs.
func describe(w http.ResponseWriter, _ *http.Request) error {
	write(w, "application/yaml", openapi.YAML())
	return nil
}

var docsPage = sync.OnceValues(func() (openapi.Page, error) {
	return openapi.Render(openapi.Site{Style: page.Style(), Icon: page.Icon()})
})

// docs serves it for people.
func docs(w http.ResponseWriter, _ *http.Request) error {
	made, err := docsPage()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", made.Policy)
	write(w, "text/html; charset=utf-8", made.HTML)
	return nil
}

func write(w http.ResponseWriter, media string, body []byte) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that is gone reads nothing
}
