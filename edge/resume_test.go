package edge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A script writes one answer by hand, step by step, so that a test can look
// between any two of its steps.
type script struct {
	h     *hand
	run   events.RunID
	steps []func()
}

// newScript makes an answer with a tool call, a second attempt, and text that
// does not end at rune or word borders.
func newScript(t testing.TB, w *world, r events.Ref) *script {
	t.Helper()
	ctx := testkit.Context(t)
	id := events.MessageID(newID())
	s := &script{run: events.RunIDFor(r.User(), r.Conversation(), id)}
	s.h = &hand{a: w.agent, ref: r, in: &events.Inbox{ID: string(id), UserID: r.User(), ConversationID: r.Conversation()}, state: events.NewConversation(r)}
	commit := func(list ...events.Event) {
		s.steps = append(s.steps, func() {
			if !s.h.commit(ctx, list...) {
				t.Error("commit failed")
			}
		})
	}
	texts := map[string]int{}
	delta := func(step, attempt int, text string) {
		key := fmt.Sprint(step, attempt)
		d := events.Delta{ConversationID: r.Conversation(), RunID: s.run, Step: step, Attempt: attempt, Offset: texts[key], Text: text}
		texts[key] += len(text)
		s.steps = append(s.steps, func() { w.agent.delta(r, d) })
	}
	started := func(step, attempt int) events.Event {
		return events.StepStarted{RunID: s.run, Step: step, Attempt: attempt, Worker: "scripted"}
	}
	call := events.CallIDFor(s.run, 1, 0)
	args := jsontext.Value(`{"title":"мир"}`)
	commit(events.MessageAccepted{MessageID: id, RunID: s.run, Text: "go"},
		events.RunStarted{RunID: s.run, MessageID: id, Model: "scripted", Deadline: time.Now().Add(time.Minute)}, started(1, 1))
	delta(1, 1, "Let me")
	delta(1, 1, " see, ")
	commit(started(1, 2))
	delta(1, 2, "Let me see: “")
	delta(1, 2, "ü\n\"\\\u2028🙂")
	commit(events.StepCompleted{RunID: s.run, Step: 1, Attempt: 2, Text: "Let me see: “ü\n\"\\\u2028🙂", ToolCalls: []events.ToolCall{{CallID: call, Name: "add_task", Arguments: args}}, FinishReason: "tool_calls"},
		events.ToolCalled{CallID: call, RunID: s.run, Server: "tasks", Name: "add_task", Arguments: args, By: events.ByModel, Deadline: time.Now().Add(time.Minute)})
	commit(events.ToolReturned{CallID: call, RunID: s.run, OK: true, Result: jsontext.Value(`{"task":{"task_id":1,"task_rev":1}}`)}, started(2, 1))
	for _, word := range []string{"Done", ".", " ", "It is", " on the list", "."} {
		delta(2, 1, word)
	}
	commit(events.StepCompleted{RunID: s.run, Step: 2, Attempt: 1, Text: "Done. It is on the list.", FinishReason: "stop"}, events.RunCompleted{RunID: s.run})
	return s
}

// draftOf is what a reader shows of the answer being written: nothing once the
// log has closed the attempt.
func draftOf(c *client) string {
	r := c.conv.Active()
	if r == nil || !r.Streaming || c.draft.RunID != r.RunID || c.draft.Step != r.Step || c.draft.Attempt != r.Attempt {
		return ""
	}
	return string(c.draft.Text)
}

// Cut the connection after every step of an answer, and begin with what the
// reader had by then or with less: at the end every reader has, byte for byte,
// what the reader had that was never cut, and on the way the same draft.
func TestResumeAtEveryCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := ref("ana", "conversation")
	s := newScript(t, w, r)
	// Let the conversation exist before the first reader comes.
	s.steps[0]()
	whole := w.connect("ana")
	whole.follow(r.Conversation())
	readers := []*client{whole}
	states := []*events.Conversation{events.NewConversation(r), whole.conv.Clone()}
	for i, step := range s.steps[1:] {
		step()
		// Wait until the uncut reader has it.
		before := whole.conv.N
		text := draftOf(whole)
		whole.untilFrame("the step", func(serverFrame) bool { return whole.conv.N > before || draftOf(whole) != text })
		for _, state := range []*events.Conversation{states[len(states)-1], states[(i*7)%len(states)]} {
			c := w.connect("ana")
			c.followFrom(state.Clone())
			if want := draftOf(whole); want != "" {
				c.untilFrame("the draft", func(serverFrame) bool { return draftOf(c) == want })
			}
			if c.state() != whole.state() && state.N > 0 {
				t.Fatalf("step %d: resumed after %d: %s, uncut %s", i+2, state.N, c.state(), whole.state())
			}
			readers = append(readers, c)
		}
		states = append(states, whole.conv.Clone())
	}
	for i, c := range readers {
		c.untilEnd(s.run)
		if c.state() != whole.state() {
			t.Errorf("reader %d ends with\n%s\nthe uncut one with\n%s", i, c.state(), whole.state())
		}
		if c.holes > 0 {
			t.Errorf("reader %d saw %d holes", i, c.holes)
		}
	}
	if got := whole.conv.Run(s.run).Answer(); got != "Let me see: “ü\n\"\\\u2028🙂\n\nDone. It is on the list." {
		t.Errorf("answer %q", got)
	}
}

