package faults

import (
	"encoding/json"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
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

// message is the one that the original would publish about the upload now.
func (r *rig) message(t *testing.T, u checker.Upload) string {
	t.Helper()
	fields := map[string]any{"video_fid": u.Job, "mp3_fid": nil, "username": u.Owner}
	if a := r.person.Get(t, "/jobs/"+u.Job); a.Status == 200 {
		var j testsuite.JobView
		a.Into(t, &j)
		fields["mp3_fid"] = j.MP3
	}
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
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
