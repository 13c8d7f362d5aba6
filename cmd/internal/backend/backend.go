// Package backend is the assembly that gateway, converter and notification have in common: files and ledger in MongoDB,
// messages through RabbitMQ, and the doorbell over both. What a service does with them is in its own command.
package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/daemon"
	"mp3converter/internal/doorbell"
	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
	"mp3converter/internal/rabbit"
	"mp3converter/internal/settings"
	"mp3converter/internal/trail"
)

// Settings are the variables behind it.
type Settings struct {
	MongoDB         settings.Secret  `env:"MONGODB_URI,required,notEmpty" doc:"MongoDB's connection string; write a one-node replica set with directConnection=true"`
	RabbitMQ        settings.Secret  `env:"RABBITMQ_URL,required,notEmpty" doc:"amqp:// or amqps:// with user, password and virtual host"`
	MongoDBTimeout  settings.Seconds `env:"MONGODB_TIMEOUT_SECONDS" envDefault:"10" doc:"patience with one command of MongoDB, at most 10 where a client waits; streams are made of many, deletions may take a minute"`
	VideoQueue      string           `env:"VIDEO_QUEUE" envDefault:"video" doc:"queue that rings for the converter"`
	MP3Queue        string           `env:"MP3_QUEUE" envDefault:"mp3" doc:"queue that rings for notification"`
	QueueType       string           `env:"QUEUE_TYPE" envDefault:"quorum" doc:"quorum or classic; must be what existing queues are"`
	Confirm         settings.Seconds `env:"CONFIRM_SECONDS" envDefault:"5" doc:"patience with the broker's confirmation of a message"`
	ConsumerTimeout settings.Seconds `env:"CONSUMER_TIMEOUT_SECONDS" envDefault:"14400" doc:"patience of the broker with one message: more than the longest conversion. RabbitMQ before 3.12 has its own setting for it"`
	settings.Rules
}

// Validate reports what the variables cannot be.
func (s Settings) Validate() error {
	err := s.Rules.Validate()
	if s.QueueType != "quorum" && s.QueueType != "classic" {
		err = errors.Join(err, errors.New("QUEUE_TYPE: neither quorum nor classic"))
	}
	if s.MongoDBTimeout <= 0 || s.MongoDBTimeout < s.Skew {
		err = errors.Join(err, errors.New("MONGODB_TIMEOUT_SECONDS: more than 0, and at least CLOCK_SKEW_SECONDS"))
	}
	if strings.ContainsAny(s.VideoQueue+s.MP3Queue, "*#") { // as keys of a topic exchange they would mean other queues, too
		err = errors.Join(err, errors.New("VIDEO_QUEUE, MP3_QUEUE: no * and no #"))
	}
	if s.VideoQueue == s.MP3Queue {
		err = errors.Join(err, errors.New("VIDEO_QUEUE and MP3_QUEUE: must differ"))
	}
	return err
}

// Backend is what the settings name, opened.
type Backend struct {
	Videos, MP3s *mongodb.Files
	Ledger       *mongodb.Ledger
	Hooks        *mongodb.WebhookStore
	Deliveries   *mongodb.Deliveries
	Broker       *rabbit.Broker
	Doorbell     doorbell.Doorbell
	Rules        job.Rules

	settings Settings
	client   *mongodb.Client
	writes   []mongodb.Database
	prepared atomic.Bool
}

// Open is Connect for a service. It is ready when MongoDB is there; whether it needs the broker too depends on whether it
// consumes. writes are the databases whose indexes it looks after: those that it writes to.
func Open(p *daemon.Process, s Settings, writes ...mongodb.Database) (*Backend, error) {
	b, err := Connect(p.Name, s, p.Grace(), p.Log, p.Metrics)
	if err != nil {
		return nil, err
	}
	b.writes = writes
	p.Needs("mongodb", b.client.Ping)
	p.Needs("indexes", b.indexed)
	return b, nil
}

