package gateway

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"mp3converter/internal/hook"
	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// Deliveries is the webhooks' log; porttest.Deliveries has the full terms.
type Deliveries interface {
	Insert(ctx context.Context, d hook.Delivery) error
	Get(ctx context.Context, id string) (hook.Delivery, error)
	Update(ctx context.Context, id string, change func(*hook.Delivery) error) (hook.Delivery, error)
	List(ctx context.Context, of, before string, limit int) ([]hook.Delivery, error)
	Clear(ctx context.Context, of string) error
	Forget(ctx context.Context, since time.Time) (int, error)
}

// deliveryView is a delivery as the owner of its webhook sees it.
type deliveryView struct {
	ID        string     `json:"id"` // the header webhook-id
	Event     hook.Event `json:"event"`
	Job       *string    `json:"job"` // null of a ping
	State     hook.State `json:"state"`
	Attempts  int        `json:"attempts"`
	Status    *int       `json:"status"`      // of the last answer
	Error     *string    `json:"error"`       // why the last try failed
	NextTryAt *time.Time `json:"next_try_at"` // or later, while the receiver is away
	CreatedAt time.Time  `json:"created_at"`
	ChangedAt time.Time  `json:"changed_at"`
}

func viewDelivery(d hook.Delivery) deliveryView {
	v := deliveryView{
		ID: d.ID, Event: d.Event, State: d.State, Attempts: d.Attempts, NextTryAt: orNull(d.DueAt), CreatedAt: d.Created, ChangedAt: d.Changed,
	}
	if d.Job != "" {
		v.Job = &d.Job
	}
	if d.Status != 0 {
		v.Status = &d.Status
	}
	if d.Error != "" {
		v.Error = &d.Error
	}
	return v
}

// deliveryPage is some of a webhook's log, the newest first.
type deliveryPage struct {
	Deliveries []deliveryView `json:"deliveries"`
	Next       *string        `json:"next"` // as of a page of jobs
}

func (s *Service) listDeliveries(w http.ResponseWriter, r *http.Request, user string) error {
	limit, before, err := pageOf(r.URL.Query())
	if err != nil {
		return web.Refuse(http.StatusBadRequest, "limit must be 1 to 200 and before a delivery's id")
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	h, err := s.ownHook(ctx, user, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	log, err := s.cfg.Deliveries.List(ctx, h.ID, before, limit+1)
	if err != nil {
		return err
	}
	page := deliveryPage{Deliveries: []deliveryView{}}
	for _, d := range log[:min(len(log), limit)] {
		page.Deliveries = append(page.Deliveries, viewDelivery(d))
	}
	if len(log) > limit {
		page.Next = &log[limit-1].ID
	}
	return web.JSON(w, http.StatusOK, page)
}

// testWebhook has a ping sent. A second one within its minute is the same one, once more.
func (s *Service) testWebhook(w http.ResponseWriter, r *http.Request, user string) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	h, err := s.ownHook(ctx, user, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	d := h.Ping(time.Now())
	if err = s.cfg.Deliveries.Insert(ctx, d); errors.Is(err, fs.ErrExist) {
		d, err = s.replay(ctx, d.ID)
	}
	if err != nil {
		return err
	}
	return s.answerWoken(ctx, w, h, d)
}

// replayDelivery has a delivery made anew, under its id: whoever has taken it can tell.
func (s *Service) replayDelivery(w http.ResponseWriter, r *http.Request, user string) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	h, err := s.ownHook(ctx, user, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "delivery")
	if !job.IsID(id) {
		return errNoDelivery
	}
	d, err := s.cfg.Deliveries.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && d.Hook != h.ID:
		return errNoDelivery
	case err != nil:
		return err
	case h.IsDisabled() && d.Event != hook.Ping:
		return errDisabled
	}
	if d, err = s.replay(ctx, id); err != nil {
		return err
	}
	return s.answerWoken(ctx, w, h, d)
}

func (s *Service) replay(ctx context.Context, id string) (hook.Delivery, error) {
	d, err := s.cfg.Deliveries.Update(ctx, id, func(d *hook.Delivery) error { return d.Replay(time.Now()) })
	if errors.Is(err, fs.ErrNotExist) { // forgotten meanwhile
		return d, errNoDelivery
	}
	return d, err
}

// answerWoken has a courier come before it promises that one will.
func (s *Service) answerWoken(ctx context.Context, w http.ResponseWriter, h hook.Hook, d hook.Delivery) error {
	_, err := s.cfg.Hooks.Update(ctx, h.ID, func(h *hook.Hook) error { return h.Wake(time.Now()) })
	if errors.Is(err, fs.ErrNotExist) {
		return errNoHook
	}
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusAccepted, viewDelivery(d))
}

// forgetEvery is how often the log is gone through.
const forgetEvery = time.Hour

// Forget removes from the webhooks' log what is too old, until ctx is over. As of Sweep, each gateway does it. It returns nil.
func (s *Service) Forget(ctx context.Context) error {
	for ctx.Err() == nil {
		if n, err := s.cfg.Deliveries.Forget(ctx, time.Now().Add(-s.cfg.KeepDeliveries)); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(ctx, "forget deliveries", "err", err)
		} else if n > 0 {
			s.cfg.Log.InfoContext(ctx, "forget deliveries", "forgotten", n)
		}
		pause := time.NewTimer(forgetEvery*3/4 + rand.N(forgetEvery/2)) //nolint:gosec // jitter
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}
