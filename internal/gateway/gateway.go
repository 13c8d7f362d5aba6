// Package gateway is the service that users talk to: log in and out, upload, look after one's jobs, download. It keeps the promise
// behind a 200 on /upload, and its sweeper rings and cleans up for whatever was left half done. It converts and mails
// nothing and holds no state of its own: users, files, jobs and messages are behind ports.
package gateway

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/job"
	"mp3converter/internal/link"
	"mp3converter/internal/page"
	"mp3converter/internal/slots"
	"mp3converter/internal/web"
)

// Files stores videos or MP3s, whole or not at all; porttest.Files has the full terms.
type Files interface {
	Put(ctx context.Context, f job.File, r io.Reader) (job.File, error)
	Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error)
	Delete(ctx context.Context, id string) error
}

// Ledger stores jobs; porttest.Ledger has the full terms. It is long for a port: jobs begin, are looked up and end here.
type Ledger interface {
	Insert(ctx context.Context, j job.Job) error
	Get(ctx context.Context, id string) (job.Job, error)
	ByKey(ctx context.Context, key string) (job.Job, error)
	ByMP3(ctx context.Context, owner, id string) (job.Job, error)
	List(ctx context.Context, owner, before string, limit int) ([]job.Job, error)
	Find(ctx context.Context, owner string, f job.Filter, before string, limit int) ([]job.Job, error)
	Changes(ctx context.Context, owner string, since time.Time, limit int) ([]job.Change, error)
	Usage(ctx context.Context, owner string) (job.Usage, error)
	Rounds
}

// Config is what the service and its sweeper are made of. Auth to Rules are required.
type Config struct {
	Auth   *Auth
	Videos Files
	MP3s   Files
	Ledger Ledger
	Ring   func(ctx context.Context, j job.Job) error // rings for the job as read from the ledger: doorbell.Doorbell's
	Rules  job.Rules

	// Webhooks; all are required, too.
	Hooks          Hooks
	Deliveries     Deliveries
	CheckHook      func(url string) error // says, for a user, what is wrong with where a webhook is to lead
	KeepDeliveries time.Duration          // in the log, after their last change

	Arrivals Arrivals // of Videos; without them uploads cannot be resumed

	Desk *Desk // operators'; without it there is no /admin

	Backlog     func(ctx context.Context) (job.Backlog, error)    // what metrics tell of all jobs; nil tells nothing
	DeadLetters func(ctx context.Context) (map[string]int, error) // by queue, the same

	MaxUpload      int64         // bytes of one file; 0 is 4 GiB
	MaxUploads     int           // at once; 0 is 64
	MaxUploadsEach int           // of one user at once; 0 is three quarters of MaxUploads
	QuotaBytes     int64         // of one user's videos and MP3s; 0 is no limit. What conversions add may exceed it
	QuotaJobs      int           // of one user queued, converting or being uploaded; 0 is no limit
	MaxUnfinished  int           // resumable uploads of one user that are not whole; 0 is 100
	MaxDownloads   int           // at once; 0 is 256. Each holds some 4 MiB of read-ahead
	MaxStreams     int           // of events at once; 0 is 1000. Each holds a connection and some 50 KiB
	MaxStreamsEach int           // of one user at once; 0 is 20
	Stall          time.Duration // patience with a silent sender, twice as long with a reader for each 32 KiB under way; 0 is 30 s
	SweepEvery     time.Duration // 0 is 10 s

	Links link.Key // verifies the links in mails; zero: there are none

	Streams        Streams
	TrustedProxies []netip.Prefix // those whose word is taken for who the client is

	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil keeps them from everybody
}

func (c Config) withDefaults() Config {
	c.MaxUpload = cmp.Or(c.MaxUpload, 4<<30)
	c.MaxUploads = cmp.Or(c.MaxUploads, 64)
	c.MaxUploadsEach = cmp.Or(c.MaxUploadsEach, max(1, c.MaxUploads*3/4))
	c.MaxUnfinished = cmp.Or(c.MaxUnfinished, 100)
	c.MaxDownloads = cmp.Or(c.MaxDownloads, 256)
	c.MaxStreams = cmp.Or(c.MaxStreams, 1000)
	c.MaxStreamsEach = cmp.Or(c.MaxStreamsEach, 20)
	c.Streams.Poll = cmp.Or(c.Streams.Poll, time.Second)
	c.Streams.Beat = cmp.Or(c.Streams.Beat, 15*time.Second)
	c.Streams.Check = cmp.Or(c.Streams.Check, time.Minute)
	c.Stall = cmp.Or(c.Stall, 30*time.Second)
	c.SweepEvery = cmp.Or(c.SweepEvery, 10*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c
}

// callTime bounds a few calls of the ledger, all that a request needs beside streaming.
const callTime = 10 * time.Second

// announcers is how many uploads may ask the ledger for their place at once. In a crowd each of their questions takes longer
// the more ask, and all would run into callTime together.
const announcers = 16

// Service answers users' requests.
type Service struct {
	cfg        Config
	places     *places // of uploads
	downloads  *places
	streams    *places
	feeds      *feeds
	announcing *slots.Slots
	cleaner    cleaner
	sweeper    *sweeper
	received   prometheus.Counter
}

// New returns the service. Call it once per registry of metrics.
func New(cfg Config) *Service {
	cfg = cfg.withDefaults()
	s := &Service{
		cfg: cfg, places: newPlaces(cfg.MaxUploads, cfg.MaxUploadsEach),
		downloads: newPlaces(cfg.MaxDownloads, max(1, cfg.MaxDownloads*3/4)), cleaner: newCleaner(cfg), sweeper: newSweeper(cfg),
		streams: newPlaces(cfg.MaxStreams, cfg.MaxStreamsEach), feeds: newFeeds(cfg),
		announcing: slots.New(announcers, 3*callTime), // a turn may take two: one to be refused, one to retract
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gateway_upload_bytes_total", Help: "Bytes of files that were accepted.",
		}),
	}
	cfg.Metrics.MustRegister(s.received, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_uploads", Help: "Uploads under way.",
	}, s.places.taken))
	return s
}

