package rabbit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/failpoint"
)

var (
	errNoConfirm = errors.New("no confirm in time")
	errBlocked   = errors.New("blocked by the broker")
	errRefused   = errors.New("refused by the broker, or lost with the connection") // the library says the same for both
)

// publisher is the session that publishes. Any number of calls share its channel without waiting for one another.
type publisher struct {
	s       *session
	gate    *gate
	heard   chan struct{}    // see listen
	orphans chan amqp.Return // the first message of the session that was returned
	asking  atomic.Bool      // see Buried

	mu       sync.Mutex
	ended    bool
	declared map[string]*declaration // of this session
	sent     map[string]*amqp.Return // by MessageId, what waits for its confirm; not nil once returned
	work     sync.WaitGroup
}

// declaration is one for all who need the queue.
type declaration struct {
	done chan struct{}
	err  error
}

// send publishes m under key, having declared queue in this session, and waits for the confirm.
// A refusal and a lost connection are not taken as final for a moment: a quorum queue refuses while it has no leader, as
// when it is new, and the next connection may be there at once.
func (b *Broker) send(ctx context.Context, queue, key string, m amqp.Publishing) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	m.DeliveryMode = amqp.Persistent
	patience := time.Now().Add(moment)
	for n := 1; ; n++ {
		err := b.try(ctx, queue, key, m)
		if !fleeting(err) || time.Now().After(patience) {
			return err
		}
		sleep(ctx, backoff(20*time.Millisecond, moment/4, n))
	}
}

func fleeting(err error) bool {
	return errors.Is(err, errRefused) || errors.Is(err, errLost) || errors.Is(err, amqp.ErrClosed)
}

func (b *Broker) try(ctx context.Context, queue, key string, m amqp.Publishing) error {
	p, err := b.publishing.wait(ctx)
	if err != nil {
		return err
	}
	if _, err := p.gate.state(); err != nil {
		return err // before declare, which would wait
	}
	if err := p.declare(ctx, queue); err != nil {
		return err
	}
	return p.publish(ctx, key, m)
}

func (b *Broker) servePublishing(ctx context.Context, s *session) error {
	p := &publisher{
		s: s, gate: newGate(), heard: make(chan struct{}), orphans: make(chan amqp.Return, 1),
		declared: map[string]*declaration{}, sent: map[string]*amqp.Return{},
	}
	if err := s.within(closeLimit, func() error { return s.ch.Confirm(noWait) }); err != nil {
		return err
	}
	returns, blocked := s.ch.NotifyReturn(make(chan amqp.Return)), s.conn.NotifyBlocked(make(chan amqp.Blocking))
	p.work.Go(func() { p.listen(returns, blocked) })
	b.publishing.raise(p)
	b.log.InfoContext(ctx, "connected to rabbitmq", "connection", b.publishing.name)
	defer p.end()
	select {
	case <-ctx.Done():
		return errClosed
	case <-s.lost:
		return s.err
	case r := <-p.orphans:
		// The queue was deleted. It is declared anew, but not published to over this channel: RabbitMQ (3.10) mistakes it for
		// the old one there, confirms the messages and loses them.
		return &returnedError{r}
	}
}

// end closes the session and waits for all that runs on it.
func (p *publisher) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.s.close()
	p.work.Wait()
}

// listen takes what the broker says unasked, until the library closes both channels with the connection.
//
// The library hands over a return before it settles the confirm of the same message, and here without a buffer: whoever
// has seen the confirm and then passes through heard has given the return, if there is one, time to be noted.
func (p *publisher) listen(returns <-chan amqp.Return, blocked <-chan amqp.Blocking) {
	defer close(p.heard)
	for returns != nil || blocked != nil {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			p.note(r)
		case state, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			p.gate.set(state)
		case p.heard <- struct{}{}:
		}
	}
}

func (p *publisher) note(r amqp.Return) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.sent[r.MessageId]; waits {
		p.sent[r.MessageId] = &r
	}
	select {
	case p.orphans <- r:
	default:
	}
}

// publish sends one message and waits for what becomes of it.
func (p *publisher) publish(ctx context.Context, key string, m amqp.Publishing) error {
	m.MessageId = rand.Text()
	p.mu.Lock()
	p.sent[m.MessageId] = nil
	p.mu.Unlock()
	err := p.confirmed(ctx, key, m)
	p.mu.Lock()
	returned := p.sent[m.MessageId]
	delete(p.sent, m.MessageId)
	p.mu.Unlock()
	if returned != nil {
		return &returnedError{*returned}
	}
	return err
}

func (p *publisher) confirmed(ctx context.Context, key string, m amqp.Publishing) error {
	blocked, err := p.gate.state()
	if err != nil {
		return err
	}
	confirm, err := p.s.ch.PublishWithDeferredConfirm(exchange, key, mandatory, immediate, m) // locks the channel itself
	if err != nil {
		return err
	}
	if err := failpoint.At(failpoint.Published); err != nil {
		return err
	}
	select {
	case <-confirm.Done():
	case <-blocked: // what was written before may still be confirmed, in hours
		return errBlocked
	case <-p.s.lost:
		return p.s.reason()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-p.heard
	if !confirm.Acked() {
		return errRefused
	}
	return nil
}

// declare makes sure that the queue was declared in this session.
func (p *publisher) declare(ctx context.Context, queue string) error {
	p.mu.Lock()
	d := p.declared[queue]
	if d == nil && !p.ended {
		d = &declaration{done: make(chan struct{})}
		p.declared[queue] = d
		p.work.Go(func() {
			defer close(d.done)
			if d.err = p.s.declare(queue); d.err != nil {
				p.forget(queue) // somebody may mend it
			}
		})
	}
	p.mu.Unlock()
	if d == nil {
		return errLost
	}
	select {
	case <-d.done:
		return d.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *publisher) forget(queue string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.declared, queue)
}

// returnedError says that the broker had no queue to put the message in: it has been deleted.
type returnedError struct{ amqp.Return }

func (e *returnedError) Error() string {
	return fmt.Sprintf("returned by the broker: %d %s", e.ReplyCode, e.ReplyText)
}

// gate says whether the broker takes messages: with a memory or disk alarm it stops reading from who publishes.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed while the broker blocks
	why  error         // while it does
}

func newGate() *gate { return &gate{shut: make(chan struct{})} }

func (g *gate) set(b amqp.Blocking) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case b.Active && g.why == nil:
		g.why = fmt.Errorf("%w: %s", errBlocked, b.Reason)
		close(g.shut)
	case !b.Active && g.why != nil:
		g.why, g.shut = nil, make(chan struct{})
	}
}

// state returns a channel that is closed once the broker blocks, and why if it does already.
func (g *gate) state() (shut <-chan struct{}, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut, g.why
}
