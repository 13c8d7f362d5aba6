// Package web is HTTP alike in every service: handlers that return errors, one table per service that turns them into
// answers, and the middleware around them. It knows no route and no error of its own but Refusal.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Handler answers a request or returns why it cannot; Errors.Handle turns that into the answer.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Refusal is an answer that is an error: what the client is told, and nothing else about the cause.
type Refusal struct {
	Code       int           // HTTP status
	Text       string        // the contract's plain text, without a newline
	RetryAfter time.Duration // sent as Retry-After unless zero
}

// Refuse returns an error that is answered with the given status and text.
func Refuse(code int, text string) error { return &Refusal{Code: code, Text: text} }

func (r *Refusal) Error() string { return strconv.Itoa(r.Code) + " " + r.Text }

// Unavailable is the answer when something that we need is away.
var Unavailable = Refusal{Code: http.StatusServiceUnavailable, Text: "service unavailable, try again later", RetryAfter: 5 * time.Second}

// ErrStopping is why the context of a request ends that outlives the grace of a process told to stop.
var ErrStopping = errors.New("the process is stopping, and the grace is over")

// Row says how an error is answered.
type Row struct {
	Err error
	Refusal
}

// Errors is a service's table. The first row whose Err is in the error's chain answers it; an error that is, or wraps, a
// *Refusal answers itself; for one that wraps http.ErrAbortHandler the connection is broken off without an answer; any
// other is logged in full and answered by Unavailable: what no row names is a store, broker or service that is away.
type Errors []Row

// Handle makes an http.HandlerFunc of h.
func (e Errors) Handle(h Handler) http.HandlerFunc {
	return e.HandleBy(h, func(w http.ResponseWriter, r *http.Request, refusal Refusal, _ error) { Write(w, r, refusal) })
}

// HandleBy is Handle with a refusal's answer written by the service, which is told the error that it is for as well.
func (e Errors) HandleBy(h Handler, write func(w http.ResponseWriter, r *http.Request, refusal Refusal, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := record(w)
		err := h(rec, r)
		if err == nil {
			return
		}
		if errors.Is(err, http.ErrAbortHandler) {
			Note(r.Context(), slog.LevelKey, slog.LevelError, "err", err)
			panic(http.ErrAbortHandler)
		}
		if rec.status != 0 { // the answer has begun: break it off, so that nobody takes the part for the whole
			Note(r.Context(), "err", err)
			panic(http.ErrAbortHandler)
		}
		write(rec, r, e.refusal(r, err), err)
	}
}

// refusal is what a request is answered with that has come to err, and notes what is wrong.
func (e Errors) refusal(r *http.Request, err error) Refusal {
	refusal, known := e.find(err)
	switch {
	case errors.Is(context.Cause(r.Context()), ErrStopping) && (!known || errors.Is(err, ErrStopping)):
		refusal = Unavailable // whatever failed, it was cut off
		Note(r.Context(), slog.LevelKey, slog.LevelWarn, "err", err)
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		Note(r.Context(), "gone", true) // nobody is there to read the answer
	case !known:
		Note(r.Context(), slog.LevelKey, slog.LevelError, "err", err)
	case err.Error() != refusal.Error():
		Note(r.Context(), "err", err)
	}
	return refusal
}

func (e Errors) find(err error) (Refusal, bool) {
	for _, row := range e {
		if errors.Is(err, row.Err) {
			return row.Refusal, true
		}
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return *refusal, true
	}
	return Unavailable, false
}

// Write answers with a refusal: plain text, or RFC 9457 problem JSON when the client asks for JSON.
func Write(w http.ResponseWriter, r *http.Request, refusal Refusal) {
	refusal.SetHeader(w.Header())
	if !WantsJSON(r) {
		Text(w, refusal.Code, refusal.Text)
		return
	}
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(refusal.Code), Status: refusal.Code, Detail: refusal.Text,
		RequestID: RequestID(r.Context()),
	})
	if err != nil {
		panic(err) // strings and a number marshal
	}
	send(w, refusal.Code, "application/problem+json", string(body))
}

// SetHeader sets what a refusal says beside its text.
func (r Refusal) SetHeader(h http.Header) {
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(r.RetryAfter.Round(time.Second)/time.Second)))
	}
}

// problem is RFC 9457's object.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id,omitempty"`
}

// WantsJSON reports whether the client asks for JSON: Accept names it and does not prefer anything before it.
func WantsJSON(r *http.Request) bool {
	media := wanted(r)
	return media == "application/json" || media == "application/problem+json"
}

// WantsHTML reports whether the client asks for HTML first, as browsers do when they are to show what they get.
func WantsHTML(r *http.Request) bool { return wanted(r) == "text/html" }

// wanted is the media type that Accept names first; empty if it names none.
func wanted(r *http.Request) string {
	first, _, _ := strings.Cut(strings.Join(r.Header.Values("Accept"), ","), ",")
	media, _, err := mime.ParseMediaType(first)
	if err != nil {
		return ""
	}
	return media
}

// Text answers with a plain text.
func Text(w http.ResponseWriter, code int, text string) {
	send(w, code, "text/plain; charset=utf-8", text)
}

// JSON answers with a value in JSON.
func JSON(w http.ResponseWriter, code int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	send(w, code, "application/json", string(body))
	return nil
}

func send(w http.ResponseWriter, code int, media, body string) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body) // a client that is gone reads nothing
}

// NewServer returns a server with the limits that every service has. Bodies have none here: an upload may take an hour,
// so the handler that reads one watches over it.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    12 << 10, // net/http adds 4 KiB: 16
		// OPTIONS * is for the handler as all else is; net/http's own answer lacks our headers.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug), // broken clients, not our faults
	}
}
