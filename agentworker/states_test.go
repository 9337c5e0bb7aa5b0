package agentworker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

const (
	ana  events.UserID         = "ana"
	conv events.ConversationID = "c1"
)

var (
	start = time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC)
	run1  = events.RunIDFor(ana, conv, "m1")
	run2  = events.RunIDFor(ana, conv, "m2")
	callA = events.CallIDFor(run1, 1, 0)
	callB = events.CallIDFor(run1, 1, 1)
	hand  = events.HandCallID(ana, "h1")
)

func lease(seq, delivery uint64) events.Lease {
	return events.Lease{Stream: events.StreamInbox, Sequence: seq, Delivery: delivery}
}

func testRules() *Rules {
	r := &Rules{Model: "scripted", Tools: []events.Tool{
		{Server: "tasks", Name: "add_task"},
		{Server: "tasks", Name: "ask_first"},
		{Server: "tasks", Name: "never"},
		{Server: "tasks", Name: "restore_task", PeopleOnly: true},
	}, Policy: func(tool string) string {
		return map[string]string{"ask_first": "ask", "never": events.Deny}[tool] + map[bool]string{true: events.Allow}[tool == "add_task"]
	}}
	r.Limits = r.Limits.withDefaults()
	return r
}

// A history is a list of commits, each a cause and its events.
type history []entry

type entry struct {
	cause string
	list  []events.Event
}

func (h history) then(cause string, list ...events.Event) history {
	return append(slices.Clone(h), entry{cause, list})
}

