package agentworker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// Limits bound one run. The zero value of a field means its default.
type Limits struct {
	Steps       int           // model calls of a run; default 12
	Calls       int           // tool calls of a run; default 32
	InFlight    int           // calls released and unanswered; default 8
	WorkingTime time.Duration // from start to deadline, without the time a person is asked; default 5 min
	Tokens      int           // input and output of a run; default 400,000
	Approval    time.Duration // until an unanswered approval expires; default 24 h
	HandCall    time.Duration // until a call by hand must have begun; default 1 min
	Late        time.Duration // that a stop stands, until a deadline ends a run whose model call nobody gives back; default 30 s
}

func (l Limits) withDefaults() Limits {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&l.Steps, 12)
	or(&l.Calls, 32)
	or(&l.InFlight, 8)
	or(&l.Tokens, 400_000)
	if l.WorkingTime == 0 {
		l.WorkingTime = 5 * time.Minute
	}
	if l.Approval == 0 {
		l.Approval = 24 * time.Hour
	}
	if l.HandCall == 0 {
		l.HandCall = time.Minute
	}
	if l.Late == 0 {
		l.Late = 30 * time.Second
	}
	return l
}

const (
	// maxAttempts is how often a step may fail before its run does.
	maxAttempts = 3
	// maxDeliveries is how often a message that never got into the log is tried.
	maxDeliveries = 12
)

// Rules are all that a decision rests on beside the log and the inbox.
type Rules struct {
	Limits Limits
	// Model answers messages that name none.
	Model string
	// Tools are offered to the model and checked against its calls.
	Tools []events.Tool
	// Policy says allow, ask or deny for a tool; nil allows all.
	Policy func(tool string) string
}

// An Input is one delivery of an inbox message.
type Input struct {
	events.Inbox
	Lease events.Lease
	// Worker names this process in step.started.
	Worker string
	// Now becomes the time of the commit.
	Now time.Time
}

// by says who caused the commit that in leads to.
func (in *Input) by() events.By {
	switch in.Command.(type) {
	case titled:
		return events.ByModel
	case events.Result, events.RunDeadline, events.ApprovalExpiry, Unreadable:
		return events.BySystem
	default:
		return events.ByUser
	}
}

// Then is what follows a decision's commit and emissions.
type Then int

// What can follow. Drop leaves the message to its lease: the state that would
// allow an ack may be stale, or another handler is on it.
const (
	Drop Then = iota
	Ack
	CallModel
)

// A Decision is what to do about an input. After the commit, and before Then,
// whatever [Rules.Due] finds in the new state is emitted.
type Decision struct {
	Events []events.Event
	Then   Then
	// Signal asks whoever streams to look at the log now.
	Signal bool
	// DeadLetter, if not empty, is why the message is copied to the DLQ.
	DeadLetter string
	// Certain forbids a stale state: the decision gives a message up because of
	// what the log does not have. The performer makes sure that nothing is newer.
	Certain bool
}

func commit(then Then, list ...events.Event) Decision { return Decision{Events: list, Then: then} }

// Decide says what to do about in, seen from state s. It is pure: the worker
// performs. The rules, and the readings of them that break, are in docs/decide.md.
func (r *Rules) Decide(s *events.Conversation, in Input) Decision {
	if run := s.Active(); run != nil && run.Streaming && run.Lease.Same(in.Lease) {
		return r.redelivered(s, run, in)
	}
	if s.HasCause(in.ID) {
		return commit(Ack)
	}
	poison := in.Lease.Delivery > maxDeliveries
	d := r.first(s, in, poison)
	if !poison {
		return d
	}
	d.DeadLetter = "given up after many deliveries"
	if d.Then == Drop {
		// It waits for a call or a run that the log has not got. A newest state that
		// has not got it after all this time never will.
		d.Then, d.Certain = Ack, true
	}
	return d
}

// redelivered handles a message under whose lease a model call is open. Only a
// newer delivery may take over: an equal one has lost a race against itself.
func (r *Rules) redelivered(s *events.Conversation, run *events.Run, in Input) Decision {
	switch {
	case in.Lease.Delivery <= run.Lease.Delivery && !fault.Planted(fault.TakeoverAnyDelivery):
		return commit(Drop)
	case run.Stop != nil:
		return r.end(s, run, in, ending{})
	case run.Failures() >= maxAttempts:
		return r.end(s, run, in, ending{fail: &events.RunError{
			Code:    events.FailAttempts,
			Message: "The answer was interrupted three times. Your message is saved; you can ask again.",
		}})
	}
	return commit(CallModel, events.StepStarted{
		RunID: run.RunID, Step: run.Step, Attempt: run.Attempt + 1, Lease: in.Lease, Worker: in.Worker,
	})
}

