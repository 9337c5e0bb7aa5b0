package agentworker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func textReply(s string) testkit.ModelReply { return testkit.ModelReply{Text: []string{s}} }

func TestQueuedMessagesAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := newBench(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"to " + req.Messages[len(req.Messages)-1].Content}, Gate: gate}
	})
	b.start()
	r := ref(t, "ana", "c1")
	for _, id := range []string{"m1", "m2", "m3"} {
		b.send(r, id, events.Message{Text: "text " + id})
	}
	b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == 3 })
	close(gate)
	c := b.wait(r, func(c *events.Conversation) bool { return ended(c) && c.Active() == nil })
	for i, run := range c.Runs {
		if want := "to " + run.Message.Text; run.Answer() != want || run.Status != events.Completed {
			t.Errorf("run %d: %s %q, want %q", i, run.Status, run.Answer(), want)
		}
		if i > 0 && run.ParentID != "" && run.ParentID != c.Runs[i-1].RunID {
			t.Errorf("run %d follows %s", i, run.ParentID)
		}
	}
}

// A worker that is stopped in mid-answer hands over at once: attempt 2 starts
// over, and the answer ends once.
func TestStoppedWorkerHandsOver(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	b := newBench(t, func(n int, _ testkit.ModelRequest) testkit.ModelReply {
		if n == 0 {
			return testkit.ModelReply{Text: []string{"half ", "never"}, Gate: gate}
		}
		return textReply("whole")
	})
	r := ref(t, "ana", "c1")
	deltas := make(chan events.Delta, 16)
	unsubscribe, err := b.log.Subscribe(r.Delta(), func(m *nats.Msg) {
		d, err := events.DecodeDelta(m.Data)
		if err != nil {
			t.Error(err)
		}
		deltas <- d
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	stop := b.start(func(o *agentworker.Options) { o.Grace = time.Millisecond })
	b.send(r, "m1", events.Message{Text: "hi"})
	if d := <-deltas; d.Attempt != 1 || d.Text != "half " {
		t.Fatalf("first delta %+v", d)
	}
	stop()
	begun := time.Now()
	b.start()
	run := b.wait(r, ended).Tip()
	if run.Status != events.Completed || run.Answer() != "whole" || run.Attempt != 2 {
		t.Errorf("run = %+v", run)
	}
	if d := time.Since(begun); d > agentWait {
		t.Errorf("the takeover took %v: it waited for the lease to run out", d)
	}
	if d := <-deltas; d.Attempt != 2 || d.Offset != 0 {
		t.Errorf("the next delta is %+v", d)
	}
}

// A model that is paused past every lease renewal of its worker is not the
// worker's death: InProgress keeps the lease.
func TestSlowModelKeepsItsLease(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"slow"}, Gate: gate}
	})
	b.start()
	b.start()
	r := ref(t, "ana", "c1")
	timer := time.AfterFunc(agentWait+agentWait/2, func() { close(gate) })
	defer timer.Stop()
	b.send(r, "m1", events.Message{Text: "hi"})
	run := b.wait(r, ended).Tip()
	if run.Attempt != 1 || run.Answer() != "slow" || len(b.model.Requests()) != 1 {
		t.Errorf("attempt %d, %d model calls", run.Attempt, len(b.model.Requests()))
	}
}

func TestDeadlineEndsTheRunAndKeepsTheText(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"so far ", "never"}, Gate: gate}
	})
	b.start(func(o *agentworker.Options) { o.Rules.Limits.WorkingTime = 300 * time.Millisecond })
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	run := b.wait(r, ended).Tip()
	if run.Status != events.Failed || run.Error.Code != events.FailDeadline || run.Answer() != "so far " || run.Stop.Why != events.WhyDeadline {
		t.Errorf("run = %+v, error %+v", run, run.Error)
	}
}

func TestModelFailuresEndInOneClearAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reply testkit.ModelReply
		code  string
		calls int
		kept  string
	}{
		"unauthorised": {testkit.ModelReply{Status: 401}, events.FailModelAuth, 1, ""},
		"bad request":  {testkit.ModelReply{Status: 400}, events.FailModel, 1, ""},
		"overloaded":   {testkit.ModelReply{Status: 429}, events.FailModelBusy, 5, ""},
		"broken":       {testkit.ModelReply{Status: 500}, events.FailModelBusy, 5, ""},
		"nothing":      {testkit.ModelReply{}, events.FailModel, 1, ""},
		"garbage":      {testkit.ModelReply{Raw: "data: {]\n\n"}, events.FailModel, 1, ""},
		"cut":          {testkit.ModelReply{Text: []string{"half"}, Cut: true}, events.FailModel, 3, "half"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply { return tt.reply })
			b.start()
			r := ref(t, "ana", "c1")
			b.send(r, "m1", events.Message{Text: "hi"})
			run := b.wait(r, ended).Tip()
			if run.Status != events.Failed || run.Error.Code != tt.code || run.Answer() != tt.kept {
				t.Errorf("%s %+v, kept %q", run.Status, run.Error, run.Answer())
			}
			if n := len(b.model.Requests()); n != tt.calls {
				t.Errorf("%d model calls, want %d", n, tt.calls)
			}
		})
	}
}

