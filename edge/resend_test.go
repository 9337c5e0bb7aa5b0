package edge

import (
	"testing"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A message that began a conversation is sent again after NATS has forgotten its
// id, as it may when it is killed: its sender sees the conversation from the start.
func TestForgottenMessageIsFollowedFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("ana")
	id := newID()
	conv := events.ConversationIDFor("ana", events.MessageID(id))
	h := &hand{a: w.agent, ref: ref("ana", conv), in: &events.Inbox{
		V: events.Version, ID: id, UserID: "ana", ConversationID: conv, Time: time.Now().UTC(), Command: events.Message{Text: "hello"},
	}}
	ctx := testkit.Context(t)
	if !h.load(ctx) {
		t.Fatal("the log cannot be read")
	}
	h.act(ctx)
	// The edge has the conversation's state.
	c.untilFrame("news of it", func(f serverFrame) bool { return f.Type == "conversation" && f.N == h.state.N })
	c.send(map[string]any{"type": "message", "id": id, "message": "hello"})
	c.until("accepted")
	c.conv = events.NewConversation(h.ref) // each commit must be the next
	c.untilEnd(events.RunIDFor("ana", conv, events.MessageID(id)))
	if n := len(c.conv.Runs); n != 1 || c.conv.N != h.state.N {
		t.Errorf("%d runs, commit %d of %d", n, c.conv.N, h.state.N)
	}
}
