package rabbit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/job"
	"mp3converter/internal/rabbit"
)

// kinds runs the test with queues of both kinds.
func kinds(t *testing.T, test func(t *testing.T, url, kind, queue string)) {
	for _, kind := range []string{"quorum", "classic"} {
		t.Run(kind, func(t *testing.T) {
			checkLeaks(t)
			test(t, rabbitmq(t).URL(), kind, queueName())
		})
	}
}

// walk goes through all dead letters of the queue and does with each what act says.
func walk(t *testing.T, b *rabbit.Broker, queue string, act func(*rabbit.DeadLetters, rabbit.DeadLetter) error) []rabbit.DeadLetter {
	t.Helper()
	dead, err := b.DeadLetters(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	var letters []rabbit.DeadLetter
	for {
		letter, err := dead.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, letter)
		if err := act(dead, letter); err != nil {
			t.Error(err)
		}
	}
	if err := dead.Close(); err != nil {
		t.Error(err)
	}
	return letters
}

func leave(*rabbit.DeadLetters, rabbit.DeadLetter) error { return nil }

func discard(dead *rabbit.DeadLetters, _ rabbit.DeadLetter) error { return dead.Discard() }

// listed waits until there are n dead letters and returns them.
func listed(t *testing.T, b *rabbit.Broker, queue string, n int) []rabbit.DeadLetter {
	t.Helper()
	var letters []rabbit.DeadLetter
	eventually(t, fmt.Sprint(n, " dead letters"), func() bool {
		letters = walk(t, b, queue, leave)
		return len(letters) == n
	})
	return letters
}

func starts(letters []rabbit.DeadLetter) []string {
	var all []string
	for _, l := range letters {
		all = append(all, string(l.Start))
	}
	return all
}

// bodies makes n different bodies that are no messages.
func bodies(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("garbage %02d", i)
	}
	return all
}

func TestGarbageIsListedWithItsReasonAndStaysHoweverOftenItIsListed(t *testing.T) {
	kinds(t, func(t *testing.T, url, kind, queue string) {
		b := newBroker(t, rabbit.Config{URL: url, QueueType: kind})
		consume(t, b, queue, 1, into(make(chan job.Message, 1)))
		eventually(t, "the queue", func() bool { return b.Ready(t.Context()) == nil })
		ch, want := admin(t, url), bodies(10)
		for _, body := range want {
			put(t, ch, queue, amqp.Publishing{Body: []byte(body), MessageId: "all alike", Headers: amqp.Table{"x-reason": "a lie"}})
		}
		first := listed(t, b, queue, len(want))
		if diff := cmp.Diff(want, starts(first)); diff != "" {
			t.Errorf("listed:\n%s", diff)
		}
		ids := map[string]bool{}
		for _, l := range first {
			ids[l.ID] = true
			if !strings.Contains(l.Reason, "not a JSON object") || l.Queue != queue || l.Bytes != 10 || l.Cut || time.Since(l.Buried).Abs() > time.Hour {
				t.Errorf("listed as %+v", l)
			}
		}
		if len(ids) != len(want) {
			t.Errorf("%d letters have %d ids", len(want), len(ids))
		}
		for range 30 {
			if diff := cmp.Diff(first, walk(t, b, queue, leave)); diff != "" {
				t.Fatalf("listed once more:\n%s", diff)
			}
		}
	})
}

func TestReplayedLettersAreHandledAndDiscardedOnesGone(t *testing.T) {
	kinds(t, func(t *testing.T, url, kind, queue string) {
		b := newBroker(t, rabbit.Config{URL: url, QueueType: kind})
		const times = 9 // three replayed, three discarded, three left
		messages, got := make([]job.Message, times), make(chan job.Message, times)
		stop := consume(t, b, queue, 1, func(context.Context, job.Message) error { return job.ErrPoison })
		for i := range messages {
			messages[i] = newMessage()
			publish(t, b, queue, messages[i])
		}
		letters := listed(t, b, queue, times)
		stop()
		consume(t, b, queue, 1, into(got))
		i := 0
		seen := walk(t, b, queue, func(dead *rabbit.DeadLetters, _ rabbit.DeadLetter) error {
			defer func() { i++ }()
			switch i % 3 {
			case 0:
				return dead.Replay(t.Context())
			case 1:
				return dead.Discard()
			}
			return nil
		})
		if diff := cmp.Diff(letters, seen); diff != "" {
			t.Errorf("the letters have changed:\n%s", diff)
		}
		for i := 0; i < times; i += 3 {
			if diff := cmp.Diff(messages[i], receive(t, got, "a replayed message")); diff != "" { // Foreign is false: so it is still ours
				t.Errorf("replayed:\n%s", diff)
			}
		}
		want := []string{string(messages[2].Encode()), string(messages[5].Encode()), string(messages[8].Encode())}
		if diff := cmp.Diff(want, starts(listed(t, b, queue, 3))); diff != "" {
			t.Errorf("left:\n%s", diff)
		}
	})
}

