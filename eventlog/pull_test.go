package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A pull that is answered at once is followed by the next one at once, whatever
// the scheduler does: a stall would last two heartbeats of the server.
func TestServeNeverStandsStill(t *testing.T) {
	t.Parallel()
	l := open(t, testkit.NATS(t))
	ctx := testkit.Context(t)
	const total = 1500
	for i := range total {
		if err := l.Enqueue(ctx, inbox(refOf(t, "ana", events.ConversationID(fmt.Sprint("c", i))), fmt.Sprint("m", i), events.Message{Text: "x"})); err != nil {
			t.Fatal(err)
		}
	}
	serving, stop := context.WithCancel(ctx)
	got, done := make(chan struct{}, total), make(chan error, 1)
	busy, calm := context.WithCancel(ctx)
	for range 8 * runtime.GOMAXPROCS(0) {
		go func() { // takes turns away from the client's goroutines
			for busy.Err() == nil {
				runtime.Gosched()
			}
		}()
	}
	go func() {
		done <- l.Serve(serving, ctx, events.StreamInbox, eventlog.ConsumerMessages, func(context.Context) (func(), error) { return func() {}, nil },
			func(_ context.Context, d *eventlog.Delivery) {
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
				got <- struct{}{}
			})
	}()
	for i := range total {
		select {
		case <-got:
		case <-time.After(8 * time.Second):
			t.Fatalf("it stands still after %d messages", i)
		}
	}
	calm()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A server that is away when a role begins to serve is waited for: the role has
// connected and must not end over it. What does not exist is an error at once.
func TestServeWaitsForTheServer(t *testing.T) {
	t.Parallel()
	srv := testkit.StartNATS(t)
	nc := srv.Connect(t, nats.ReconnectBufSize(-1)) // as the roles connect
	l := open(t, nc)
	ctx := testkit.Context(t)
	if err := l.Enqueue(ctx, inbox(refOf(t, "ana", "c1"), "m1", events.Message{Text: "x"})); err != nil {
		t.Fatal(err)
	}
	free := func(context.Context) (func(), error) { return func() {}, nil }
	srv.Stop(t)
	for nc.Status() == nats.CONNECTED {
		runtime.Gosched() // until the client knows
	}
	serving, stop := context.WithCancel(ctx)
	got, done := make(chan string, 8), make(chan error, 1)
	go func() {
		done <- l.Serve(serving, ctx, events.StreamInbox, eventlog.ConsumerMessages, free, func(_ context.Context, d *eventlog.Delivery) {
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
			got <- d.Header(events.HeaderID)
		})
	}()
	select {
	case err := <-done:
		t.Fatalf("serving ended while the server was away: %v", err)
	case <-time.After(200 * time.Millisecond): // past the first try, which fails at once
	}
	srv.Start(t)
	select {
	case id := <-got:
		if id != "m1" {
			t.Errorf("got %s", id)
		}
	case <-ctx.Done():
		t.Fatal("nothing came after the server was back")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.Serve(ctx, ctx, events.StreamInbox, "nobody", free, nil); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("serving a consumer that does not exist: %v", err)
	}
}
