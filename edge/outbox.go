package edge

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/parleychat/parley/events"
)

// Bounds of one reader's outbox.
const (
	softFrames = 512       // above these, deltas are dropped
	softBytes  = 128 << 10 //
	hardFrames = 8192      // above these, the reader is closed
	hardBytes  = 1 << 20   //
	batchBytes = 64 << 10  // one write takes about this much
)

var (
	// errSlow closes a reader that does not keep up even without deltas.
	errSlow = errors.New("reader is hopelessly behind")
	// errClosed reports an outbox that somebody closed.
	errClosed = errors.New("reader is gone")
)

// opText and opPing are opcodes of RFC 6455 with the FIN bit set.
const (
	opText  = 0x81
	opClose = 0x88
	opPing  = 0x89
	opPong  = 0x8a
)

// A frame is one message to readers, encoded once and shared by all of them. It
// is a complete, unmasked WebSocket frame; its payload serves SSE as well.
type frame struct {
	wire []byte
	head int
	// n and commit are set in commit frames.
	n      uint64
	commit *events.Commit
}

// newFrame joins the parts into a frame.
func newFrame(op byte, parts ...string) *frame {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	wire := frameHeader(op, size)
	f := &frame{head: len(wire)}
	for _, p := range parts {
		wire = append(wire, p...)
	}
	f.wire = wire
	return f
}

// textFrame wraps a payload that is JSON already.
func textFrame(payload []byte) *frame {
	wire := frameHeader(opText, len(payload))
	return &frame{head: len(wire), wire: append(wire, payload...)}
}

// frameHeader returns a server's frame header with room for the payload behind it.
func frameHeader(op byte, size int) []byte {
	wire := make([]byte, 0, 10+size)
	switch {
	case size < 126:
		return append(wire, op, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(wire, op, 126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(wire, op, 127), uint64(size))
	}
}

func (f *frame) payload() []byte { return f.wire[f.head:] }

// An outbox is the bounded queue before one reader. Any goroutine may send; one
// at a time may take.
type outbox struct {
	// wake is called, under the lock, when there is something to take and no
	// taker is at work. If it is nil, ready is signalled instead.
	wake  func()
	ready chan struct{}
	// drained is called without the lock when the queue has run empty after a
	// delta was refused.
	drained func()

	mu      sync.Mutex
	queue   []*frame
	bytes   int // queued, and taken but not yet written
	taking  bool
	refused bool
	err     error
	last    *frame // a close frame: written after what was taken, then nothing
	room    chan struct{}
}

// send queues a frame that must not be lost. A reader that has no room for it
// is closed; the caller need not look at the result.
func (o *outbox) send(f *frame) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return false
	}
	if len(o.queue) > 0 && (o.bytes+len(f.wire) > hardBytes || len(o.queue) >= hardFrames) {
		o.closeLocked(errSlow)
		return false
	}
	o.push(f)
	return true
}

// offer queues a frame that may be dropped, if the reader keeps up.
func (o *outbox) offer(f *frame) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return false
	}
	if len(o.queue) >= softFrames || o.bytes+len(f.wire) > softBytes {
		o.refused = true
		return false
	}
	o.push(f)
	return true
}

func (o *outbox) push(f *frame) {
	o.queue = append(o.queue, f)
	o.bytes += len(f.wire)
	o.signal()
}

func (o *outbox) signal() {
	if o.wake == nil {
		select {
		case o.ready <- struct{}{}:
		default:
		}
		return
	}
	if !o.taking {
		o.taking = true
		o.wake()
	}
}

// waitRoom waits until the reader has taken most of what is queued: whoever
// sends a long history calls it before each frame.
func (o *outbox) waitRoom(ctx context.Context) error {
	for {
		o.mu.Lock()
		if o.err != nil {
			o.mu.Unlock()
			return o.err
		}
		if o.bytes < softBytes && len(o.queue) < softFrames {
			o.mu.Unlock()
			return nil
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take moves the next frames into batch, about batchBytes at most. Without any
// it returns the batch empty and, once the outbox is closed, why; a taker that
// was woken is then no longer at work.
func (o *outbox) take(batch []*frame) ([]*frame, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size, i := 0, 0
	for ; i < len(o.queue) && (i == 0 || size+len(o.queue[i].wire) <= batchBytes); i++ {
		size += len(o.queue[i].wire)
		batch = append(batch, o.queue[i])
	}
	if i < len(o.queue) {
		n := copy(o.queue, o.queue[i:])
		clear(o.queue[n:])
		o.queue = o.queue[:n]
		return batch, nil
	}
	// An idle reader keeps no queue.
	o.queue = nil
	if i > 0 {
		return batch, nil
	}
	if o.last != nil {
		batch, o.last = append(batch, o.last), nil
		return batch, nil
	}
	o.taking = false
	return batch, o.err
}

// empty reports whether the reader has everything that was sent.
func (o *outbox) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) == 0 && o.bytes == 0
}

// done reports that a batch was written.
func (o *outbox) done(batch []*frame) {
	o.mu.Lock()
	for _, f := range batch {
		o.bytes -= len(f.wire)
	}
	o.bytes = max(o.bytes, 0)
	if o.room != nil && o.bytes < softBytes && len(o.queue) < softFrames {
		close(o.room)
		o.room = nil
	}
	again := o.refused && len(o.queue) == 0 && o.err == nil
	if again {
		o.refused = false
	}
	o.mu.Unlock()
	if again && o.drained != nil {
		o.drained()
	}
}

// close forgets what is queued and lets the taker end with err.
func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked(err)
}

// closeWith is close with one more frame to write. With flush, what is queued
// is written before it.
func (o *outbox) closeWith(f *frame, err error, flush bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return
	}
	o.last = f
	if flush {
		o.queue, o.last = append(o.queue, f), nil
		o.err = err
		o.signal()
		return
	}
	o.closeLocked(err)
}

func (o *outbox) closeLocked(err error) {
	if o.err != nil {
		return
	}
	o.err = err
	for _, f := range o.queue {
		o.bytes -= len(f.wire)
	}
	o.queue = nil
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	o.signal()
}
