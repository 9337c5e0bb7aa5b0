package agentworker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// Clients choose the ids of their messages: none may be taken for something
// that the worker itself has put into the log.
func TestNoMessageIDIsTakenForOurOwnCauses(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	b := newBench(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		if strings.Contains(req.Messages[0].Content, "Write a title") {
			return textReply("Groceries")
		}
		if req.Messages[len(req.Messages)-1].Content == "wait" {
			return testkit.ModelReply{Text: []string{"never"}, Gate: gate}
		}
		return textReply("hello")
	})
	b.start(func(o *agentworker.Options) {
		o.NoTitles = false
		o.Rules.Limits.WorkingTime = 2 * time.Second
	})
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	b.wait(r, func(c *events.Conversation) bool { return c.Title != "" })
	b.send(r, "title", events.Message{Text: "second"})
	c := b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == 2 && ended(c) })
	if c.Tip().Answer() != "hello" {
		t.Errorf("the message with the id of a title: %+v", c.Tip())
	}
	// Nor can a person use up the deadline of a run by sending its id first.
	b.send(r, "m3", events.Message{Text: "wait"})
	c = b.wait(r, func(c *events.Conversation) bool { return c.Active() != nil })
	b.send(r, fmt.Sprintf("%s-%d", c.Active().RunID, c.Active().Deadline.UnixMilli()), events.Pin{Pinned: true})
	c = b.wait(r, func(c *events.Conversation) bool { return c.Pinned && ended(c) })
	if run := c.Tip(); run.Error == nil || run.Error.Code != events.FailDeadline {
		t.Errorf("the run whose timer's id was sent: %+v", run)
	}
}
