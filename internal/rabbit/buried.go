package rabbit

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
)

var errAsking = errors.New("asked before, and not answered yet")

// Buried returns how many dead letters each of the queues has, as Queues does.
func (b *Broker) Buried(ctx context.Context, queues ...string) (map[string]int, error) {
	all, err := b.Queues(ctx, queues...)
	if err != nil {
		return nil, err
	}
	letters := map[string]int{}
	for _, q := range all {
		letters[q.Name] = q.Dead
	}
	return letters, nil
}

// Queues returns how the queues stand. It asks over the connection that publishes, which it leaves alone whatever the broker does:
// it declares nothing, takes nothing, and a call that is not answered in time goes on alone, during which further ones fail.
func (b *Broker) Queues(ctx context.Context, queues ...string) ([]job.Queue, error) {
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
		queues []job.Queue
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // ends with the connection at the latest
		defer p.asking.Store(false)
		all, err := p.s.stand(queues)
		answered <- answer{all, err}
	}()
	select {
	case a := <-answered:
		return a.queues, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *session) stand(queues []string) ([]job.Queue, error) {
	var all []job.Queue
	for _, name := range queues {
		q, err := s.look(name)
		if err != nil {
			return nil, fmt.Errorf("count the messages of %s: %w", name, err)
		}
		dead, err := s.look(deadLetters(name))
		if err != nil {
			return nil, fmt.Errorf("count the dead letters of %s: %w", name, err)
		}
		all = append(all, job.Queue{Name: name, Waiting: q.Messages, Consumers: q.Consumers, Dead: dead.Messages})
	}
	return all, nil
}

// look says how a queue stands; one that does not exist is empty.
func (s *session) look(queue string) (amqp.Queue, error) {
	ch, err := s.conn.Channel() // of its own: a queue that does not exist costs the channel
	if err != nil {
		return amqp.Queue{}, err
	}
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(queue, durable, autoDelete, exclusive, noWait, nil)
	if absent := (*amqp.Error)(nil); errors.As(err, &absent) && absent.Code == amqp.NotFound {
		return amqp.Queue{}, nil
	}
	return q, err
}
