package recorder

import (
	"context"
	"time"

	"github.com/parleychat/parley/events"
)

// lookTimeout bounds one look.
const lookTimeout = 10 * time.Second

// lookEvery looks at the runs that are not over, now and then until ctx ends. A
// failure waits for the next time.
func (r *Recorder) lookEvery(ctx context.Context) error {
	defer r.metrics.open.Reset() // whoever records next tells
	tick := time.NewTicker(r.o.LookEvery)
	defer tick.Stop()
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.o.Logger.Warn("open runs not looked at", "err", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (r *Recorder) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	counts, err := r.o.Store.OpenRuns(ctx)
	if err != nil {
		return err
	}
	for _, s := range []events.Status{events.Queued, events.InProgress, events.RequiresAction, events.Cancelling} {
		r.metrics.open.WithLabelValues(string(s)).Set(float64(counts[s]))
	}
	return nil
}
