package rabbit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The positional booleans of the library, by name.
const (
	durable, autoDelete, exclusive, noWait = true, false, false, false
	mandatory, immediate                   = true, false
	autoAck, noLocal, internal             = false, false, false
	one, requeue                           = false, true // of Nack; one is also Ack's
)

const (
	heartbeat   = 10 * time.Second
	dialTimeout = 5 * time.Second // to connect, and once more to shake hands
)

// session is one connection with its main channel, from dial to close: neither is ever revived.
type session struct {
	cfg  Config
	conn *amqp.Connection
	raw  net.Conn      // closing it ends every call that hangs on the connection
	ch   *amqp.Channel // see renew
	lost chan struct{} // closed when the channel is gone, alone or with the connection
	err  error         // why; valid once lost is closed
}

// dial opens a session. It returns early when ctx is over.
func dial(ctx context.Context, cfg Config, name string) (*session, error) {
	s := &session{cfg: cfg}
	var stop func() bool
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(name)
	conn, err := amqp.DialConfig(cfg.URL, amqp.Config{
		Heartbeat: heartbeat, Properties: properties,
		Dial: func(network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			s.raw = &boundedConn{Conn: c, limit: cfg.ConfirmTimeout}
			stop = context.AfterFunc(ctx, func() { _ = s.raw.Close() })
			return s.raw, c.SetDeadline(time.Now().Add(dialTimeout)) // the library lifts it after the handshake
		},
	})
	if stop != nil {
		stop()
	}
	if err == nil {
		s.conn = conn
		err = s.open()
	}
	if err != nil {
		if s.raw != nil {
			_ = s.raw.Close() // the library leaves it open on some failures
		}
		return nil, fmt.Errorf("connect: %w", err)
	}
	return s, nil
}

// open gives the session its main channel.
func (s *session) open() error {
	err := s.within(closeLimit, func() (err error) {
		s.ch, err = s.conn.Channel()
		return err
	})
	if err != nil {
		return err
	}
	s.lost = make(chan struct{})
	go s.watch(s.ch.NotifyClose(make(chan *amqp.Error, 1)), s.lost) // ends with the channel, which close sees to
	return nil
}

// renew replaces the main channel, and with it all that the broker has noted about the old one. Nothing may be in hand.
func (s *session) renew() error {
	if err := s.within(closeLimit, s.ch.Close); err != nil {
		return err
	}
	<-s.lost
	return s.open()
}

// watch waits for the end of the channel: the library tells a channel of its connection's end too.
func (s *session) watch(closed <-chan *amqp.Error, lost chan<- struct{}) {
	s.err = errLost
	if err, ok := <-closed; ok {
		s.err = fmt.Errorf("%w: %w", errLost, err)
	}
	close(lost)
}

// reason waits until the session is lost and says why.
func (s *session) reason() error {
	<-s.lost
	return s.err
}

// close ends the session within closeLimit, even if the broker does not answer, as one with an alarm does not.
func (s *session) close() {
	_ = s.within(closeLimit, func() error { return s.conn.CloseDeadline(time.Now().Add(closeLimit)) })
	<-s.lost
}

// within runs a call that may wait for the broker's answer for ever; after limit it takes the connection from under it.
func (s *session) within(limit time.Duration, call func() error) error {
	cut := time.AfterFunc(limit, func() { _ = s.raw.Close() })
	err := call()
	if !cut.Stop() {
		return fmt.Errorf("no answer within %v", limit)
	}
	return err
}

// declare makes sure that the queue exists, and with it the one for its dead letters.
func (s *session) declare(queue string) error {
	return s.within(s.cfg.ConfirmTimeout, func() error {
		ch, err := s.conn.Channel() // of its own: a refusal costs the channel
		if err != nil {
			return err
		}
		defer ch.Close()
		if err := ch.ExchangeDeclare(exchange, amqp.ExchangeTopic, durable, autoDelete, internal, noWait, nil); err != nil {
			return fmt.Errorf("declare exchange %s: %w", exchange, err)
		}
		for _, q := range topology(queue, s.cfg.QueueType) {
			if _, err := ch.QueueDeclare(q.name, durable, autoDelete, exclusive, noWait, q.args); err != nil {
				return fmt.Errorf("declare queue %s: %w", q.name, s.otherwise(err))
			}
			if err := ch.QueueBind(q.name, q.name, exchange, noWait, nil); err != nil {
				return fmt.Errorf("bind queue %s: %w", q.name, err)
			}
		}
		return nil
	})
}

// otherwise tells an operator what to do about a queue that exists with other arguments.
func (s *session) otherwise(err error) error {
	var refused *amqp.Error
	if errors.As(err, &refused) && refused.Code == amqp.PreconditionFailed {
		return fmt.Errorf("the queue was made otherwise than QUEUE_TYPE=%s makes it, by hand or by another version (change that, or delete the queue: jobs are rung for again): %w", s.cfg.QueueType, err)
	}
	return err
}

// exchange is what we publish to; each queue gets what has its name as the key. The default exchange would do the same, but
// whoever may publish there may publish to every queue. Here RabbitMQ's topic permissions say to which: see
// manifests/rabbitmq.yaml. Others may go on using the default exchange, if they are let.
const exchange = "mp3converter"

type queueSpec struct {
	name string
	args amqp.Table
}

// deliveryLimit keeps the broker from counting attempts: by default RabbitMQ 4.0 to 4.2 bury a message that comes back for
// the 20th time, as it does when the database is away for ten minutes. It still ends one that crashes every consumer.
const deliveryLimit = 10_000

// lookLimit is how often dead letters can be looked at. Each look takes them and gives them back, and what exceeds the
// limit is dropped: after 20 looks by the default of RabbitMQ 4.0 to 4.2. No number means never to all of 3.10 to 4.x.
const lookLimit = 1_000_000_000

// topology lists what a queue consists of; the target of dead letters comes first. What the broker itself gives up on is
// moved there instead of dropped. A classic queue gives up on nothing, and is made as the original's operators made theirs
// by hand, so that those serve.
func topology(queue, kind string) []queueSpec {
	args, dead := amqp.Table{amqp.QueueTypeArg: kind}, amqp.Table{amqp.QueueTypeArg: kind}
	if kind == amqp.QueueTypeQuorum {
		dead["x-delivery-limit"] = int64(lookLimit)
		args = amqp.Table{
			amqp.QueueTypeArg:           kind,
			"x-dead-letter-exchange":    exchange,
			"x-dead-letter-routing-key": deadLetters(queue),
			"x-delivery-limit":          int64(deliveryLimit),
		}
	}
	return []queueSpec{{deadLetters(queue), dead}, {queue, args}}
}

func deadLetters(queue string) string { return queue + ".dead" }

// boundedConn bounds every write. A context cannot: one write that the broker does not read holds up all others.
type boundedConn struct {
	net.Conn
	limit time.Duration
}

func (c *boundedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
