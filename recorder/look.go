package recorder

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

const (
	// lookTimeout bounds one look, without what is sent because of it.
	lookTimeout = 10 * time.Second
	// lookMost bounds the runs that one look sends a deadline again for.
	lookMost = 1000
)

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

// look counts the open runs, and tells those that are long past their deadline
// that their time is over. Their own timer should have: a NATS that was killed may
// have forgotten it, or the message that is the lease of the model call, and then
// nothing else would ever bring the run up. What it tells is decided on the log as
// usual, so a look at rows that lag behind it does no harm.
func (r *Recorder) look(ctx context.Context) error {
	counts, late, err := r.open(ctx)
	if err != nil {
		return err
	}
	for _, s := range []events.Status{events.Queued, events.InProgress, events.RequiresAction, events.Cancelling} {
		r.metrics.open.WithLabelValues(string(s)).Set(float64(counts[s]))
	}
	for _, w := range late {
		if err := r.o.Log.Fire(ctx, again(w, r.o.Now())); err != nil {
			return fmt.Errorf("deadline of run %s: %w", w.Run.RunID, err)
		}
		r.metrics.late.Inc()
		r.o.Logger.Warn("a run is long past its deadline; telling it again", "conversation_id", w.Conversation, "run_id", w.Run.RunID, "deadline", w.Run.Deadline)
	}
	return nil
}

// open counts the runs that are not over and returns those that are late.
func (r *Recorder) open(ctx context.Context) (counts map[events.Status]int, late []readmodel.Working, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if counts, err = r.o.Store.OpenRuns(ctx); err != nil {
		return nil, nil, err
	}
	late, err = r.o.Store.Late(ctx, r.o.Now().Add(-r.o.Late), lookMost)
	return counts, late, err
}

// again is the deadline of a run under a new id: the log may have the first one.
func again(w readmodel.Working, now time.Time) *events.Inbox {
	return &events.Inbox{
		V: events.Version, ID: string(w.Run.RunID) + "-late-" + strconv.FormatInt(now.UnixMilli(), 10) + ".timer",
		UserID: w.User, ConversationID: w.Conversation, Time: now.UTC(), Command: events.RunDeadline{RunID: w.Run.RunID, At: w.Run.Deadline},
	}
}
