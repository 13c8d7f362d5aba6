package rabbit

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	amqp "github.com/rabbitmq/amqp091-go"
)

// metrics are what is counted of messages. Queues are those of the settings, verdicts those of verdict.go.
type metrics struct {
	deliveries *prometheus.CounterVec
	handled    *prometheus.HistogramVec
	published  *prometheus.HistogramVec
}

// newMetrics returns them; of a nil registerer nobody reads them.
func newMetrics(to prometheus.Registerer) metrics {
	factory := promauto.With(to)
	return metrics{
		deliveries: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "queue_deliveries_total", Help: "Messages that the broker has delivered; redelivered are those that it had delivered before.",
		}, []string{"queue", "redelivered"}),
		handled: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "queue_message_seconds", Help: "Time from a message's coming to a worker to the verdict on it.",
			Buckets: []float64{.005, .025, .1, .5, 2.5, 10, 30, 60, 300, 900, 3600},
		}, []string{"queue", "verdict"}),
		published: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "queue_publish_seconds", Help: "Time from publishing a message to the broker's confirmation, or to giving up.",
			Buckets: []float64{.001, .005, .025, .1, .5, 1, 5},
		}, []string{"queue", "result"}),
	}
}

// consumes has a queue be counted from 0 on.
func (m metrics) consumes(queue string) {
	for _, redelivered := range []string{"false", "true"} {
		m.deliveries.WithLabelValues(queue, redelivered)
	}
}

func (m metrics) delivered(queue string, d amqp.Delivery) {
	redelivered := "false"
	if d.Redelivered {
		redelivered = "true"
	}
	m.deliveries.WithLabelValues(queue, redelivered).Inc()
}

func (m metrics) judged(queue string, v verdict, took time.Duration) {
	m.handled.WithLabelValues(queue, strings.ReplaceAll(string(v), " ", "_")).Observe(took.Seconds())
}

func (m metrics) sent(queue string, err error, took time.Duration) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.published.WithLabelValues(queue, result).Observe(took.Seconds())
}
