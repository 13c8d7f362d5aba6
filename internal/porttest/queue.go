package porttest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

// QueueKit is what the suite needs to know of a queue besides the port.
type QueueKit struct {
	// Open returns a queue with the given times and registers its end with t.Cleanup; it is called once per test.
	Open func(t *testing.T, times QueueTimes) Queue
	// Dead waits until the queue has n dead letters and returns them in the order of their burial.
	Dead func(t *testing.T, q Queue, queue string, n int) []DeadLetter
}

// QueueTimes are a queue's settings that the suite plays with.
type QueueTimes struct {
	Pause time.Duration // the first pause after a failure
	Grace time.Duration // of handlers when Consume is told to stop
}

// DeadLetter is what lies in a queue's dead letters.
type DeadLetter struct {
	Message job.Message
	Reason  string
}

// long is a time that no test waits for: what depends on it must not happen within the test.
const long = time.Hour

// TestQueue holds a queue to the terms of Queue.
func TestQueue(t *testing.T, kit QueueKit) {
	short := QueueTimes{Pause: 10 * time.Millisecond, Grace: long}
	for name, test := range map[string]struct {
		times QueueTimes
		run   func(*testing.T, *queueBench)
	}{
		"a message arrives as it was published":                    {short, queueCarries},
		"unknown fields survive":                                   {short, queueKeepsExtra},
		"messages wait for a consumer":                             {short, queueWaits},
		"all of many messages of many publishers arrive":           {short, queueManyPublishers},
		"queues do not mix":                                        {short, queuesApart},
		"as many handlers run at once as there are workers":        {short, queueWorkers},
		"consumers of one queue share its messages":                {short, queueShared},
		"a failed message comes back until it is handled":          {short, queueRetries},
		"a panic is a failure":                                     {short, queuePanics},
		"a failure pauses its worker and nobody else":              {QueueTimes{Pause: long}, queueNeverHot},
		"poison is buried once, with its reason":                   {short, queueBuries},
		"a handler may publish":                                    {short, queueHandlerPublishes},
		"a consumer told to stop waits for its handlers":           {short, queueStops},
		"a stopping consumer takes nothing more":                   {short, queueTakesNoMore},
		"a handler's context ends after the grace":                 {QueueTimes{Pause: long}, queueGraceEnds},
		"a paused message is given back when the consumer stops":   {QueueTimes{Pause: long}, queuePauseEnds},
		"poison that comes while the consumer stops is buried too": {short, queueBuriesStopping},
		"no workers is an error":                                   {short, queueNoWorkers},
		"publishing obeys the context":                             {short, queuePublishCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			test.run(t, &queueBench{Queue: kit.Open(t, test.times), dead: kit.Dead, name: "test-" + rand.Text()})
		})
	}
}

// queueBench is a queue under test with the name of one that is the test's own.
type queueBench struct {
	Queue
	name string
	dead func(*testing.T, Queue, string, int) []DeadLetter
}

// newMessage returns a message that is equal to no other.
func newMessage() job.Message {
	return job.Message{Video: job.NewID(time.Now()), Username: "sid@gmail.com"}
}

func (b *queueBench) publish(t *testing.T, messages ...job.Message) {
	t.Helper()
	for _, m := range messages {
		if err := b.Publish(t.Context(), b.name, m); err != nil {
			t.Fatalf("Publish: %v", err)
		}
	}
}

// consume runs Consume in the background. Stop ends it and fails the test if it returns an error or not at all.
func (b *queueBench) consume(t *testing.T, queue string, workers int, handle func(context.Context, job.Message) error) (stop func()) {
	t.Helper()
	wait := b.consuming(t, queue, workers, handle)
	return func() { t.Helper(); wait(true) }
}

// consuming is consume for a test that tells to stop and waits at different times.
func (b *queueBench) consuming(t *testing.T, queue string, workers int, handle func(context.Context, job.Message) error) func(wait bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, queue, workers, handle) }()
	ended := sync.OnceFunc(func() { t.Helper(); wantNoError(t, receive(t, done, "Consume to return")) })
	t.Cleanup(func() { cancel(); ended() })
	return func(wait bool) {
		t.Helper()
		cancel()
		if wait {
			ended()
		}
	}
}

// next publishes nothing and returns the next n messages, settled.
func (b *queueBench) next(t *testing.T, n int) []job.Message {
	t.Helper()
	got := make(chan job.Message, n+100)
	stop := b.consume(t, b.name, 1, into(got))
	defer stop()
	messages := make([]job.Message, n)
	for i := range messages {
		messages[i] = receive(t, got, "a message")
	}
	return messages
}

