// Command plain is what auth is compared with: the least that net/http can do. It answers every request on LISTEN with the
// bytes of BODY, and on OPS_LISTEN that it is ready.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func main() {
	body := os.Getenv("BODY")
	go func() { log.Fatal(http.ListenAndServe(os.Getenv("OPS_LISTEN"), answer("ready"))) }()
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), answer(body)))
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body) // a client that is gone reads nothing
	}
}