// Connect connects in the background: it waits for nobody. Consumers have the grace to end in; a nil log discards, and so do
// nil metrics.
func Connect(name string, s Settings, grace time.Duration, log *slog.Logger, metrics prometheus.Registerer) (*Backend, error) {
	client, err := mongodb.Connect(string(s.MongoDB), name, mongodb.CommandTimeout(s.MongoDBTimeout.D()))
	if err != nil {
		return nil, fmt.Errorf("MONGODB_URI: %w", err)
	}
	b := &Backend{
		Videos: client.Videos(), MP3s: client.MP3s(), Ledger: client.Jobs(), Hooks: client.Hooks(), Deliveries: client.Deliveries(), Rules: s.Rules.Job(), settings: s, client: client,
		Broker: rabbit.New(rabbit.Config{
			URL: string(s.RabbitMQ), Name: name, QueueType: s.QueueType, ConfirmTimeout: s.Confirm.D(),
			Grace: grace, ConsumerTimeout: s.ConsumerTimeout.D(), Log: log, Metrics: metrics,
		}),
	}
	b.Doorbell = doorbell.Doorbell{Ledger: b.Ledger, Publish: b.publish, Rules: b.Rules}
	return b, nil
}

// Prepare waits for MongoDB and creates the indexes that are missing. Before that the service is not ready: it is an index
// that keeps one Idempotency-Key from having two jobs.
func (b *Backend) Prepare(ctx context.Context, p *daemon.Process) error {
	err := p.WaitFor(ctx, "mongodb and its indexes", func(ctx context.Context) error { return b.client.EnsureIndexes(ctx, b.writes...) })
	b.prepared.Store(err == nil)
	return err
}

func (b *Backend) indexed(context.Context) error {
	if !b.prepared.Load() {
		return errors.New("MongoDB has not been there to make its indexes yet")
	}
	return nil
}

// Consume has the messages of a queue handled until ctx is over, once everything that handling needs is prepared.
func (b *Backend) Consume(p *daemon.Process, from job.Bell, workers int, handle rabbit.Handle, prepare ...func(context.Context) error) {
	p.Needs("rabbitmq", b.Broker.Ready)
	p.Go("consume "+b.queue(from), func(ctx context.Context) error {
		for _, ready := range append(prepare, func(ctx context.Context) error { return b.Prepare(ctx, p) }) {
			if err := ready(ctx); err != nil {
				return nil //nolint:nilerr // told to stop before it was there
			}
		}
		return b.Broker.Consume(ctx, b.queue(from), workers, trail.Handle("process "+b.queue(from), handle))
	})
}

// Close ends the connections, after everything that uses them has ended.
func (b *Backend) Close() {
	b.Broker.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = b.client.Close(ctx) // nothing is written any more
}

func (b *Backend) publish(ctx context.Context, to job.Bell, m job.Message) error {
	return b.Broker.Publish(ctx, b.queue(to), m)
}

// Buried returns how many dead letters there are, by the queue that they are in.
func (b *Backend) Buried(ctx context.Context) (map[string]int, error) {
	return b.Broker.Buried(ctx, b.Queues()...)
}

// Standing returns how the queues stand.
func (b *Backend) Standing(ctx context.Context) ([]job.Queue, error) {
	return b.Broker.Queues(ctx, b.Queues()...)
}

// Letters are the dead letters of all queues.
func (b *Backend) Letters() *rabbit.Letters { return b.Broker.Letters(b.Queues()...) }

// Queues are the names of those that ring.
func (b *Backend) Queues() []string { return []string{b.settings.VideoQueue, b.settings.MP3Queue} }

func (b *Backend) queue(bell job.Bell) string {
	if bell == job.ForConverter {
		return b.settings.VideoQueue
	}
	return b.settings.MP3Queue
}

// Worker names this process in the ledger: the pod's name, or the machine's, and the process id.
func Worker() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