// A delta lost on its way is a hole: nobody gets text with a piece missing, and
// a snapshot from the worker mends it.
func TestHoleIsMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := ref("ana", "conversation")
	s := newScript(t, w, r)
	s.steps[0]()
	a, b := w.connect("ana"), w.connect("ana")
	a.follow(r.Conversation())
	b.follow(r.Conversation())
	d := events.Delta{ConversationID: r.Conversation(), RunID: s.run, Step: 1, Attempt: 1}
	send := func(text string, lost bool) {
		d.Text = text
		if lost {
			w.agent.remember(r, d)
		} else {
			w.agent.delta(r, d)
		}
		d.Offset += len(text)
	}
	send("one ", false)
	send("two ", true)
	send("three ", false)
	for _, c := range []*client{a, b} {
		c.untilFrame("the mended draft", func(serverFrame) bool { return draftOf(c) == "one two three " })
		if c.holes > 0 {
			t.Error("a piece came that does not fit")
		}
	}
	send("four", false)
	for _, c := range []*client{a, b} {
		if f := c.until("delta"); f.Text != "four" {
			t.Errorf("after the snapshot: %s", f.raw)
		}
	}
}

// An edge that has not seen the beginning of an answer asks for it.
func TestLateJoinerOnAnotherEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w2 := w.another()
	r := ref("ana", "conversation")
	s := newScript(t, w, r)
	s.steps[0]()
	first := w.connect("ana")
	first.follow(r.Conversation())
	s.steps[1]()
	s.steps[2]()
	first.untilFrame("two deltas", func(serverFrame) bool { return draftOf(first) == "Let me see, " })
	late := w2.connect("ana")
	late.follow(r.Conversation())
	if f := late.until("snapshot"); f.Text != "Let me see, " {
		t.Errorf("snapshot %s", f.raw)
	}
	for _, step := range s.steps[3:] {
		step()
	}
	first.untilEnd(s.run)
	late.untilEnd(s.run)
	if first.state() != late.state() || late.holes > 0 {
		t.Errorf("late %s, first %s, %d holes", late.state(), first.state(), late.holes)
	}
}

// NATS goes away in the middle of an answer, and comes back when more was
// committed: readers see all of it, once, without asking.
func TestNATSReconnectIsAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := ref("ana", "conversation")
	s := newScript(t, w, r)
	s.steps[0]()
	c := w.connect("ana")
	c.follow(r.Conversation())
	w.server.Restart(t)
	// What is committed before the edge is back is a gap for it; what comes after
	// is not. Both must arrive.
	for _, step := range s.steps[3:] {
		step()
	}
	c.untilEnd(s.run)
	if got := c.conv.N; got != 5 {
		t.Errorf("reader is at %d", got)
	}
	// And commands go through again.
	m := c.say(r.Conversation(), "still there?")
	c.untilFrame("accepted", func(f serverFrame) bool { return f.Type == "accepted" && f.ID == m })
}

// What changed elsewhere while NATS was away is told as well, though nobody
// watches it.
func TestListAfterAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Nothing but the look at the lists would tell a socket of this: it was
	// committed before the socket came.
	r := ref("ana", "elsewhere")
	newScript(t, w, r).steps[0]()
	w.ask("ana", `{"message":"and the memory has both"}`)
	c := w.connect("ana")
	w.server.Restart(t)
	c.untilFrame("the other conversation", func(f serverFrame) bool {
		return f.Type == "conversation" && f.ConversationID == r.Conversation() && f.Status == "in_progress"
	})
	c.untilFrame("a task", func(f serverFrame) bool { return f.Type == "task" && strings.Contains(string(f.Task), "of ana") })
}

// A live commit that is lost is found when the next one comes, and if none
// comes, by looking.
func TestLostCommitIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := ref("ana", "conversation")
	s := newScript(t, w, r)
	s.steps[0]()
	c := w.connect("ana")
	c.follow(r.Conversation())
	deaf := func(f func()) {
		// The edge's person does not hear what happens meanwhile.
		p := personOf(w, "ana")
		if err := p.sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
		f()
		sub, err := w.edge.hub.nc.ChanSubscribe(events.LiveOf("ana"), p.shard.queue)
		if err != nil {
			t.Fatal(err)
		}
		p.sub = sub
		if err := w.edge.hub.nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	deaf(func() { s.steps[3]() })
	s.steps[6]()
	c.untilFrame("commit 3", func(serverFrame) bool { return c.conv.N == 3 })
	deaf(func() { s.steps[7]() })
	w.edge.hub.sweep(time.Now().Add(verifyEvery + time.Second))
	c.untilFrame("commit 4", func(serverFrame) bool { return c.conv.N == 4 })
}

func personOf(w *world, user string) *person {
	w.edge.hub.mu.RLock()
	defer w.edge.hub.mu.RUnlock()
	return w.edge.hub.persons[events.UserKey(events.UserID(user))]
}

func TestAnswerOnTheOtherEdge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w2 := w.another()
	c, _ := w.ask("ana", `{"message":"here"}`)
	reader := w2.connect("ana")
	reader.follow(c.ConversationID)
	next, r := w.ask("ana", fmt.Sprintf(`{"message":"over there","conversation_id":%q}`, c.ConversationID))
	if r.status != 200 {
		t.Fatal(r.status)
	}
	reader.untilEnd(next.RunID)
	if !strings.Contains(reader.state(), "You said: over there") {
		t.Error(reader.state())
	}
}