// first handles a message whose id is not in the log. With poison, messages are
// closed at once, whatever else runs; the rest is handled as always.
func (r *Rules) first(s *events.Conversation, in Input, poison bool) Decision {
	switch cmd := in.Command.(type) {
	case events.Message:
		parent, ok := parentOf(s, cmd.ParentID)
		return r.accept(s, in, poison, ok, cmd.Interrupt, events.MessageAccepted{
			ParentID: parent, Text: cmd.Text, Model: cmd.Model, Timezone: cmd.Timezone,
		})
	case events.Regenerate:
		e := events.MessageAccepted{Model: cmd.Model, Timezone: cmd.Timezone, Regenerates: cmd.RunID}
		src := s.Run(cmd.RunID)
		if src != nil {
			e.ParentID, e.Text = src.ParentID, src.Message.Text
		} else {
			// Its run fails, but the next message follows it and must find its history.
			e.ParentID, _ = parentOf(s, "")
		}
		return r.accept(s, in, poison, src != nil, cmd.Interrupt, e)
	case events.CallTool:
		e := events.ToolCalled{
			CallID: events.HandCallID(in.UserID, in.ID), Server: cmd.Server, Name: cmd.Name, Arguments: cmd.Arguments,
			By: events.ByUser, Deadline: in.Now.Add(r.Limits.HandCall),
		}
		if !events.ValidID(cmd.Server) {
			// No subject leads there: a call that is due for ever would block all that come after it.
			return commit(Ack, e, events.ToolReturned{CallID: e.CallID, Error: &events.ToolError{
				Code: events.ToolUnknown, Message: "There is no such tool server.",
			}})
		}
		return commit(Ack, e)
	case events.Result:
		return r.result(s, in, cmd)
	case events.Answer:
		return r.answer(s, in, cmd, events.ByUser)
	case events.ApprovalExpiry:
		return r.answer(s, in, events.Answer{CallID: cmd.CallID, Decision: events.Expired}, events.BySystem)
	case events.Cancel:
		return r.stop(s, in, cmd.RunID, events.ByUser, events.WhyUser)
	case events.RunDeadline:
		return r.deadline(s, in, cmd)
	case events.Delete:
		return r.remove(s, in)
	case events.Restore:
		return commit(Ack, events.ConversationRestored{})
	case events.Rename:
		return commit(Ack, events.ConversationRenamed{Title: cmd.Title, By: events.ByUser})
	case events.Pin:
		return commit(Ack, events.ConversationPinned{Pinned: cmd.Pinned})
	case events.Archive:
		return commit(Ack, events.ConversationArchived{Archived: cmd.Archived})
	case events.Read:
		return commit(Ack, events.ConversationRead{ReadN: cmd.ReadN})
	case events.Rate:
		return commit(Ack, events.MessageRated(cmd))
	default:
		return r.unreadable(s, in, poison)
	}
}

// unreadable handles a message whose body this build cannot decode: only its
// headers are known. It waits for a build that can, until it is poison.
func (r *Rules) unreadable(s *events.Conversation, in Input, poison bool) Decision {
	if !poison {
		return commit(Drop)
	}
	if id, ok := strings.CutSuffix(in.ID, events.ResultID("")); ok {
		return r.result(s, in, events.Result{CallID: events.CallID(id), Error: &events.ToolError{
			Code: events.ToolOutcomeLost, Message: "The tool's answer could not be read; it may have acted.",
		}})
	}
	if !events.ValidID(in.ID) || !in.startsRun() {
		return commit(Ack)
	}
	tip, _ := parentOf(s, "")
	return r.accept(s, in, true, true, false, events.MessageAccepted{ParentID: tip})
}

// startsRun reports whether an unreadable message was one that a person waits for.
func (in *Input) startsRun() bool {
	u, ok := in.Command.(Unreadable)
	return ok && (u.Type == events.Message{}.CommandType() || u.Type == events.Regenerate{}.CommandType())
}

// Unreadable stands for a command that could not be decoded. Type is what its header says.
type Unreadable struct{ Type string }

// CommandType implements [events.Command].
func (u Unreadable) CommandType() string { return u.Type }

