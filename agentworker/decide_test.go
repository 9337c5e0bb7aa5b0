package agentworker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/agentworker/openai"
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
	return map[string]history{
		"empty": {}, "model": model, "calls": calls, "last": last, "mixed": mixed, "asking": asking, "over": over,
		"model+queue": queue(model), "last+queue": queue(last), "asking+queue": queue(asking), "calls+queue": queue(calls),
		"stop model": stop(model), "stop calls": stop(calls), "stop last": stop(last), "stop mixed": stop(mixed),
		"stop model+queue": stop(queue(model)), "stop last+queue": stop(queue(last)),
		"late last":  last.then("t0", stopped(run1, events.WhyDeadline)),
		"late model": model.then("t0", stopped(run1, events.WhyDeadline)),
		"deleted":    over.then("d0", events.ConversationDeleted{}),
		"tombstone":  over.then("x9", stopped(run2, events.WhyUser)),
		"third try":  model.then("m1", step(run1, 1, 2, lease(10, 2))).then("m1", step(run1, 1, 3, lease(10, 3))),
		"handed over": model.then("m1", events.StepInterrupted{RunID: run1, Step: 1, Attempt: 1}, step(run1, 1, 2, lease(10, 2))).
			then("m1", events.StepInterrupted{RunID: run1, Step: 1, Attempt: 2}, step(run1, 1, 3, lease(10, 3))),
		"given up":     model.then("m1", asked, called(callA), called(callB)).then("x", events.RunFailed{RunID: run1, Code: "x"}),
		"hand call":    history{}.then("h1", events.ToolCalled{CallID: hand, Server: "tasks", Name: "add_task", Arguments: jsontext.Value(`{}`), By: events.ByUser}),
		"hand done":    history{}.then("h1", events.ToolCalled{CallID: hand, Name: "add_task", By: events.ByUser}).then("h.res", events.ToolReturned{CallID: hand, OK: true}),
		"inherited":    stop(queue(model)).then("m1", events.RunCancelled{RunID: run1}, events.RunStarted{RunID: run2, MessageID: "m2", Model: "scripted", Deadline: start.Add(time.Hour)}, step(run2, 1, 1, lease(10, 1))),
		"model of res": last.then("b.res", returned(callB), step(run1, 2, 1, lease(30, 1))),
	}
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

