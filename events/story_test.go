package events_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// A story is a conversation as the agent would write it: every method handles
// one inbox message and stores the commit that it leads to. Ids and times come
// from what is told, so the same story gives the same bytes.
type story struct {
	t       testing.TB
	ref     events.Ref
	now     time.Time
	seq     uint64 // of the inbox message being handled
	lease   events.Lease
	cause   string
	by      events.By
	state   *events.Conversation
	commits []*events.Commit
	bases   []base
}

// A base is the state at commit n with limit runs, kept beside a golden log.
type base struct {
	n     uint64
	limit int
	state *events.Conversation
}

var began = time.Date(2026, 3, 14, 9, 26, 53, 589793238, time.UTC)

const (
	worker      = "agent-1"
	workingTime = 5 * time.Minute
	approval    = 24 * time.Hour
)

func tell(t testing.TB, user events.UserID, conversation events.ConversationID) *story {
	t.Helper()
	ref, err := events.NewRef(user, conversation)
	if err != nil {
		t.Fatal(err)
	}
	return &story{t: t, ref: ref, now: began, seq: 1000, state: events.NewConversation(ref)}
}

// receive begins the handling of another inbox message.
func (s *story) receive(cause string, by events.By) {
	s.seq += 7
	s.cause, s.by = cause, by
	s.lease = events.Lease{Stream: events.StreamInbox, Sequence: s.seq, Delivery: 1}
}

// redeliver is the same message again, after its worker died.
func (s *story) redeliver() {
	s.lease.Delivery++
	s.now = s.now.Add(15 * time.Second)
}

func (s *story) commit(list ...events.Event) {
	s.t.Helper()
	s.now = s.now.Add(1250 * time.Millisecond)
	n := s.state.N + 1
	id, err := events.CommitID(s.ref, n, worker, s.lease, list)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &events.Commit{
		V: events.Version, ConversationID: s.ref.Conversation(), UserID: s.ref.User(), N: n,
		CommitID: id, Cause: s.cause, By: s.by, Time: s.now, Events: list,
	}
	if err := s.state.Apply(c); err != nil {
		s.t.Fatal(err)
	}
	s.commits = append(s.commits, c)
}

// control commits the events of a command that never calls the model.
func (s *story) control(id string, list ...events.Event) {
	s.t.Helper()
	s.receive(id, events.ByUser)
	s.commit(list...)
}

// keep remembers the base at this point.
func (s *story) keep(limit int) {
	s.bases = append(s.bases, base{s.state.N, limit, s.state.Base(limit)})
}

// run returns the id of the run that answers message id.
func (s *story) run(id string) events.RunID {
	return events.RunIDFor(s.ref.User(), s.ref.Conversation(), events.MessageID(id))
}

// say is a person's message after the tip; change may edit what is accepted.
func (s *story) say(id, text string, change ...func(*events.MessageAccepted)) events.RunID {
	s.t.Helper()
	s.receive(id, events.ByUser)
	e := events.MessageAccepted{MessageID: events.MessageID(id), RunID: s.run(id), Text: text}
	if tip := s.state.Tip(); tip != nil {
		e.ParentID = tip.RunID
	}
	for _, f := range change {
		f(&e)
	}
	_, stopped := s.state.Tombstone(e.RunID)
	switch {
	case stopped:
		s.commit(e, events.RunCancelled{RunID: e.RunID})
	case s.state.Active() != nil:
		s.commit(e)
	default:
		s.commit(append([]events.Event{e}, s.start(e.RunID, e.MessageID, e.Model)...)...)
	}
	return e.RunID
}

func (s *story) start(run events.RunID, m events.MessageID, model string) []events.Event {
	return []events.Event{
		events.RunStarted{RunID: run, MessageID: m, Model: cmp.Or(model, "demo"), Deadline: s.now.Add(workingTime)},
		events.StepStarted{RunID: run, Step: 1, Attempt: 1, Lease: s.lease, Worker: worker},
	}
}

// active returns the active run and fails the test without one.
func (s *story) active() *events.Run {
	s.t.Helper()
	r := s.state.Active()
	if r == nil {
		s.t.Fatal("the story has no active run")
	}
	return r
}

