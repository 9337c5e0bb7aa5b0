package recorder

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout bounds what one look at the log for a metric may take.
const scrapeTimeout = 2 * time.Second

// behind tells the age of the oldest commit that is not recorded yet, asked of
// NATS whenever somebody looks: so it also grows while the recorder stands, and
// for as long as Postgres is away. A recorder that waits for its turn tells nothing.
type behind struct {
	r    *Recorder
	desc *prometheus.Desc
}

func newBehind(r *Recorder) *behind {
	return &behind{r, prometheus.NewDesc("parley_recorder_behind_seconds",
		"Age of the oldest commit of the log that is not in the archive; 0 if all are.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (b *behind) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }

// Collect implements prometheus.Collector.
func (b *behind) Collect(ch chan<- prometheus.Metric) {
	stream := b.r.stream.Load()
	if stream == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	age := 0.0
	m, err := (*stream).GetMsg(ctx, b.r.Position()+1, jetstream.WithGetMsgSubject("log.>"))
	switch {
	case err == nil:
		age = max(0, time.Since(m.Time).Seconds())
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return // nobody can tell
	}
	ch <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, age)
}
