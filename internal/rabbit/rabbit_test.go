package rabbit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
	"mp3converter/internal/rabbit"
)

func TestQueue(t *testing.T) {
	for _, kind := range []string{"quorum", "classic"} {
		t.Run(kind, func(t *testing.T) {
			url := rabbitmq(t).URL()
			porttest.TestQueue(t, porttest.QueueKit{
				Open: func(t *testing.T, times porttest.QueueTimes) porttest.Queue {
					checkLeaks(t)
					return newBroker(t, rabbit.Config{
						URL: url, QueueType: kind, Pause: times.Pause, Grace: times.Grace,
						ConsumerTimeout: time.Hour, // RabbitMQ 3.10 does not know the argument, and must bear it
					})
				},
				Dead: func(t *testing.T, _ porttest.Queue, queue string, n int) []porttest.DeadLetter {
					ch := admin(t, url)
					dead := make([]porttest.DeadLetter, n)
					for i := range dead {
						d := take(t, ch, queue+".dead")
						m, err := job.Decode(d.Body)
						if err != nil {
							t.Fatal(err)
						}
						dead[i] = porttest.DeadLetter{Message: m, Reason: d.Headers["x-reason"].(string)}
					}
					return dead
				},
			})
		})
	}
}

func TestPoison(t *testing.T) {
	url := rabbitmq(t).URL()
	video := job.NewID(time.Now())
	for name, tt := range map[string]struct{ body, reason string }{
		"no JSON":         {"{", "not a JSON object"},
		"nothing":         {"", "not a JSON object"},
		"other type":      {`{"video_fid": 1, "username": "sid@gmail.com"}`, "video_fid"},
		"no video":        {`{"username": "sid@gmail.com"}`, "video_fid"},
		"no address":      {`{"video_fid": "` + video + `", "username": "sid"}`, "username"},
		"far too long":    {`{"x": "` + strings.Repeat("x", 1<<20) + `"}`, "bytes"},
		"not even a text": {"\xff\x00\xfe", "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			queue := queueName()
			got := make(chan job.Message, 10)
			b := newBroker(t, rabbit.Config{URL: url})
			good := newMessage()
			publish(t, b, queue, newMessage()) // so that the queue is there
			ch := admin(t, url)
			put(t, ch, queue, amqp.Publishing{Body: []byte(tt.body), ContentType: "text/x", Headers: amqp.Table{"a": "b"}})
			consume(t, b, queue, 1, into(got))
			publish(t, b, queue, good)
			receive(t, got, "the message before the poison")
			if m := receive(t, got, "the message behind the poison"); m.Video != good.Video {
				t.Errorf("got %s behind the poison", m.Video)
			}
			dead := take(t, ch, queue+".dead")
			want := tt.body[:min(len(tt.body), 64<<10)]
			if string(dead.Body) != want || dead.Headers["x-original-bytes"] != int64(len(tt.body)) || dead.ContentType != "text/x" || dead.DeliveryMode != amqp.Persistent {
				t.Errorf("buried as %d bytes of %q, mode %d", len(dead.Body), dead.ContentType, dead.DeliveryMode)
			}
			reason, _ := dead.Headers["x-reason"].(string)
			if !strings.Contains(reason, tt.reason) || dead.Headers["x-original-queue"] != queue || dead.Headers["x-buried-at"] == nil {
				t.Errorf("buried with %v, want a reason with %q", dead.Headers, tt.reason)
			}
		})
	}
}

// Poison that cannot be buried is kept: it comes back until it can.
func TestPoisonIsKeptUntilItIsBuried(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	b := newBroker(t, rabbit.Config{URL: url})
	tried := make(chan struct{}, 1000)
	consume(t, b, queue, 1, func(context.Context, job.Message) error {
		tried <- struct{}{}
		return job.ErrPoison
	})
	publish(t, b, queue, newMessage())
	ch := admin(t, url)
	take(t, ch, queue+".dead")
	if _, err := ch.QueueDelete(queue+".dead", false, false, false); err != nil {
		t.Fatal(err)
	}
	publish(t, b, queue, newMessage())
	take2(t, url, queue+".dead")
	receive(t, tried, "the first")
	receive(t, tried, "the second, returned by the broker")
	receive(t, tried, "the second once more")
}

