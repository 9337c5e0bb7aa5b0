package agentworker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// Workers that are told to stop hand the answer on, as often as it takes: a
// deploy is no failure of the step.
func TestHandingOverCostsNoAttempt(t *testing.T) {
	t.Parallel()
	const restarts = 5
	begun := make(chan int, restarts+1)
	gate := make(chan struct{})
	b := newBench(t, func(n int, _ testkit.ModelRequest) testkit.ModelReply {
		begun <- n
		if n < restarts {
			return testkit.ModelReply{Text: []string{"never"}, Gate: gate}
		}
		return textReply("whole")
	})
	r := ref(t, "ana", "c1")
	at := time.Now()
	stop := b.start(func(o *agentworker.Options) { o.Grace = time.Millisecond })
	b.send(r, "m1", events.Message{Text: "hi"})
	for range restarts {
		<-begun
		next := b.start(func(o *agentworker.Options) { o.Grace = time.Millisecond })
		stop()
		stop = next
	}
	run := b.wait(r, ended).Tip()
	if run.Status != events.Completed || run.Answer() != "whole" || run.Attempt != restarts+1 || run.Interruptions != restarts {
		t.Errorf("%s %q, attempt %d, %d interruptions, error %+v", run.Status, run.Answer(), run.Attempt, run.Interruptions, run.Error)
	}
	if took := time.Since(at); took > agentWait*restarts {
		t.Errorf("took %v: leases were left to run out", took)
	}
}

// Two workers pull one message each, and the first one's worker dies with it:
// the second message waits until the first has been delivered again.
func TestMessagesAreAcceptedAsTheyWereStored(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		return textReply("to " + req.Messages[len(req.Messages)-1].Content)
	})
	r := ref(t, "ana", "c1")
	ctx := testkit.Context(t)
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(ctx, events.StreamInbox, eventlog.ConsumerMessages)
	if err != nil {
		t.Fatal(err)
	}
	b.send(r, "m1", events.Message{Text: "one"})
	lost, err := consumer.Next(jetstream.FetchContext(ctx))
	if err != nil || lost.Headers().Get(events.HeaderID) != "m1" {
		t.Fatalf("pulled %v, %v", lost, err)
	}
	// Nobody acknowledges it. What follows is pulled at once, by workers with few slots.
	for i := range 6 {
		b.send(r, fmt.Sprint("m", i+2), events.Message{Text: fmt.Sprint("number ", i+2)})
	}
	for range 2 {
		b.start(func(o *agentworker.Options) { o.Slots = 2 })
	}
	c := b.wait(r, func(c *events.Conversation) bool {
		return len(c.Runs) == 7 && ended(c) && c.NextQueued() == nil && c.Active() == nil
	})
	for i, run := range c.Runs {
		if want := events.MessageID(fmt.Sprint("m", i+1)); run.Message.MessageID != want || run.Status != events.Completed {
			t.Errorf("run %d answers %s (%s), want %s", i, run.Message.MessageID, run.Status, want)
		}
	}
}

// An answer for a call that no log knows is given up in the end, and kept.
func TestAnswersToUnknownCallsEndInADeadLetter(t *testing.T) {
	t.Parallel()
	nc, ctx := testkit.NATS(t), testkit.Context(t)
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{AgentAckWait: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	b := newBenchOn(t, nc, func(int, testkit.ModelRequest) testkit.ModelReply { return textReply("fine") })
	b.start()
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	b.wait(r, ended)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := js.CreateConsumer(ctx, events.StreamDLQ, jetstream.ConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	acked := make(chan struct{}, 64)
	unsubscribe, err := b.log.Subscribe("$JS.ACK."+events.StreamInbox+"."+eventlog.ConsumerResults+".>", func(m *nats.Msg) {
		if string(m.Data) == "+ACK" {
			acked <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	b.send(r, "nobody-1-0.res", events.Result{CallID: "nobody-1-0", OK: true})
	m, err := dead.Next(jetstream.FetchContext(ctx))
	if err != nil || m.Headers().Get(events.HeaderID) != "nobody-1-0.res" || m.Headers().Get("Parley-Reason") == "" {
		t.Fatalf("dead letter %v, %v", m, err)
	}
	select {
	case <-acked:
	case <-ctx.Done():
		t.Error("the answer is not acknowledged: it will come again for ever")
	}
}

func TestInterruptingMessageStopsTheAnswer(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	asked := make(chan struct{}, 2)
	b := newBench(t, func(n int, _ testkit.ModelRequest) testkit.ModelReply {
		asked <- struct{}{}
		if n == 0 {
			return testkit.ModelReply{Text: []string{"so far ", "never"}, Gate: gate}
		}
		return textReply("quick")
	})
	b.start()
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "a long story"})
	<-asked
	b.send(r, "m2", events.Message{Text: "no, this", Interrupt: true})
	c := b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == 2 && ended(c) && c.Active() == nil })
	first, second := c.Runs[0], c.Runs[1]
	if first.Status != events.Cancelled || first.EndedN == 0 || first.Stop.By != events.ByUser {
		t.Errorf("first run %s, ended by %d, stop %+v", first.Status, first.EndedN, first.Stop)
	}
	if second.Status != events.Completed || second.Answer() != "quick" {
		t.Errorf("second run %s %q", second.Status, second.Answer())
	}
}
