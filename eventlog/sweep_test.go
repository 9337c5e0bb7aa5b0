package eventlog_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// INBOX keeps here what was acknowledged, as a server does that was killed: it is
// a stream with limits instead of a work queue.
func TestSweepRemovesWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	nc, ctx := testkit.NATS(t), testkit.Context(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: events.StreamInbox, Subjects: []string{"in.msg.>", "in.ctl.>", "in.res.>"}, AllowDirect: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{eventlog.ConsumerMessages, eventlog.ConsumerControls} {
		filter := map[string]string{eventlog.ConsumerMessages: "in.msg.>", eventlog.ConsumerControls: "in.ctl.>"}[name]
		if _, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{events.StreamLog, events.StreamWork, events.StreamTimer, events.StreamDLQ} {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: s, Subjects: []string{"stub." + s}}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := eventlog.Open(ctx, nc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := refOf(t, "ana", "c1")
	for i := range 6 {
		if err := l.Enqueue(ctx, inbox(r, fmt.Sprint("m", i), events.Message{Text: "x"})); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Enqueue(ctx, inbox(r, "x1", events.Cancel{RunID: "r1"})); err != nil {
		t.Fatal(err)
	}
	// m0 to m2 and m4 are acknowledged, m3 is out, m5 waits, and nobody has asked for x1.
	c, err := stream.Consumer(ctx, eventlog.ConsumerMessages)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		m, err := c.Next(jetstream.FetchContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			continue
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{3, 0} {
		if n, err := l.Sweep(ctx); err != nil || n != want {
			t.Errorf("swept %d, %v, want %d", n, err, want)
		}
	}
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs != 4 || info.State.FirstSeq != 4 {
		t.Errorf("left: %+v, %v", info.State, err)
	}
}