// parentOf resolves the parent that a message names; ok is false if there is no such run.
func parentOf(s *events.Conversation, id events.RunID) (parent events.RunID, ok bool) {
	tip := s.Tip()
	switch {
	case id == events.Root:
		return "", true
	case id != "" && s.Run(id) != nil:
		return id, true
	case tip != nil:
		return tip.RunID, id == ""
	}
	return "", id == ""
}

func (r *Rules) accept(s *events.Conversation, in Input, poison, parentKnown, interrupt bool, e events.MessageAccepted) Decision {
	e.MessageID = events.MessageID(in.ID)
	e.RunID = events.RunIDFor(in.UserID, in.ConversationID, e.MessageID)
	if _, stopped := s.Tombstone(e.RunID); stopped || s.Deleted {
		return commit(Ack, e, events.RunCancelled{RunID: e.RunID})
	}
	if poison {
		return commit(Ack, e, events.RunFailed{
			RunID: e.RunID, Code: events.FailPoison,
			Message: "This message could not be handled after many tries. It is saved; you can send it again.",
		})
	}
	if !parentKnown {
		return commit(Ack, e, events.RunFailed{
			RunID: e.RunID, Code: events.FailUnknownParent,
			Message: "The message that this one answers does not exist.",
		})
	}
	run := &events.Run{RunID: e.RunID, Message: events.UserMessage{MessageID: e.MessageID, Model: e.Model}}
	switch active := s.Active(); {
	case active == nil:
		// With nothing active nothing can be queued: whoever ends a run starts the next.
		return commit(CallModel, append([]events.Event{e}, r.start(run, in)...)...)
	case interrupt && active.Stop == nil:
		request := events.RunCancelRequested{RunID: active.RunID, By: events.ByUser, Why: events.WhyUser}
		return r.stopActive(s, active, in, request, ending{next: run}).after([]events.Event{e})
	}
	return commit(Ack, e)
}

// start begins a run under the lease of the message being handled, whatever its kind.
func (r *Rules) start(run *events.Run, in Input) []events.Event {
	model := run.Message.Model
	if model == "" {
		model = r.Model
	}
	return []events.Event{
		events.RunStarted{RunID: run.RunID, MessageID: run.Message.MessageID, Model: model, Deadline: in.Now.Add(r.Limits.WorkingTime)},
		events.StepStarted{RunID: run.RunID, Step: 1, Attempt: 1, Lease: in.Lease, Worker: in.Worker},
	}
}

// result folds the answer to a call in, recognised by its call id, whatever its inbox id.
func (r *Rules) result(s *events.Conversation, in Input, res events.Result) Decision {
	call, run := s.Call(res.CallID)
	switch {
	case call == nil && s.CallAnswered(res.CallID):
		return commit(Ack)
	case call == nil:
		// The state may be older than the call: never ack what it cannot know.
		return commit(Drop)
	case !call.ReturnedAt.IsZero():
		return commit(Ack)
	}
	e := events.ToolReturned{
		CallID: call.CallID, OK: res.OK, Result: res.Result, Error: res.Error, DurationMS: res.DurationMS, Truncated: res.Truncated,
	}
	if run == nil {
		return commit(Ack, e)
	}
	e.RunID = run.RunID
	if run.Status.Over() {
		e.Late = true
		return commit(Ack, e)
	}
	return r.returned(s, run, in, e)
}

// returned goes on after an answer to a call of the active run: the join of
// parallel calls is inside the commit that brings the last of them.
func (r *Rules) returned(s *events.Conversation, run *events.Run, in Input, e events.ToolReturned, before ...events.Event) Decision {
	list := append(before, e)
	answers := answersIn(list)
	running, asking := 0, 0
	var waiting []*events.Call
	for _, c := range run.Calls {
		switch {
		case slices.ContainsFunc(answers, func(a events.ToolReturned) bool { return a.CallID == c.CallID }):
		case c.Status == events.CallRunning:
			running++
		case c.Status == events.CallAsking:
			asking++
		case c.Status == events.CallWaiting:
			waiting = append(waiting, c)
		}
	}
	switch {
	case run.Stop != nil && running > 0:
		return commit(Ack, list...)
	case run.Stop != nil:
		return r.end(s, run, in, ending{answers: answers}).after(list)
	case len(waiting) > 0 && running < r.Limits.InFlight:
		c := waiting[0]
		if r.tool(c.Name) == nil {
			return r.returned(s, run, in, gone(run, c), list...)
		}
		return commit(Ack, append(list, r.release(run.RunID, c.CallID, c.Name, c.Arguments, run.Deadline))...)
	case running > 0 || asking > 0 || len(waiting) > 0:
		return commit(Ack, list...)
	}
	return r.nextStep(s, run, in, run.Step, run.Usage, ending{answers: answers}).after(list)
}

