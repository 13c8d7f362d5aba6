package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// Streams are the times of streams of events. Each has its usual value, which 0 stands for.
type Streams struct {
	Poll  time.Duration // between two questions to the ledger about one owner: 1 s
	Beat  time.Duration // between two signs of life on a stream: 15 s
	Check time.Duration // between two questions to auth whether a stream's token is still good: 1 min
}

// retryAfter is how long a browser waits before it connects again.
const retryAfter = 3 * time.Second

// watchJobs streams what becomes of all of the user's jobs. It begins with a page of them as they are or, after
// Last-Event-ID, with what has changed since.
func (s *Service) watchJobs(w http.ResponseWriter, r *http.Request) error {
	limit, _, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	return s.watch(w, r, every, func(ctx context.Context, user string) (opening, error) {
		since, known := s.lastSeen(r)
		if known {
			changes, err := s.cfg.Ledger.Changes(ctx, user, since, maxNews)
			if err != nil {
				return opening{}, fmt.Errorf("list what has changed: %w", err)
			}
			if len(changes) < maxNews {
				jobs, _ := unseen(changes, nil)
				return opening{jobs: jobs}, nil
			}
		}
		jobs, err := s.cfg.Ledger.List(ctx, user, "", limit)
		if err != nil {
			return opening{}, fmt.Errorf("list jobs: %w", err)
		}
		slices.Reverse(jobs) // the oldest first, as events come
		return opening{jobs: jobs, reset: r.Header.Get(lastEventID) != ""}, nil
	})
}

// watchJob streams what becomes of one job, as it is at first.
func (s *Service) watchJob(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	return s.watch(w, r, id, func(ctx context.Context, user string) (opening, error) {
		j, err := s.own(ctx, user, id)
		if errors.Is(err, errNoJob) && r.Header.Get(lastEventID) != "" {
			return s.lost(ctx, user, id)
		}
		return opening{jobs: []job.Job{j}}, err
	})
}

// lost is the opening for somebody who has seen the job, and was away when it was deleted.
func (s *Service) lost(ctx context.Context, user, id string) (opening, error) {
	if !job.IsID(id) {
		return opening{}, errNoJob
	}
	j, err := s.cfg.Ledger.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && (j.Owner != user || j.State != job.Deleted):
		return opening{}, errNoJob
	case err != nil:
		return opening{}, fmt.Errorf("get job %s: %w", id, err)
	}
	return opening{jobs: []job.Job{j}}, nil
}

const lastEventID = "Last-Event-Id"

