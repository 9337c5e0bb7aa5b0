package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/internal/fault"
)

// A source reads the stream in order and hands out what has come, as much as
// fits a batch, whenever the writer is ready for it: one message if it waits, many if it is busy.
type source struct {
	messages chan jetstream.Msg
	batches  chan []jetstream.Msg
}

func newSource() *source {
	return &source{messages: make(chan jetstream.Msg), batches: make(chan []jetstream.Msg)}
}

// heartbeat is how often the server shows that a request for messages is
// still known to it.
const heartbeat = 2 * time.Second

// errHole reports that the consumer lost a message on its way here.
var errHole = errors.New("a delivery is missing")

// run pulls messages through a consumer of its own, which the server forgets a
// minute after this ends, until ctx ends or the sequence of deliveries breaks.
func (s *source) run(ctx context.Context, stream jetstream.Stream, from uint64) (err error) {
	create, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	config := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	}
	if fault.Planted(fault.CheckpointIgnored) {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverNewPolicy, 0
	}
	c, err := stream.CreateConsumer(create, config)
	if err != nil {
		return fmt.Errorf("consume the log: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = stream.DeleteConsumer(ctx, c.CachedInfo().Name) // or the server does
	}()
	expected := uint64(1)
	for {
		// Fetch and not Messages: the latter's buffer has room for the messages asked
		// for and none for the status beside them, and drops what does not fit.
		list, err := c.Fetch(batchCommits, jetstream.FetchMaxBytes(batchBytes), jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(heartbeat))
		if err != nil {
			return fmt.Errorf("consume the log: %w", err)
		}
		for m := range list.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("consume the log: %w", err)
			}
			if meta.Sequence.Consumer != expected {
				return fmt.Errorf("consume the log: %w: %d after %d", errHole, meta.Sequence.Consumer, expected-1)
			}
			expected++
			select {
			case s.messages <- m:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := list.Error(); err != nil {
			return fmt.Errorf("consume the log: %w", err)
		}
	}
}

// gather collects messages while the writer is busy.
func (s *source) gather(ctx context.Context) error {
	var list []jetstream.Msg
	var size int
	for {
		in, out := s.messages, s.batches
		if len(list) == 0 {
			out = nil
		}
		if len(list) >= batchCommits || size >= batchBytes {
			in = nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-in:
			list = append(list, m)
			size += len(m.Data())
		case out <- list:
			list, size = nil, 0
		}
	}
}
