package recorder

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
)

// BenchmarkRecord catches up with a log of 10,000 commits in 100 conversations.
func BenchmarkRecord(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b)
		for i := range 5000 {
			w.talk(w.ref("anna", events.ConversationID(fmt.Sprintf("c%d", i%100))), "what is left to do today?")
		}
		b.StartTimer()
		began := time.Now()
		r := w.start()
		r.wait(w.seq)
		took := time.Since(began)
		b.StopTimer()
		b.ReportMetric(float64(w.seq)/took.Seconds(), "commits/s")
		b.ReportMetric(float64(w.seq)/float64(r.batches), "commits/batch")
		r.stop()
		b.StartTimer()
	}
}

// BenchmarkLag measures how long a lone commit takes from the log to the read model.
func BenchmarkLag(b *testing.B) {
	w := newWorld(b)
	recorded := make(chan uint64, 1024)
	var at atomic.Uint64
	r := w.start(func(o *Options, _ *Recorder) {
		o.Pace = time.Nanosecond // each commit is a lone one
		o.Recorded = func(seq uint64) { at.Store(seq); recorded <- seq }
	})
	defer r.stop()
	<-recorded
	c := w.ref("anna", "c")
	var lags []time.Duration
	for b.Loop() {
		w.append(c, events.ConversationPinned{Pinned: true})
		began := time.Now()
		for at.Load() < w.seq {
			<-recorded
		}
		lags = append(lags, time.Since(began))
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "p99-ms")
}
