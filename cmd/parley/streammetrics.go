package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleychat/parley/events"
)

// scrapeTimeout bounds what one look at the streams may take.
const scrapeTimeout = 2 * time.Second

// streamMetrics tells how full the queues are, asked of NATS whenever somebody
// looks. What NATS does not answer is left out.
type streamMetrics struct {
	js                                                               jetstream.JetStream
	messages, bytes, oldest, sequence, waiting, unacked, redelivered *prometheus.Desc
}

func newStreamMetrics(nc *nats.Conn) (*streamMetrics, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	stream := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("parley_stream_"+name, help, []string{"stream"}, nil)
	}
	consumer := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("parley_consumer_"+name, help, []string{"stream", "consumer"}, nil)
	}
	return &streamMetrics{
		js:          js,
		messages:    stream("messages", "Messages that the stream holds."),
		bytes:       stream("bytes", "Bytes that the stream holds."),
		oldest:      stream("oldest_seconds", "Age of the stream's oldest message; 0 if it is empty."),
		sequence:    stream("last_sequence", "Sequence of the stream's newest message."),
		waiting:     consumer("waiting", "Messages that nobody has taken yet."),
		unacked:     consumer("unacked", "Messages that somebody works on."),
		redelivered: consumer("redelivered", "Messages that somebody works on, and not the first to do so."),
	}, nil
}

// Describe implements prometheus.Collector.
func (m *streamMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.messages, m.bytes, m.oldest, m.sequence, m.waiting, m.unacked, m.redelivered} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *streamMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	for _, name := range []string{events.StreamInbox, events.StreamLog, events.StreamWork, events.StreamTimer, events.StreamDLQ} {
		s, err := m.js.Stream(ctx, name)
		if err != nil {
			continue
		}
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{name}, labels...)...)
		}
		state := s.CachedInfo().State
		age := 0.0
		if state.Msgs > 0 {
			age = time.Since(state.FirstTime).Seconds()
		}
		gauge(m.messages, float64(state.Msgs))
		gauge(m.bytes, float64(state.Bytes))
		gauge(m.oldest, age)
		gauge(m.sequence, float64(state.LastSeq))
		for info := range s.ListConsumers(ctx).Info() {
			if info.Config.Durable == "" {
				continue // a reader of the moment
			}
			gauge(m.waiting, float64(info.NumPending), info.Config.Durable)
			gauge(m.unacked, float64(info.NumAckPending), info.Config.Durable)
			gauge(m.redelivered, float64(info.NumRedelivered), info.Config.Durable)
		}
	}
}
