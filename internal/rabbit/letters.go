package rabbit

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mp3converter/internal/job"
)

// Letters are the dead letters of several queues, for an operator's command or page. Each call walks through all of them, to the
// end: only then their order stays. Two walks at once would hide letters from each other, so of one Letters there is one.
type Letters struct {
	broker *Broker
	queues []string
	turn   chan struct{}
}

// Letters returns those of the queues.
func (b *Broker) Letters(queues ...string) *Letters {
	return &Letters{b, queues, make(chan struct{}, 1)}
}

// List returns the first of them, the oldest of each queue first, and how many more there are.
func (l *Letters) List(ctx context.Context, limit int) (letters []job.DeadLetter, more int, err error) {
	err = l.walk(ctx, func(_ *DeadLetters, letter job.DeadLetter) error {
		if len(letters) == limit {
			more++
			return nil
		}
		letters = append(letters, letter)
		return nil
	})
	return letters, more, err
}

// Replay sends those that are picked to their queue once more, and says of each that it has. One of which only a part was kept is
// job.ErrCut; the others are replayed all the same.
func (l *Letters) Replay(ctx context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter)) error {
	return l.settle(ctx, pick, done, func(dead *DeadLetters) error { return dead.Replay(ctx) })
}

// Discard removes those that are picked.
func (l *Letters) Discard(ctx context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter)) error {
	return l.settle(ctx, pick, done, (*DeadLetters).Discard)
}

func (l *Letters) settle(ctx context.Context, pick func(job.DeadLetter) bool, done func(job.DeadLetter), do func(*DeadLetters) error) error {
	var refusals []error
	err := l.walk(ctx, func(dead *DeadLetters, letter job.DeadLetter) error {
		if !pick(letter) {
			return nil
		}
		switch err := do(dead); {
		case errors.Is(err, job.ErrCut):
			refusals = append(refusals, err)
		case err != nil:
			return err
		default:
			done(letter)
		}
		return nil
	})
	return errors.Join(append(refusals, err)...)
}

// walk shows see all letters, until see fails.
func (l *Letters) walk(ctx context.Context, see func(*DeadLetters, job.DeadLetter) error) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, queue := range l.queues {
		dead, err := l.broker.DeadLetters(ctx, queue)
		if err != nil {
			return fmt.Errorf("rabbitmq at RABBITMQ_URL: %w", err)
		}
		if err := errors.Join(through(ctx, dead, see), dead.Close()); err != nil {
			return err
		}
	}
	return nil
}

func through(ctx context.Context, dead *DeadLetters, see func(*DeadLetters, job.DeadLetter) error) error {
	for {
		letter, err := dead.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := see(dead, letter); err != nil {
			return err
		}
	}
}
