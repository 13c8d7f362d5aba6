// Command gateway is what users talk to: log in, upload, look after their jobs, download. It also sweeps: rings for jobs
// nobody was rung for and removes what was left half done. With arguments it is the operators' hands.
//
//	gateway                           serve; settings are environment variables, gateway -h lists them
//	gateway jobs list|show|retry|fail jobs of all owners
//	gateway dead list|replay|discard  messages that were given up on
//	gateway gc                        files that count no more
//	gateway rights                    users of the services in MongoDB
//
// The sub-commands read the environment of the service: kubectl exec deploy/gateway -- gateway jobs list.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mp3converter/cmd/internal/backend"
	"mp3converter/internal/daemon"
	"mp3converter/internal/gateway"
	"mp3converter/internal/mongodb"
)

func main() {
	if len(os.Args) > 1 && !isHelp(os.Args[1]) {
		daemon.Exit(manage(os.Args[1:]))
	}
	daemon.Main("gateway", func(c config) daemon.Settings { return c.Daemon }, run)
	_, _ = os.Stdout.WriteString("\n" + usage) // Main returns only when it was asked for help
}

// run is the service.
func run(p *daemon.Process, cfg config) error {
	cfg.Links.Warn(p.Log)
	linkKey, err := cfg.Links.Key()
	if err != nil {
		return err
	}
	stores, err := backend.Open(p, cfg.Backend, mongodb.Videos, mongodb.Jobs, mongodb.Hooks)
	if err != nil {
		return err
	}
	p.Defer(stores.Close)
	p.Wants("rabbitmq", stores.Broker.Ready) // without it uploads are taken, and rung for later
	auth := gateway.NewAuth(cfg.Auth, nil)
	p.Defer(auth.Close)
	p.Wants("auth", auth.Ready) // without it every request is answered with 503, which nobody would say for an unready gateway
	parts := gateway.Config{
		Auth: auth, Videos: stores.Videos, MP3s: stores.MP3s, Ledger: stores.Ledger, Ring: stores.Doorbell.Ring,
		Arrivals: stores.Videos, Backlog: stores.Ledger.Backlog, DeadLetters: stores.Buried, Rules: stores.Rules, Links: linkKey,
		Log: p.Log, Metrics: p.Metrics,
	}
	parts.Hooks, parts.Deliveries = stores.Hooks, stores.Deliveries
	parts.CheckHook, parts.KeepDeliveries = cfg.Reach.Client(0).CheckURL, cfg.Keep.D()
	parts.Desk = &gateway.Desk{InState: stores.Ledger.InState, Oldest: stores.Ledger.Oldest, Queues: stores.Standing, Letters: stores.Letters()}
	cfg.Uploads.Apply(&parts)
	service := gateway.New(parts)
	p.Go("sweeper", func(ctx context.Context) error {
		if err := stores.Prepare(ctx, p); err != nil {
			return nil //nolint:nilerr // told to stop before MongoDB came up
		}
		return service.Sweep(ctx)
	})
	p.Go("webhooks' log", func(ctx context.Context) error {
		if err := stores.Prepare(ctx, p); err != nil {
			return nil //nolint:nilerr // as above
		}
		return service.Forget(ctx)
	})
	_, err = p.Serve("http", cfg.Listen, service.Routes())
	return err
}

// manage is the sub-commands.
func manage(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return operate(ctx, args, os.Stdout, os.Environ())
}
