package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
)

// trimChunk bounds what is asked of Postgres at once.
const trimChunk = 1000

// trimEvery trims now and then until ctx ends, and sweeps the work queues as
// well: a session begins again when NATS is back. A failure waits for the next time.
func (r *Recorder) trimEvery(ctx context.Context, stream jetstream.Stream, mark uint64) error {
	tick := time.NewTicker(r.o.TrimEvery)
	defer tick.Stop()
	for {
		to, n, err := r.trim(ctx, stream, mark)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			r.o.Logger.Warn("log not trimmed", "err", err)
		case n > 0:
			r.o.Logger.Info("log trimmed", "messages", n)
		}
		mark = to
		switch n, err := r.o.Log.Sweep(ctx); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			r.o.Logger.Warn("work queues not swept", "err", err)
		case n > 0:
			r.metrics.swept.Add(float64(n))
			r.o.Logger.Warn("acknowledged messages had come back into the work queues; removed", "messages", n)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// trim removes from the stream what is archived, older than Keep, and not its
// conversation's last, beginning at the mark of the last time; it returns the
// new mark and how many went.
func (r *Recorder) trim(ctx context.Context, stream jetstream.Stream, mark uint64) (uint64, int, error) {
	older, recorded := r.o.Now().Add(-r.o.Keep), r.Position()
	n := 0
	for {
		list, err := r.o.Store.Spent(ctx, mark, recorded, older, trimChunk)
		if err != nil || len(list) == 0 {
			return mark, n, err
		}
		// What goes must be in the archive for good; batches do not wait for the disk.
		if err := r.o.Store.Settle(ctx, events.StreamLog, mark); err != nil {
			return mark, n, err
		}
		for _, p := range list {
			if p.Seq > 0 {
				gone, err := remove(ctx, stream, p.Seq, p.CommitID)
				if err != nil {
					return mark, n, err
				}
				if gone {
					n++
					r.metrics.trimmed.Inc()
				}
			}
			mark = p.Next
		}
		if err := r.o.Store.Settle(ctx, events.StreamLog, mark); err != nil {
			return mark, n, err
		}
	}
}

// remove deletes the message at seq if it is that commit: an archive that has
// seen several incarnations of the log knows several messages by one sequence.
func remove(ctx context.Context, stream jetstream.Stream, seq uint64, commitID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("trim: look at %d: %w", seq, err)
	}
	if m.Header.Get(jetstream.MsgIDHeader) != commitID {
		return false, nil
	}
	if err := stream.DeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, fmt.Errorf("trim: remove %d: %w", seq, err)
	}
	return true, nil
}