func TestQueueMadeOtherwise(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	ch := admin(t, url)
	if _, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "classic"}); err != nil {
		t.Fatal(err)
	}
	b := newBroker(t, rabbit.Config{URL: url, QueueType: "quorum"})
	if err := b.Publish(t.Context(), queue, newMessage()); err == nil || !strings.Contains(err.Error(), "QUEUE_TYPE=quorum") {
		t.Errorf("Publish: %v, want the variable to set", err)
	}
	got := make(chan job.Message)
	consume(t, b, queue, 1, into(got))
	eventually(t, "Ready to name the variable to set", func() bool {
		err := b.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "QUEUE_TYPE=quorum")
	})
	if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the consumer to make the queue", func() bool { return b.Ready(t.Context()) == nil })
	publish(t, b, queue, newMessage())
	receive(t, got, "a message")
}

func TestQueuesMadeByHandServe(t *testing.T) {
	checkLeaks(t)
	for name, args := range map[string]amqp.Table{
		"without arguments": nil,
		"as classic":        {"x-queue-type": "classic"},
	} {
		t.Run(name, func(t *testing.T) {
			url, queue := rabbitmq(t).URL(), queueName()
			if _, err := admin(t, url).QueueDeclare(queue, true, false, false, false, args); err != nil {
				t.Fatal(err)
			}
			b := newBroker(t, rabbit.Config{URL: url, QueueType: "classic"})
			got := make(chan job.Message)
			consume(t, b, queue, 1, into(got))
			publish(t, b, queue, newMessage())
			receive(t, got, "a message")
		})
	}
}

func TestQueueDeletedUnderTheConsumer(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	b := newBroker(t, rabbit.Config{URL: url, Renew: 100 * time.Millisecond})
	got := make(chan job.Message, 10)
	consume(t, b, queue, 1, into(got))
	publish(t, b, queue, newMessage())
	receive(t, got, "a message")
	ch := admin(t, url)
	for range 5 { // of which RabbitMQ forgets some to tell the consumer of
		for _, name := range []string{queue, queue + ".dead"} {
			if _, err := ch.QueueDelete(name, false, false, false); err != nil {
				t.Fatal(err)
			}
		}
		m := newMessage()
		eventually(t, "a Publish that succeeds", func() bool { return b.Publish(t.Context(), queue, m) == nil })
		if again := receive(t, got, "a message after the queue was deleted"); again.Video != m.Video {
			t.Errorf("got %s, want %s", again.Video, m.Video)
		}
	}
}

// RabbitMQ 3.10 may forget to tell a consumer that its queue is gone when somebody makes it again at once.
func TestQueueReplacedUnderTheConsumer(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	b := newBroker(t, rabbit.Config{URL: url, Renew: 100 * time.Millisecond})
	got := make(chan job.Message, 10)
	consume(t, b, queue, 1, into(got))
	publish(t, b, queue, newMessage())
	receive(t, got, "a message")
	ch := admin(t, url)
	for range 10 {
		if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
			t.Fatal(err)
		}
		if _, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{
			"x-queue-type": "quorum", "x-delivery-limit": 10_000,
			"x-dead-letter-exchange": "mp3converter", "x-dead-letter-routing-key": queue + ".dead",
		}); err != nil {
			t.Fatal(err)
		}
		m := newMessage()
		publish(t, newBroker(t, rabbit.Config{URL: url}), queue, m)
		if again := receive(t, got, "a message from the new queue"); again.Video != m.Video {
			t.Errorf("got %s, want %s", again.Video, m.Video)
		}
	}
}

