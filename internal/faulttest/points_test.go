//go:build faults

package faulttest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// roles are all of them.
var roles = []string{"edge", "recorder", "toolworker", "agentworker"}

// A death is a role that dies at a point, when it passes there for the k-th time.
type death struct {
	point fault.Point
	pass  int
	role  string
	drive func(*world)
}

// deaths are at least one for each point.
var deaths = []death{
	{fault.BatchBefore, 2, "recorder", add}, // the longest first
	{fault.BatchCommitBefore, 1, "recorder", add},
	{fault.BatchAfter, 1, "recorder", add},

	{fault.EdgeEnqueueBefore, 1, "edge", add},
	{fault.EdgeEnqueueAfter, 1, "edge", add},
	{fault.EdgeEnqueueAfter, 1, "edge", byHand},
	{fault.EdgeEnqueueBefore, 2, "edge", cancelled},
	{fault.EdgeEnqueueAfter, 2, "edge", cancelled},

	{fault.CommitBefore, 1, "agentworker", add},
	{fault.CommitBefore, 2, "agentworker", add},
	{fault.CommitBefore, 3, "agentworker", add},
	{fault.CommitBefore, 4, "agentworker", add},
	{fault.CommitAfter, 1, "agentworker", add},
	{fault.CommitAfter, 2, "agentworker", add},
	{fault.CommitAfter, 3, "agentworker", add},
	{fault.CommitAfter, 4, "agentworker", add},
	{fault.CommitAfter, 2, "agentworker", cancelled},
	{fault.CommitAfter, 3, "agentworker", cancelled},
	{fault.SignalBefore, 1, "agentworker", cancelled},
	{fault.SignalAfter, 1, "agentworker", cancelled},
	{fault.TimerBefore, 1, "agentworker", add},
	{fault.TimerAfter, 1, "agentworker", add},
	{fault.WorkBefore, 1, "agentworker", add},
	{fault.WorkBefore, 3, "agentworker", addMany},
	{fault.WorkAfter, 1, "agentworker", add},
	{fault.WorkAfter, 1, "agentworker", byHand},
	{fault.ModelBefore, 1, "agentworker", add},
	{fault.ModelBefore, 2, "agentworker", add},
	{fault.ModelFirstByte, 1, "agentworker", add},
	{fault.DeltaAfter, 1, "agentworker", slowly},
	{fault.ModelAfter, 1, "agentworker", add},
	{fault.ModelAfter, 2, "agentworker", add},
	{fault.AgentAckBefore, 1, "agentworker", add},
	{fault.AgentAckBefore, 2, "agentworker", add},
	{fault.AgentAckAfter, 1, "agentworker", add},
	{fault.TitleBefore, 1, "agentworker", add},
	{fault.TitleAfter, 1, "agentworker", add},
	{fault.DeadLetterBefore, 1, "agentworker", poison},
	{fault.DeadLetterAfter, 1, "agentworker", poison},

	{fault.LedgerBefore, 1, "toolworker", add},
	{fault.LedgerBefore, 2, "toolworker", addMany},
	{fault.EffectBefore, 1, "toolworker", add},
	{fault.ToolCommitBefore, 1, "toolworker", add},
	{fault.ToolCommitAfter, 1, "toolworker", add},
	{fault.ToolCommitAfter, 1, "toolworker", byHand},
	{fault.ToolCommitAfter, 2, "toolworker", addMany},
	{fault.RevokeBefore, 1, "toolworker", garble},
	{fault.RevokeAfter, 1, "toolworker", garble},
	{fault.AnswerBefore, 1, "toolworker", add},
	{fault.AnswerAfter, 1, "toolworker", add},
	{fault.ToolAckAfter, 1, "toolworker", byHand},
}

// dies has a role die at a point and start again.
func dies(at fault.Point, pass int, role string, drive func(*world)) story {
	return story{known: true, tell: func(w *world) {
		for _, r := range roles {
			if r != role || r == "edge" { // people go to another edge
				w.start(r)
			}
		}
		p := w.doom(role, at, pass)
		drive(w)
		p.died(at, pass)
		if role != "edge" {
			w.start(role)
		}
	}}
}

// add has one answer with one effect.
func add(w *world) { w.reader("ana", 0).say("", "add milk") }

// addMany has calls in parallel, beside an answer without any.
func addMany(w *world) {
	r := w.reader("ana", 0)
	r.say("", "add milk,eggs,bread,tea,salt")
	r.say("", "hello")
}

// garble has a call that is refused: its arguments are no JSON.
func garble(w *world) { w.reader("ana", 0).say("", "garble it") }

// byHand is a call made by hand.
func byHand(w *world) {
	w.reader("ana", 0).send("call_tool", map[string]any{"name": "add_task", "arguments": map[string]any{"title": "by hand"}})
}

// slowly has an answer whose first piece comes by itself.
func slowly(w *world) {
	w.reader("ana", 0).accepted("", "slowly please")
	w.let(1)
	close(w.model.gate)
}

// cancelled stops an answer in its middle.
func cancelled(w *world) {
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(2)
	r.until("text", func() bool { return r.shown(c) != "" })
	r.send("cancel", map[string]any{"conversation_id": c.conv, "run_id": c.run})
}

// poison puts a message into INBOX that no worker can handle, and one behind it.
func poison(w *world) {
	ref, err := events.NewRef("ana", "c1")
	if err != nil {
		w.t.Fatal(err)
	}
	other := events.Inbox{V: events.Version, ID: "m1", UserID: "ana", ConversationID: "c2", Command: events.Message{Text: "astray"}}
	b, err := other.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.js.PublishMsg(w.ctx, &nats.Msg{Subject: ref.Message(), Data: b}); err != nil {
		w.t.Fatal(err)
	}
	add(w)
}

// TestEveryDeath kills a process at each point, starts it again, and finds that
// nothing was lost, done twice, or shown wrongly.
func TestEveryDeath(t *testing.T) {
	t.Parallel()
	hit := map[fault.Point]bool{}
	for _, d := range deaths {
		hit[d.point] = true
		name := fmt.Sprintf("%s/%d", d.point, d.pass)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			dies(d.point, d.pass, d.role, d.drive).tell(w)
			w.settled()
			if d.point == fault.DeadLetterBefore || d.point == fault.DeadLetterAfter {
				if n, err := w.left(events.StreamDLQ); err != nil || n != 1 {
					t.Errorf("the DLQ holds %d messages (%v), want 1", n, err)
				}
			}
		})
	}
	for _, d := range staged {
		hit[d.point] = true
		t.Run(fmt.Sprintf("staged.%s/%d", d.point, d.pass), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d.stage(w, d.point, d.pass)
			w.settled()
		})
	}
	for _, p := range fault.Points() {
		if !hit[p] {
			t.Errorf("no process dies at %s", p)
		}
	}
	if !slices.ContainsFunc(deaths, func(d death) bool { return d.pass > 1 }) {
		t.Error("every process dies at the first pass")
	}
}
