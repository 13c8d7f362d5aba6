package faults

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// publish puts bodies into a queue as somebody else does: with no properties, which is how ours are told apart. It returns
// once the broker has confirmed them.
func publish(t *testing.T, url, queue string, bodies ...string) {
	t.Helper()
	ch := channel(t, url)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	for _, body := range bodies {
		c, err := ch.PublishWithDeferredConfirm("", queue, true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := c.WaitContext(t.Context()); err != nil || !ok {
			t.Fatalf("publish to %s: confirmed %v, %v", queue, ok, err)
		}
	}
}

// take takes up to n messages out of a queue; all if n is negative.
func take(t *testing.T, url, queue string, n int) (all []amqp.Delivery) {
	t.Helper()
	ch := channel(t, url)
	for ; n != 0; n-- {
		d, there, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !there {
			break
		}
		all = append(all, d)
	}
	return all
}

// channel is open until the test ends.
func channel(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}
