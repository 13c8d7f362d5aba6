package rabbit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/job"
	"mp3converter/internal/rabbit"
)

// counts are the numbers of a metric's samples or observations, by the values of its labels.
func counts(t *testing.T, registry *prometheus.Registry, name string) map[string]int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				if l.GetName() != "queue" {
					labels += l.GetValue()
				}
			}
			all[labels] += int(m.GetCounter().GetValue()) + int(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestMessagesAreCountedByWhatBecameOfThem(t *testing.T) {
	checkLeaks(t)
	registry, queue := prometheus.NewRegistry(), queueName()
	b := newBroker(t, rabbit.Config{URL: rabbitmq(t).URL(), Metrics: registry, Pause: 1})
	first := true
	done := make(chan job.Message, 10)
	stop := consume(t, b, queue, 1, func(_ context.Context, m job.Message) error {
		if first {
			first = false
			return fmt.Errorf("later")
		}
		done <- m
		if m.MP3 != "" {
			return job.ErrPoison
		}
		return nil
	})
	good, poison := newMessage(), newMessage()
	poison.MP3 = poison.Video
	for _, m := range []job.Message{good, poison} {
		if err := b.Publish(t.Context(), queue, m); err != nil {
			t.Fatal(err)
		}
		receive(t, done, "a message")
	}
	eventually(t, "the dead letter is counted", func() bool {
		letters, err := b.Buried(t.Context(), queue, "of-nobody")
		return err == nil && cmp.Equal(letters, map[string]int{queue: 1, "of-nobody": 0})
	})
	stop()
	for name, want := range map[string]map[string]int{
		"queue_deliveries_total": {"false": 2, "true": 1},
		"queue_message_seconds":  {"settled": 1, "postponed": 1, "buried": 1},
		"queue_publish_seconds":  {"ok": 2},
	} {
		if diff := cmp.Diff(want, counts(t, registry, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNobodyIsCountedWithoutABroker(t *testing.T) {
	b := rabbit.New(rabbit.Config{URL: "amqp://127.0.0.1:1/"})
	defer b.Close()
	if n, err := b.Buried(t.Context(), "video"); err == nil {
		t.Errorf("Buried without a broker is %v, want an error", n)
	}
}