func TestTitleComesOnceAndYieldsToThePersons(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		if strings.Contains(req.Messages[0].Content, "Write a title") {
			return textReply("\"Groceries for Friday.\"\nsecond line")
		}
		return textReply("hello")
	})
	b.start(func(o *agentworker.Options) { o.NoTitles = false })
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	c := b.wait(r, func(c *events.Conversation) bool { return c.Title != "" })
	if c.Title != "Groceries for Friday" || c.TitleBy != events.ByModel {
		t.Errorf("title %q by %s", c.Title, c.TitleBy)
	}
	b.send(r, "n1", events.Rename{Title: "Mine"})
	b.wait(r, func(c *events.Conversation) bool { return c.Title == "Mine" })
	b.send(r, "m2", events.Message{Text: "again"})
	c = b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == 2 && ended(c) })
	if c.Title != "Mine" || c.TitleBy != events.ByUser {
		t.Errorf("title %q by %s", c.Title, c.TitleBy)
	}
}

// What cannot be decoded is tried, then closed from its headers alone.
func TestPoisonEndsInADeadLetterAndAnAnswer(t *testing.T) {
	t.Parallel()
	nc := testkit.NATS(t)
	ctx := testkit.Context(t)
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{AgentAckWait: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	b := newBenchOn(t, nc, func(int, testkit.ModelRequest) testkit.ModelReply { return textReply("fine") })
	b.start()
	r := ref(t, "ana", "c1")
	msg := nats.NewMsg(r.Message())
	msg.Data = []byte(`{"v":99}`)
	for k, v := range map[string]string{events.HeaderID: "m1", events.HeaderUser: "ana", events.HeaderConversation: "c1", events.HeaderCommand: "message"} {
		msg.Header.Set(k, v)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.PublishMsg(ctx, msg); err != nil {
		t.Fatal(err)
	}
	run := b.wait(r, ended).Tip()
	if run.Status != events.Failed || run.Error.Code != events.FailPoison {
		t.Errorf("run = %+v", run)
	}
	b.send(r, "m2", events.Message{Text: "hi"})
	if c := b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == 2 && ended(c) }); c.Tip().Answer() != "fine" {
		t.Errorf("after the poison: %+v", c.Tip())
	}
	stream, err := js.Stream(ctx, events.StreamDLQ)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs != 1 {
		t.Errorf("%d dead letters, %v", info.State.Msgs, err)
	}
}

func TestBranchesTellTheModelTheirOwnPath(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(n int, _ testkit.ModelRequest) testkit.ModelReply {
		return textReply([]string{"a1", "a2", "a1 again", "a3"}[n])
	})
	b.start()
	r := ref(t, "ana", "c1")
	say := func(id string, cmd events.Command, runs int) *events.Conversation {
		b.send(r, id, cmd)
		return b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == runs && ended(c) })
	}
	c := say("m1", events.Message{Text: "q1"}, 1)
	first := c.Tip().RunID
	say("m2", events.Message{Text: "q2"}, 2)
	c = say("m3", events.Regenerate{RunID: first}, 3)
	if run := c.Tip(); run.Message.Text != "q1" || run.Message.Regenerates != first || run.ParentID != "" {
		t.Errorf("regenerated run %+v", run)
	}
	say("m4", events.Message{Text: "q3"}, 4)
	var heard []string
	for _, m := range b.model.Requests()[3].Messages[1:] {
		heard = append(heard, m.Role+" "+m.Content)
	}
	if got, want := strings.Join(heard, "|"), "user q1|assistant a1 again|user q3"; got != want {
		t.Errorf("the model heard %s, want %s", got, want)
	}
}

// NATS stops and starts again in the middle of an answer: it ends once, complete.
func TestAnswerSurvivesARestartOfNATS(t *testing.T) {
	t.Parallel()
	srv := testkit.StartNATS(t)
	nc := srv.Connect(t)
	if err := eventlog.Provision(testkit.Context(t), nc, eventlog.Layout{AgentAckWait: agentWait, ToolAckWait: agentWait}); err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{}, 2)
	gate <- struct{}{}
	begun := make(chan struct{}, 4)
	b := newBenchOn(t, nc, func(int, testkit.ModelRequest) testkit.ModelReply {
		begun <- struct{}{}
		return testkit.ModelReply{Text: []string{"one ", "two"}, Gate: gate}
	})
	b.start()
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "count"})
	<-begun
	srv.Stop(t)
	close(gate)
	srv.Start(t)
	run := b.wait(r, ended).Tip()
	if run.Status != events.Completed || run.Answer() != "one two" {
		t.Errorf("run = %s %q", run.Status, run.Answer())
	}
}

// What a person sends in one go (the page does, after an outage) is accepted as
// it was sent, and at once: none waits for an answer to end.
func TestMessagesAreAcceptedAsTheyWereSent(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"never"}, Gate: gate}
	})
	b.start()
	const many = 10
	for i := range 8 {
		r := ref(t, "ana", events.ConversationID(fmt.Sprint("c", i)))
		for k := range many {
			b.send(r, fmt.Sprint(i, "-m", k), events.Message{Text: fmt.Sprint(k)})
		}
	}
	for i := range 8 {
		r := ref(t, "ana", events.ConversationID(fmt.Sprint("c", i)))
		c := b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == many })
		for k, run := range c.Runs {
			if run.Message.Text != fmt.Sprint(k) {
				t.Errorf("conversation %d: message %s is in place %d", i, run.Message.Text, k)
			}
		}
	}
}
