package rabbit_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
	"mp3converter/internal/rabbit"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestATrailTravelsBesideTheBody(t *testing.T) {
	checkLeaks(t)
	queue, url := queueName(), rabbitmq(t).URL()
	b := newBroker(t, rabbit.Config{URL: url})
	m := newMessage()
	m.Trail = job.Trail{Request: "abc", Parent: traceparent, State: "vendor=1"}
	if err := b.Publish(t.Context(), queue, m); err != nil {
		t.Fatal(err)
	}
	ch := admin(t, url)
	d := take(t, ch, queue)
	delete(d.Headers, "x-delivery-count") // the broker's
	want := amqp.Table{"X-Request-Id": "abc", "traceparent": traceparent, "tracestate": "vendor=1"}
	if diff := cmp.Diff(want, d.Headers); diff != "" || string(d.Body) != string(newEncoded(m)) {
		t.Errorf("headers (-want +got):\n%s\nbody %s", diff, d.Body)
	}
}

// newEncoded is the body of the message without its trail.
func newEncoded(m job.Message) []byte {
	m.Trail = job.Trail{}
	return m.Encode()
}

// What somebody else has put into the headers is no harm, and no trail unless it is one.
func TestForeignHeadersAreHarmless(t *testing.T) {
	checkLeaks(t)
	queue, url := queueName(), rabbitmq(t).URL()
	b := newBroker(t, rabbit.Config{URL: url})
	got := make(chan job.Message, 10)
	consume(t, b, queue, 1, into(got))
	eventually(t, "the queue is there", func() bool { return b.Ready(context.Background()) == nil })
	ch := admin(t, url)
	m := newMessage()
	for name, tt := range map[string]struct {
		headers amqp.Table
		want    job.Trail
	}{
		"none":          {nil, job.Trail{}},
		"of other kind": {amqp.Table{"traceparent": int64(7), "tracestate": amqp.Table{"a": "b"}, "X-Request-Id": time.Unix(1, 0), "x-death": []any{"x"}}, job.Trail{}},
		"ill-formed":    {amqp.Table{"traceparent": "00-zz", "tracestate": "a=1", "X-Request-Id": "a\r\nb"}, job.Trail{}},
		"somebody's":    {amqp.Table{"traceparent": traceparent, "baggage": "a=b"}, job.Trail{Parent: traceparent}},
	} {
		if err := ch.PublishWithContext(t.Context(), "", queue, true, false, amqp.Publishing{Headers: tt.headers, Body: m.Encode()}); err != nil {
			t.Fatal(err)
		}
		want := m
		want.Foreign, want.Trail = true, tt.want
		if diff := cmp.Diff(want, receive(t, got, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestADeadLetterKeepsItsTrail(t *testing.T) {
	kinds(t, func(t *testing.T, url, kind, queue string) {
		b := newBroker(t, rabbit.Config{URL: url, QueueType: kind})
		got := make(chan job.Message, 10)
		stop := consume(t, b, queue, 1, func(_ context.Context, m job.Message) error {
			got <- m
			return job.ErrPoison
		})
		m := newMessage()
		m.Trail = job.Trail{Request: "abc", Parent: traceparent}
		if err := b.Publish(t.Context(), queue, m); err != nil {
			t.Fatal(err)
		}
		receive(t, got, "the message")
		listed(t, b, queue, 1)
		stop()
		walk(t, b, queue, func(dead *rabbit.DeadLetters, _ rabbit.DeadLetter) error { return dead.Replay(t.Context()) })
		consume(t, b, queue, 1, into(got))
		if diff := cmp.Diff(m, receive(t, got, "the replayed letter")); diff != "" {
			t.Error(diff)
		}
	})
}
