package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
	"mp3converter/internal/rabbit"
)

// How messages are moved: as many at once as gateways and converters do under load.
const (
	senders   = 16
	receivers = 2
)

// queue moves messages in one way or another: ours, or the bare client's.
type queue interface {
	send(ctx context.Context, n int) error
	receive(ctx context.Context, n int) error
}

// ourQueue is package rabbit.
type ourQueue struct {
	broker *rabbit.Broker
	name   string
}

func (q ourQueue) send(ctx context.Context, n int) error {
	return inParallel(ctx, n, func(ctx context.Context) error { return q.broker.Publish(ctx, q.name, message()) })
}

// inParallel calls do n times, as many at once as there are senders.
func inParallel(ctx context.Context, n int, do func(context.Context) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(senders)
	for range n {
		all.Go(func() error { return do(ctx) })
	}
	return all.Wait()
}

func (q ourQueue) receive(ctx context.Context, n int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var got atomic.Int64
	return q.broker.Consume(ctx, q.name, receivers, func(context.Context, job.Message) error {
		if got.Add(1) >= int64(n) {
			stop()
		}
		return nil
	})
}

func message() job.Message {
	now := time.Now()
	return job.Message{Video: job.NewID(now), Username: userName}
}

// bareQueue is the plainest thing that the client's library can do and still lose nothing: persistent messages, confirmed
// publishing, one acknowledgement each.
type bareQueue struct {
	conn *amqp.Connection
	name string
	body []byte
}

func newBareQueue(url, name string) (bareQueue, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return bareQueue{}, err
	}
	q := bareQueue{conn, name, []byte(`{"video_fid":"` + message().Video + `","mp3_fid":null,"username":"` + userName + `"}`)}
	ch, err := conn.Channel()
	if err != nil {
		return q, err
	}
	defer ch.Close()
	_, err = ch.QueueDeclare(name, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
	return q, err
}

func (q bareQueue) send(ctx context.Context, n int) error {
	ch, err := q.conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	if err := ch.Confirm(false); err != nil {
		return err
	}
	return inParallel(ctx, n, func(ctx context.Context) error {
		confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", q.name, true, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: q.body})
		if err != nil {
			return err
		}
		if ok, err := confirm.WaitContext(ctx); err != nil || !ok {
			return errors.Join(err, errors.New("not confirmed"))
		}
		return nil
	})
}

func (q bareQueue) receive(ctx context.Context, n int) error {
	ch, err := q.conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	if err := ch.Qos(receivers, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.ConsumeWithContext(ctx, q.name, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for range n {
		d, ok := <-deliveries
		if !ok {
			return errors.New("the deliveries ended")
		}
		if err := d.Ack(false); err != nil {
			return err
		}
	}
	return nil
}

// measureMessages compares package rabbit with the bare client on the same messages.
func measureMessages(ctx context.Context, b *bench) (table, error) {
	const n = 2000
	t := table{
		Title: "Messages through RabbitMQ, against the bare client library", Base: "raw",
		Notes: []string{
			fmt.Sprintf("%d persistent messages on a quorum queue; %d senders that wait for their confirmations, then %d receivers that acknowledge each; this process's CPU is both sides'", n, senders, receivers),
			"ours declares and watches queue, dead letters and returns besides",
		},
	}
	shared, err := b.servers()
	if err != nil {
		return t, err
	}
	raw, err := newBareQueue(shared.rabbitmq.URL(), "bench-raw")
	if err != nil {
		return t, err
	}
	defer raw.conn.Close()
	broker := rabbit.New(rabbit.Config{URL: shared.rabbitmq.URL(), Name: "bench"})
	defer broker.Close()
	ours := ourQueue{broker, "bench-ours"}
	for _, q := range []queue{raw, ours} { // queues and sessions are made by the first
		if err := errors.Join(q.send(ctx, 1), q.receive(ctx, 1)); err != nil {
			return t, err
		}
	}
	rounds := 1 + b.Rounds
	for _, act := range []struct {
		what string
		do   func(queue) error
	}{
		{"publish", func(q queue) error { return q.send(ctx, n) }},
		{"consume", func(q queue) error { return q.receive(ctx, n) }}, // what was published
	} {
		rates, cpu := [2]samples{}, [2]samples{}
		for range rounds {
			for i, q := range []queue{raw, ours} {
				c := stopwatch{}
				before, err := c.read()
				if err != nil {
					return t, err
				}
				start := time.Now()
				if err := act.do(q); err != nil {
					return t, fmt.Errorf("%s: %w", act.what, err)
				}
				rates[i] = append(rates[i], n/time.Since(start).Seconds())
				after, err := c.read()
				if err != nil {
					return t, err
				}
				cpu[i] = append(cpu[i], float64((after-before).Microseconds())/n)
			}
		}
		b.say("messages: %s %.0f/s raw, %.0f/s ours", act.what, rates[0].median(), rates[1].median())
		t.Rows = append(t.Rows,
			compared(act.what, "/s", rates[0], rates[1]),
			compared("  CPU of this process", "µs", cpu[0], cpu[1]))
	}
	return t, nil
}

// messageSeries is what a message costs while others wait in its queue.
func messageSeries(ctx context.Context, b *bench) ([]series, error) {
	const n = passingMessages
	waiting := []int{10, 100, 1000, 10_000}
	shared, err := b.servers()
	if err != nil {
		return nil, err
	}
	broker := rabbit.New(rabbit.Config{URL: shared.rabbitmq.URL(), Name: "bench"})
	defer broker.Close()
	send, receive := newSeries(rabbitName+": publish", waiting, flatEnough()), newSeries(rabbitName+": consume", waiting, flatEnough())
	c := stopwatch{[]int{shared.rabbitmq.Pid()}}
	for _, w := range waiting {
		if err := (ourQueue{broker, fmt.Sprintf("bench-%d", w)}).send(ctx, w); err != nil {
			return nil, err
		}
		b.say("waiting: %s holds %d messages", rabbitName, w)
	}
	for range 2 + b.Rounds {
		for _, w := range waiting {
			q := ourQueue{broker, fmt.Sprintf("bench-%d", w)}
			err := errors.Join(
				send.note(c, w, n, func() error { return q.send(ctx, n) }),
				receive.note(c, w, n, func() error { return q.receive(ctx, n) }))
			if err != nil {
				return nil, err
			}
		}
	}
	return []series{*send, *receive}, nil
}
