package porttest

import (
	"context"
	"testing"

	"mp3converter/internal/job"
)

func queueStops(t *testing.T, b *queueBench) {
	started, free := make(chan struct{}), make(chan struct{})
	var ended bool
	stop := b.consuming(t, b.name, 1, func(ctx context.Context, _ job.Message) error {
		close(started)
		<-free
		ended = true
		return ctx.Err() // nil: the grace is long
	})
	b.publish(t, newMessage())
	receive(t, started, "the handler to start")
	stop(false)
	close(free)
	stop(true)
	if !ended {
		t.Error("Consume returned before its handler")
	}
	later := newMessage()
	b.publish(t, later)
	if got := b.next(t, 1); got[0].Video != later.Video {
		t.Error("the message that was handled while stopping came again")
	}
}

func queueTakesNoMore(t *testing.T, b *queueBench) {
	started, free := make(chan job.Message, 10), make(chan struct{})
	stop := b.consuming(t, b.name, 1, func(_ context.Context, m job.Message) error {
		started <- m
		<-free
		return nil
	})
	want := []job.Message{newMessage(), newMessage(), newMessage()}
	b.publish(t, want...)
	receive(t, started, "the first handler to start")
	stop(false)
	close(free)
	stop(true)
	if n := len(started); n != 0 {
		t.Errorf("%d messages were taken after the consumer was told to stop", n)
	}
	got := map[string]bool{}
	for _, m := range b.next(t, 2) {
		got[m.Video] = true
	}
	if !got[want[1].Video] || !got[want[2].Video] {
		t.Errorf("the next consumer got %v, want the two that were left", got)
	}
}

func queueGraceEnds(t *testing.T, b *queueBench) {
	started := make(chan struct{})
	stop := b.consume(t, b.name, 1, func(ctx context.Context, _ job.Message) error {
		close(started)
		<-ctx.Done() // the test's grace is none
		return ctx.Err()
	})
	m := newMessage()
	b.publish(t, m)
	receive(t, started, "the handler to start")
	stop()
	if got := b.next(t, 1); got[0].Video != m.Video {
		t.Errorf("the next consumer got %s, want %s", got[0].Video, m.Video)
	}
}

func queuePauseEnds(t *testing.T, b *queueBench) {
	tried := make(chan struct{}, 100)
	stop := b.consume(t, b.name, 1, func(context.Context, job.Message) error {
		tried <- struct{}{}
		return job.ErrTransient
	})
	m := newMessage()
	b.publish(t, m)
	receive(t, tried, "the failure")
	stop()
	if got := b.next(t, 1); got[0].Video != m.Video {
		t.Errorf("the next consumer got %s, want %s", got[0].Video, m.Video)
	}
}

func queueBuriesStopping(t *testing.T, b *queueBench) {
	started, free := make(chan struct{}), make(chan struct{})
	stop := b.consuming(t, b.name, 1, func(context.Context, job.Message) error {
		close(started)
		<-free
		return job.ErrPoison
	})
	m := newMessage()
	b.publish(t, m)
	receive(t, started, "the handler to start")
	stop(false)
	close(free)
	stop(true)
	if dead := b.dead(t, b.Queue, b.name, 1); dead[0].Message.Video != m.Video {
		t.Errorf("buried %s, want %s", dead[0].Message.Video, m.Video)
	}
}