// Garbage stays garbage: it dies again, behind those that are yet to be replayed.
func TestReplayingAllEndsWhileTheyDieAgain(t *testing.T) {
	kinds(t, func(t *testing.T, url, kind, queue string) {
		b := newBroker(t, rabbit.Config{URL: url, QueueType: kind})
		consume(t, b, queue, 2, into(make(chan job.Message, 1)))
		eventually(t, "the queue", func() bool { return b.Ready(t.Context()) == nil })
		ch, want := admin(t, url), bodies(20)
		for _, body := range want {
			put(t, ch, queue, amqp.Publishing{Body: []byte(body), ContentType: "text/x", ContentEncoding: "none", AppId: "a", Type: "t"})
		}
		listed(t, b, queue, len(want))
		replayed := walk(t, b, queue, func(dead *rabbit.DeadLetters, _ rabbit.DeadLetter) error { return dead.Replay(t.Context()) })
		if len(replayed) != len(want) {
			t.Errorf("replayed %d, want %d", len(replayed), len(want))
		}
		again := starts(listed(t, b, queue, len(want)))
		slices.Sort(again)
		if diff := cmp.Diff(want, again); diff != "" {
			t.Errorf("died again:\n%s", diff)
		}
		if d := take(t, ch, queue+".dead"); d.ContentType != "text/x" || d.ContentEncoding != "none" || d.AppId != "a" || d.Type != "t" {
			t.Errorf("replayed as %+v", d)
		}
	})
}

