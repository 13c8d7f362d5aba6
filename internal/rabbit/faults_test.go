package rabbit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/rabbit"
)

func TestStartsBeforeTheBroker(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t, rabbitmq(t).Addr)
	b, queue := newBroker(t, rabbit.Config{URL: p.url()}), queueName()
	got := make(chan job.Message, 1)
	consume(t, b, queue, 1, into(got))
	if err := b.Publish(t.Context(), queue, newMessage()); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Publish without a broker: %v", err)
	}
	eventually(t, "Ready to name both connections", func() bool {
		err := b.Ready(t.Context())
		return err != nil && strings.Count(err.Error(), "connection refused") == 2
	})
	p.up(t)
	eventually(t, "Ready", func() bool { return b.Ready(t.Context()) == nil })
	publish(t, b, queue, newMessage())
	receive(t, got, "a message")
	p.down()
	eventually(t, "Ready to notice", func() bool { return b.Ready(t.Context()) != nil })
	p.up(t)
	eventually(t, "Ready again", func() bool { return b.Ready(t.Context()) == nil })
	publish(t, b, queue, newMessage())
	receive(t, got, "a message after the second connection")
}

// The broker has the message, but nobody can know: Publish must not say that all is well.
func TestConnectionLostBeforeTheConfirm(t *testing.T) {
	checkLeaks(t)
	server := rabbitmq(t)
	p := newProxy(t, server.Addr)
	p.up(t)
	b, queue := newBroker(t, rabbit.Config{URL: p.url(), ConfirmTimeout: time.Hour}), queueName()
	publish(t, b, queue, newMessage())
	p.muteBroker()
	published := make(chan error)
	go func() { published <- b.Publish(t.Context(), queue, newMessage()) }()
	ch := admin(t, server.URL())
	eventually(t, "the message to be in the queue", func() bool {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return err == nil && q.Messages == 2
	})
	p.down()
	if err := receive(t, published, "Publish to return"); err == nil {
		t.Error("Publish without a confirm returned nil")
	}
	p.up(t)
	confirmed(t, b, queue)
}

func TestNoConfirmInTime(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t, rabbitmq(t).Addr)
	p.up(t)
	b, queue := newBroker(t, rabbit.Config{URL: p.url(), ConfirmTimeout: 300 * time.Millisecond}), queueName()
	confirmed(t, b, queue)
	p.muteBroker()
	const many = 20
	published := make(chan error, many)
	for range many {
		go func() { published <- b.Publish(t.Context(), queue, newMessage()) }()
	}
	for range many {
		if err := receive(t, published, "Publish to return"); err == nil || !strings.Contains(err.Error(), "no confirm in time") {
			t.Errorf("Publish without a confirm: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Publish(ctx, queue, newMessage()); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish with a context that is over: %v", err)
	}
	closed := make(chan struct{})
	go func() { b.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(15 * time.Second): // less than the 30 s after which a dead connection is noticed
		t.Error("Close waits for a broker that does not answer")
	}
	if err := b.Publish(t.Context(), queue, newMessage()); err == nil {
		t.Error("Publish after Close returned nil")
	}
}

// confirmed publishes until the broker confirms it in time, which a busy one may not at first: from then on the queue is there.
func confirmed(t *testing.T, b *rabbit.Broker, queue string) {
	t.Helper()
	eventually(t, "a confirm in time", func() bool { return b.Publish(t.Context(), queue, newMessage()) == nil })
}

// Under a memory alarm the broker stops reading from who publishes; it goes on delivering.
func TestMemoryAlarm(t *testing.T) {
	checkLeaks(t)
	server := rabbitmq(t)
	b, queue := newBroker(t, rabbit.Config{URL: server.URL(), ConfirmTimeout: 300 * time.Millisecond}), queueName()
	confirmed(t, b, queue)
	ctl(t, "set_vm_memory_high_watermark", "0")
	t.Cleanup(func() { ctl(t, "set_vm_memory_high_watermark", "0.4") })
	eventually(t, "Publish to be blocked", func() bool {
		err := b.Publish(t.Context(), queue, newMessage())
		return err != nil && strings.Contains(err.Error(), "blocked by the broker")
	})
	if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "blocked by the broker: low on memory") {
		t.Errorf("Ready: %v", err)
	}
	got := make(chan job.Message, 100)
	stop := consume(t, b, queue, 1, into(got))
	receive(t, got, "a message in spite of the alarm")
	stop()

	other := newBroker(t, rabbit.Config{URL: server.URL(), ConfirmTimeout: 300 * time.Millisecond})
	if err := other.Publish(t.Context(), queue, newMessage()); err == nil {
		t.Error("the first Publish under an alarm returned nil")
	}
	other.Close() // while blocked; would hang for as long as the alarm lasts

	ctl(t, "set_vm_memory_high_watermark", "0.4")
	confirmed(t, b, queue)
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("Ready after the alarm: %v", err)
	}
}

func ctl(t *testing.T, args ...string) {
	t.Helper()
	if _, err := rabbitmq(t).Ctl(args...); err != nil {
		t.Fatal(err)
	}
}

// A handler outlives its connection. Its ack must not touch the delivery that the same message is now: on the new
// channel that has the same tag.
func TestBrokerKilledUnderAHandler(t *testing.T) {
	checkLeaks(t)
	server := rabbitmq(t)
	b, queue := newBroker(t, rabbit.Config{URL: server.URL()}), queueName()
	calls := make(chan chan error, 10)
	consume(t, b, queue, 2, func(context.Context, job.Message) error {
		verdict := make(chan error)
		calls <- verdict
		return <-verdict
	})
	publish(t, b, queue, newMessage())
	first := receive(t, calls, "the first delivery")
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	eventually(t, "Ready to notice", func() bool { return b.Ready(t.Context()) != nil })
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	second := receive(t, calls, "the delivery after the restart")
	first <- nil
	second <- job.ErrTransient
	third := receive(t, calls, "the message that nobody has settled")
	third <- nil
	confirmed(t, b, queue)
	receive(t, calls, "the next message") <- nil
}

// The broker comes back with nothing: everything is made anew, and work goes on.
func TestBrokerLosesItsDisk(t *testing.T) {
	checkLeaks(t)
	server := rabbitmq(t)
	b, queue := newBroker(t, rabbit.Config{URL: server.URL()}), queueName()
	got := make(chan job.Message, 10)
	consume(t, b, queue, 1, into(got))
	publish(t, b, queue, newMessage())
	receive(t, got, "a message")
	server.Kill()
	if err := server.Erase(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	m := newMessage()
	eventually(t, "publishing to work again", func() bool { return b.Publish(t.Context(), queue, m) == nil })
	if again := receive(t, got, "a message"); again.Video != m.Video {
		t.Errorf("got %s, want %s", again.Video, m.Video)
	}
}
