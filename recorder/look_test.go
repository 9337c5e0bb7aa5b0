package recorder

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleychat/parley/events"
)

// gathered returns the values of a metric by its first label, "" for none.
func gathered(t *testing.T, from prometheus.Gatherer, name string) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			label := ""
			if len(m.GetLabel()) > 0 {
				label = m.GetLabel()[0].GetValue()
			}
			values[label] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

// What operators watch: runs that are not over, calls that were begun again and
// why, and how far the archive is behind.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	registry := prometheus.NewRegistry()
	hold, held := make(chan struct{}), make(chan struct{}, 8)
	r := w.start(func(o *Options, r *Recorder) {
		o.Registerer, o.LookEvery = registry, 20*time.Millisecond
		if r != nil {
			r.point = func(name string) {
				if name == "batch" {
					held <- struct{}{}
					<-hold
				}
			}
		}
	})
	ana, ben := w.ref("ana", "c1"), w.ref("ben", "c1")
	run := events.RunIDFor("ana", "c1", "m1")
	lease := events.Lease{Stream: events.StreamInbox, Sequence: 1, Delivery: 1}
	step := func(attempt int, delivery uint64) events.StepStarted {
		lease.Delivery = delivery
		return events.StepStarted{RunID: run, Step: 1, Attempt: attempt, Lease: lease}
	}
	w.append(ana, events.MessageAccepted{MessageID: "m1", RunID: run}, events.RunStarted{RunID: run, MessageID: "m1"}, step(1, 1))
	<-held
	behind := gathered(t, registry, "parley_recorder_behind_seconds")[""]
	if behind <= 0 {
		t.Errorf("with a commit to record the archive is %v s behind", behind)
	}
	w.append(ana, step(2, 1)) // the model cut it
	w.append(ana, step(3, 2)) // its worker died
	w.append(ana, events.StepInterrupted{RunID: run, Step: 1, Attempt: 3})
	w.append(ana, step(4, 3))
	queued := events.RunIDFor("ana", "c1", "m2")
	w.append(ana, events.MessageAccepted{MessageID: "m2", RunID: queued, ParentID: run})
	w.talk(ben, "hello")
	if later := gathered(t, registry, "parley_recorder_behind_seconds")[""]; later <= behind {
		t.Errorf("the archive is %v s behind, and was %v", later, behind)
	}
	close(hold)
	r.wait(w.seq)
	if behind := gathered(t, registry, "parley_recorder_behind_seconds"); len(behind) != 1 || behind[""] != 0 {
		t.Errorf("with everything recorded the archive is behind by %v", behind)
	}
	for name, want := range map[string]float64{"takeovers": 2, "handovers": 1, "commits": 8} {
		if got := gathered(t, registry, "parley_recorder_"+name+"_total")[""]; got != want {
			t.Errorf("%v %s, want %v", got, name, want)
		}
	}
	open := func(want map[string]float64) {
		t.Helper()
		for {
			got := gathered(t, registry, "parley_recorder_open_runs")
			same := len(got) == 4
			for status, n := range want {
				same = same && got[status] == n
			}
			if same {
				return
			}
			if w.ctx.Err() != nil {
				t.Fatalf("open runs %v, want %v", got, want)
			}
		}
	}
	open(map[string]float64{"in_progress": 1, "queued": 1, "requires_action": 0, "cancelling": 0})
	w.append(ana, events.RunCancelRequested{RunID: queued}, events.RunCancelled{RunID: queued})
	w.append(ana, events.RunCancelRequested{RunID: run})
	open(map[string]float64{"in_progress": 0, "queued": 0, "cancelling": 1})

	// One that waits for its turn tells nothing that is another's to tell.
	spare := prometheus.NewRegistry()
	second, err := New(Options{Log: w.log, Store: w.store, Registerer: spare, LeaseTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	for _, name := range []string{"parley_recorder_behind_seconds", "parley_recorder_open_runs"} {
		if got := gathered(t, spare, name); len(got) != 0 {
			t.Errorf("a waiting recorder tells %s = %v", name, got)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
