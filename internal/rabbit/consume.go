package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
)

// Handle is what Consume calls for each message; its error is the verdict, see Consume.
type Handle = func(ctx context.Context, m job.Message) error

// Consume hands each message of the queue to handle, up to workers at once, until ctx is over; then it takes no more,
// waits for the running handlers, whose own context ends Config.Grace later, and returns nil. Without a broker it waits.
// It returns an error only for a mistake in the settings; a queue that exists with other arguments is none: it is
// logged, shown by Ready and tried again, for an operator can mend it from outside.
//
// A handler's nil settles the message. An error with job.ErrPoison in its chain, as a body that is no message, moves it
// to the queue's dead letters with the reason. Any other error, and a panic, brings it back after a pause that grows with
// each failure in a row of the worker; at once, and so to another process, when ctx is over.
//
// A handler that outlives its connection is not disturbed, but its verdict comes to nothing: the broker has given the
// message to somebody else by then.
func (b *Broker) Consume(ctx context.Context, queue string, workers int, handle Handle) error {
	if err := b.cfg.check(); err != nil {
		return err
	}
	if workers < 1 {
		return fmt.Errorf("%w: %d workers on queue %s", errConfig, workers, queue)
	}
	late, cancel := graceful(ctx, b.cfg.Grace)
	defer cancel()
	c := &consumer{
		b: b, queue: queue, workers: workers, handle: handle, ctx: ctx, late: late,
		link: newLink[*session](b.cfg.Name + " consuming " + queue), work: make(chan delivery),
	}
	b.metrics.consumes(queue)
	b.register(c.link, true)
	defer b.register(c.link, false)
	for range workers {
		c.running.Go(c.run)
	}
	keep(ctx, b, c.link, c.serve)
	c.finish() // in case there was no session at the end
	return nil
}

func (b *Broker) register(l *link[*session], in bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in {
		b.consuming[l] = struct{}{}
		return
	}
	delete(b.consuming, l)
}

// consumer is one call of Consume. Its workers outlive sessions.
type consumer struct {
	b       *Broker
	queue   string
	workers int
	handle  Handle
	ctx     context.Context // over: take no more
	late    context.Context // over: hurry
	link    *link[*session]
	work    chan delivery
	hands   atomic.Int64 // deliveries with a worker or on the way to one
	running sync.WaitGroup
	once    sync.Once
}

// delivery is settled on the channel it came from, or not at all: its tag means another message on any other.
type delivery struct {
	amqp.Delivery
	lost <-chan struct{} // closed when the channel is gone, and the message given to somebody else
}

// finish lets the workers end what they have in hand, and waits for it.
func (c *consumer) finish() {
	c.once.Do(func() { close(c.work) })
	c.running.Wait()
}

func (c *consumer) serve(ctx context.Context, s *session) error {
	sub, err := c.subscribe(s)
	if err != nil {
		return err
	}
	c.link.raise(s)
	c.b.log.InfoContext(ctx, "connected to rabbitmq", "connection", c.link.name)
	for err == nil {
		err = c.take(ctx, sub)
		switch {
		case ctx.Err() != nil:
			c.unsubscribe(sub)
			c.finish() // before the session is closed: the handlers' acks go over it
			return errClosed
		case errors.Is(err, errIdle):
			sub, err = c.renew(sub)
		}
	}
	return err
}

// subscription is one consumer at the broker.
type subscription struct {
	s          *session
	deliveries <-chan amqp.Delivery
	cancelled  <-chan string
}

var errIdle = errors.New("nothing to do")

// take passes on deliveries until they end, or ctx does, or there have been none for long, nor any in hand.
func (c *consumer) take(ctx context.Context, sub subscription) error {
	idle := time.NewTicker(c.b.cfg.Renew)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-sub.deliveries:
			if !ok {
				return c.ended(sub)
			}
			c.pass(delivery{d, sub.s.lost})
			idle.Reset(c.b.cfg.Renew)
		case <-idle.C:
			if c.hands.Load() == 0 {
				return errIdle
			}
		}
	}
}

func (c *consumer) subscribe(s *session) (subscription, error) {
	if err := s.declare(c.queue); err != nil {
		return subscription{}, err
	}
	var args amqp.Table
	if c.b.cfg.ConsumerTimeout > 0 {
		args = amqp.Table{amqp.ConsumerTimeoutArg: c.b.cfg.ConsumerTimeout.Milliseconds()}
	}
	sub := subscription{s: s, cancelled: s.ch.NotifyCancel(make(chan string, 1))}
	err := s.within(s.cfg.ConfirmTimeout, func() (err error) {
		// No more in hand than are worked on: what waits here cannot be taken by anybody else.
		if err := s.ch.Qos(c.workers, 0, false); err != nil {
			return err
		}
		sub.deliveries, err = s.ch.Consume(c.queue, consumerTag, autoAck, exclusive, noLocal, noWait, args)
		return err
	})
	if err != nil {
		return subscription{}, fmt.Errorf("consume %s: %w", c.queue, err)
	}
	return sub, nil
}

// unsubscribe stops the broker from sending more and gives back what no worker has.
func (c *consumer) unsubscribe(sub subscription) {
	_ = sub.s.within(sub.s.cfg.ConfirmTimeout, func() error { return sub.s.ch.Cancel(consumerTag, noWait) })
	for d := range sub.deliveries { // closed by Cancel, or with the session
		c.give(delivery{d, sub.s.lost})
	}
}

// renew replaces the subscription by one that the current queue of that name knows of.
func (c *consumer) renew(sub subscription) (subscription, error) {
	c.unsubscribe(sub)
	if err := sub.s.renew(); err != nil {
		return sub, err
	}
	return c.subscribe(sub.s)
}

const consumerTag = "mp3converter" // unique on its channel, where it is alone

// ended says why the deliveries ended: with the session, or without it because the broker cancelled the consumer, as it
// does when the queue is deleted and, from 4.3, when a handler takes too long.
func (c *consumer) ended(sub subscription) error {
	select {
	case _, ok := <-sub.cancelled: // written before the deliveries are closed
		if ok {
			return fmt.Errorf("consume %s: cancelled by the broker", c.queue)
		}
	default:
	}
	return sub.s.reason()
}

// pass gives the delivery to a worker, or back.
func (c *consumer) pass(d delivery) {
	c.hands.Add(1)
	select {
	case c.work <- d:
		return
	case <-d.lost:
	case <-c.ctx.Done():
		c.give(d)
	}
	c.hands.Add(-1)
}

// graceful returns a context that ends a grace later than ctx.
func graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(grace, func() { cancel(errStopping) })
	})
	return late, func() { stop(); cancel(context.Canceled) }
}

var errStopping = errors.New("the process is stopping and the grace is over")

// truncate bounds what goes into a header.
func truncate(s string) string { return fmt.Sprintf("%.500s", s) }