// Routes is everything that the service answers. Call it once: it registers the requests' metrics.
func (s *Service) Routes() http.Handler {
	h := handle
	r := chi.NewRouter()
	r.Use(web.Behind(s.cfg.TrustedProxies), web.Log(s.cfg.Log, s.cfg.Metrics), web.Secure, s.patient, middleware.GetHead)

	r.Get("/", h(s.home))
	r.Get(page.StaticRoot+"{version}/{name}", page.Static)

	r.Post("/login", h(s.login))
	r.Post("/logout", h(s.logout))
	r.Post(sessionPath, h(s.beginSession))
	r.Post("/session/end", h(s.endSession))
	r.Post("/upload", h(s.user(s.upload)))
	r.Get("/download", h(s.orLink(s.user(s.download))))
	r.Head("/download", h(s.orLink(s.user(s.download))))

	r.Get("/jobs", h(s.user(s.listJobs)))
	r.Get("/events", h(s.watchJobs))
	r.Get("/jobs/{id}/events", h(s.watchJob))
	r.Get("/jobs/{id}", h(s.user(s.showJob)))
	r.Post("/jobs/{id}/retry", h(s.user(s.retryJob)))
	r.Delete("/jobs/{id}", h(s.user(s.deleteJob)))
	r.Post("/jobs/{id}/delete", h(s.user(s.deleteJob))) // for forms, which know no DELETE

	s.routeWebhooks(r)

	if s.cfg.Arrivals != nil {
		s.routeResumable(r)
	}

	if s.cfg.Desk != nil {
		s.routeOperators(r)
	}

	r.Get("/openapi.yaml", h(describe))
	r.Get("/docs", h(docs))

	r.NotFound(h(func(w http.ResponseWriter, req *http.Request) error {
		if !slices.Contains(methods, req.Method) || req.Method == http.MethodOptions { // which asks for what a path has
			return notAllowed(w, r, req)
		}
		return errNoPage
	}))
	r.MethodNotAllowed(h(func(w http.ResponseWriter, req *http.Request) error { return notAllowed(w, r, req) }))
	return r
}

// routeResumable adds what tus needs.
func (s *Service) routeResumable(r chi.Router) {
	h, up := answers.Handle, newResumer(s)
	for path, acts := range map[string]map[string]http.HandlerFunc{
		uploadsPath: {http.MethodPost: up.protocol.PostFile},
		uploadsPath + "{id}": {
			http.MethodHead: up.protocol.HeadFile, http.MethodPatch: up.protocol.PatchFile, http.MethodDelete: up.protocol.DelFile,
		},
	} {
		r.Options(path, h(up.options))
		for method, act := range acts {
			r.Method(method, path, h(s.user(up.serve(act))))
		}
	}
}

// methods are those that some path has.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// notAllowed says which methods the path has; RFC 9110, 15.5.6, wants it even if it has none.
func notAllowed(w http.ResponseWriter, routes chi.Router, r *http.Request) error {
	var allowed []string
	for _, m := range methods {
		if has(routes, m, r.URL.Path) {
			allowed = append(allowed, m)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return errMethod
}

// has reports whether a path has a method. What is there to get has a head.
func has(routes chi.Router, method, path string) bool {
	return routes.Match(chi.NewRouteContext(), method, path) ||
		method == http.MethodHead && routes.Match(chi.NewRouteContext(), http.MethodGet, path)
}

// ringSoon rings for a job that a client is waiting to hear of. It fails quietly: the sweeper rings again.
func (s *Service) ringSoon(ctx context.Context, j job.Job) {
	const ringTime = 2 * time.Second // the client waits while the broker is away
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ringTime)
	defer cancel()
	if err := s.cfg.Ring(ctx, j); err != nil {
		web.Note(ctx, slog.LevelKey, slog.LevelWarn, "ring", err)
	}
}