func usage(step int, text string) events.Usage {
	return events.Usage{InputTokens: 120 + 40*step, OutputTokens: len(text)/4 + 1}
}

// end closes the active run with its terminal event, and starts the next queued one.
func (s *story) end(terminal events.Event, before ...events.Event) {
	s.t.Helper()
	list := append(slices.Clone(before), terminal)
	if next := s.state.NextQueued(); next != nil {
		list = append(list, s.start(next.RunID, next.Message.MessageID, next.Message.Model)...)
	}
	s.commit(list...)
}

// answer is a model call that ends the active run with text.
func (s *story) answer(text string) {
	s.t.Helper()
	r := s.active()
	u := usage(r.Step, text)
	s.end(events.RunCompleted{RunID: r.RunID, Usage: r.Usage.Add(u)}, events.StepCompleted{
		RunID: r.RunID, Step: r.Step, Attempt: r.Attempt, Text: text, Usage: u, FinishReason: "stop",
	})
}

// A want is a tool call that the model asks for.
type want struct {
	name, args string
	ask        bool   // a person is asked first
	hold       bool   // waits for its turn
	refuse     string // code of an error at once
}

// call is a model call that ends with tool calls.
func (s *story) call(text string, wants ...want) []events.CallID {
	s.t.Helper()
	r := s.active()
	done := events.StepCompleted{
		RunID: r.RunID, Step: r.Step, Attempt: r.Attempt, Text: text, Usage: usage(r.Step, text), FinishReason: "tool_calls",
	}
	var ids []events.CallID
	var rest []events.Event
	for i, w := range wants {
		id := events.CallIDFor(r.RunID, r.Step, i)
		ids = append(ids, id)
		done.ToolCalls = append(done.ToolCalls, events.ToolCall{CallID: id, Name: w.name, Arguments: jsontext.Value(w.args)})
		switch {
		case w.refuse != "":
			rest = append(rest, events.ToolReturned{CallID: id, RunID: r.RunID, Error: &events.ToolError{Code: w.refuse, Message: "This call is refused."}})
		case w.ask:
			rest = append(rest, events.ApprovalRequested{CallID: id, RunID: r.RunID, ExpiresAt: s.now.Add(approval)})
		case !w.hold:
			rest = append(rest, s.release(r, id, w.name, w.args))
		}
	}
	s.commit(append([]events.Event{done}, rest...)...)
	return ids
}

func (s *story) release(r *events.Run, id events.CallID, name, args string) events.ToolCalled {
	return events.ToolCalled{
		CallID: id, RunID: r.RunID, Server: "tasks", Name: name, Arguments: jsontext.Value(args), By: events.ByModel, Deadline: r.Deadline,
	}
}

// returned is the answer of the tool worker to a call.
func (s *story) returned(id events.CallID, result string) {
	s.t.Helper()
	s.receive(events.ResultID(id), events.BySystem)
	s.join(events.ToolReturned{CallID: id, OK: true, Result: jsontext.Value(result), DurationMS: 12})
}

// failed is the answer of the tool worker that a call gave no result.
func (s *story) failed(id events.CallID, code, message string) {
	s.t.Helper()
	s.receive(events.ResultID(id), events.BySystem)
	s.join(events.ToolReturned{CallID: id, Error: &events.ToolError{Code: code, Message: message}, DurationMS: 7})
}

// join commits an answer and what follows if it was the last one awaited.
func (s *story) join(e events.ToolReturned, before ...events.Event) {
	s.t.Helper()
	call, r := s.state.Call(e.CallID)
	if call == nil {
		s.t.Fatalf("the story has no call %s", e.CallID)
	}
	if r == nil {
		s.commit(e)
		return
	}
	e.RunID = r.RunID
	list := append(slices.Clone(before), e)
	open, running := 0, 0
	for _, c := range r.Calls {
		if c.CallID == e.CallID || c.Status.Answered() {
			continue
		}
		open++
		if c.Status == events.CallRunning {
			running++
		}
	}
	switch {
	case r.Status.Over():
		e.Late = true
		s.commit(e)
	case r.Stop != nil && running == 0:
		s.end(s.stopped(r, "", &e), list...)
	case r.Stop == nil && open == 0:
		s.commit(append(list, events.StepStarted{RunID: r.RunID, Step: r.Step + 1, Attempt: 1, Lease: s.lease, Worker: worker})...)
	default:
		s.commit(list...)
	}
}

