package agentworker_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A server that was killed may forget what it acknowledged a moment before. What
// is due is emitted again when it is back, though no message brings it up.
func TestWhatNATSForgotIsEmittedAgain(t *testing.T) {
	t.Parallel()
	server, ctx := testkit.StartNATS(t), testkit.Context(t)
	nc := server.Connect(t)
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{AgentAckWait: agentWait, ToolAckWait: agentWait}); err != nil {
		t.Fatal(err)
	}
	b := newBenchOn(t, nc, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Calls: [][2]string{{"add_task", `{"title":"milk"}`}}}
	})
	b.start()
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "milk"})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	work, err := js.Consumer(ctx, events.StreamWork, eventlog.ToolConsumer("tasks"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := work.Next(jetstream.FetchContext(ctx)) // the item is out
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{events.StreamWork, events.StreamTimer} {
		s, err := js.Stream(ctx, name)
		if err == nil {
			err = s.Purge(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	server.Restart(t)
	again, err := work.Next(jetstream.FetchContext(ctx))
	if err != nil || string(again.Data()) != string(first.Data()) {
		t.Errorf("the work item does not come again: %v", err)
	}
	// Timers are emitted before work.
	timers, err := js.Stream(ctx, events.StreamTimer)
	if err != nil {
		t.Fatal(err)
	}
	run := b.wait(r, func(c *events.Conversation) bool { return c.Active() != nil }).Active()
	info, err := timers.Info(ctx, jetstream.WithSubjectFilter("timer.at.>"))
	if err != nil || len(info.State.Subjects) != 1 {
		t.Errorf("the deadline of %s is not scheduled again: %v, %v", run.RunID, info.State.Subjects, err)
	}
}
