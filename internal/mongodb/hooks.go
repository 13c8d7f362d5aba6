package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/hook"
)

// WebhookStore keeps webhooks, on the terms of porttest.Hooks.
type WebhookStore struct{ records *records[hook.Hook] }

func newWebhookStore(c *Client) *WebhookStore {
	return &WebhookStore{newRecords(c, Hooks, "hooks", "webhook", func(h *hook.Hook) (*string, *int64) { return &h.ID, &h.Version })}
}

// Insert stores a new hook at Version 1; fs.ErrExist if its ID, or the owner's Slot, is taken.
func (s *WebhookStore) Insert(ctx context.Context, h hook.Hook) error {
	return s.records.insert(ctx, h)
}

// Get returns the hook; fs.ErrNotExist if there is none.
func (s *WebhookStore) Get(ctx context.Context, id string) (hook.Hook, error) {
	return s.records.get(ctx, "_id", id)
}

// Of returns the owner's hooks, by Slot.
func (s *WebhookStore) Of(ctx context.Context, owner string) ([]hook.Hook, error) {
	all, err := s.records.find(ctx, by("owner", owner), bson.D{{Key: "slot", Value: 1}}, hook.MaxEach)
	if err != nil {
		return nil, fmt.Errorf("find webhooks: %w", err)
	}
	return all, nil
}

// Update is as a Ledger's.
func (s *WebhookStore) Update(ctx context.Context, id string, change func(*hook.Hook) error) (hook.Hook, error) {
	return s.records.update(ctx, id, change)
}

// Remove forgets the hook. Absence is nil.
func (s *WebhookStore) Remove(ctx context.Context, id string) error { return s.records.remove(ctx, id) }

// Due returns the hooks that a courier is to come to by now, at most limit, the longest due first.
func (s *WebhookStore) Due(ctx context.Context, now time.Time, limit int) ([]hook.Hook, error) {
	due, err := s.records.find(ctx, upTo("next_at", now), bson.D{{Key: "next_at", Value: 1}}, limit)
	if err != nil {
		return nil, fmt.Errorf("find due webhooks: %w", err)
	}
	return due, nil
}

// upTo is the filter for what has come by now.
func upTo(field string, now time.Time) bson.D {
	return bson.D{{Key: field, Value: bson.D{{Key: "$lte", Value: now}}}}
}
