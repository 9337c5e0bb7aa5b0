package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
)

// sweepMost bounds the messages that one Sweep removes.
const sweepMost = 10_000

// Sweep removes from the work queues what their consumers have acknowledged, and
// returns how many messages that were: none, unless the server was killed. One that
// is killed may bring acknowledged messages back into the stream (nats-server
// 2.15.2); no consumer delivers them again, but they count for the limit of their
// conversation, which would refuse what is new in the end. It may be run at any
// time, by several at once.
func (l *Log) Sweep(ctx context.Context) (n int, err error) {
	for _, name := range []string{events.StreamInbox, events.StreamWork, events.StreamTimer} {
		s, err := l.js.Stream(ctx, name)
		if err != nil {
			return n, fmt.Errorf("sweep %s: %w", name, err)
		}
		consumers := s.ListConsumers(ctx)
		for c := range consumers.Info() {
			swept, err := sweep(ctx, s, c, sweepMost-n)
			if n += swept; err != nil {
				return n, fmt.Errorf("sweep %s for %s: %w", name, c.Name, err)
			}
		}
		if err := consumers.Err(); err != nil {
			return n, fmt.Errorf("sweep %s: %w", name, err)
		}
	}
	return n, nil
}

// sweep removes up to most messages that c is past: everything up to its ack
// floor is acknowledged, whatever the stream holds. The stream is read from its
// beginning, where these lie; usually one look finds nothing.
func sweep(ctx context.Context, s jetstream.Stream, c *jetstream.ConsumerInfo, most int) (n int, err error) {
	for from := uint64(1); n < most && from <= c.AckFloor.Stream; {
		m, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(c.Config.FilterSubject))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return n, nil
		case err != nil:
			return n, err
		case m.Sequence > c.AckFloor.Stream:
			return n, nil
		}
		if err := s.DeleteMsg(ctx, m.Sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return n, err
		}
		n++
		from = m.Sequence + 1
	}
	return n, nil
}