// decide is a person's answer to an approval request, or nobody's.
func (s *story) decide(cause string, id events.CallID, decision, args, reason string) {
	s.t.Helper()
	by := events.ByUser
	if decision == events.Expired {
		by = events.BySystem
	}
	s.receive(cause, by)
	call, r := s.state.Call(id)
	if call == nil || r == nil {
		s.t.Fatalf("the story has no call %s", id)
	}
	e := events.ApprovalAnswered{CallID: id, RunID: r.RunID, Decision: decision, Reason: reason, By: by}
	if args != "" {
		e.Arguments = jsontext.Value(args)
	}
	if r.Status == events.RequiresAction {
		e.Deadline = s.now.Add(workingTime)
	}
	if decision == events.Allow {
		called := s.release(r, id, call.Name, cmp.Or(args, string(call.Arguments)))
		if !e.Deadline.IsZero() {
			called.Deadline = e.Deadline
		}
		s.commit(e, called)
		return
	}
	s.join(events.ToolReturned{CallID: id, Error: &events.ToolError{Code: events.ToolDenied, Message: "The call was not allowed."}}, e)
}

// stopped returns the terminal event of a run that was asked to stop.
func (s *story) stopped(r *events.Run, text string, answer *events.ToolReturned) events.Event {
	u := r.Usage
	if text != "" {
		u = u.Add(events.Usage{InputTokens: 100, OutputTokens: len(text) / 4, Estimated: true})
	}
	rec := events.Receipt{Text: text}
	for _, c := range r.Calls {
		ran := c.Status == events.CallDone || c.Status == events.CallFailed
		if answer != nil && answer.CallID == c.CallID {
			ran = answer.OK
		}
		if ran {
			rec.Ran = append(rec.Ran, c.CallID)
		} else {
			rec.NotRun = append(rec.NotRun, c.CallID)
		}
	}
	if r.Stop != nil && r.Stop.Why != events.WhyUser {
		return events.RunFailed{RunID: r.RunID, Code: string(r.Stop.Why), Message: "The answer took too long and was ended.", Usage: u, Receipt: rec}
	}
	return events.RunCancelled{RunID: r.RunID, Usage: u, Receipt: rec}
}

// stop asks a run to stop, and ends it at once if nothing is awaited.
func (s *story) stop(cause string, run events.RunID, by events.By, why events.Why) {
	s.t.Helper()
	s.receive(cause, by)
	request := events.RunCancelRequested{RunID: run, By: by, Why: why}
	r := s.state.Run(run)
	switch {
	case r == nil || r.Streaming || r.Count(events.CallRunning) > 0:
		s.commit(request)
	case r.Status == events.Queued:
		s.commit(request, events.RunCancelled{RunID: run})
	default:
		k := *r
		k.Stop = &events.Stop{By: by, Why: why}
		s.end(s.stopped(&k, "", nil), request)
	}
}

// cut is the lease holder's end of a stopped model call, with the text so far.
func (s *story) cut(text string) {
	s.t.Helper()
	s.end(s.stopped(s.active(), text, nil))
}

// again is the takeover of the open model call by a newer delivery.
func (s *story) again() {
	s.t.Helper()
	s.redeliver()
	r := s.active()
	s.commit(events.StepStarted{RunID: r.RunID, Step: r.Step, Attempt: r.Attempt + 1, Lease: s.lease, Worker: "agent-2"})
}

// lines returns the commits as they are stored, one a line.
func (s *story) lines() []byte {
	s.t.Helper()
	var b strings.Builder
	for _, c := range s.commits {
		line, err := c.Encode()
		if err != nil {
			s.t.Fatal(err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