// To subscribe anew with a message in hand would give it to somebody else.
func TestWorkOutlastsRenewal(t *testing.T) {
	checkLeaks(t)
	const renew = 20 * time.Millisecond
	b, queue := newBroker(t, rabbit.Config{URL: rabbitmq(t).URL(), Renew: renew}), queueName()
	calls := make(chan string, 10)
	consume(t, b, queue, 2, func(_ context.Context, m job.Message) error {
		calls <- m.Video
		<-time.After(10 * renew)
		calls <- "end"
		return nil
	})
	m := newMessage()
	publish(t, b, queue, m)
	for _, want := range []string{m.Video, "end"} {
		if got := receive(t, calls, want); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A confirm is no proof: the broker confirms what it has thrown away. Each Publish must know about its own message.
func TestPublishToADeletedQueue(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	b := newBroker(t, rabbit.Config{URL: url})
	ch := admin(t, url)
	for range 5 {
		publish(t, b, queue, newMessage())
		if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
			t.Fatal(err)
		}
		var safe, failed atomic.Int64
		var work sync.WaitGroup
		for range 100 {
			work.Go(func() {
				if err := b.Publish(t.Context(), queue, newMessage()); err != nil {
					failed.Add(1)
					return
				}
				safe.Add(1)
			})
		}
		work.Wait()
		if failed.Load() == 0 {
			t.Error("every Publish to a deleted queue returned nil")
		}
		confirmed(t, b, queue)
		safe.Add(1)
		eventually(t, "all confirmed messages to be in the queue", func() bool {
			q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			return q.Messages == int(safe.Load())
		})
	}
}

// The original's gateway and consumer, with their own library, at the other end.
func TestInteropWithTheOriginal(t *testing.T) {
	checkLeaks(t)
	url, err := rabbitmq(t).NewVhost()
	if err != nil {
		t.Fatal(err)
	}
	b, queue := newBroker(t, rabbit.Config{URL: url}), queueName()
	ours := newMessage()
	publish(t, b, queue, ours)
	var got struct {
		Message      map[string]any `json:"message"`
		DeliveryMode int            `json:"delivery_mode"`
	}
	if err := json.Unmarshal(original(t, "get", url, queue), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"video_fid": ours.Video, "mp3_fid": nil, "username": ours.Username}
	if diff := cmp.Diff(want, got.Message); diff != "" || got.DeliveryMode != 2 {
		t.Errorf("the original got mode %d and %s", got.DeliveryMode, diff)
	}

	theirs := newMessage()
	original(t, "publish", url, queue, theirs.Video, theirs.Username)
	theirs.Foreign = true
	messages := make(chan job.Message, 1)
	consume(t, b, queue, 1, into(messages))
	if diff := cmp.Diff(theirs, receive(t, messages, "the original's message")); diff != "" {
		t.Errorf("from the original: %s", diff)
	}
}

func original(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"testdata/original.py"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = exit.Stderr
		}
		t.Fatalf("python3 (needs python3-pika): %v: %s", err, out)
	}
	return out
}

func TestMistakesReturnFromConsume(t *testing.T) {
	checkLeaks(t)
	b := newBroker(t, rabbit.Config{URL: "amqp://sid:geheim@host:port/"})
	if err := b.Consume(t.Context(), "video", 1, into(nil)); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("Consume: %v, want an error without the password", err)
	}
	if err := b.Publish(t.Context(), "video", newMessage()); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("Publish: %v, want an error without the password", err)
	}
}

func publish(t *testing.T, b *rabbit.Broker, queue string, m job.Message) {
	t.Helper()
	if err := b.Publish(t.Context(), queue, m); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, ch *amqp.Channel, queue string, m amqp.Publishing) {
	t.Helper()
	if err := ch.PublishWithContext(t.Context(), "", queue, true, false, m); err != nil {
		t.Fatal(err)
	}
}

// take2 is take from a queue that may not be there yet, which costs a channel each time.
func take2(t *testing.T, url, queue string) {
	t.Helper()
	eventually(t, "a message in "+queue, func() bool {
		_, ok, err := admin(t, url).Get(queue, true)
		return err == nil && ok
	})
}

// The cost of one confirmed message, alone and when many publish: they must not wait for one another.
func BenchmarkPublish(b *testing.B) {
	s, err := server()
	if err != nil {
		b.Fatal(err)
	}
	for _, parallel := range []int{1, 64} {
		b.Run(fmt.Sprint(parallel, " at once"), func(b *testing.B) {
			broker, queue, m := rabbit.New(rabbit.Config{URL: s.URL()}), queueName(), newMessage()
			defer broker.Close()
			var sem = make(chan struct{}, parallel)
			var work sync.WaitGroup
			for b.Loop() {
				sem <- struct{}{}
				work.Go(func() {
					if err := broker.Publish(b.Context(), queue, m); err != nil {
						b.Error(err)
					}
					<-sem
				})
			}
			work.Wait()
		})
	}
}