func (h history) fold(t *testing.T, c events.ConversationID) *events.Conversation {
	t.Helper()
	r, err := events.NewRef(ana, c)
	if err != nil {
		t.Fatal(err)
	}
	s := events.NewConversation(r)
	for i, e := range h {
		k := &events.Commit{
			V: events.Version, UserID: ana, ConversationID: c, N: uint64(i + 1), CommitID: fmt.Sprint(i), Cause: e.cause,
			By: events.ByUser, Time: start.Add(time.Duration(i) * time.Second), Events: e.list,
		}
		if err := s.Apply(k); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func accepted(m events.MessageID) events.MessageAccepted {
	return events.MessageAccepted{MessageID: m, RunID: events.RunIDFor(ana, conv, m), Text: "text of " + string(m)}
}

func step(run events.RunID, n, attempt int, l events.Lease) events.StepStarted {
	return events.StepStarted{RunID: run, Step: n, Attempt: attempt, Lease: l, Worker: "w"}
}

func called(id events.CallID) events.ToolCalled {
	return events.ToolCalled{CallID: id, RunID: run1, Server: "tasks", Name: "add_task", Arguments: jsontext.Value(`{}`), By: events.ByModel}
}

func returned(id events.CallID) events.ToolReturned {
	return events.ToolReturned{CallID: id, RunID: run1, OK: true, Result: jsontext.Value(`{}`)}
}

func stopped(run events.RunID, why events.Why) events.RunCancelRequested {
	return events.RunCancelRequested{RunID: run, By: events.ByUser, Why: why}
}

// states are the places a conversation can be in, by name.
func states() map[string]history {
	model := history{}.then("m1", accepted("m1"),
		events.RunStarted{RunID: run1, MessageID: "m1", Model: "scripted", Deadline: start.Add(5 * time.Minute)}, step(run1, 1, 1, lease(10, 1)))
	asked := events.StepCompleted{RunID: run1, Step: 1, Attempt: 1, Text: "let me see", FinishReason: "tool_calls", ToolCalls: []events.ToolCall{
		{CallID: callA, Name: "add_task", Arguments: jsontext.Value(`{}`)}, {CallID: callB, Name: "add_task", Arguments: jsontext.Value(`{}`)},
	}}
	approval := events.ApprovalRequested{CallID: callB, RunID: run1, ExpiresAt: start.Add(24 * time.Hour)}
	calls := model.then("m1", asked, called(callA), called(callB))
	last := calls.then("a.res", returned(callA))
	mixed := model.then("m1", asked, called(callA), approval)
	asking := mixed.then("a.res", returned(callA))
	over := model.then("m1", events.StepCompleted{RunID: run1, Step: 1, Attempt: 1, Text: "done", FinishReason: "stop"}, events.RunCompleted{RunID: run1})
	queue := func(h history) history { return h.then("m2", accepted("m2")) }
	stop := func(h history) history { return h.then("x0", stopped(run1, events.WhyUser)) }
	deleted := func(h history) history {
		return h.then("d0", events.ConversationDeleted{}, stopped(run1, events.WhyUser))
	}
	givenUp := calls.then("x", events.RunFailed{RunID: run1, Code: "x"})
	return map[string]history{
		"empty": {}, "model": model, "calls": calls, "last": last, "mixed": mixed, "asking": asking, "over": over,
		"model+queue": queue(model), "last+queue": queue(last), "asking+queue": queue(asking), "calls+queue": queue(calls),
		"stop model": stop(model), "stop calls": stop(calls), "stop last": stop(last), "stop mixed": stop(mixed),
		"stop model+queue": stop(queue(model)), "stop last+queue": stop(queue(last)),
		"late last":  last.then("t0", stopped(run1, events.WhyDeadline)),
		"late model": model.then("t0", stopped(run1, events.WhyDeadline)),
		"deleted":    over.then("d0", events.ConversationDeleted{}), "deleted model": deleted(model), "deleted calls": deleted(calls), "deleted last": deleted(last),
		"deleted asking":   asking.then("d0", events.ConversationDeleted{}, stopped(run1, events.WhyUser), events.RunCancelled{RunID: run1}),
		"deleted given up": givenUp.then("d0", events.ConversationDeleted{}), "restored calls": deleted(calls).then("d9", events.ConversationRestored{}),
		"tombstone": over.then("x9", stopped(run2, events.WhyUser)),
		"third try": model.then("m1", step(run1, 1, 2, lease(10, 2))).then("m1", step(run1, 1, 3, lease(10, 3))),
		"handed over": model.then("m1", events.StepInterrupted{RunID: run1, Step: 1, Attempt: 1}, step(run1, 1, 2, lease(10, 2))).
			then("m1", events.StepInterrupted{RunID: run1, Step: 1, Attempt: 2}, step(run1, 1, 3, lease(10, 3))),
		"given up":     givenUp,
		"hand call":    history{}.then("h1", events.ToolCalled{CallID: hand, Server: "tasks", Name: "add_task", Arguments: jsontext.Value(`{}`), By: events.ByUser}),
		"hand done":    history{}.then("h1", events.ToolCalled{CallID: hand, Name: "add_task", By: events.ByUser}).then("h.res", events.ToolReturned{CallID: hand, OK: true}),
		"inherited":    stop(queue(model)).then("m1", events.RunCancelled{RunID: run1}, events.RunStarted{RunID: run2, MessageID: "m2", Model: "scripted", Deadline: start.Add(time.Hour)}, step(run2, 1, 1, lease(10, 1))),
		"model of res": last.then("b.res", returned(callB), step(run1, 2, 1, lease(30, 1))),
	}
}

// place is the column of the table that s is in.
func place(s *events.Conversation) string {
	where, run := "", s.Active()
	switch {
	case run == nil && s.Deleted:
	case run == nil && len(s.Runs) == 0:
		where = "new"
	case run == nil:
		where = "over"
	case run.Streaming:
		where = "model on"
	case run.Status == events.RequiresAction:
		where = "asking"
	default:
		where = "calls out"
	}
	switch {
	case s.Deleted:
		return strings.TrimSpace("deleted " + where)
	case run != nil && run.Stop != nil:
		return "cancelling " + where
	}
	return where
}

// say writes a decision down in one line.
func say(d Decision) string {
	var words []string
	for _, e := range d.Events {
		w := e.EventType()
		switch e := e.(type) {
		case events.StepStarted:
			w = fmt.Sprintf("step.started(%d.%d)", e.Step, e.Attempt)
		case events.RunFailed:
			w += "(" + e.Code + ")"
		case events.ToolReturned:
			if e.Late {
				w += "(late)"
			} else if e.Error != nil {
				w += "(" + e.Error.Code + ")"
			}
		case events.RunCancelRequested:
			w += "(" + string(e.Why) + ")"
		case events.ApprovalAnswered:
			w += "(" + e.Decision + ")"
		}
		words = append(words, w)
	}
	words = append(words, map[Then]string{Drop: "drop", Ack: "ack", CallModel: "model"}[d.Then])
	if d.Signal {
		words = append(words, "signal")
	}
	if d.Certain {
		words = append(words, "certain")
	}
	if d.DeadLetter != "" {
		words = append(words, "dlq")
	}
	return strings.Join(words, " ")
}

func command(id string, l events.Lease, c events.Command) Input {
	return Input{
		Inbox: events.Inbox{V: events.Version, ID: id, UserID: ana, ConversationID: conv, Time: start, Command: c},
		Lease: l, Worker: "w", Now: start.Add(time.Minute),
	}
}

func unreadable(id, kind string, delivery uint64) Input {
	return command(id, lease(90, delivery), Unreadable{kind})
}

// settled checks what must hold after any commit: at most one run is active,
// an idle conversation has nothing queued, whoever calls the model holds the
// lease, every open call is due, and a run that waits has a timer.
func settled(t *testing.T, s *events.Conversation, in Input, d Decision) {
	t.Helper()
	after := s.Clone()
	if len(d.Events) > 0 {
		k := &events.Commit{V: events.Version, UserID: s.UserID, ConversationID: s.ConversationID, N: s.N + 1, CommitID: "x", Cause: in.ID, Time: in.Now, Events: d.Events}
		if err := after.Apply(k); err != nil {
			t.Fatal(err)
		}
	}
	active := after.Active()
	if active == nil && after.NextQueued() != nil {
		t.Errorf("nothing runs and %s waits", after.NextQueued().RunID)
	}
	if d.Then == CallModel && (active == nil || !active.Streaming || active.Lease != in.Lease) {
		t.Errorf("the model is called without the lease: %+v", active)
	}
	if active == nil {
		return
	}
	due := testRules().Due(after)
	open := active.Count(events.CallRunning)
	for _, c := range after.Calls {
		if c.Status == events.CallRunning {
			open++
		}
	}
	if len(due.Work) != open {
		t.Errorf("%d calls are open, %d work items are due", open, len(due.Work))
	}
	for _, w := range due.Work {
		if w.Revoke != (w.RunID != "" && active.Stop != nil) {
			t.Errorf("call %s: revoke is %v", w.CallID, w.Revoke)
		}
	}
	if active.Stop == nil && len(due.Timers) == 0 {
		t.Error("a run waits without a timer")
	}
}
