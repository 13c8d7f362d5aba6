package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/hook"
)

// Deliveries keeps what was sent to webhooks and what is to be, on the terms of porttest.Deliveries.
type Deliveries struct {
	client  *Client
	records *records[hook.Delivery]
}

func newDeliveries(c *Client) *Deliveries {
	return &Deliveries{c, newRecords(c, Hooks, "deliveries", "delivery", func(d *hook.Delivery) (*string, *int64) { return &d.ID, &d.Version })}
}

// Insert stores a new delivery at Version 1; fs.ErrExist if its ID is taken.
func (s *Deliveries) Insert(ctx context.Context, d hook.Delivery) error {
	return s.records.insert(ctx, d)
}

// Get returns the delivery; fs.ErrNotExist if there is none.
func (s *Deliveries) Get(ctx context.Context, id string) (hook.Delivery, error) {
	return s.records.get(ctx, "_id", id)
}

// Update is as a Ledger's.
func (s *Deliveries) Update(ctx context.Context, id string, change func(*hook.Delivery) error) (hook.Delivery, error) {
	return s.records.update(ctx, id, change)
}

// List returns the hook's deliveries, newest first, at most limit, only ids below before unless that is "".
func (s *Deliveries) List(ctx context.Context, of, before string, limit int) ([]hook.Delivery, error) {
	filter := by("hook", of)
	if before != "" {
		filter = append(filter, bson.E{Key: "_id", Value: bson.D{{Key: "$lt", Value: before}}})
	}
	all, err := s.records.find(ctx, filter, bson.D{{Key: "_id", Value: -1}}, limit)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return all, nil
}

// Due returns the hook's deliveries that are to be tried by now, at most limit, the longest due first.
func (s *Deliveries) Due(ctx context.Context, of string, now time.Time, limit int) ([]hook.Delivery, error) {
	due, err := s.records.find(ctx, append(by("hook", of), upTo("due_at", now)...), bson.D{{Key: "due_at", Value: 1}}, limit)
	if err != nil {
		return nil, fmt.Errorf("find due deliveries: %w", err)
	}
	return due, nil
}

// Clear forgets all deliveries of the hook.
func (s *Deliveries) Clear(ctx context.Context, of string) error {
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	if _, err := s.records.in.DeleteMany(ctx, by("hook", of)); err != nil {
		return fmt.Errorf("clear the deliveries of webhook %s: %w", of, err)
	}
	return nil
}

// Forget removes the deliveries that have not changed since the given time, and returns how many. It leaves those that are to be made.
func (s *Deliveries) Forget(ctx context.Context, since time.Time) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	gone, err := s.records.in.DeleteMany(ctx, bson.D{
		{Key: "changed", Value: bson.D{{Key: "$lt", Value: since}}}, {Key: "state", Value: bson.D{{Key: "$ne", Value: hook.Pending}}},
	})
	if err != nil {
		return 0, fmt.Errorf("forget old deliveries: %w", err)
	}
	return int(gone.DeletedCount), nil
}