func TestDecide(t *testing.T) {
	t.Parallel()
	message := func(id string) Input { return command(id, lease(20, 1), events.Message{Text: "hi"}) }
	parent := func(p events.RunID) Input {
		return command("m3", lease(20, 1), events.Message{Text: "hi", ParentID: p})
	}
	regenerate := func(r events.RunID) Input { return command("m3", lease(20, 1), events.Regenerate{RunID: r}) }
	result := func(c events.CallID) Input {
		return command(events.ResultID(c), lease(30, 1), events.Result{CallID: c, RunID: run1, OK: true, Result: jsontext.Value(`{}`)})
	}
	revoked := func(c events.CallID) Input {
		return command(events.ResultID(c), lease(31, 1), events.Result{CallID: c, RunID: run1, Error: &events.ToolError{Code: events.ToolRevoked}})
	}
	answer := func(decision string) Input {
		return command("p1", lease(40, 1), events.Answer{CallID: callB, Decision: decision})
	}
	expiry := command("e1", lease(41, 1), events.ApprovalExpiry{CallID: callB})
	cancel := func(r events.RunID) Input { return command("x1", lease(50, 1), events.Cancel{RunID: r}) }
	deadline := func(r events.RunID) Input {
		return command("t1", lease(60, 1), events.RunDeadline{RunID: r, At: start.Add(5 * time.Minute)})
	}
	later := command("t2", lease(61, 1), events.RunDeadline{RunID: run1, At: start.Add(time.Hour)})
	early := command("t1", lease(60, 1), events.RunDeadline{RunID: run1, At: start.Add(time.Minute)})
	again := func(id string, seq, delivery uint64) Input {
		return command(id, lease(seq, delivery), events.Message{Text: "hi"})
	}
	poison := func(in Input) Input { in.Lease.Delivery = maxDeliveries + 1; return in }
	remove := command("d1", lease(70, 1), events.Delete{})
	hurry := command("m3", lease(20, 1), events.Message{Text: "hi", Interrupt: true})
	simple := map[string]Input{
		"rename": command("s1", lease(71, 1), events.Rename{Title: "T"}),
		"pin":    command("s2", lease(72, 1), events.Pin{Pinned: true}), "archive": command("s6", lease(76, 1), events.Archive{Archived: true}),
		"read":    command("s3", lease(73, 1), events.Read{ReadN: 1}),
		"rate":    command("s4", lease(74, 1), events.Rate{RunID: run1, Rating: events.RatedUp}),
		"restore": command("s5", lease(75, 1), events.Restore{}),
	}
	tests := []struct {
		state string
		what  string
		in    Input
		want  string
	}{
		// A message begins a run only where nothing is active.
		{"empty", "message", message("m1"), "message.accepted run.started step.started(1.1) model"},
		{"over", "message", message("m2"), "message.accepted run.started step.started(1.1) model"},
		{"model", "message", message("m2"), "message.accepted ack"},
		{"calls", "message", message("m2"), "message.accepted ack"},
		{"asking", "message", message("m2"), "message.accepted ack"},
		{"stop model", "message", message("m2"), "message.accepted ack"},
		{"stop calls", "message", message("m2"), "message.accepted ack"},
		{"empty", "interrupting message", hurry, "message.accepted run.started step.started(1.1) model"},
		{"model", "interrupting message", hurry, "message.accepted run.cancel_requested(user) ack signal"},
		{"calls", "interrupting message", hurry, "message.accepted run.cancel_requested(user) ack"},
		{"asking", "interrupting message", hurry, "message.accepted run.cancel_requested(user) run.cancelled run.started step.started(1.1) model"},
		{"asking+queue", "interrupting message", hurry, "message.accepted run.cancel_requested(user) run.cancelled run.started step.started(1.1) model"},
		{"stop model", "interrupting message", hurry, "message.accepted ack"},
		{"late model", "interrupting message", hurry, "message.accepted ack"},
		{"model", "interrupting regenerate", command("m3", lease(20, 1), events.Regenerate{RunID: run1, Interrupt: true}), "message.accepted run.cancel_requested(user) ack signal"},
		{"deleted", "message", message("m2"), "message.accepted run.cancelled ack"},
		{"tombstone", "message", message("m2"), "message.accepted run.cancelled ack"},
		{"over", "edit of the first", parent(events.Root), "message.accepted run.started step.started(1.1) model"},
		{"over", "edit with a known parent", parent(run1), "message.accepted run.started step.started(1.1) model"},
		{"over", "edit with an unknown parent", parent("nobody"), "message.accepted run.failed(unknown_parent) ack"},
		{"over", "regenerate", regenerate(run1), "message.accepted run.started step.started(1.1) model"},
		{"model", "regenerate", regenerate(run1), "message.accepted ack"},
		{"deleted", "regenerate", regenerate(run1), "message.accepted run.cancelled ack"},
		{"over", "regenerate of nothing", regenerate("nobody"), "message.accepted run.failed(unknown_parent) ack"},
		// The same message again: what is in the log is done, only its lease may go on.
		{"over", "redelivery", again("m1", 10, 2), "ack"},
		{"model+queue", "redelivery of the queued", again("m2", 20, 2), "ack"},
		{"calls", "redelivery", again("m1", 10, 2), "ack"},
		{"asking", "redelivery", again("m1", 10, 2), "ack"},
		{"model", "redelivery", again("m1", 10, 2), "step.started(1.2) model"},
		{"model", "the same delivery", again("m1", 10, 1), "drop"},
		{"model", "stored twice", again("m1", 11, 5), "ack"},
		{"third try", "redelivery", again("m1", 10, 4), "run.failed(attempts) ack"},
		{"handed over", "redelivery", again("m1", 10, 4), "step.started(1.4) model"},
		{"stop model", "redelivery", again("m1", 10, 2), "run.cancelled ack"},
		{"late model", "redelivery", again("m1", 10, 2), "run.failed(deadline) ack"},
		{"stop model+queue", "redelivery", again("m1", 10, 2), "run.cancelled run.started step.started(1.1) model"},
		{"inherited", "redelivery of the cause", again("m1", 10, 9), "step.started(1.2) model"},
		{"inherited", "redelivery of the queued", again("m2", 20, 2), "ack"},
		{"model of res", "redelivered result", func() Input { in := result(callB); in.Lease.Delivery = 2; return in }(), "step.started(2.2) model"},
		{"model of res", "redelivered message", again("m1", 10, 3), "ack"},
		// Poison closes its own message and nothing else.
		{"empty", "poison message", poison(message("m1")), "message.accepted run.failed(poison) ack dlq"},
		{"model", "poison message", poison(message("m2")), "message.accepted run.failed(poison) ack dlq"},
		{"tombstone", "poison message", poison(message("m2")), "message.accepted run.cancelled ack dlq"},
		{"inherited", "many deliveries of an inherited lease", again("m1", 10, 99), "step.started(1.2) model"},
		{"over", "poison redelivery of a handled one", again("m1", 10, 99), "ack"},
		{"model", "poison cancel", poison(cancel(run1)), "run.cancel_requested(user) ack signal dlq"},
		{"calls", "poison result", poison(result(callA)), "tool.returned ack dlq"},
		{"empty", "poison result of an unknown call", poison(result(callA)), "ack certain dlq"},
		{"empty", "poison deadline of an unknown run", poison(deadline(run1)), "ack certain dlq"},
		{"empty", "poison answer to an unknown call", poison(answer(events.Allow)), "ack certain dlq"},
		{"over", "unreadable", unreadable("m3", "message", 1), "drop"},
		{"over", "unreadable, poison", unreadable("m3", "message", 13), "message.accepted run.failed(poison) ack dlq"},
		{"calls", "unreadable result, poison", unreadable(events.ResultID(callA), "result", 13), "tool.returned(outcome_unknown) ack dlq"},
		{"over", "unreadable control, poison", unreadable("x1", "cancel", 13), "ack dlq"},
		// Results are recognised by call id; the last one goes on inside its commit.
		{"calls", "first of two results", result(callA), "tool.returned ack"},
		{"last", "last result", result(callB), "tool.returned step.started(2.1) model"},
		{"last", "an answered call", result(callA), "ack"},
		{"last", "an answered call, revoked", revoked(callA), "ack"},
		{"mixed", "result while asking", result(callA), "tool.returned ack"},
		{"stop calls", "result", result(callA), "tool.returned ack"},
		{"stop calls", "revoked", revoked(callA), "tool.returned(revoked) ack"},
		{"stop last", "last result", result(callB), "tool.returned run.cancelled ack"},
		{"stop last", "last revoked", revoked(callB), "tool.returned(revoked) run.cancelled ack"},
		{"stop mixed", "last released result", result(callA), "tool.returned run.cancelled ack"},
		{"late last", "last result", result(callB), "tool.returned run.failed(deadline) ack"},
		{"stop last+queue", "last result", result(callB), "tool.returned run.cancelled run.started step.started(1.1) model"},
		{"model", "unknown call", result(callA), "drop"},
		{"empty", "unknown call", result(callA), "drop"},
		{"given up", "result after the end", result(callB), "tool.returned(late) ack"},
		{"over", "unknown call of an ended run", result(callA), "drop"},
		// Approvals.
		{"asking", "allow", answer(events.Allow), "approval.answered(allow) tool.called ack"},
		{"asking", "deny", answer(events.Deny), "approval.answered(deny) tool.returned(denied) step.started(2.1) model"},
		{"asking", "expired", expiry, "approval.answered(expired) tool.returned(denied) step.started(2.1) model"},
		{"mixed", "allow", answer(events.Allow), "approval.answered(allow) tool.called ack"},
		{"mixed", "deny", answer(events.Deny), "approval.answered(deny) tool.returned(denied) ack"},
		{"stop mixed", "allow", answer(events.Allow), "ack"},
		{"calls", "allow of a call nobody asked about", answer(events.Allow), "ack"},
		{"empty", "allow of an unknown call", answer(events.Allow), "drop"},
		{"given up", "allow after the end", answer(events.Allow), "ack"},
		{"empty", "expiry of an unknown call", expiry, "drop"},
		// Stops: addressed, first wins, and only the holder of the last open thing ends the run.
		{"empty", "cancel", cancel(run1), "run.cancel_requested(user) ack"},
		{"tombstone", "cancel again", cancel(run2), "ack"},
		{"model+queue", "cancel of the queued", cancel(run2), "run.cancel_requested(user) run.cancelled ack"},
		{"model", "cancel", cancel(run1), "run.cancel_requested(user) ack signal"},
		{"calls", "cancel", cancel(run1), "run.cancel_requested(user) ack"},
		{"last", "cancel", cancel(run1), "run.cancel_requested(user) ack"},
		{"mixed", "cancel", cancel(run1), "run.cancel_requested(user) ack"},
		{"asking", "cancel", cancel(run1), "run.cancel_requested(user) run.cancelled ack"},
		{"asking+queue", "cancel", cancel(run1), "run.cancel_requested(user) run.cancelled run.started step.started(1.1) model"},
		{"stop model", "cancel again", cancel(run1), "ack"},
		{"stop calls", "cancel again", cancel(run1), "ack"},
		{"over", "cancel", cancel(run1), "ack"},
		{"inherited", "cancel of the ended", cancel(run1), "ack"},
		{"empty", "deadline", deadline(run1), "drop"},
		{"model+queue", "deadline of the queued", deadline(run2), "drop"},
		{"model", "deadline", deadline(run1), "run.cancel_requested(deadline) ack signal"},
		{"calls", "deadline", deadline(run1), "run.cancel_requested(deadline) ack"},
		{"stop calls", "deadline after a cancel", deadline(run1), "ack"},
		{"asking", "deadline while only a person is asked", deadline(run1), "ack"},
		{"mixed", "deadline", deadline(run1), "run.cancel_requested(deadline) ack"},
		{"model", "a deadline that was moved", early, "ack"},
		{"model", "a deadline that this state does not know yet", later, "drop"},
		{"asking", "a deadline that this state does not know yet", later, "drop"},
		{"over", "deadline", deadline(run1), "ack"},
		// Calls by hand have no run and no join.
		{"hand call", "hand call again", command("h1", lease(80, 2), events.CallTool{Server: "tasks", Name: "add_task"}), "ack"},
		{"empty", "hand call", command("h2", lease(80, 1), events.CallTool{Server: "tasks", Name: "add_task"}), "tool.called ack"},
		{"empty", "hand call to no server", command("h2", lease(80, 1), events.CallTool{Server: "a.b", Name: "add_task"}), "tool.called tool.returned(unknown_tool) ack"},
		{"hand call", "its result", result(hand), "tool.returned ack"},
		{"hand done", "its result again", result(hand), "ack"},
		// Deleting stops what runs and waits.
		{"over", "delete", remove, "conversation.deleted ack"},
		{"model", "delete", remove, "conversation.deleted run.cancel_requested(user) ack signal"},
		{"calls+queue", "delete", remove, "conversation.deleted run.cancel_requested(user) run.cancelled run.cancel_requested(user) ack"},
		{"asking+queue", "delete", remove, "conversation.deleted run.cancel_requested(user) run.cancelled run.cancel_requested(user) run.cancelled ack"},
		{"stop model", "delete", remove, "conversation.deleted ack"},
		{"stop calls", "result after delete", result(callA), "tool.returned ack"},
	}
	names := map[string]bool{}
	for _, tt := range tests {
		name := tt.state + "/" + tt.what
		if names[name] {
			t.Fatalf("two rows for %s", name)
		}
		names[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, ok := states()[tt.state]
			if !ok {
				t.Fatalf("no state %q", tt.state)
			}
			s := h.fold(t, conv)
			d := testRules().Decide(s, tt.in)
			if got := say(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			settled(t, s, tt.in, d)
		})
	}
	events := map[string]string{
		"rename": "conversation.renamed", "pin": "conversation.pinned", "archive": "conversation.archived", "read": "conversation.read",
		"rate": "message.rated", "restore": "conversation.restored",
	}
	for state, h := range states() {
		for name, in := range simple {
			if got, want := say(testRules().Decide(h.fold(t, conv), in)), events[name]+" ack"; got != want {
				t.Errorf("%s in %s: got %s, want %s", name, state, got, want)
			}
			done := h.then(in.ID, nil...)
			done[len(done)-1].list = testRules().Decide(h.fold(t, conv), in).Events
			if got := say(testRules().Decide(done.fold(t, conv), in)); got != "ack" {
				t.Errorf("%s again in %s: got %s", name, state, got)
			}
		}
	}
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
	if n := active.Count(events.CallRunning); len(due.Work) != n {
		t.Errorf("%d calls are open, %d work items are due", n, len(due.Work))
	}
	for _, w := range due.Work {
		if w.Revoke != (active.Stop != nil) {
			t.Errorf("call %s: revoke is %v", w.CallID, w.Revoke)
		}
	}
	if active.Stop == nil && len(due.Timers) == 0 {
		t.Error("a run waits without a timer")
	}
}

