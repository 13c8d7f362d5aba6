package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"mp3converter/internal/hook"
	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// Hooks stores webhooks; porttest.Hooks has the full terms.
type Hooks interface {
	Insert(ctx context.Context, h hook.Hook) error
	Get(ctx context.Context, id string) (hook.Hook, error)
	Of(ctx context.Context, owner string) ([]hook.Hook, error)
	Update(ctx context.Context, id string, change func(*hook.Hook) error) (hook.Hook, error)
	Remove(ctx context.Context, id string) error
}

// routeWebhooks is all about webhooks. Who calls them is not the gateway: it has couriers woken.
func (s *Service) routeWebhooks(r chi.Router) {
	h := handle
	r.Post("/webhooks", h(s.user(s.addWebhook)))
	r.Get("/webhooks", h(s.user(s.listWebhooks)))
	r.Delete("/webhooks/{id}", h(s.user(s.deleteWebhook)))
	r.Post("/webhooks/{id}/test", h(s.user(s.testWebhook)))
	r.Get("/webhooks/{id}/deliveries", h(s.user(s.listDeliveries)))
	r.Post("/webhooks/{id}/deliveries/{delivery}/replay", h(s.user(s.replayDelivery)))
}

// webhookView is a webhook as its owner sees it.
type webhookView struct {
	ID         string       `json:"id"`
	URL        string       `json:"url"`
	Events     []hook.Event `json:"events"`
	CreatedAt  time.Time    `json:"created_at"`
	DisabledAt *time.Time   `json:"disabled_at"` // the receiver has answered 410
}

func viewHook(h hook.Hook) webhookView {
	return webhookView{h.ID, h.URL, hook.Events, h.Created, orNull(h.Disabled)}
}

// orNull is nil for the zero time.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// newWebhookView is what its owner sees once.
type newWebhookView struct {
	webhookView
	Secret string `json:"secret"`
}

// maxHookBody is more than the longest URL takes, escaped.
const maxHookBody = 16 << 10

func (s *Service) addWebhook(w http.ResponseWriter, r *http.Request, user string) error {
	url, err := s.readHook(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	h, err := s.insertHook(ctx, user, url)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, newWebhookView{viewHook(h), string(h.Secret)})
}

func (s *Service) readHook(w http.ResponseWriter, r *http.Request) (url string, err error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return "", errNotJSON
	}
	var wanted struct {
		URL string `json:"url"`
	}
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxHookBody))
	in.DisallowUnknownFields()
	if err := in.Decode(&wanted); err != nil {
		if errors.Is(err, errStalled) || errors.Is(err, web.ErrStopping) {
			return "", err
		}
		return "", fmt.Errorf("%w: %w", errBadHook, err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return "", errBadHook
	}
	if err := s.cfg.CheckHook(wanted.URL); err != nil {
		return "", web.Refuse(http.StatusBadRequest, err.Error())
	}
	return wanted.URL, nil
}

// insertHook tries the owner's slots that look free: of requests at once each gets another one, or none.
func (s *Service) insertHook(ctx context.Context, user, url string) (hook.Hook, error) {
	mine, err := s.cfg.Hooks.Of(ctx, user)
	if err != nil {
		return hook.Hook{}, fmt.Errorf("list webhooks: %w", err)
	}
	for slot := range hook.MaxEach {
		if slices.ContainsFunc(mine, func(h hook.Hook) bool { return h.Slot == slot }) {
			continue
		}
		h := hook.New(time.Now(), user, url, slot)
		if err := s.cfg.Hooks.Insert(ctx, h); err == nil {
			return h, nil
		} else if !errors.Is(err, fs.ErrExist) {
			return hook.Hook{}, err
		}
	}
	return hook.Hook{}, errManyHooks
}

func (s *Service) listWebhooks(w http.ResponseWriter, r *http.Request, user string) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	mine, err := s.cfg.Hooks.Of(ctx, user)
	if err != nil {
		return fmt.Errorf("list webhooks: %w", err)
	}
	views := []webhookView{}
	for _, h := range mine {
		views = append(views, viewHook(h))
	}
	return web.JSON(w, http.StatusOK, map[string]any{"webhooks": views})
}

// deleteWebhook removes the hook first: from then on nothing more is sent. What of its log is left goes with the old.
func (s *Service) deleteWebhook(w http.ResponseWriter, r *http.Request, user string) error {
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	h, err := s.ownHook(ctx, user, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	if err := s.cfg.Hooks.Remove(ctx, h.ID); err != nil {
		return err
	}
	if err := s.cfg.Deliveries.Clear(ctx, h.ID); err != nil {
		web.Note(ctx, "clear", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ownHook returns the user's webhook. Somebody else's is as unknown as one that is not there.
func (s *Service) ownHook(ctx context.Context, user, id string) (hook.Hook, error) {
	if !job.IsID(id) {
		return hook.Hook{}, errNoHook
	}
	h, err := s.cfg.Hooks.Get(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && h.Owner != user:
		return hook.Hook{}, errNoHook
	case err != nil:
		return hook.Hook{}, err
	}
	return h, nil
}
