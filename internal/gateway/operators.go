package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/go-chi/chi/v5"

	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// Desk is what operators look after, beside the ledger. Without one there is no /admin.
type Desk struct {
	InState func(ctx context.Context, state job.State, before string, limit int) ([]job.Job, error) // whosever they are, newest first
	Oldest  func(ctx context.Context, state job.State, limit int) ([]job.Job, error)                // the same, oldest first
	Queues  func(ctx context.Context) ([]job.Queue, error)                                          // nil: there is no broker
	Letters Letters                                                                                 // nil: the same
}

// Letters are the dead letters of all queues. What Replay or Discard has picked, done is told of.
type Letters interface {
	List(ctx context.Context, limit int) (letters []job.DeadLetter, more int, err error)
	Replay(ctx context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter)) error
	Discard(ctx context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter)) error
}

// adminPath is where operators' pages and deeds are.
const adminPath = "/admin"

// routeOperators adds what operators may do. Others get 403: the routes are in the public document, so there is nothing to hide,
// and an operator whom OPERATORS does not name is told what is wrong. No id is looked up before.
func (s *Service) routeOperators(r chi.Router) {
	h := handle
	r.Get(adminPath, h(s.operator(s.showAll)))
	r.Get(adminPath+"/dead", h(s.operator(s.showDead)))
	r.Get(adminPath+"/users", h(s.operator(s.showUsers)))
	r.Post(adminPath+"/jobs/{id}/retry", h(s.deed("retry", s.retryAny)))
	r.Post(adminPath+"/jobs/{id}/fail", h(s.deed("fail", s.failAny)))
	r.Post(adminPath+"/dead/{id}/replay", h(s.deed("replay", s.replayDead)))
	r.Post(adminPath+"/dead/{id}/discard", h(s.deed("discard", s.discardDead)))
}

// operator lets only operators through to h.
func (s *Service) operator(h func(w http.ResponseWriter, r *http.Request, who string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := s.asOperator(r)
		if err != nil {
			return err
		}
		return h(w, r, who)
	}
}

// asOperator returns who asks, if that is known, with an error unless they are an operator.
func (s *Service) asOperator(r *http.Request) (who string, err error) {
	authorization, err := credentials(r)
	if err != nil {
		return "", err
	}
	c, err := s.cfg.Auth.validate(r.Context(), authorization)
	if err != nil {
		return "", err
	}
	web.Note(r.Context(), "user", c.Username)
	if !c.Operator {
		return c.Username, errNoOperator
	}
	return c.Username, nil
}

// deed is operator for what changes something. Each try is one line of the audit, the refused ones too.
func (s *Service) deed(what string, do func(w http.ResponseWriter, r *http.Request) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := s.asOperator(r)
		if err == nil {
			err = do(w, r)
		}
		s.audit(r, who, what, err)
		return err
	}
}

// audit writes who did what to what, and what came of it: what was refused has changed nothing, what has failed may have. LOG_LEVEL does not silence it.
func (s *Service) audit(r *http.Request, who, what string, err error) {
	outcome := "done"
	switch {
	case err != nil && refuses(err):
		outcome = "refused: " + err.Error()
	case err != nil:
		outcome = "failed: " + err.Error()
	}
	line := slog.NewRecord(time.Now(), slog.LevelInfo, "audit", 0)
	const maxObject = 40 // of a stranger's making
	object := chi.URLParam(r, "id")
	line.Add("who", who, "what", what, "object", object[:min(len(object), maxObject)], "outcome", outcome, "request", web.RequestID(r.Context()))
	_ = s.cfg.Log.Handler().Handle(r.Context(), line) // standard error is away, and nobody to tell
}

// done answers a deed: a browser sees the page again.
func done(w http.ResponseWriter, r *http.Request, back string, code int, value any) error {
	if fromPage(r) {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return nil
	}
	return web.JSON(w, code, value)
}

func (s *Service) retryAny(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	id := chi.URLParam(r, "id")
	if !job.IsID(id) {
		return errNoJob
	}
	j, err := s.cfg.Ledger.Get(ctx, id)
	if err == nil {
		j, err = Retry(ctx, j, s.cfg.Videos, s.cfg.Rules, s.cfg.Ledger.Update)
	}
	return s.changed(w, r, j, err, errNotFailed)
}

func (s *Service) failAny(w http.ResponseWriter, r *http.Request) error {
	because, err := becauseOf(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	id := chi.URLParam(r, "id")
	if !job.IsID(id) {
		return errNoJob
	}
	j, err := Fail(ctx, id, because, s.cfg.Rules, s.cfg.Ledger.Update)
	return s.changed(w, r, j, err, errNotRunning)
}

// Fail ends a job that is queued or converting, by update: an operator's wish. Another is job.ErrState, with the job as read.
func Fail(ctx context.Context, id, because string, rules job.Rules,
	update func(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error),
) (job.Job, error) {
	return update(ctx, id, func(j *job.Job) error { return j.Stop(time.Now(), rules, because) })
}

// changed rings for a job that an operator has changed, and answers with it.
func (s *Service) changed(w http.ResponseWriter, r *http.Request, j job.Job, err, wrongState error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNoJob
	case errors.Is(err, job.ErrState):
		return wrongState
	case err != nil:
		return err
	}
	s.ringSoon(r.Context(), j)
	return done(w, r, adminPath, http.StatusAccepted, operatorView(j))
}

// becauseOf is what the form says for the owner; a request without a body says nothing.
func becauseOf(w http.ResponseWriter, r *http.Request) (string, error) {
	const maxForm = 4 << 10 // bytes: the longest text, each byte as %XX
	form, err := smallForm(w, r, maxForm)
	if err != nil || len(form["because"]) > 1 || !job.IsBecause(form.Get("because")) {
		return "", errBecause
	}
	return form.Get("because"), nil
}

// isLetterID is a dead letter's id, as package rabbit makes them.
var isLetterID = regexp.MustCompile(`^[0-9a-f]{26}$`)

func (s *Service) replayDead(w http.ResponseWriter, r *http.Request) error {
	return s.settleDead(w, r, Letters.Replay)
}

func (s *Service) discardDead(w http.ResponseWriter, r *http.Request) error {
	return s.settleDead(w, r, Letters.Discard)
}

type settling func(l Letters, ctx context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter)) error

// walkTime bounds a walk through all dead letters, and the wait for others' walks before it: it is as long as there are many
// letters. Proxies commonly wait a minute for an answer.
const walkTime = 55 * time.Second

// settleDead does it to all letters of the id: those are alike.
func (s *Service) settleDead(w http.ResponseWriter, r *http.Request, do settling) error {
	id := chi.URLParam(r, "id")
	if s.cfg.Desk.Letters == nil || !isLetterID.MatchString(id) {
		return errNoLetter
	}
	ctx, cancel := context.WithTimeout(r.Context(), walkTime)
	defer cancel()
	settled := lettersView{Letters: []letterView{}}
	found := false
	err := do(s.cfg.Desk.Letters, ctx, func(l job.DeadLetter) bool {
		found = found || l.ID == id
		return l.ID == id
	}, func(l job.DeadLetter) { settled.Letters = append(settled.Letters, viewLetter(l)) })
	switch {
	case errors.Is(err, job.ErrCut):
		return errCutLetter
	case err != nil && found:
		return fmt.Errorf("after %d of these letters: %w", len(settled.Letters), err)
	case err != nil:
		return err
	case !found:
		return errNoLetter
	}
	return done(w, r, adminPath+"/dead", http.StatusOK, settled)
}
