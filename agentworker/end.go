package agentworker

import (
	"slices"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// An ending is what [Rules.end] is told beside the state.
type ending struct {
	// fail ends the run as failed, unless a stop was requested first.
	fail *events.RunError
	// text is what the model had written when it was cut; usage what it had used.
	text  string
	usage events.Usage
	// answers are those that stand before the end in the same commit.
	answers []events.ToolReturned
	// stop is the request that stands before the end in the same commit.
	stop *events.Stop
	// next is the run of a message that the same commit accepts: it starts if nothing is queued before it.
	next *events.Run
	// last leaves queued messages alone: the caller closes them itself.
	last bool
}

// end is the one way to end a run: its terminal event and, in the same commit,
// the start of the next queued run under the lease of the message at hand.
func (r *Rules) end(s *events.Conversation, run *events.Run, in Input, e ending) Decision {
	usage := run.Usage.Add(e.usage)
	stop := run.Stop
	if stop == nil {
		stop = e.stop
	}
	var terminal events.Event
	switch {
	case stop != nil && stop.Why == events.WhyUser:
		terminal = events.RunCancelled{RunID: run.RunID, Usage: usage, Receipt: receipt(run, e)}
	case stop != nil:
		terminal = events.RunFailed{RunID: run.RunID, Code: string(stop.Why), Message: stopMessage(stop.Why), Usage: usage, Receipt: receipt(run, e)}
	case e.fail != nil:
		terminal = events.RunFailed{RunID: run.RunID, Code: e.fail.Code, Message: e.fail.Message, Usage: usage, Receipt: receipt(run, e)}
	default:
		terminal = events.RunCompleted{RunID: run.RunID, Usage: usage}
	}
	next := s.NextQueued()
	if next == nil {
		next = e.next
	}
	if _, whole := terminal.(events.RunCompleted); !whole && fault.Planted(fault.EndStartsNothing) {
		next = nil
	}
	if next == nil || e.last {
		return commit(Ack, terminal)
	}
	return commit(CallModel, append([]events.Event{terminal}, r.start(next, in)...)...)
}

func stopMessage(why events.Why) string {
	if why == events.WhyDeadline {
		return "The answer took too long and was ended. What was written and done until then is kept."
	}
	return "The answer could not be finished after many tries. What was written and done until then is kept."
}

// receipt says what of a run happened. Only an answer of the tool itself is a
// call that ran; every other answer says that it did not and never will.
func receipt(run *events.Run, e ending) events.Receipt {
	rec := events.Receipt{Text: e.text}
	if fault.Planted(fault.StopDropsText) {
		rec.Text = ""
	}
	add := func(id events.CallID, ok bool, toolErr *events.ToolError) {
		if ok || toolErr != nil && (toolErr.Code == events.ToolFailed || toolErr.Code == events.ToolOutcomeLost) {
			rec.Ran = append(rec.Ran, id)
		} else {
			rec.NotRun = append(rec.NotRun, id)
		}
	}
	for _, c := range run.Calls {
		if !slices.ContainsFunc(e.answers, func(a events.ToolReturned) bool { return a.CallID == c.CallID }) {
			add(c.CallID, c.Status == events.CallDone, c.Error)
		}
	}
	for _, a := range e.answers {
		add(a.CallID, a.OK, a.Error)
	}
	return rec
}

// answersIn returns the tool.returned of a commit.
func answersIn(list []events.Event) (answers []events.ToolReturned) {
	for _, e := range list {
		if a, ok := e.(events.ToolReturned); ok {
			answers = append(answers, a)
		}
	}
	return answers
}

// stop asks run id to end. The first stop wins; a deadline takes the same path
// as a cancel, so there is never a second way to end a run.
func (r *Rules) stop(s *events.Conversation, in Input, id events.RunID, by events.By, why events.Why) Decision {
	request := events.RunCancelRequested{RunID: id, By: by, Why: why}
	run := s.Run(id)
	if run == nil {
		if why != events.WhyUser {
			return commit(Drop) // a run that this state does not know yet
		}
		if _, there := s.Tombstone(id); there {
			return commit(Ack)
		}
		return commit(Ack, request)
	}
	switch {
	case run.Status.Over() || run.Stop != nil:
		return commit(Ack)
	case run.Status == events.Queued && why != events.WhyUser:
		return commit(Drop) // a start that this state does not know yet
	case run.Status == events.Queued:
		return commit(Ack, request, events.RunCancelled{RunID: id})
	}
	return r.stopActive(s, run, in, request, ending{})
}

// stopActive stops the run that is not queued and not over. Whoever holds the
// model call, or the last open tool call, ends the run; if there is neither,
// it ends here, as e says.
func (r *Rules) stopActive(s *events.Conversation, run *events.Run, in Input, request events.RunCancelRequested, e ending) Decision {
	switch {
	case run.Streaming:
		return Decision{Events: []events.Event{request}, Then: Ack, Signal: true}
	case run.Count(events.CallRunning) > 0 && !fault.Planted(fault.CancelEndsRun):
		return commit(Ack, request)
	}
	e.stop = &events.Stop{By: request.By, Why: request.Why}
	return r.end(s, run, in, e).after([]events.Event{request})
}

// deadline handles the timer of a run's working time. A run whose clock stood
// still has a later deadline, or none while it waits only for a person. Where a
// stop has stood for so long that whoever holds the model call must have seen it,
// nobody does: NATS has forgotten the message that is the lease.
func (r *Rules) deadline(s *events.Conversation, in Input, d events.RunDeadline) Decision {
	run := s.Run(d.RunID)
	switch {
	case run == nil || run.Status.Over():
	case d.At.After(run.Deadline):
		return commit(Drop) // the clock goes on since then, and this state does not know it yet
	case d.At.Before(run.Deadline) || run.Status == events.RequiresAction:
		return commit(Ack)
	case run.Streaming && run.Stop != nil && in.Now.After(run.Stop.At.Add(r.Limits.Late)):
		return r.end(s, run, in, ending{})
	}
	return r.stop(s, in, d.RunID, events.BySystem, events.WhyDeadline)
}

// remove deletes the conversation and stops what runs and waits in it.
func (r *Rules) remove(s *events.Conversation, in Input) Decision {
	list := []events.Event{events.ConversationDeleted{}}
	for _, run := range s.Runs {
		if run.Status == events.Queued {
			list = append(list, events.RunCancelRequested{RunID: run.RunID, By: events.ByUser, Why: events.WhyUser},
				events.RunCancelled{RunID: run.RunID})
		}
	}
	run := s.Active()
	if run == nil || run.Stop != nil {
		return commit(Ack, list...)
	}
	request := events.RunCancelRequested{RunID: run.RunID, By: events.ByUser, Why: events.WhyUser}
	return r.stopActive(s, run, in, request, ending{last: true}).after(list)
}