// lastSeen is since when a client that comes back must be told what has changed. Its Last-Event-ID is the time, in
// milliseconds, as of which a gateway had told it everything. What was deleted is known for a while only, so with an old one
// it must begin anew.
func (s *Service) lastSeen(r *http.Request) (since time.Time, known bool) {
	millis, err := strconv.ParseInt(r.Header.Get(lastEventID), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	seen := time.UnixMilli(millis)
	if age := time.Since(seen); age > s.cfg.Rules.CleanAfter/2 || age < -s.cfg.Rules.Skew {
		return time.Time{}, false
	}
	return seen.Add(-s.feeds.lag), true
}

// opening is what a stream begins with.
type opening struct {
	jobs  []job.Job
	reset bool // whatever the client knows from before may be wrong
}

// every is the id that all jobs are watched by.
const every = ""

// watch streams the events of one job or, with the id every, of all, until the client goes, its token ends, the job is gone
// or the process is stopping. The client is to connect again, and is told what it has missed.
func (s *Service) watch(w http.ResponseWriter, r *http.Request, id string,
	open func(ctx context.Context, user string) (opening, error),
) error {
	c, err := s.authorize(r)
	if err != nil {
		return err
	}
	web.Note(r.Context(), "user", c.Username)
	if s.streams.take(c.Username) != nil {
		return errWatched
	}
	defer s.streams.leave(c.Username)
	news := s.feeds.watch(c.Username) // before it opens, so that nothing falls between
	defer s.feeds.leave(c.Username, news)
	out := &stream{w: w, control: http.NewResponseController(w), patience: s.cfg.Stall, id: id, asOf: time.Now()}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	first, err := open(ctx, c.Username)
	cancel()
	if err != nil {
		return err
	}
	out.begin(first)
	if r.Method == http.MethodHead { // whose answer has no body to wait for
		return nil
	}
	web.Note(r.Context(), "ended", s.relay(r, c, news, out))
	return nil
}

// relay writes what is told until there is a reason to end, which it returns.
func (s *Service) relay(r *http.Request, c claims, news *watcher, out *stream) string {
	beat, check := time.NewTicker(s.cfg.Streams.Beat), time.NewTicker(s.cfg.Streams.Check)
	defer beat.Stop()
	defer check.Stop()
	expired := time.NewTimer(c.life())
	defer expired.Stop()
	for out.err == nil && !out.gone {
		select {
		case <-r.Context().Done():
			return "client gone"
		case <-web.Stopping(r.Context()):
			return "stopping"
		case <-expired.C:
			return "token expired"
		case <-check.C:
			if _, err := s.authorize(r); errors.Is(err, errBadToken) || errors.Is(err, errNotAdmin) || errors.Is(err, errNoToken) {
				return "token ended"
			}
		case <-news.woken:
			jobs, asOf, ok := news.take()
			if !ok {
				return "too slow"
			}
			out.tell(jobs, asOf)
		case <-beat.C:
			jobs, asOf, ok := news.take()
			if !ok {
				return "too slow"
			}
			out.tell(jobs, asOf)
			out.beat()
		}
	}
	if out.gone {
		return "job gone"
	}
	return "client gone or too slow"
}

// stream writes events. After the first error it writes nothing.
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // with a reader who takes nothing
	id       string        // of the one job, or every

	told map[string]int64 // versions that the stream began with
	asOf time.Time        // all that had changed by then is written
	gone bool             // the one job is
	err  error
}

// begin writes the header and what there is. No proxy may keep it to itself: nginx asks by that header.
func (s *stream) begin(first opening) {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	s.printf("retry: %d\n\n", retryAfter.Milliseconds())
	if first.reset {
		s.printf("event: reset\ndata: {}\n\n")
	}
	s.tell(first.jobs, s.asOf)
	s.told = map[string]int64{}
	for _, j := range first.jobs {
		s.told[j.ID] = j.Version
	}
	s.beat()
}

// tell writes the jobs that the stream is of, unless it began with them or what they are now.
func (s *stream) tell(jobs []job.Job, asOf time.Time) {
	if asOf.After(s.asOf) {
		s.asOf = asOf
	}
	for _, j := range jobs {
		if s.id != every && s.id != j.ID || j.Version <= s.told[j.ID] {
			continue
		}
		if j.State == job.Deleted {
			s.event("gone", map[string]string{"id": j.ID})
			s.gone = s.id != every
			continue
		}
		s.event("job", j.View())
	}
	s.flush()
}

func (s *stream) event(name string, data any) {
	body, err := json.Marshal(data) // in one line
	if err != nil {
		s.err = err
		return
	}
	s.printf("event: %s\nid: %d\ndata: %s\n\n", name, s.asOf.UnixMilli(), body)
}

// beat shows that the stream lives, and tells the client from when on to ask again. It is no event.
func (s *stream) beat() {
	s.printf(":\nid: %d\n\n", s.asOf.UnixMilli())
	s.flush()
}

func (s *stream) printf(format string, args ...any) {
	if s.err == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.patience)) // in tests without a connection there is none to set
		_, s.err = fmt.Fprintf(s.w, format, args...)
	}
}

func (s *stream) flush() {
	if s.err == nil {
		s.err = s.control.Flush()
	}
}
