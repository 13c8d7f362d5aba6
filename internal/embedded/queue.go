package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"mp3converter/internal/job"
)

// QueueConfig bounds the queues. The zero value is fit for use.
type QueueConfig struct {
	Capacity int           // messages that one queue holds; default 4096
	Dead     int           // dead letters that one queue keeps, the newest; default 100
	Grace    time.Duration // how long handlers may go on after Consume is told to stop; 0 is not at all
	Pause    time.Duration // the first pause after a failure, doubled up to 30 s by each further one; default 1 s
	Log      *slog.Logger  // nil discards
}

// Queue is any number of queues by name, each a channel. It forgets: with the process, and a message that finds its
// queue full when it comes back. The ledger remembers.
type Queue struct {
	cfg QueueConfig

	mu    sync.Mutex
	lines map[string]*line
}

// line is one queue.
type line struct {
	messages chan job.Message
	dead     []DeadLetter // under Queue.mu
}

// DeadLetter is a message that no retry will help.
type DeadLetter struct {
	Message job.Message
	Reason  string
	Buried  time.Time
}

var errFull = errors.New("queue is full")

const maxPause = 30 * time.Second

// NewQueue returns empty queues.
func NewQueue(cfg QueueConfig) *Queue {
	if cfg.Capacity <= 0 {
		cfg.Capacity = 4096
	}
	if cfg.Dead <= 0 {
		cfg.Dead = 100
	}
	if cfg.Pause <= 0 {
		cfg.Pause = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Queue{cfg: cfg, lines: map[string]*line{}}
}

// Publish puts m into the queue, or fails at once if that is full.
func (q *Queue) Publish(ctx context.Context, queue string, m job.Message) error {
	m.Foreign = false // that is for messages from outside, and there is no outside
	err := ctx.Err()
	if err == nil {
		err = q.line(queue).put(m)
	}
	if err != nil {
		return fmt.Errorf("publish to %s: %w", queue, err)
	}
	return nil
}

// Consume hands each message of the queue to handle, up to workers at once, until ctx is over; then it takes no more,
// waits for the running handlers, whose own context ends QueueConfig.Grace later, and returns nil.
//
// A handler's nil settles the message. An error with job.ErrPoison in its chain moves it to the dead letters. Any other
// error, and a panic, brings it back after a pause that grows with each failure in a row of the worker; at once when ctx
// is over.
func (q *Queue) Consume(ctx context.Context, queue string, workers int, handle func(context.Context, job.Message) error) error {
	if workers < 1 {
		return fmt.Errorf("consume %s with %d workers", queue, workers)
	}
	late, cancel := graceful(ctx, q.cfg.Grace)
	defer cancel()
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { q.work(ctx, late, queue, handle) })
	}
	running.Wait()
	return nil
}

// DeadLetters returns the queue's dead letters, the oldest first.
func (q *Queue) DeadLetters(queue string) []DeadLetter {
	l := q.line(queue)
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(l.dead)
}

func (q *Queue) line(queue string) *line {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[queue]
	if l == nil {
		l = &line{messages: make(chan job.Message, q.cfg.Capacity)}
		q.lines[queue] = l
	}
	return l
}

func (l *line) put(m job.Message) error {
	select {
	case l.messages <- m:
		return nil
	default:
		return errFull
	}
}

// work is one worker: it takes messages until ctx is over.
func (q *Queue) work(ctx, late context.Context, queue string, handle func(context.Context, job.Message) error) {
	l := q.line(queue)
	for failures := 0; ctx.Err() == nil; { // in a row
		select {
		case <-ctx.Done():
		case m := <-l.messages:
			if ctx.Err() != nil { // both were ready
				q.putBack(queue, m)
				continue
			}
			switch err := q.attempt(late, queue, m, handle); {
			case err == nil:
				failures = 0
			case errors.Is(err, job.ErrPoison):
				q.bury(queue, m, err)
			default:
				failures++
				sleep(ctx, backoff(q.cfg.Pause, failures))
				q.putBack(queue, m)
			}
		}
	}
}

// attempt handles one message. A panic is a bug; as an error it costs one message a delay, not all of them the process.
func (q *Queue) attempt(ctx context.Context, queue string, m job.Message, handle func(context.Context, job.Message) error) (err error) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			q.cfg.Log.ErrorContext(ctx, "handler panicked", "queue", queue, "panic", p, "stack", string(debug.Stack()))
		}
		level, attrs := slog.LevelDebug, []any{"queue", queue, "video", m.Video, "took", time.Since(start)}
		if err != nil {
			level, attrs = slog.LevelWarn, append(attrs, "error", err)
		}
		q.cfg.Log.Log(ctx, level, "message", attrs...)
	}()
	return handle(ctx, m)
}

func (q *Queue) putBack(queue string, m job.Message) {
	if err := q.line(queue).put(m); err != nil {
		q.cfg.Log.Warn("message forgotten", "queue", queue, "video", m.Video, "error", err) // the sweeper rings again
	}
}

func (q *Queue) bury(queue string, m job.Message, reason error) {
	q.cfg.Log.Warn("message buried", "queue", queue, "video", m.Video, "reason", reason)
	l := q.line(queue)
	q.mu.Lock()
	defer q.mu.Unlock()
	l.dead = append(l.dead, DeadLetter{m, reason.Error(), time.Now().UTC()})
	l.dead = l.dead[max(0, len(l.dead)-q.cfg.Dead):]
}

// graceful returns a context that ends a grace later than ctx.
func graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return late, func() { stop(); cancel() }
}

// backoff is the pause after the n-th failure in a row, n from 1: twice as long each time, up to maxPause, less up to half
// at random.
func backoff(base time.Duration, n int) time.Duration {
	for ; n > 1 && base < maxPause; n-- {
		base *= 2
	}
	base = min(base, maxPause)
	return base - rand.N(base/2+1) //nolint:gosec // spreads load, guards nothing
}

// sleep returns after d, or when ctx is over.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
