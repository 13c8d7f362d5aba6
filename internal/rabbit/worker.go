package rabbit

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/trail"
)

// run is one worker.
func (c *consumer) run() {
	failures := 0 // in a row
	for d := range c.work {
		failures = c.process(d, failures)
		c.hands.Add(-1)
	}
}

// process takes one delivery to its end and returns how many failures in a row that makes.
func (c *consumer) process(d delivery, failures int) int {
	if c.ctx.Err() != nil {
		c.give(d)
		return failures
	}
	start := time.Now()
	c.b.metrics.delivered(c.queue, d.Delivery)
	m, err := c.attempt(d)
	v, took := judge(err, c.ctx.Err() != nil), time.Since(start)
	c.b.metrics.judged(c.queue, v, took)
	c.log(v, m, err, took)
	if v == bury {
		v = c.bury(d, err)
	}
	switch v {
	case settle:
		if failpoint.At(failpoint.MessageHandled) != nil {
			break // as if it could not be told: the message comes again
		}
		c.dropped(d.Ack(one))
		return 0
	case postpone:
		c.pause(d, backoff(c.b.cfg.Pause, maxPause, failures+1))
	}
	c.give(d)
	return failures + 1
}

// attempt decodes and handles one message. A panic is a bug; as an error it costs one message a delay, not all of them
// the process.
func (c *consumer) attempt(d delivery) (m job.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			c.b.log.ErrorContext(c.late, "handler panicked", "queue", c.queue, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if m, err = job.Decode(d.Body); err != nil {
		return m, err
	}
	m.Trail = readTrail(d.Headers)
	m.Foreign = d.AppId != appID || d.Type != messageType
	return m, c.handle(c.late, m)
}

// maxBuried bounds the body of a dead letter. Whatever is longer is no message that could be sent once more.
const maxBuried = 64 << 10

// The headers of a dead letter that DeadLetters reads.
const (
	headerReason   = "x-reason"
	headerBuriedAt = "x-buried-at"
	headerBytes    = "x-original-bytes"
)

// bury moves the delivery to the dead letters and returns what is to become of the original.
func (c *consumer) bury(d delivery, reason error) verdict {
	// The headers of somebody else are not taken over but for their trail: nobody has bounded them.
	headers := trailOf(job.Message{Trail: readTrail(d.Headers)})
	headers[headerReason] = truncate(reason.Error())
	headers["x-original-queue"] = c.queue
	headers[headerBuriedAt] = time.Now().UTC()
	headers[headerBytes] = int64(len(d.Body))
	err := c.b.send(context.WithoutCancel(c.ctx), c.queue, deadLetters(c.queue), amqp.Publishing{
		Headers:     headers,
		ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, AppId: d.AppId, Type: d.Type,
		Body: d.Body[:min(len(d.Body), maxBuried)],
	})
	if err == nil {
		return settle
	}
	c.b.log.ErrorContext(c.late, "dead letter not published", "queue", c.queue, "err", err)
	return judge(err, c.ctx.Err() != nil)
}

// pause waits unless there is a reason to be rid of the delivery at once.
func (c *consumer) pause(d delivery, pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-d.lost:
	case <-c.ctx.Done():
	}
}

// give gives the delivery back. Nack, not Reject: RabbitMQ 4.3 counts only the latter against the message.
func (c *consumer) give(d delivery) { c.dropped(d.Nack(one, requeue)) }

// dropped takes the error of an Ack or Nack. It means that the channel is gone: then the message comes again, here or
// elsewhere, and the ledger knows what has been done.
func (c *consumer) dropped(err error) {
	if err != nil {
		c.b.log.DebugContext(c.late, "verdict dropped", "queue", c.queue, "err", err)
	}
}

func (c *consumer) log(v verdict, m job.Message, err error, took time.Duration) {
	level, attrs := slog.LevelDebug, []any{"queue", c.queue, "video", m.Video, "verdict", v, "took", took}
	ctx := trail.With(c.late, m.Trail)
	if err != nil {
		level, attrs = slog.LevelWarn, append(attrs, "err", err)
	}
	c.b.log.Log(ctx, level, "message", attrs...)
}
