package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	tus "github.com/tus/tusd/v2/pkg/handler"
	"golang.org/x/exp/slog"

	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// Resumable uploads are tus 1.0: POST makes one, PATCH adds to it, HEAD says how far it is, DELETE ends it. Package tusd
// judges the requests; what they do to the ledger and the store is in arriving.go. From tusd come neither answers to what
// fails, which are ours as everywhere, nor deadlines, which are the body's, nor locks: the ledger's number of the writer is
// the lock, in whatever gateway.

// Arrivals stores videos that arrive in parts; porttest.Arrivals has the full terms.
type Arrivals interface {
	Append(ctx context.Context, f job.File, a job.Arrival, r io.Reader, save func(context.Context, job.Arrival) error) error
	Complete(ctx context.Context, f job.File, a job.Arrival) (job.File, error)
}

const (
	uploadsPath = "/uploads/"
	extensions  = ",expiration" // what we add to tusd's
)

// resumer is what serves them.
type resumer struct {
	service  *Service
	protocol *tus.UnroutedHandler
	writers  writers
}

func newResumer(s *Service) *resumer {
	r := &resumer{service: s, writers: writers{of: map[string]*writer{}}}
	stores := tus.NewStoreComposer()
	stores.UseCore(r)
	stores.UseTerminater(r)
	protocol, err := tus.NewUnroutedHandler(tus.Config{
		StoreComposer: stores, BasePath: uploadsPath, MaxSize: s.cfg.MaxUpload,
		Cors:   &tus.CorsConfig{Disable: true},
		Logger: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1})),
		// Its contexts outlive the request by this. Ours do by themselves where they must.
		GracefulRequestCompletionTimeout: 1,
	})
	if err != nil {
		panic(err) // of a constant configuration
	}
	r.protocol = protocol
	return r
}

// exchange is one request.
type exchange struct {
	http.ResponseWriter // without Unwrap: nobody is to move the connection's deadlines from here

	user string
	keys []string // its Idempotency-Keys
	body *body    // nil without one
	err  error    // why it fails, in our words

	refused int             // the status of an answer that is held back, as tusd has it
	text    strings.Builder // and its text
	expires time.Time       // of the upload, unless it is whole
}

type exchangeKey struct{}

// exchangeOf returns the one that the context is of.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// serve answers a user's request.
func (r *resumer) serve(act http.HandlerFunc) func(http.ResponseWriter, *http.Request, string) error {
	protocol := http.StripPrefix(uploadsPath, r.protocol.Middleware(act))
	return func(w http.ResponseWriter, req *http.Request, user string) error {
		x := &exchange{ResponseWriter: w, user: user, keys: req.Header.Values("Idempotency-Key")}
		if b, ok := req.Body.(*body); ok {
			if err := r.service.places.take(user); err != nil {
				return err
			}
			defer r.service.places.leave(user)
			x.body = b
		}
		req = req.WithContext(context.WithValue(req.Context(), exchangeKey{}, x))
		req.Header.Del("X-HTTP-Method-Override") // the route is what the method says
		protocol.ServeHTTP(x, req)
		err := x.failure()
		if err != nil && partly(req) {
			w.Header().Set("Connection", "close")
		}
		return err
	}
}

// options says what the server can do. Nobody need be known to hear that.
func (r *resumer) options(w http.ResponseWriter, req *http.Request) error {
	return r.serve(func(http.ResponseWriter, *http.Request) {})(w, req, "")
}

// failure is why the answer was held back.
func (x *exchange) failure() error {
	switch {
	case x.refused == 0:
		return nil
	case x.body != nil && x.body.failure != nil: // net/http ends the context with the body, so that all else fails, too
		return x.body.failure
	case x.err != nil:
		return x.err
	}
	_, text, _ := strings.Cut(strings.TrimSpace(x.text.String()), ": ") // before it is tusd's name of the error
	return web.Refuse(x.refused, text)
}

// WriteHeader holds back what refuses.
func (x *exchange) WriteHeader(code int) {
	if code >= http.StatusBadRequest {
		x.refused = code
		return
	}
	h := x.Header()
	if can := h.Get("Tus-Extension"); can != "" {
		h.Set("Tus-Extension", can+extensions)
	}
	if location := h.Get("Location"); location != "" { // a path: what the client calls us, a proxy may know
		_, id, _ := strings.Cut(location, uploadsPath)
		h.Set("Location", uploadsPath+id)
	}
	if !x.expires.IsZero() {
		h.Set("Upload-Expires", x.expires.UTC().Format(http.TimeFormat))
	}
	x.ResponseWriter.WriteHeader(code)
}

func (x *exchange) Write(b []byte) (int, error) {
	if x.refused != 0 {
		return x.text.Write(b)
	}
	return x.ResponseWriter.Write(b)
}

// SetReadDeadline and SetWriteDeadline are for tusd, which would leave both to whatever comes next on the connection.
func (x *exchange) SetReadDeadline(time.Time) error  { return nil }
func (x *exchange) SetWriteDeadline(time.Time) error { return nil }

// fail notes an error, and returns it for tusd to end the request with.
func (x *exchange) fail(err error) error {
	if errors.Is(err, job.ErrLost) {
		err = errors.Join(errTaken, err)
	}
	x.err = err
	return err
}
