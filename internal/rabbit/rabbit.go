// Package rabbit moves messages over AMQP 0-9-1, through RabbitMQ 3.10 to 4.x. It decides how, never what: which queues
// there are, what a message means and whether a failure is final are its callers' affair. It knows no service.
//
// Publish returns nil only for what the broker has confirmed; Consume settles a delivery only after its handler, on the
// channel it came from. Both survive any loss of the broker: a lost connection is replaced by a new one with new
// channels, on which the queues are declared again (the client library's own recovery settles other people's
// deliveries). What is lost with the broker's disk is not remembered here: the ledger remembers.
//
// How often a message was tried is not counted here either: RabbitMQ 3, 4.0 and 4.3 count differently, the job counts.
package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
)

// Config says which broker, and how patient to be. Only URL is required.
type Config struct {
	URL             string                // amqp:// or amqps:// with user, password and virtual host; it never reaches a log or an error
	Name            string                // what the broker shows its operator for the connections; default "mp3converter"
	QueueType       string                // "quorum", the default, or "classic"
	ConfirmTimeout  time.Duration         // a Publish without an answer for this long has failed; default 5 s
	Grace           time.Duration         // how long handlers may go on after Consume is told to stop; 0 is not at all
	Pause           time.Duration         // the first pause after a failure, doubled up to 30 s by each further one; default 1 s
	Renew           time.Duration         // how often a consumer without work subscribes anew: RabbitMQ does not always tell it that its queue was deleted, and made again; default 1 min
	ConsumerTimeout time.Duration         // how long a handler may take before the broker gives its message to others; 0 leaves it to the broker (30 min). RabbitMQ before 3.12 ignores it.
	Log             *slog.Logger          // nil discards
	Metrics         prometheus.Registerer // nil keeps them from everybody
}

// Broker publishes over one connection and consumes over another, or several if Consume is called several times.
type Broker struct {
	cfg        Config
	log        *slog.Logger
	metrics    metrics
	publishing *link[*publisher]
	stop       context.CancelFunc
	done       chan struct{} // closed when the publishing connection is gone for good

	mu        sync.Mutex
	consuming map[*link[*session]]struct{} // of the running calls of Consume
}

var (
	errConfig = errors.New("rabbitmq settings")
	errClosed = errors.New("closed")
	errLost   = errors.New("connection lost")
)

// New returns a Broker that connects in the background, for as long as it takes: see Ready. Close it after the last
// Consume has returned.
func New(cfg Config) *Broker {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	b := &Broker{
		cfg: cfg, log: cfg.Log, metrics: newMetrics(cfg.Metrics),
		publishing: newLink[*publisher](cfg.Name + " publishing"),
		stop:       cancel, done: make(chan struct{}),
		consuming: map[*link[*session]]struct{}{},
	}
	go func() {
		defer close(b.done)
		keep(ctx, b, b.publishing, b.servePublishing)
	}()
	return b
}

// Close ends the publishing connection, within about two seconds whatever the broker does.
func (b *Broker) Close() {
	b.stop()
	<-b.done
}

// Ready returns nil when every connection stands and is let to publish, else an error that says for each what it waits
// for. It costs nothing.
func (b *Broker) Ready(context.Context) error {
	p, err := b.publishing.state()
	if err == nil {
		_, err = p.gate.state()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", b.publishing.name, err)
	}
	errs := []error{err}
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.consuming {
		if _, err := l.state(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.name, err))
		}
	}
	return errors.Join(errs...)
}

func (cfg Config) withDefaults() Config {
	if cfg.Name == "" {
		cfg.Name = "mp3converter"
	}
	if cfg.QueueType == "" {
		cfg.QueueType = amqp.QueueTypeQuorum
	}
	if cfg.ConfirmTimeout <= 0 {
		cfg.ConfirmTimeout = 5 * time.Second
	}
	if cfg.Pause <= 0 {
		cfg.Pause = time.Second
	}
	if cfg.Renew <= 0 {
		cfg.Renew = time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// check finds the mistakes that no waiting mends.
func (cfg Config) check() error {
	if _, err := amqp.ParseURI(cfg.URL); err != nil {
		return fmt.Errorf("%w: the URL is none of an AMQP broker", errConfig) // err quotes the URL, password and all
	}
	if cfg.QueueType != amqp.QueueTypeQuorum && cfg.QueueType != amqp.QueueTypeClassic {
		return fmt.Errorf("%w: QUEUE_TYPE %q is neither quorum nor classic", errConfig, cfg.QueueType)
	}
	return nil
}

// AppID and Type of a message mark it as published by this system: a job is behind it.
const (
	appID       = "mp3converter"
	messageType = "job"
)

// Publish returns nil only when the broker has the message safe in the queue. Without a connection it fails at once, or
// after a second if there has been no time to make one; without an answer, after Config.ConfirmTimeout. A failed message
// may have arrived all the same.
func (b *Broker) Publish(ctx context.Context, queue string, m job.Message) error {
	start := time.Now()
	err := b.send(ctx, queue, queue, amqp.Publishing{
		ContentType: "application/json", AppId: appID, Type: messageType, Headers: trailOf(m), Body: m.Encode(),
	})
	b.metrics.sent(queue, err, time.Since(start))
	if err != nil {
		return fmt.Errorf("publish to %s: %w", queue, err)
	}
	return nil
}

// trailOf are the headers by which a message is followed. Whoever does not know them leaves them alone.
func trailOf(m job.Message) amqp.Table {
	headers := amqp.Table{}
	m.Trail.Write(func(name, value string) { headers[name] = value })
	return headers
}

// readTrail takes from somebody's headers what is a trail, and nothing else.
func readTrail(headers amqp.Table) job.Trail {
	return job.ReadTrail(func(name string) string {
		value, _ := headers[name].(string)
		return value
	})
}
