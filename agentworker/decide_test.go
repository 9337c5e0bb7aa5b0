package agentworker

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

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
	called := command("h2", lease(80, 1), events.CallTool{Server: "tasks", Name: "add_task"})
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
		{"deleted model", "message", message("m2"), "message.accepted run.cancelled ack"},
		{"deleted calls", "message", message("m2"), "message.accepted run.cancelled ack"},
		{"restored calls", "message", message("m2"), "message.accepted ack"},
		{"tombstone", "message", message("m2"), "message.accepted run.cancelled ack"},
		{"over", "edit of the first", parent(events.Root), "message.accepted run.started step.started(1.1) model"},
		{"over", "edit with a known parent", parent(run1), "message.accepted run.started step.started(1.1) model"},
		{"over", "edit with an unknown parent", parent("nobody"), "message.accepted run.failed(unknown_parent) ack"},
		{"over", "regenerate", regenerate(run1), "message.accepted run.started step.started(1.1) model"},
		{"model", "regenerate", regenerate(run1), "message.accepted ack"},
		{"calls", "regenerate", regenerate(run1), "message.accepted ack"},
		{"asking", "regenerate", regenerate(run1), "message.accepted ack"},
		{"stop model", "regenerate", regenerate(run1), "message.accepted ack"},
		{"stop calls", "regenerate", regenerate(run1), "message.accepted ack"},
		{"deleted", "regenerate", regenerate(run1), "message.accepted run.cancelled ack"},
		{"deleted model", "regenerate", regenerate(run1), "message.accepted run.cancelled ack"},
		{"deleted calls", "regenerate", regenerate(run1), "message.accepted run.cancelled ack"},
		{"over", "regenerate of nothing", regenerate("nobody"), "message.accepted run.failed(unknown_parent) ack"},
		{"empty", "regenerate of nothing", regenerate("nobody"), "message.accepted run.failed(unknown_parent) ack"},
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
		{"over", "unreadable, poison", unreadable("m3", "message", 13), "message.accepted run.failed(poison) ack dlq"},
		{"deleted", "unreadable, poison", unreadable("m3", "message", 13), "message.accepted run.cancelled ack dlq"},
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
		{"asking", "an answered call", result(callA), "ack"},
		{"stop model", "unknown call", result(callA), "drop"},
		{"deleted", "unknown call of an ended run", result(callA), "drop"},
		{"deleted model", "unknown call", result(callA), "drop"},
		{"deleted calls", "first of two results", result(callA), "tool.returned ack"},
		{"deleted calls", "revoked", revoked(callA), "tool.returned(revoked) ack"},
		{"deleted last", "last result", result(callB), "tool.returned run.cancelled ack"},
		{"deleted last", "last revoked", revoked(callB), "tool.returned(revoked) run.cancelled ack"},
		{"deleted given up", "result after the end", result(callB), "tool.returned(late) ack"},
		// Approvals.
		{"asking", "allow", answer(events.Allow), "approval.answered(allow) tool.called ack"},
		{"asking", "deny", answer(events.Deny), "approval.answered(deny) tool.returned(denied) step.started(2.1) model"},
		{"asking", "expired", expiry, "approval.answered(expired) tool.returned(denied) step.started(2.1) model"},
		{"mixed", "allow", answer(events.Allow), "approval.answered(allow) tool.called ack"},
		{"mixed", "deny", answer(events.Deny), "approval.answered(deny) tool.returned(denied) ack"},
		{"mixed", "expired", expiry, "approval.answered(expired) tool.returned(denied) ack"},
		{"stop mixed", "allow", answer(events.Allow), "ack"},
		{"stop mixed", "expired", expiry, "ack"},
		{"calls", "allow of a call nobody asked about", answer(events.Allow), "ack"},
		{"empty", "allow of an unknown call", answer(events.Allow), "drop"},
		{"given up", "allow after the end", answer(events.Allow), "ack"},
		{"empty", "expiry of an unknown call", expiry, "drop"},
		{"model", "allow of an unknown call", answer(events.Allow), "drop"},
		{"model", "expiry of an unknown call", expiry, "drop"},
		{"model of res", "allow of an answered call", answer(events.Allow), "ack"},
		{"model of res", "expiry of an answered call", expiry, "ack"},
		{"calls", "expiry of a call nobody asked about", expiry, "ack"},
		{"given up", "expiry after the end", expiry, "ack"},
		{"stop model", "allow of an unknown call", answer(events.Allow), "drop"},
		{"stop model", "expiry of an unknown call", expiry, "drop"},
		{"deleted asking", "allow", answer(events.Allow), "ack"},
		{"deleted asking", "expired", expiry, "ack"},
		{"deleted model", "allow of an unknown call", answer(events.Allow), "drop"},
		{"deleted model", "expiry of an unknown call", expiry, "drop"},
		{"deleted calls", "allow of a call nobody asked about", answer(events.Allow), "ack"},
		{"deleted calls", "expiry of a call nobody asked about", expiry, "ack"},
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
		{"deleted", "cancel", cancel(run1), "ack"},
		{"deleted", "cancel of a message that is to come", cancel(run2), "run.cancel_requested(user) ack"},
		{"deleted model", "cancel", cancel(run1), "ack"},
		{"deleted calls", "cancel", cancel(run1), "ack"},
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
		{"stop model", "deadline long after a cancel", deadline(run1), "run.cancelled ack"},
		{"deleted", "deadline", deadline(run1), "ack"},
		{"deleted model", "deadline long after", deadline(run1), "run.cancelled ack"},
		{"deleted calls", "deadline", deadline(run1), "ack"},
		// Calls by hand have no run and no join. Only home has them, where no run is and
		// which nobody deletes; that they come out alike elsewhere costs no rule.
		{"hand call", "hand call again", command("h1", lease(80, 2), events.CallTool{Server: "tasks", Name: "add_task"}), "ack"},
		{"empty", "hand call", called, "tool.called ack"},
		{"empty", "hand call to no server", command("h2", lease(80, 1), events.CallTool{Server: "a.b", Name: "add_task"}), "tool.called tool.returned(unknown_tool) ack"},
		{"over", "hand call", called, "tool.called ack"},
		{"model", "hand call", called, "tool.called ack"},
		{"calls", "hand call", called, "tool.called ack"},
		{"asking", "hand call", called, "tool.called ack"},
		{"stop model", "hand call", called, "tool.called ack"},
		{"stop calls", "hand call", called, "tool.called ack"},
		{"deleted", "hand call", called, "tool.called ack"},
		{"deleted model", "hand call", called, "tool.called ack"},
		{"deleted calls", "hand call", called, "tool.called ack"},
		{"hand call", "another hand call", called, "tool.called ack"},
		{"hand call", "its result", result(hand), "tool.returned ack"},
		{"hand done", "its result again", result(hand), "ack"},
		// Deleting stops what runs and waits.
		{"empty", "delete", remove, "conversation.deleted ack"},
		{"over", "delete", remove, "conversation.deleted ack"},
		{"model", "delete", remove, "conversation.deleted run.cancel_requested(user) ack signal"},
		{"calls", "delete", remove, "conversation.deleted run.cancel_requested(user) ack"},
		{"calls+queue", "delete", remove, "conversation.deleted run.cancel_requested(user) run.cancelled run.cancel_requested(user) ack"},
		{"asking+queue", "delete", remove, "conversation.deleted run.cancel_requested(user) run.cancelled run.cancel_requested(user) run.cancelled ack"},
		{"stop model", "delete", remove, "conversation.deleted ack"},
		{"stop calls", "delete", remove, "conversation.deleted ack"},
		{"stop model+queue", "delete", remove, "conversation.deleted run.cancel_requested(user) run.cancelled ack"},
		{"deleted", "delete again", remove, "conversation.deleted ack"},
		{"deleted model", "delete again", remove, "conversation.deleted ack"},
		{"deleted calls", "delete again", remove, "conversation.deleted ack"},
	}
	names, rows := map[string]bool{}, map[[2]string]bool{}
	for _, tt := range tests {
		name := tt.state + "/" + tt.what
		if names[name] {
			t.Fatalf("two rows for %s", name)
		}
		names[name] = true
		h, ok := states()[tt.state]
		if !ok {
			t.Fatalf("no state %q", tt.state)
		}
		s := h.fold(t, conv)
		if !s.HasCause(tt.in.ID) && tt.in.Lease.Delivery == 1 {
			rows[[2]string{tt.in.Command.CommandType(), place(s)}] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testRules().Decide(s, tt.in)
			if got := say(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			settled(t, s, tt.in, d)
		})
	}
	plain := map[string]string{
		"rename": "conversation.renamed", "pin": "conversation.pinned", "archive": "conversation.archived", "read": "conversation.read",
		"rate": "message.rated", "restore": "conversation.restored",
	}
	places := map[string]bool{}
	for state, h := range states() {
		s := h.fold(t, conv)
		places[place(s)] = true
		for name, in := range simple {
			d := testRules().Decide(s, in)
			if got, want := say(d), plain[name]+" ack"; got != want {
				t.Errorf("%s in %s: got %s, want %s", name, state, got, want)
			}
			if got := say(testRules().Decide(h.then(in.ID, d.Events...).fold(t, conv), in)); got != "ack" {
				t.Errorf("%s again in %s: got %s", name, state, got)
			}
			rows[[2]string{name, place(s)}] = true
		}
		if got := say(testRules().Decide(s, unreadable("m3", "message", 1))); got != "drop" {
			t.Errorf("unreadable in %s: got %s", state, got)
		}
	}
	for _, kind := range inboxKinds(t) {
		for p := range places {
			if !rows[[2]string{kind, p}] {
				t.Errorf("no row says what becomes of a first %s where the conversation is %q", kind, p)
			}
		}
	}
}

// inboxKinds are the types of inbox message, as the source of events has them.
func inboxKinds(t *testing.T) (kinds []string) {
	t.Helper()
	source, err := os.ReadFile("../events/command.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`CommandType\(\) string \{ return "(\w+)" \}`).FindAllSubmatch(source, -1) {
		kinds = append(kinds, string(m[1]))
	}
	if len(kinds) < 15 {
		t.Fatalf("found only %q", kinds)
	}
	return kinds
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
