package porttest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

func queueRetries(t *testing.T, b *queueBench) {
	b.publish(t, newMessage())
	tries, done := 0, make(chan int)
	b.consume(t, b.name, 1, func(context.Context, job.Message) error {
		if tries++; tries < 4 {
			return fmt.Errorf("%w: the store is away", job.ErrTransient)
		}
		done <- tries
		return nil
	})
	if got := receive(t, done, "the message to be handled"); got != 4 {
		t.Errorf("handled at try %d, want 4", got)
	}
}

func queuePanics(t *testing.T, b *queueBench) {
	b.publish(t, newMessage())
	tries, done := 0, make(chan struct{})
	b.consume(t, b.name, 1, func(context.Context, job.Message) error {
		if tries++; tries == 1 {
			panic("a bug")
		}
		close(done)
		return nil
	})
	receive(t, done, "the message to come back")
}

// queueNeverHot: with a pause that outlasts the test, a failing message is tried once, while the other worker goes on.
func queueNeverHot(t *testing.T, b *queueBench) {
	bad := newMessage()
	failed, got := make(chan struct{}, 1000), make(chan job.Message, 100)
	b.consume(t, b.name, 2, func(_ context.Context, m job.Message) error {
		if m.Video == bad.Video {
			failed <- struct{}{}
			return job.ErrTransient
		}
		got <- m
		return nil
	})
	b.publish(t, bad)
	receive(t, failed, "the first try")
	for range 50 {
		b.publish(t, newMessage())
		receive(t, got, "a message beside the failing one")
	}
	if n := len(failed); n != 0 {
		t.Errorf("the failing message was tried %d times without a pause", n+1)
	}
}

func queueBuries(t *testing.T, b *queueBench) {
	poison, good := newMessage(), newMessage()
	poison.Extra = map[string]json.RawMessage{"kept": json.RawMessage(`true`)}
	var tries []string
	done := make(chan struct{})
	stop := b.consume(t, b.name, 1, func(_ context.Context, m job.Message) error {
		tries = append(tries, m.Video)
		if m.Video == poison.Video {
			return fmt.Errorf("%w: no such video", job.ErrPoison)
		}
		close(done)
		return nil
	})
	b.publish(t, poison, good)
	receive(t, done, "the message behind the poison")
	stop()
	if diff := cmp.Diff([]string{poison.Video, good.Video}, tries); diff != "" {
		t.Errorf("tries: %s", diff)
	}
	dead := b.dead(t, b.Queue, b.name, 1)
	if diff := cmp.Diff(poison, dead[0].Message); diff != "" {
		t.Errorf("dead letter: %s", diff)
	}
	if !strings.Contains(dead[0].Reason, "no such video") {
		t.Errorf("reason %q does not say why", dead[0].Reason)
	}
}

func queueHandlerPublishes(t *testing.T, b *queueBench) {
	next := b.name + "-next"
	got := make(chan job.Message, 1)
	b.consume(t, next, 1, into(got))
	b.consume(t, b.name, 1, func(ctx context.Context, m job.Message) error {
		m.MP3 = job.NewID(time.Now())
		return b.Publish(ctx, next, m)
	})
	m := newMessage()
	b.publish(t, m)
	if got := receive(t, got, "the message passed on"); got.Video != m.Video || got.MP3 == "" {
		t.Errorf("passed on %+v", got)
	}
}
