// Command notification sends the one mail that each finished job owes its owner, and calls the owner's webhooks. Settings are environment variables;
// notification -h lists them.
package main

import (
	"context"

	"mp3converter/cmd/internal/backend"
	"mp3converter/internal/courier"
	"mp3converter/internal/daemon"
	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
	"mp3converter/internal/notification"
)

func main() {
	daemon.Main("notification", func(c config) daemon.Settings { return c.Daemon }, run)
}

// run is the service.
func run(p *daemon.Process, cfg config) error {
	cfg.Links.Warn(p.Log)
	sender, err := cfg.sender()
	if err != nil {
		return err
	}
	linkKey, err := cfg.Links.Key()
	if err != nil {
		return err
	}
	stores, err := backend.Open(p, cfg.Backend, mongodb.Jobs, mongodb.Hooks)
	if err != nil {
		return err
	}
	p.Defer(stores.Close)
	rounds := courier.Config{
		Jobs: stores.Ledger, Hooks: stores.Hooks, Deliveries: stores.Deliveries,
		Post: cfg.Reach.Client(cfg.Courier.Timeout.D()).Post, Log: p.Log, Metrics: p.Metrics,
	}
	cfg.Courier.Apply(&rounds, stores.Rules)
	webhooks := courier.New(rounds)
	p.Go("webhooks", func(ctx context.Context) error {
		if err := stores.Prepare(ctx, p); err != nil {
			return nil //nolint:nilerr // told to stop before MongoDB came up
		}
		return webhooks.Run(ctx)
	})
	service := notification.New(notification.Config{
		Ledger: stores.Ledger, MP3s: stores.MP3s, Send: sender.Send, Tell: webhooks.Tell, Rules: stores.Rules,
		From: cfg.from(), BaseURL: cfg.BaseURL, Links: linkKey, LinkFor: cfg.LinkFor.D(), Host: cfg.Domain,
		Worker: backend.Worker(), Log: p.Log, Metrics: p.Metrics,
	})
	stores.Consume(p, job.ForMailer, cfg.Workers, service.Handle)
	return nil
}