func TestReceiptNamesWhatRanAndWhatNever(t *testing.T) {
	t.Parallel()
	s := states()["stop last"].fold(t, conv)
	in := command(events.ResultID(callB), lease(31, 1), events.Result{CallID: callB, RunID: run1, Error: &events.ToolError{Code: events.ToolRevoked}})
	d := testRules().Decide(s, in)
	end, ok := d.Events[1].(events.RunCancelled)
	if !ok || !slices.Equal(end.Receipt.Ran, []events.CallID{callA}) || !slices.Equal(end.Receipt.NotRun, []events.CallID{callB}) {
		t.Errorf("receipt = %+v", d.Events[1])
	}
}

func TestAfterModel(t *testing.T) {
	t.Parallel()
	calls := func(names ...string) Outcome {
		o := Outcome{Completion: openai.Completion{FinishReason: "tool_calls"}}
		for _, n := range names {
			o.ToolCalls = append(o.ToolCalls, openai.ToolCall{Name: n, Arguments: `{}`})
		}
		return o
	}
	many := make([]string, 12)
	for i := range many {
		many[i] = "add_task"
	}
	text := Outcome{Completion: openai.Completion{Text: "hello", FinishReason: "stop"}}
	failed := Outcome{Completion: openai.Completion{Text: "hel"}, Err: &openai.Error{Code: events.FailModelBusy, Message: "busy"}}
	cut := Outcome{Completion: openai.Completion{Text: "hel"}, Err: &openai.Error{Code: events.FailModel, Cut: true}}
	tests := []struct {
		state string
		what  string
		out   Outcome
		want  string
	}{
		{"model", "text", text, "step.completed run.completed ack"},
		{"model+queue", "text", text, "step.completed run.completed run.started step.started(1.1) model"},
		{"model", "one call", calls("add_task"), "step.completed tool.called ack"},
		{"model", "two calls", calls("add_task", "add_task"), "step.completed tool.called tool.called ack"},
		{"model", "more calls than may be in flight", calls(many...), "step.completed" + strings.Repeat(" tool.called", 8) + " ack"},
		{"model", "an unknown tool", calls("nothing"), "step.completed tool.returned(unknown_tool) step.started(2.1) model"},
		{"model", "a tool for people", calls("restore_task"), "step.completed tool.returned(unknown_tool) step.started(2.1) model"},
		{"model", "a denied tool", calls("never"), "step.completed tool.returned(denied) step.started(2.1) model"},
		{"model", "a tool to ask about", calls("ask_first"), "step.completed approval.requested ack"},
		{"model", "one of each", calls("add_task", "ask_first", "never"), "step.completed tool.called approval.requested tool.returned(denied) ack"},
		{"model", "an empty answer", Outcome{Completion: openai.Completion{FinishReason: "stop"}}, "run.failed(model_error) ack"},
		{"model", "an error", failed, "run.failed(model_busy) ack"},
		{"model+queue", "an error", failed, "run.failed(model_busy) run.started step.started(1.1) model"},
		{"model", "a cut stream", cut, "step.started(1.2) model"},
		{"third try", "a cut stream", cut, "run.failed(model_error) ack"},
		{"stop model", "text", text, "run.cancelled ack"},
		{"stop model", "calls", calls("add_task"), "run.cancelled ack"},
		{"stop model", "an error", failed, "run.cancelled ack"},
		{"late model", "text", text, "run.failed(deadline) ack"},
		{"stop model+queue", "text", text, "run.cancelled run.started step.started(1.1) model"},
		{"over", "text", text, "drop"},
		{"calls", "text", text, "drop"},
		{"inherited", "text", text, "drop"},
	}
	for _, tt := range tests {
		t.Run(tt.state+"/"+tt.what, func(t *testing.T) {
			t.Parallel()
			s := states()[tt.state].fold(t, conv)
			claim := Claim{RunID: run1, Step: 1, Attempt: 1, Lease: lease(10, 1)}
			in := command("m1", lease(10, 1), events.Message{})
			if tt.state == "third try" {
				claim.Attempt, claim.Lease, in.Lease = 3, lease(10, 3), lease(10, 3)
			}
			d := testRules().AfterModel(s, claim, tt.out, in)
			if got := say(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if len(d.Events) > 0 {
				settled(t, s, in, d)
			}
			for _, other := range []Claim{
				{"another", 1, claim.Attempt, claim.Lease},
				{run1, 2, claim.Attempt, claim.Lease},
				{run1, 1, claim.Attempt + 1, claim.Lease},
				{run1, 1, claim.Attempt, lease(10, 99)},
			} {
				if got := say(testRules().AfterModel(s, other, tt.out, in)); got != "drop" {
					t.Errorf("a superseded claim %+v commits: %s", other, got)
				}
			}
		})
	}
}

func TestLimitsEndARun(t *testing.T) {
	t.Parallel()
	s := states()["last"].fold(t, conv)
	in := command(events.ResultID(callB), lease(30, 1), events.Result{CallID: callB, RunID: run1, OK: true})
	for _, tt := range []struct {
		change func(*Rules)
		want   string
	}{
		{func(r *Rules) { r.Limits.Steps = 1 }, "tool.returned run.failed(step_limit) ack"},
		{func(r *Rules) { r.Limits.Tokens = -1 }, "tool.returned run.failed(token_limit) ack"},
	} {
		r := testRules()
		tt.change(r)
		if got := say(r.Decide(s, in)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	r := testRules()
	r.Limits.Calls = 1
	out := Outcome{Completion: openai.Completion{ToolCalls: []openai.ToolCall{{Name: "add_task"}, {Name: "add_task"}}, FinishReason: "tool_calls"}}
	d := r.AfterModel(states()["model"].fold(t, conv), Claim{run1, 1, 1, lease(10, 1)}, out, command("m1", lease(10, 1), events.Message{}))
	if got := say(d); got != "step.completed run.failed(call_limit) ack" {
		t.Errorf("too many calls: %s", got)
	}
}

// Waiting calls are released one by one, as answers come in.
func TestCallsBeyondTheLimitWaitTheirTurn(t *testing.T) {
	t.Parallel()
	r := testRules()
	r.Limits.InFlight = 1
	h := states()["model"]
	out := Outcome{Completion: openai.Completion{FinishReason: "tool_calls", ToolCalls: []openai.ToolCall{{Name: "add_task", Arguments: `{}`}, {Name: "add_task", Arguments: `{}`}}}}
	d := r.AfterModel(h.fold(t, conv), Claim{run1, 1, 1, lease(10, 1)}, out, command("m1", lease(10, 1), events.Message{}))
	if got := say(d); got != "step.completed tool.called ack" {
		t.Fatalf("first decision: %s", got)
	}
	h = h.then("m1", d.Events...)
	in := command(events.ResultID(callA), lease(30, 1), events.Result{CallID: callA, RunID: run1, OK: true})
	d = r.Decide(h.fold(t, conv), in)
	if got := say(d); got != "tool.returned tool.called ack" {
		t.Fatalf("after the first answer: %s", got)
	}
	without := testRules()
	without.Limits, without.Tools = r.Limits, nil
	if got := say(without.Decide(h.fold(t, conv), in)); got != "tool.returned tool.returned(unknown_tool) step.started(2.1) model" {
		t.Errorf("the turn of a call whose tool is gone: %s", got)
	}
	h = h.then(in.ID, d.Events...)
	in = command(events.ResultID(callB), lease(31, 1), events.Result{CallID: callB, RunID: run1, OK: true})
	if got := say(r.Decide(h.fold(t, conv), in)); got != "tool.returned step.started(2.1) model" {
		t.Errorf("after the last answer: %s", got)
	}
}

// The clock of a run stands still while only a person is asked.
func TestApprovalMovesTheDeadline(t *testing.T) {
	t.Parallel()
	s := states()["asking"].fold(t, conv)
	in := command("p1", lease(40, 1), events.Answer{CallID: callB, Decision: events.Allow})
	in.Now = start.Add(3 * time.Hour)
	d := testRules().Decide(s, in)
	answered, ok := d.Events[0].(events.ApprovalAnswered)
	if !ok {
		t.Fatalf("decision: %s", say(d))
	}
	// The run began at 0 s, waited only for the person from 2 s on, and had 5 min.
	if want := in.Now.Add(5*time.Minute - 2*time.Second); !answered.Deadline.Equal(want) {
		t.Errorf("deadline %v, want %v", answered.Deadline, want)
	}
	if due := testRules().Due(s); len(due.Timers) != 1 || due.Timers[0].Inbox.Command.CommandType() != "approval_expiry" {
		t.Errorf("timers while asking: %+v", due.Timers)
	}
}

func TestRegenerateOfNothingKeepsTheBranch(t *testing.T) {
	t.Parallel()
	d := testRules().Decide(states()["over"].fold(t, conv), command("m3", lease(20, 1), events.Regenerate{RunID: "nobody"}))
	if e, ok := d.Events[0].(events.MessageAccepted); !ok || e.ParentID != run1 {
		t.Errorf("accepted: %+v", d.Events[0])
	}
}

func TestArgumentsStayWhatTheModelSaid(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``: `{}`, `{"a":1}`: `{"a":1}`, ` { "a" : 1 } `: `{"a":1}`, `[1]`: `"[1]"`, `{"a":`: `"{\"a\":"`, `{"a":1,"a":2}`: `"{\"a\":1,\"a\":2}"`, `null`: `"null"`,
	} {
		if got := string(arguments(in)); got != want {
			t.Errorf("arguments(%s) = %s, want %s", in, got, want)
		}
	}
}
