package agentworker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A cancel may start the next run under its own lease. That is a model call
// like any other: it must not take the room of the cancels to come.
func TestStopNeverWaitsBehindAnswersThatStopsBegan(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := newBench(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		if req.Messages[len(req.Messages)-1].Content == "ask" {
			return testkit.ModelReply{Calls: [][2]string{{"add_task", `{}`}}}
		}
		return testkit.ModelReply{Text: []string{"never"}, Gate: gate}
	})
	b.start(func(o *agentworker.Options) { o.Rules.Policy = func(string) string { return "ask" } })
	const many = 70 // more than the controls that are handled at once
	refs := make([]events.Ref, many)
	for i := range refs {
		refs[i] = ref(t, "ana", events.ConversationID(fmt.Sprint("c", i)))
		b.send(refs[i], fmt.Sprint(i, "-m1"), events.Message{Text: "ask"})
	}
	for i, r := range refs {
		b.wait(r, func(c *events.Conversation) bool { return c.Active() != nil })
		b.send(r, fmt.Sprint(i, "-m2"), events.Message{Text: "next"})
	}
	for i, r := range refs {
		c := b.wait(r, func(c *events.Conversation) bool {
			return len(c.Runs) == 2 && c.Active() != nil && c.Active().Status == events.RequiresAction
		})
		b.send(r, fmt.Sprint(i, "-x1"), events.Cancel{RunID: c.Active().RunID})
	}
	for _, r := range refs {
		b.wait(r, func(c *events.Conversation) bool { return c.Active() != nil && c.Active().Streaming })
	}
	second := events.RunIDFor("ana", "c0", "0-m2")
	b.send(refs[0], "0-x2", events.Cancel{RunID: second})
	if c := b.wait(refs[0], func(c *events.Conversation) bool { return c.Active() == nil }); c.Run(second).Status != events.Cancelled {
		t.Errorf("run = %+v", c.Run(second))
	}
}

// While the title is made, the answer is over: who asks for the text so far of
// the next one must not get this one's.
func TestNobodyAnswersForAnAnswerThatIsOver(t *testing.T) {
	t.Parallel()
	gate, titling := make(chan struct{}), make(chan struct{}, 1)
	b := newBench(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		if strings.Contains(req.Messages[0].Content, "Write a title") {
			titling <- struct{}{}
			return testkit.ModelReply{Text: []string{"Title"}, Gate: gate}
		}
		return textReply("hello")
	})
	b.start(func(o *agentworker.Options) { o.NoTitles = false })
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	<-titling
	if m, err := b.nc.RequestWithContext(testkit.Context(t), r.Snapshot(), nil); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("somebody answered: %v, %v", m, err)
	}
	close(gate)
	b.wait(r, func(c *events.Conversation) bool { return c.Title != "" })
}