func TestListingWhileOthersBury(t *testing.T) {
	kinds(t, func(t *testing.T, url, kind, queue string) {
		b := newBroker(t, rabbit.Config{URL: url, QueueType: kind})
		consume(t, b, queue, 2, into(make(chan job.Message, 1)))
		eventually(t, "the queue", func() bool { return b.Ready(t.Context()) == nil })
		want, sent := bodies(50), make(chan error, 1)
		go func() {
			for _, body := range want {
				if err := admin(t, url).PublishWithContext(t.Context(), "", queue, true, false, amqp.Publishing{Body: []byte(body)}); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		all := starts(listed(t, b, queue, len(want)))
		if err := receive(t, sent, "all to be sent"); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("listed:\n%s", diff)
		}
	})
}

func TestWhatWasCutIsNotReplayed(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	b := newBroker(t, rabbit.Config{URL: url})
	consume(t, b, queue, 1, into(make(chan job.Message, 1)))
	eventually(t, "the queue", func() bool { return b.Ready(t.Context()) == nil })
	put(t, admin(t, url), queue, amqp.Publishing{Body: []byte(strings.Repeat("x", 100_000))})
	for _, l := range listed(t, b, queue, 1) {
		if !l.Cut || l.Bytes != 100_000 || len(l.Start) != 200 {
			t.Errorf("listed as %d bytes, cut %v, with %d bytes of body", l.Bytes, l.Cut, len(l.Start))
		}
	}
	walk(t, b, queue, func(dead *rabbit.DeadLetters, _ rabbit.DeadLetter) error {
		if err := dead.Replay(t.Context()); err == nil || !errors.Is(err, rabbit.ErrCut) || !strings.Contains(err.Error(), "65536 of 100000 bytes") {
			t.Errorf("Replay: %v", err)
		}
		return nil
	})
	listed(t, b, queue, 1)
}

// What the broker gives up on has its word for it, whatever headers the publisher has made up, and a name of any kind.
func TestLettersThatTheBrokerHasBuried(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	b := newBroker(t, rabbit.Config{URL: url})
	publish(t, b, queue, newMessage()) // so that the queue is there
	ch := admin(t, url)
	take(t, ch, queue)
	body := strings.Repeat("y", 100_000) // whole: it can be replayed
	forged := strings.Repeat("A", 26)    // as publish would name a message
	for n, id := range []string{"", "\x1b[2J", "--all", forged, forged} {
		put(t, ch, queue, amqp.Publishing{Body: []byte(id + body + strings.Repeat("z", n)), MessageId: id, Headers: amqp.Table{"x-reason": "a lie", "x-original-bytes": int64(1 << 40)}})
		var d amqp.Delivery
		eventually(t, "the message", func() (there bool) {
			var err error
			if d, there, err = ch.Get(queue, false); err != nil {
				t.Fatal(err)
			}
			return there
		})
		if err := d.Reject(false); err != nil {
			t.Fatal(err)
		}
	}
	letters := listed(t, b, queue, 5)
	ids := map[string]bool{}
	for _, l := range letters {
		ids[l.ID] = true
		if l.Reason != "given up by the broker: rejected" || l.Buried.IsZero() || l.Cut || strings.Trim(l.ID, "0123456789abcdef") != "" {
			t.Errorf("listed as %q of %v, cut %v, id %q", l.Reason, l.Buried, l.Cut, l.ID)
		}
	}
	if diff := cmp.Diff(letters, walk(t, b, queue, leave)); diff != "" || len(ids) != 5 {
		t.Errorf("%d ids, and at a second look:\n%s", len(ids), diff)
	}
	walk(t, b, queue, func(dead *rabbit.DeadLetters, _ rabbit.DeadLetter) error { return dead.Replay(t.Context()) })
	if d := take(t, ch, queue); string(d.Body) != body {
		t.Errorf("replayed with %d bytes", len(d.Body))
	}
	listed(t, b, queue, 0)
}

// A walk that is cut off, as by a crash, gives everything back.
func TestAWalkThatIsCutOffLosesNothing(t *testing.T) {
	checkLeaks(t)
	server := rabbitmq(t)
	p := newProxy(t, server.Addr)
	p.up(t)
	b, queue := newBroker(t, rabbit.Config{URL: server.URL()}), queueName()
	ch := admin(t, server.URL())
	walk(t, b, queue, leave) // makes the queues
	want := bodies(5)
	for _, body := range want {
		put(t, ch, queue+".dead", amqp.Publishing{Body: []byte(body), DeliveryMode: amqp.Persistent})
	}
	listed(t, b, queue, len(want))
	dead, err := newBroker(t, rabbit.Config{URL: p.url()}).DeadLetters(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := dead.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.down()
	if err := dead.Close(); err == nil {
		t.Error("Close without a connection: nil")
	}
	left := starts(listed(t, b, queue, len(want)))
	slices.Sort(left) // those that were looked at are the last now
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("after it:\n%s", diff)
	}
}

// RabbitMQ 4.0 to 4.2 drop a letter that was looked at 20 times from a queue that does not say otherwise.
func TestDeadLettersOutliveAnyNumberOfLooks(t *testing.T) {
	checkLeaks(t)
	url, queue := rabbitmq(t).URL(), queueName()
	walk(t, newBroker(t, rabbit.Config{URL: url}), queue, discard)
	_, err := admin(t, url).QueueDeclare(queue+".dead", true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000,
	})
	if err != nil {
		t.Errorf("the queue of dead letters was made otherwise: %v", err)
	}
}

func TestDeadLettersWithoutABroker(t *testing.T) {
	checkLeaks(t)
	p := newProxy(t, "127.0.0.1:1")
	if _, err := newBroker(t, rabbit.Config{URL: p.url()}).DeadLetters(t.Context(), "video"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("DeadLetters: %v", err)
	}
	_, err := newBroker(t, rabbit.Config{URL: "amqp://sid:geheim@host:port/"}).DeadLetters(t.Context(), "video")
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("DeadLetters: %v, want an error without the password", err)
	}
}