// into is a handler that settles each message and passes it on.
func into(got chan<- job.Message) func(context.Context, job.Message) error {
	return func(_ context.Context, m job.Message) error {
		got <- m
		return nil
	}
}

// receive returns the next value, or fails the test if there is none for a long time.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func wantNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func queueCarries(t *testing.T, b *queueBench) {
	want := newMessage()
	finished := newMessage()
	finished.MP3 = job.NewID(time.Now())
	passedOn := want
	passedOn.Foreign = true // says where it came from, not where it goes
	b.publish(t, passedOn, finished)
	if diff := cmp.Diff([]job.Message{want, finished}, b.next(t, 2)); diff != "" {
		t.Error(diff)
	}
}

func queueKeepsExtra(t *testing.T, b *queueBench) {
	want := newMessage()
	want.Extra = map[string]json.RawMessage{"priority": json.RawMessage(`{"a":[1,null,"ü"]}`)}
	b.publish(t, want)
	if diff := cmp.Diff([]job.Message{want}, b.next(t, 1)); diff != "" {
		t.Error(diff)
	}
}

func queueWaits(t *testing.T, b *queueBench) {
	first, second := newMessage(), newMessage()
	b.publish(t, first)
	b.next(t, 1)
	b.publish(t, second) // between two consumers
	if diff := cmp.Diff([]job.Message{second}, b.next(t, 1)); diff != "" {
		t.Error(diff)
	}
}

func queueManyPublishers(t *testing.T, b *queueBench) {
	const publishers, each = 20, 25
	got := make(chan job.Message, publishers*each)
	b.consume(t, b.name, 4, into(got))
	var sent sync.Map
	var work sync.WaitGroup
	for range publishers {
		work.Go(func() {
			for range each {
				m := newMessage()
				sent.Store(m.Video, true)
				if err := b.Publish(t.Context(), b.name, m); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	work.Wait()
	for range publishers * each {
		m := receive(t, got, "one of the published messages")
		if _, ok := sent.LoadAndDelete(m.Video); !ok {
			t.Errorf("%s came twice, or was never published", m.Video)
		}
	}
}

func queuesApart(t *testing.T, b *queueBench) {
	other := b.name + "-other"
	here, there := newMessage(), newMessage()
	b.publish(t, here)
	if err := b.Publish(t.Context(), other, there); err != nil {
		t.Fatal(err)
	}
	gotThere := make(chan job.Message, 2)
	b.consume(t, other, 1, into(gotThere))
	if got := receive(t, gotThere, "the other queue's message"); got.Video != there.Video {
		t.Errorf("the other queue brought %s, want %s", got.Video, there.Video)
	}
	if got := b.next(t, 1); got[0].Video != here.Video {
		t.Errorf("the queue brought %s, want %s", got[0].Video, here.Video)
	}
}

func queueWorkers(t *testing.T, b *queueBench) {
	const workers = 3
	running, free := make(chan struct{}, 10), make(chan struct{})
	var now, most atomic.Int64
	b.consume(t, b.name, workers, func(context.Context, job.Message) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		running <- struct{}{}
		<-free
		return nil
	})
	for range 3 * workers {
		b.publish(t, newMessage())
	}
	for range workers {
		receive(t, running, "all workers to be at work")
	}
	close(free)
	for range 2 * workers {
		receive(t, running, "the rest of the messages")
	}
	if n := most.Load(); n != workers {
		t.Errorf("%d handlers ran at once, want %d", n, workers)
	}
}

func queueShared(t *testing.T, b *queueBench) {
	const n = 20
	got := make(chan job.Message, 2*n)
	b.consume(t, b.name, 1, into(got))
	b.consume(t, b.name, 1, into(got))
	want := map[string]bool{}
	for range n {
		m := newMessage()
		want[m.Video] = true
		b.publish(t, m)
	}
	for range n {
		m := receive(t, got, "a message at either consumer")
		if !want[m.Video] {
			t.Errorf("%s came to both", m.Video)
		}
		delete(want, m.Video)
	}
}

func queueNoWorkers(t *testing.T, b *queueBench) {
	if err := b.Consume(t.Context(), b.name, 0, into(nil)); err == nil {
		t.Error("Consume with no workers returned nil")
	}
}

func queuePublishCancelled(t *testing.T, b *queueBench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Publish(ctx, b.name, newMessage()); err == nil {
		t.Error("Publish with a context that is over returned nil")
	}
}
