package converter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mp3converter/internal/job"
)

type metrics struct {
	took    *prometheus.HistogramVec
	needed  *prometheus.HistogramVec
	leases  prometheus.Counter
	running prometheus.Gauge
	read    prometheus.Counter
	fetched prometheus.Counter
	wrote   prometheus.Counter
	sound   prometheus.Counter
}

func newMetrics(to prometheus.Registerer) metrics {
	factory := promauto.With(to)
	return metrics{
		took: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mp3_conversion_seconds",
			Help:    "Time from the claim of a job to what came of the attempt.",
			Buckets: []float64{.25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600},
		}, []string{"result"}),
		needed: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mp3_job_attempts", Help: "Attempts that a job has needed to end so, without those that were excused.",
			Buckets: []float64{0, 1, 2, 3, 5, 10},
		}, []string{"result"}),
		leases: factory.NewCounter(prometheus.CounterOpts{
			Name: "mp3_leases_lost_total", Help: "Attempts whose lease ran out, so that somebody else has taken the job.",
		}),
		running: factory.NewGauge(prometheus.GaugeOpts{
			Name: "mp3_conversions_running", Help: "Conversions at work now.",
		}),
		read: factory.NewCounter(prometheus.CounterOpts{
			Name: "mp3_converted_video_bytes_total", Help: "Size of the videos that were converted.",
		}),
		fetched: factory.NewCounter(prometheus.CounterOpts{
			Name: "mp3_conversion_fetched_bytes_total", Help: "Bytes of videos that were read from the store. Where it is known which are pictures, most of those are not.",
		}),
		wrote: factory.NewCounter(prometheus.CounterOpts{
			Name: "mp3_converted_mp3_bytes_total", Help: "Size of the MP3s that were made of them.",
		}),
		sound: factory.NewCounter(prometheus.CounterOpts{
			Name: "mp3_converted_sound_seconds_total", Help: "Duration of the MP3s that were made.",
		}),
	}
}

func (m metrics) ended(result string, took time.Duration, j job.Job) {
	m.took.WithLabelValues(result).Observe(took.Seconds())
	if result == converted || result == failed {
		m.needed.WithLabelValues(result).Observe(float64(j.Attempts()))
	}
	if result == converted {
		m.read.Add(float64(j.VideoBytes))
		m.wrote.Add(float64(j.MP3Bytes))
		m.sound.Add(j.Duration.Seconds())
	}
}

// lost counts an attempt that is no longer its job's, as the job now stands, if nobody wanted that: its owner may have deleted it
// and an operator stopped it.
func (m metrics) lost(attempt, now job.Job) {
	if now.Attempt > attempt.Attempt && now.State != job.Deleted && now.Reason != job.ReasonStopped {
		m.leases.Inc()
	}
}
