package recorder

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	commits, duplicates, loads, errors, rewinds, trimmed, swept prometheus.Counter
	takeovers, handovers, late                                  prometheus.Counter
	open                                                        *prometheus.GaugeVec
	position                                                    prometheus.Gauge
	rejected                                                    *prometheus.GaugeVec
	batches                                                     prometheus.Histogram
}

func newMetrics(to prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "parley", Subsystem: "recorder", Name: name, Help: help})
	}
	m := &metrics{
		commits:    counter("commits_total", "Commits written to the archive."),
		duplicates: counter("duplicates_total", "Messages of the log that the archive had already."),
		loads:      counter("folds_loaded_total", "Conversations folded from the archive."),
		errors:     counter("interruptions_total", "Times that recording had to begin again at the checkpoint."),
		rewinds:    counter("rewinds_total", "Times that the log had lost what was recorded already."),
		trimmed:    counter("trimmed_total", "Messages removed from the log after they were archived."),
		swept:      counter("swept_total", "Messages removed from the work queues that had come back after they were acknowledged, as they may when NATS is killed."),
		takeovers:  counter("takeovers_total", "Model calls that another delivery began again: their worker died, was paused, or handed them over."),
		handovers:  counter("handovers_total", "Model calls that a stopping worker handed over."),
		late:       counter("late_total", "Deadlines sent again, for runs that were not over long after theirs."),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "parley", Subsystem: "recorder", Name: "open_runs", Help: "Runs that are not over, as far as it is recorded, by status.",
		}, []string{"status"}),
		position: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "parley", Subsystem: "recorder", Name: "position", Help: "Sequence of the log up to which it is recorded.",
		}),
		rejected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "parley", Subsystem: "recorder", Name: "rejected", Help: "Messages of the log in archive_rejected. Not zero is an alarm.",
		}, []string{"reason"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "parley", Subsystem: "recorder", Name: "batch_seconds", Help: "Time to fold and write a batch.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 12),
		}),
	}
	for _, reason := range reasons {
		m.rejected.WithLabelValues(reason)
	}
	for _, c := range []prometheus.Collector{
		m.commits, m.duplicates, m.loads, m.errors, m.rewinds, m.trimmed, m.swept, m.takeovers, m.handovers, m.late, m.open, m.position, m.rejected, m.batches,
	} {
		if err := to.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// alarm counts a rejection.
func (r *Recorder) alarm(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alarms[reason]++
	r.metrics.rejected.WithLabelValues(reason).Set(float64(r.alarms[reason]))
}

// setRejected takes over what the table has: alarms outlive a restart, and end
// when somebody has cleared the table.
func (r *Recorder) setRejected(counts map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alarms = maps.Clone(counts)
	for _, reason := range reasons {
		r.metrics.rejected.WithLabelValues(reason).Set(float64(counts[reason]))
	}
}