// gone answers a call whose tool left the configuration before the call's turn
// came: a work item for no server could never be stored.
func gone(run *events.Run, c *events.Call) events.ToolReturned {
	return events.ToolReturned{
		CallID: c.CallID, RunID: run.RunID,
		Error: &events.ToolError{Code: events.ToolUnknown, Message: fmt.Sprintf("There is no tool %q any more.", c.Name)},
	}
}

// after puts events before those of d.
func (d Decision) after(list []events.Event) Decision {
	d.Events = append(list, d.Events...)
	return d
}

// nextStep begins the model call after step, or ends the run at a limit.
func (r *Rules) nextStep(s *events.Conversation, run *events.Run, in Input, step int, used events.Usage, e ending) Decision {
	switch {
	case step >= r.Limits.Steps:
		e.fail = &events.RunError{Code: events.FailSteps, Message: "The answer took too many steps and was ended. What the tools did is kept."}
	case used.InputTokens+used.OutputTokens >= r.Limits.Tokens:
		e.fail = &events.RunError{Code: events.FailTokens, Message: "The answer used too many tokens and was ended. What the tools did is kept."}
	default:
		return commit(CallModel, events.StepStarted{RunID: run.RunID, Step: step + 1, Attempt: 1, Lease: in.Lease, Worker: in.Worker})
	}
	return r.end(s, run, in, e)
}

func (r *Rules) release(run events.RunID, id events.CallID, name string, args jsontext.Value, deadline time.Time) events.ToolCalled {
	e := events.ToolCalled{CallID: id, RunID: run, Name: name, Arguments: args, By: events.ByModel, Deadline: deadline}
	if t := r.tool(name); t != nil {
		e.Server = t.Server
	}
	return e
}

// tool returns the tool that models may call by this name, or nil.
func (r *Rules) tool(name string) *events.Tool {
	for i := range r.Tools {
		if t := &r.Tools[i]; t.Name == name && !t.PeopleOnly {
			return t
		}
	}
	return nil
}

// answer handles a person's decision about a call, or that none came.
func (r *Rules) answer(s *events.Conversation, in Input, a events.Answer, by events.By) Decision {
	call, run := s.Call(a.CallID)
	switch {
	case call == nil:
		return commit(Drop)
	case run == nil || run.Status.Over() || call.Status != events.CallAsking || run.Stop != nil:
		return commit(Ack)
	}
	e := events.ApprovalAnswered{CallID: call.CallID, RunID: run.RunID, Decision: a.Decision, Arguments: a.Arguments, Reason: a.Reason, By: by}
	deadline := run.Deadline
	if run.Status == events.RequiresAction {
		// Later than the one before even if clocks differ: it has a timer of its
		// own, and the one before may fire and be acknowledged at any time.
		deadline = later(in.Now.Add(run.Deadline.Sub(r.pausedAt(run))), run.Deadline.Add(time.Millisecond))
		e.Deadline = deadline
	}
	if a.Decision == events.Allow {
		if r.tool(call.Name) == nil {
			return r.returned(s, run, in, gone(run, call), e)
		}
		args := call.Arguments
		if len(a.Arguments) > 0 {
			args = a.Arguments
		}
		return commit(Ack, e, r.release(run.RunID, call.CallID, call.Name, args, deadline))
	}
	why := "The person did not allow this call."
	if a.Decision == events.Expired {
		why = "Nobody answered the request to allow this call in time."
	} else if a.Reason != "" {
		why += " Their reason: " + a.Reason
	}
	return r.returned(s, run, in, events.ToolReturned{
		CallID: call.CallID, RunID: run.RunID,
		Error: &events.ToolError{Code: events.ToolDenied, Message: why},
	}, e)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pausedAt is when the run began to wait for nothing but a person: its working
// time stood still from then on.
func (r *Rules) pausedAt(run *events.Run) time.Time {
	var at time.Time
	for _, c := range run.Calls {
		for _, t := range []time.Time{c.ReturnedAt, c.ExpiresAt.Add(-r.Limits.Approval)} {
			if t.After(at) {
				at = t
			}
		}
	}
	if at.After(run.Deadline) {
		return run.Deadline
	}
	return at
}
