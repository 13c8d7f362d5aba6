package embedded_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

func TestQueue(t *testing.T) {
	porttest.TestQueue(t, porttest.QueueKit{
		Open: func(_ *testing.T, times porttest.QueueTimes) porttest.Queue {
			return embedded.NewQueue(embedded.QueueConfig{Pause: times.Pause, Grace: times.Grace})
		},
		Dead: func(t *testing.T, q porttest.Queue, queue string, n int) (dead []porttest.DeadLetter) {
			letters := q.(*embedded.Queue).DeadLetters(queue)
			if len(letters) != n {
				t.Fatalf("%d dead letters, want %d: %+v", len(letters), n, letters)
			}
			for _, d := range letters {
				dead = append(dead, porttest.DeadLetter{Message: d.Message, Reason: d.Reason})
			}
			return dead
		},
	})
}

func message(n int) job.Message {
	return job.Message{Video: fmt.Sprintf("%024x", n), Username: "sid@gmail.com"}
}

func TestFullQueueRefuses(t *testing.T) {
	q := embedded.NewQueue(embedded.QueueConfig{Capacity: 2})
	for n := range 2 {
		if err := q.Publish(t.Context(), "video", message(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Publish(t.Context(), "video", message(2)); err == nil {
		t.Error("a third message went into a queue for two")
	}
	if err := q.Publish(t.Context(), "mp3", message(2)); err != nil {
		t.Errorf("another queue is full too: %v", err)
	}
}

// A message that comes back to a full queue is forgotten, rather than its worker stuck.
func TestFullQueueForgetsWhatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := embedded.NewQueue(embedded.QueueConfig{Capacity: 1})
		ctx, cancel := context.WithCancel(t.Context())
		var handled []string
		go func() {
			_ = q.Consume(ctx, "video", 1, func(_ context.Context, m job.Message) error {
				if handled = append(handled, m.Video); len(handled) == 1 {
					return job.ErrTransient
				}
				return nil
			})
		}()
		for n := range 2 {
			if err := q.Publish(ctx, "video", message(n)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is in its pause when the second fills the queue
		}
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if len(handled) != 2 || handled[1] != message(1).Video {
			t.Errorf("handled %q, want the first message once, then the second", handled)
		}
	})
}

// A message that always fails is tried ever more slowly, but for ever.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := embedded.NewQueue(embedded.QueueConfig{Pause: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var tries []time.Duration
		go func() {
			_ = q.Consume(ctx, "video", 1, func(context.Context, job.Message) error {
				tries = append(tries, time.Since(start))
				return job.ErrTransient
			})
		}()
		if err := q.Publish(ctx, "video", message(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		cancel()
		synctest.Wait()
		// 31 s of doubling, then 15 to 30 s each.
		if n := len(tries); n < 120 || n > 250 {
			t.Errorf("%d tries in an hour: %v", n, tries)
		}
	})
}

func TestDeadLettersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := embedded.NewQueue(embedded.QueueConfig{Dead: 2})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = q.Consume(ctx, "video", 1, func(context.Context, job.Message) error { return job.ErrPoison })
		}()
		for n := range 5 {
			if err := q.Publish(ctx, "video", message(n)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		dead := q.DeadLetters("video")
		if len(dead) != 2 || dead[0].Message.Video != message(3).Video || dead[1].Message.Video != message(4).Video {
			t.Errorf("kept %+v, want the newest two", dead)
		}
	})
}

// The handler's context ends exactly a grace after Consume is told to stop.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = time.Minute
		q := embedded.NewQueue(embedded.QueueConfig{Grace: grace})
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan struct{})
		go func() {
			_ = q.Consume(ctx, "video", 1, func(ctx context.Context, _ job.Message) error {
				<-ctx.Done()
				return ctx.Err()
			})
			close(returned)
		}()
		if err := q.Publish(ctx, "video", message(1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		cancel()
		<-returned
		if took := time.Since(start); took != grace {
			t.Errorf("the handler's context ended after %v, want %v", took, grace)
		}
	})
}
