package rabbit

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

var errAsking = errors.New("asked before, and not answered yet")

// Buried returns how many dead letters each of the queues has. It asks over the connection that publishes, which it leaves
// alone whatever the broker does: it declares nothing, takes nothing, and a call that is not answered in time goes on alone,
// during which further ones fail.
func (b *Broker) Buried(ctx context.Context, queues ...string) (map[string]int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	p, err := b.publishing.state()
	if err != nil {
		return nil, err
	}
	if _, err := p.gate.state(); err != nil {
		return nil, err // it does not read what we ask
	}
	if !p.asking.CompareAndSwap(false, true) {
		return nil, errAsking
	}
	type answer struct {
		letters map[string]int
		err     error
	}
	answered := make(chan answer, 1)
	go func() { // ends with the connection at the latest
		defer p.asking.Store(false)
		letters, err := p.s.buried(queues)
		answered <- answer{letters, err}
	}()
	select {
	case a := <-answered:
		return a.letters, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *session) buried(queues []string) (map[string]int, error) {
	letters := map[string]int{}
	for _, queue := range queues {
		n, err := s.ready(deadLetters(queue))
		if err != nil {
			return nil, fmt.Errorf("count the dead letters of %s: %w", queue, err)
		}
		letters[queue] = n
	}
	return letters, nil
}

// ready returns how many messages of a queue nobody has in hand; none if it does not exist.
func (s *session) ready(queue string) (int, error) {
	ch, err := s.conn.Channel() // of its own: a queue that does not exist costs the channel
	if err != nil {
		return 0, err
	}
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(queue, durable, autoDelete, exclusive, noWait, nil)
	if absent := (*amqp.Error)(nil); errors.As(err, &absent) && absent.Code == amqp.NotFound {
		return 0, nil
	}
	return q.Messages, err
}
