package edge

import (
	"testing"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// The text of an answer may reach an edge before the commit that begins it, which
// takes another way. Readers get them in order, and all of the text.
func TestTextWaitsForItsCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("ana")
	c.say("", "hello")
	accepted := c.until("accepted")
	conv := accepted.ConversationID
	c.conv = events.NewConversation(ref("ana", conv))
	c.untilEnd(accepted.RunID)

	ctx := testkit.Context(t)
	id := newID()
	run := events.RunIDFor("ana", conv, events.MessageID(id))
	h := &hand{a: w.agent, ref: ref("ana", conv), in: &events.Inbox{
		V: events.Version, ID: id, UserID: "ana", ConversationID: conv, Time: time.Now().UTC(), Command: events.Message{Text: "and now?"},
	}}
	if !h.load(ctx) {
		t.Fatal("the log cannot be read")
	}
	say := func(offset int, text string) {
		t.Helper()
		d := events.Delta{ConversationID: conv, RunID: run, Step: 1, Attempt: 1, Offset: offset, Text: text}
		if err := w.agent.log.Publish(h.ref.Delta(), d.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	seen := len(c.frames)
	say(0, "It ")
	say(3, "is ")
	if !h.commit(
		ctx, events.MessageAccepted{MessageID: events.MessageID(id), RunID: run, ParentID: accepted.RunID, Text: "and now?"},
		events.RunStarted{RunID: run, MessageID: events.MessageID(id), Model: "scripted"}, events.StepStarted{RunID: run, Step: 1, Attempt: 1, Worker: "w"},
	) {
		t.Fatal("the commit was not stored")
	}
	c.untilFrame("the commit", func(f serverFrame) bool { return f.Type == "commit" && c.conv.Active() != nil })
	say(6, "well.")
	c.untilFrame("all of the text", func(serverFrame) bool { return string(c.draft.Text) == "It is well." })
	committed := false
	for _, f := range c.frames[seen:] {
		switch {
		case f.Type == "commit":
			committed = true
		case (f.Type == "delta" || f.Type == "snapshot") && f.RunID == run && !committed:
			t.Errorf("before its commit: %s", f.raw)
		}
	}
	if c.holes != 0 {
		t.Errorf("%d holes", c.holes)
	}
}
