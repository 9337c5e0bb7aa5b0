package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// Names of the durable consumers. A changed filter or meaning is a new name.
const (
	ConsumerResults  = "agent-res-v1"
	ConsumerMessages = "agent-msg-v1"
	ConsumerControls = "agent-ctl-v1"
	ConsumerTimers   = "agent-timer-v1"
)

// ToolConsumer returns the name of a tool server's consumer on the WORK stream.
func ToolConsumer(server string) string { return "tool-" + server + "-v1" }

// A Delivery is one delivery of a queued message. Acknowledging acts on the
// message, not on the delivery: a handler that has lost its lease must do neither.
type Delivery struct {
	nc    *nats.Conn
	msg   *nats.Msg
	lease events.Lease
	wait  time.Duration   // the consumer's AckWait
	turn  <-chan struct{} // closed when the delivery before it in its lane has passed
	pass  func()          // lets the delivery behind it go; once
	room  func()          // gives back what acquire gave; once
}

// Lease names this delivery.
func (d *Delivery) Lease() events.Lease { return d.lease }

// Data returns the message's bytes.
func (d *Delivery) Data() []byte { return d.msg.Data }

// Header returns one header of the message, or "".
func (d *Delivery) Header(key string) string { return d.msg.Header.Get(key) }

// Subject returns where the message was published.
func (d *Delivery) Subject() string { return d.msg.Subject }

// Ack ends the message. It is not confirmed: a lost ack is a redelivery.
func (d *Delivery) Ack() error { return d.reply("+ACK") }

// Nak gives the message to another worker at once. Only for shutdown: every
// nak counts as a delivery.
func (d *Delivery) Nak() error {
	fault.At(fault.NakBefore)
	err := d.reply("-NAK")
	fault.At(fault.NakAfter)
	return err
}

// Renew tells the server that the message is being worked on.
func (d *Delivery) Renew() error { return d.reply("+WPI") }

func (d *Delivery) reply(word string) error { return d.nc.Publish(d.msg.Reply, []byte(word)) }

// Release gives back the room of the delivery, see [Acquire], before its
// handler ends: what follows counts elsewhere.
func (d *Delivery) Release() { d.room() }

// RenewEvery is how often the lease is renewed: three times in the consumer's
// AckWait, so that one lost renewal costs nothing.
func (d *Delivery) RenewEvery() time.Duration { return d.wait / 3 }

// Hold renews the lease every [Delivery.RenewEvery] until release is called, and
// calls check, if not nil, each time; once that reports false the lease is lost
// and not renewed again. Release waits for the last call to end and may be called twice.
func (d *Delivery) Hold(check func() bool) (release func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(d.RenewEvery())
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				// An error here is a connection that is away; the lease may run
				// out, and the log then tells who goes on.
				if !fault.Planted(fault.NoRenewal) {
					_ = d.Renew()
				}
				if check != nil && !check() {
					return
				}
			}
		}
	}()
	var once sync.Once
	return func() { once.Do(func() { close(stop) }); <-done }
}

// Turn waits until the deliveries before d in its lane have passed, see
// [InOrder]. It fails only when ctx ends.
func (d *Delivery) Turn(ctx context.Context) error {
	if d.turn == nil {
		return nil
	}
	select {
	case <-d.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Pass lets the next delivery of the lane have its turn; the end of the
// handler does the same.
func (d *Delivery) Pass() { d.pass() }

// A Handler handles one delivery: it acks, naks, or leaves it to be redelivered.
type Handler func(context.Context, *Delivery)

// An Acquire waits for room to handle one more message and returns how to give
// it back. It fails only when ctx ends.
type Acquire func(ctx context.Context) (release func(), err error)

// A ServeOption changes how [Log.Serve] hands out deliveries.
type ServeOption func(*lanes)

// InOrder gives deliveries with the same key turns in the order in which they
// were pulled: a handler calls [Delivery.Turn] before it acts. It is an order
// within this process, for people who read results, not a guarantee.
func InOrder(key func(*Delivery) string) ServeOption {
	return func(l *lanes) { l.key = key }
}

// lanes keeps the newest delivery of each key.
type lanes struct {
	key  func(*Delivery) string
	mu   sync.Mutex
	last map[string]chan struct{}
}

// enter queues d in its lane and returns what ends its turn.
func (l *lanes) enter(d *Delivery) (done func()) {
	if l.key == nil {
		return func() {}
	}
	key, mine := l.key(d), make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.last[key]; ok {
		d.turn = before
	}
	l.last[key] = mine
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(mine)
		if l.last[key] == mine {
			delete(l.last, key)
		}
	}
}

// Serve pulls one message at a time from a durable consumer, whenever acquire
// gives room, and runs h for it in a goroutine of its own with the context
// work. It stops pulling when ctx ends, waits for the handlers, and returns
// nil; an error means that the consumer is not there.
func (l *Log) Serve(ctx, work context.Context, stream, consumer string, acquire Acquire, h Handler, opts ...ServeOption) error {
	c, err := l.find(ctx, stream, consumer)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("serve %s: %w", consumer, err)
	}
	wait := c.CachedInfo().Config.AckWait
	p, err := l.newPuller(stream, consumer)
	if err != nil {
		return fmt.Errorf("serve %s: %w", consumer, err)
	}
	defer p.close()
	turns := &lanes{last: map[string]chan struct{}{}}
	for _, o := range opts {
		o(turns)
	}
	var handlers sync.WaitGroup
	defer handlers.Wait()
	begin := func(msg *nats.Msg, release func()) {
		meta, err := msg.Metadata()
		if err != nil {
			release()
			l.logger.Error("message without metadata", "consumer", consumer, "err", err)
			return
		}
		d := &Delivery{
			nc: l.nc, msg: msg, wait: wait, room: sync.OnceFunc(release),
			lease: events.Lease{Stream: meta.Stream, Sequence: meta.Sequence.Stream, Delivery: meta.NumDelivered},
		}
		if meta.NumDelivered > 1 {
			l.redelivered.Add(1)
		}
		d.pass = sync.OnceFunc(turns.enter(d))
		handlers.Go(func() {
			defer d.Release()
			defer d.Pass()
			h(work, d)
		})
	}
	for {
		// One message per pull and a pull only when there is room: a prefetched
		// message that nobody has started would burn its AckWait.
		release, err := acquire(ctx)
		if err != nil {
			break
		}
		msg := p.next(ctx)
		if msg == nil {
			release()
			break
		}
		begin(msg, release)
	}
	for _, msg := range p.drain() {
		begin(msg, func() {}) // there is no waiting for room: the message is here
	}
	return nil
}

// find returns a consumer once the server can be asked; an error is its word
// that there is none, or that ctx has ended. A server that goes away just after
// a role has connected is waited for like one that goes away later.
func (l *Log) find(ctx context.Context, stream, consumer string) (jetstream.Consumer, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		c, err := l.js.Consumer(ctx, stream, consumer)
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() != nil, errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, err
		}
		l.logger.Warn("waiting for a consumer", "consumer", consumer, "err", err)
		pause(ctx, wait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Subscribe calls f for each message of a core subject, one after the other,
// until unsubscribe is called. Core subjects lose messages: the log is the truth.
func (l *Log) Subscribe(subject string, f func(*nats.Msg)) (unsubscribe func(), err error) {
	sub, err := l.nc.Subscribe(subject, f)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return func() {
		// The only errors are of a connection that is closed already.
		_ = sub.Unsubscribe()
	}, nil
}

// Publish sends to a core subject.
func (l *Log) Publish(subject string, data []byte) error {
	return l.nc.Publish(subject, data)
}
