package gateway

import (
	"net/http"
	"strconv"

	"mp3converter/internal/openapi"
)

// describe serves the API's description for programs.
func describe(w http.ResponseWriter, _ *http.Request) error {
	write(w, "application/yaml", openapi.YAML())
	return nil
}

// docs serves it for people.
func docs(w http.ResponseWriter, _ *http.Request) error {
	page, err := openapi.Docs()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", page.Policy)
	write(w, "text/html; charset=utf-8", page.HTML)
	return nil
}

func write(w http.ResponseWriter, media string, body []byte) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that is gone reads nothing
}
