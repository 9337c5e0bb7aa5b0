package eventlog_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// Who is refused must be told whether the command may have been stored.
func TestPublishTellsRefusedFromUnknown(t *testing.T) {
	t.Parallel()
	server := testkit.StartNATS(t)
	nc := server.Connect(t, nats.ReconnectBufSize(-1))
	l, ctx, r := open(t, nc), testkit.Context(t), refOf(t, "ana", "c1")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := l.Enqueue(gone, inbox(r, "m1", events.Message{Text: "x"})); !errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("nobody waited for the answer: %v", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(ctx, events.StreamInbox); err != nil {
		t.Fatal(err)
	}
	if err := l.Enqueue(ctx, inbox(r, "m2", events.Message{Text: "x"})); err == nil || errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("nobody is there to take it: %v", err)
	}
	away := nc.StatusChanged(nats.RECONNECTING)
	server.Stop(t)
	select {
	case <-away:
	case <-ctx.Done():
		t.Fatal("the connection does not notice that the server is gone")
	}
	if err := l.Enqueue(ctx, inbox(r, "m3", events.Message{Text: "x"})); err == nil || errors.Is(err, eventlog.ErrUnknown) {
		t.Errorf("it never left: %v", err)
	}
}
