package edge

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are those of one edge, in a registry of its own so that two edges fit
// in one process.
type metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	sockets        prometheus.Gauge
	streams        prometheus.Gauge
	topics         prometheus.Gauge
	framesIn       *prometheus.CounterVec
	framesOut      prometheus.Counter
	bytesOut       prometheus.Counter
	writes         prometheus.Counter
	closes         *prometheus.CounterVec
	droppedDeltas  prometheus.Counter
	snapshots      prometheus.Counter
	holes          prometheus.Counter
	resumes        prometheus.Counter
	gaps           prometheus.Counter
	lost           *prometheus.CounterVec
	publishErrors  *prometheus.CounterVec
	panics         prometheus.Counter
	firstDelta     prometheus.Histogram
	publishSeconds prometheus.Histogram
}

func newMetrics(version string) *metrics {
	reg := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_edge_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_edge_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_edge_" + name, Help: help})
		reg.MustRegister(g)
		return g
	}
	histogram := func(name, help string, from, factor float64, n int) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_edge_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(from, factor, n),
		})
		reg.MustRegister(h)
		return h
	}
	m := &metrics{
		registry:       reg,
		requests:       counters("requests_total", "HTTP requests by route pattern, method and status.", "route", "method", "status"),
		sockets:        gauge("sockets", "Open WebSocket connections."),
		streams:        gauge("streams", "Open server-sent event streams."),
		topics:         gauge("topics", "Conversations held in memory."),
		framesIn:       counters("frames_received_total", "WebSocket frames from clients by type.", "type"),
		framesOut:      counter("frames_sent_total", "Frames written to sockets and streams."),
		bytesOut:       counter("sent_bytes_total", "Bytes of frames written to sockets and streams."),
		writes:         counter("writes_total", "Writes to sockets and streams; frames that wait together share one."),
		closes:         counters("closes_total", "WebSocket connections that the edge closed, by code.", "code"),
		droppedDeltas:  counter("dropped_deltas_total", "Deltas not sent to a reader that was behind."),
		snapshots:      counter("snapshots_total", "Snapshots sent to readers."),
		holes:          counter("delta_holes_total", "Holes found in deltas from the agent workers."),
		resumes:        counter("resumes_total", "Subscriptions that asked for commits after an n above 0."),
		gaps:           counter("commit_gaps_total", "Live commits that were missed and read again."),
		lost:           counters("unreadable_total", "Messages from NATS that could not be decoded, by kind.", "kind"),
		publishErrors:  counters("publish_errors_total", "Commands that could not be stored, by reason.", "reason"),
		panics:         counter("panics_total", "Handlers that panicked."),
		firstDelta:     histogram("first_delta_seconds", "From a stored message to the first delta of its answer.", 0.001, 2, 16),
		publishSeconds: histogram("publish_seconds", "Time to store a command.", 0.0002, 2, 16),
	}
	m.requestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "parley_edge_request_seconds", Help: "Duration of HTTP requests by route pattern.",
		Buckets: prometheus.ExponentialBuckets(0.001, 3, 10),
	}, []string{"route"})
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "parley_edge_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	reg.MustRegister(m.requestSeconds, info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) request(route, method string, status int, d time.Duration) {
	if route == "" {
		route = "none"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // a stranger must not make labels
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(d.Seconds())
}

func (m *metrics) sent(frames, bytes int) {
	m.writes.Inc()
	m.framesOut.Add(float64(frames))
	m.bytesOut.Add(float64(bytes))
}
