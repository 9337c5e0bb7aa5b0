package agentworker

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/events"
)

// reemitTime bounds the wait for one conversation: for a server that is connected
// and does not answer yet, or for a handler that holds the conversation. That one
// emits what is due itself, once it can commit.
const reemitTime = 30 * time.Second

// reemit emits again, whenever NATS is back, what is due in the conversations that
// this worker knows. A server that was killed may have forgotten what it
// acknowledged a moment before (a schedule, a work item: seen with nats-server
// 2.15.2 in half an hour of kills), and the run that waits for it would wait for
// ever. What was not forgotten is absorbed by its id.
func (w *Worker) reemit(ctx context.Context) {
	nc := w.log.Conn()
	back := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(back)
	for {
		select {
		case <-ctx.Done():
			return
		case <-back:
		}
		for _, e := range w.cache.all() {
			err := w.emitAgain(ctx, e)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				w.logger.Warn("not emitted again after an outage", "conversation_id", e.ref.Conversation(), "err", err)
			}
		}
	}
}

func (w *Worker) emitAgain(ctx context.Context, e *conversation) error {
	ctx, cancel := context.WithTimeout(ctx, reemitTime)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		due, err := w.dueAgain(ctx, e)
		if err == nil {
			h := &handler{w: w, entry: e}
			return h.emit(ctx, due)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// dueAgain returns what is due in e and forgets that it was emitted. A
// conversation in which nothing was open when it was last seen is not looked at:
// whatever opened something since has emitted it itself.
func (w *Worker) dueAgain(ctx context.Context, e *conversation) (Due, error) {
	if err := e.lock(ctx); err != nil {
		return Due{}, err
	}
	defer e.unlock()
	if e.state == nil || e.state.Active() == nil && !calling(e.state) {
		return Due{}, nil
	}
	if err := w.cache.refresh(ctx, e); err != nil {
		return Due{}, err
	}
	e.emitted.keep(Due{})
	return w.rules.Due(e.state), nil
}

// calling reports whether a call by hand is out.
func calling(s *events.Conversation) bool {
	for _, c := range s.Calls {
		if c.Status == events.CallRunning {
			return true
		}
	}
	return false
}
