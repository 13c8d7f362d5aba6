package rabbit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
)

// DeadLetter and ErrCut are package job's.
type DeadLetter = job.DeadLetter

// ErrCut is why a letter is not replayed whose body was too long to be kept.
var ErrCut = job.ErrCut

// maxStart bounds DeadLetter.Start, so that a list of many letters is small.
const maxStart = 200

// DeadLetters is a walk through the dead letters of one queue, for an operator. While it goes on, nobody else sees those
// that it has come to. Close gives back all that were neither replayed nor discarded; if the process dies instead, the
// broker does. What is given back to a quorum queue comes last there, so only a walk to the end leaves the order alone.
type DeadLetters struct {
	b     *Broker
	s     *session
	queue string
	left  int // of those that were there when the walk began, how many Next has yet to come to; unknown before the first

	at      amqp.Delivery // where the walk stands
	settled bool          // it is nobody's any more
	kept    uint64        // the last tag to give back; 0 if there is none
}

const unknown = -1

// DeadLetters begins a walk, over a connection of its own: what it holds is given back with that at the latest. Close it.
func (b *Broker) DeadLetters(ctx context.Context, queue string) (*DeadLetters, error) {
	if err := b.cfg.check(); err != nil {
		return nil, err
	}
	s, err := dial(ctx, b.cfg, b.cfg.Name+" dead letters of "+queue)
	if err == nil {
		if err = s.declare(queue); err != nil {
			s.close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("dead letters of %s: %w", queue, err)
	}
	return &DeadLetters{b: b, s: s, queue: queue, left: unknown, settled: true}, nil
}

// Next goes on to the next letter, the longest dead first; io.EOF after the last of those that were there at the beginning.
// Those buried since are not looked at, or a replayed one that dies again would be replayed for ever.
func (l *DeadLetters) Next(ctx context.Context) (DeadLetter, error) {
	l.keep()
	if err := ctx.Err(); err != nil {
		return DeadLetter{}, err
	}
	if l.left == 0 {
		return DeadLetter{}, io.EOF
	}
	var there bool
	err := l.s.within(l.b.cfg.ConfirmTimeout, func() (err error) {
		l.at, there, err = l.s.ch.Get(deadLetters(l.queue), autoAck)
		return err
	})
	if err != nil {
		return DeadLetter{}, fmt.Errorf("next dead letter of %s: %w", l.queue, err)
	}
	if !there {
		return DeadLetter{}, io.EOF
	}
	if l.left == unknown {
		l.left = int(l.at.MessageCount) + 1
	}
	l.left--
	l.settled = false
	return read(l.queue, l.at), nil
}

// Replay sends the letter that Next has returned to its queue once more, as it was, and then removes it: in that order, so
// that dying in between makes a second one, which the ledger bears, and never loses one.
func (l *DeadLetters) Replay(ctx context.Context) error {
	if letter := read(l.queue, l.at); letter.Cut {
		return fmt.Errorf("replay %s: %w: the first %d of %d bytes", letter.ID, ErrCut, len(l.at.Body), letter.Bytes)
	}
	err := l.b.send(ctx, l.queue, l.queue, amqp.Publishing{
		ContentType: l.at.ContentType, ContentEncoding: l.at.ContentEncoding, AppId: l.at.AppId, Type: l.at.Type,
		Headers: trailOf(job.Message{Trail: readTrail(l.at.Headers)}), Body: l.at.Body,
	})
	if err != nil {
		return fmt.Errorf("replay to %s: %w", l.queue, err)
	}
	return l.Discard()
}

// Discard removes the letter that Next has returned. Only Close knows whether the broker has heard of it.
func (l *DeadLetters) Discard() error {
	if err := l.at.Ack(one); err != nil {
		return fmt.Errorf("remove a dead letter of %s: %w", l.queue, err)
	}
	l.settled = true
	return nil
}

// Close ends the walk. After an error, letters that were replayed or discarded may still be there.
func (l *DeadLetters) Close() error {
	defer l.s.close()
	l.keep()
	err := l.s.within(closeLimit, func() error {
		if l.kept > 0 {
			const all = true // up to the tag
			// Nack, as in give: an end of the connection would count against each.
			if err := l.s.ch.Nack(l.kept, all, requeue); err != nil {
				return err
			}
		}
		return l.s.ch.Close() // waits until the broker has done all that went before
	})
	if err != nil {
		return fmt.Errorf("end with the dead letters of %s: %w", l.queue, err)
	}
	return nil
}

// keep notes that the letter at which the walk stands is to be given back, if it is still there.
func (l *DeadLetters) keep() {
	if !l.settled {
		l.kept, l.settled = l.at.DeliveryTag, true
	}
}

func read(queue string, d amqp.Delivery) DeadLetter {
	letter := DeadLetter{
		ID: idOf(d), Queue: queue, Bytes: int64(len(d.Body)),
		Start: append([]byte(nil), d.Body[:min(len(d.Body), maxStart)]...), // or all of the body would be held
	}
	if by, at, ok := givenUp(d.Headers); ok {
		letter.Reason, letter.Buried = by, at
		return letter
	}
	letter.Reason, _ = d.Headers[headerReason].(string)
	letter.Reason = truncate(letter.Reason)
	letter.Buried, _ = d.Headers[headerBuriedAt].(time.Time)
	if was, ok := d.Headers[headerBytes].(int64); ok && was > letter.Bytes {
		letter.Bytes, letter.Cut = was, true
	}
	return letter
}

// givenUp reads what the broker notes about a message that it gives up on itself, the last time first.
func givenUp(headers amqp.Table) (reason string, at time.Time, ok bool) {
	deaths, ok := headers["x-death"].([]any)
	if !ok || len(deaths) == 0 {
		return "", time.Time{}, false
	}
	last, _ := deaths[0].(amqp.Table)
	reason, ok = last["reason"].(string)
	if !ok {
		reason, _ = headers["x-first-death-reason"].(string)
	}
	at, _ = last["time"].(time.Time)
	return truncate("given up by the broker: " + reason), at, true
}

// idOf names a letter, the same at every walk. The message's own name would not do: whoever may publish can give it twice.
func idOf(d amqp.Delivery) string {
	sum := sha256.New()
	for _, part := range []string{d.MessageId, d.AppId, d.Type, d.ContentType, d.ContentEncoding, string(d.Body)} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:13])
}
