package eventlog_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

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
