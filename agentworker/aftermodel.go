package agentworker

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
)

// A Claim names the model call that a handler made: it may commit only while
// the state says that the call is still its own.
type Claim struct {
	RunID   events.RunID
	Step    int
	Attempt int
	Lease   events.Lease
}

// claimOf returns the claim to the open model call of s.
func claimOf(run *events.Run) Claim { return Claim{run.RunID, run.Step, run.Attempt, run.Lease} }

// holds returns the run if c still holds its open model call, else nil.
func (c Claim) holds(s *events.Conversation) *events.Run {
	run := s.Active()
	if run == nil || !run.Streaming || claimOf(run) != c {
		return nil
	}
	return run
}

// An Outcome is how a model call ended. With Err the completion holds what came before it.
type Outcome struct {
	openai.Completion
	Err *openai.Error
}

// usage is what the call has used, with what earlier attempts did where the
// worker knows it.
func (o *Outcome) usage() events.Usage {
	return events.Usage{InputTokens: o.InputTokens, OutputTokens: o.OutputTokens, Estimated: o.Estimated}
}

// AfterModel says what to do with the outcome of a model call, seen from the
// state that the commit will stand on. in is the delivery that holds the lease.
func (r *Rules) AfterModel(s *events.Conversation, c Claim, out Outcome, in Input) Decision {
	run := c.holds(s)
	usage := out.usage()
	switch {
	case run == nil:
		return commit(Drop)
	case run.Stop != nil:
		return r.end(s, run, in, ending{text: out.Text, usage: usage})
	case out.Err != nil && out.Err.Cut && run.Failures() < maxAttempts:
		return commit(CallModel, events.StepStarted{RunID: run.RunID, Step: run.Step, Attempt: run.Attempt + 1, Lease: in.Lease, Worker: in.Worker})
	case out.Err != nil:
		return r.end(s, run, in, ending{text: out.Text, usage: usage, fail: &events.RunError{Code: out.Err.Code, Message: out.Err.Message}})
	case out.Text == "" && len(out.ToolCalls) == 0 && len(run.Steps) == 0:
		return r.end(s, run, in, ending{usage: usage, fail: &events.RunError{
			Code:    events.FailModel,
			Message: "The model gave an empty answer. Your message is saved; you can ask again.",
		}})
	}
	done := events.StepCompleted{
		RunID: run.RunID, Step: run.Step, Attempt: run.Attempt, Text: out.Text, Usage: usage, FinishReason: out.FinishReason,
	}
	for i, t := range out.ToolCalls {
		done.ToolCalls = append(done.ToolCalls, events.ToolCall{
			CallID: events.CallIDFor(run.RunID, run.Step, i), Name: t.Name, Arguments: arguments(t.Arguments),
		})
	}
	list := []events.Event{done}
	if len(done.ToolCalls) == 0 {
		return r.end(s, run, in, ending{usage: usage}).after(list)
	}
	if len(run.Calls)+len(done.ToolCalls) > r.Limits.Calls {
		// The calls are left out of the log's step: they were never going to run.
		done.ToolCalls = nil
		return r.end(s, run, in, ending{usage: usage, fail: &events.RunError{
			Code:    events.FailCalls,
			Message: fmt.Sprintf("The model asked for more than %d tool calls and was ended. What the tools did until then is kept.", r.Limits.Calls),
		}}).
			after([]events.Event{done})
	}
	calls, open := r.sortCalls(run, done.ToolCalls, in)
	list = append(list, calls...)
	if open {
		return commit(Ack, list...)
	}
	return r.nextStep(s, run, in, run.Step, run.Usage.Add(usage), ending{usage: usage, answers: answersIn(calls)}).after(list)
}

// Interrupted hands the open model call of c over, because its worker was told
// to stop: the message, given back, is taken over at once, and the attempt does
// not count.
func (r *Rules) Interrupted(s *events.Conversation, c Claim) Decision {
	run := c.holds(s)
	if run == nil {
		return commit(Drop)
	}
	return commit(Drop, events.StepInterrupted{RunID: run.RunID, Step: run.Step, Attempt: run.Attempt})
}

// sortCalls says what becomes of each call of a step, and empties arguments that are too long: released (up to the limit
// in flight, the others wait their turn), asked about, or refused. open is
// false if none waits for an answer.
func (r *Rules) sortCalls(run *events.Run, calls []events.ToolCall, in Input) (list []events.Event, open bool) {
	released := 0
	for i, t := range calls {
		refuse := func(code, message string) {
			list = append(list, events.ToolReturned{CallID: t.CallID, RunID: run.RunID, Error: &events.ToolError{Code: code, Message: message}})
		}
		policy := events.Allow
		if r.Policy != nil {
			policy = r.Policy(t.Name)
		}
		switch {
		case len(t.Arguments) > events.MaxArguments:
			// A work item could not hold them.
			calls[i].Arguments = jsontext.Value(`{}`)
			refuse(events.ToolBadArgs, fmt.Sprintf("The arguments were not kept: they may have %d KiB.", events.MaxArguments>>10))
		case r.tool(t.Name) == nil:
			refuse(events.ToolUnknown, fmt.Sprintf("There is no tool %q.", t.Name))
		case policy == events.Deny:
			refuse(events.ToolDenied, "This tool is not allowed here.")
		case policy != events.Allow:
			open = true
			list = append(list, events.ApprovalRequested{CallID: t.CallID, RunID: run.RunID, ExpiresAt: in.Now.Add(r.Limits.Approval)})
		default:
			open = true
			if released < r.Limits.InFlight {
				released++
				list = append(list, r.release(run.RunID, t.CallID, t.Name, t.Arguments, run.Deadline))
			}
		}
	}
	return list, open
}

// arguments keeps a model's argument text as JSON: an object as it is, anything
// else as a string that the tool will refuse.
func arguments(text string) jsontext.Value {
	if text == "" {
		return jsontext.Value(`{}`)
	}
	v := jsontext.Value(text)
	if v.Kind() == '{' && v.IsValid() && v.Compact() == nil {
		return v
	}
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return jsontext.Value(`""`)
	}
	return quoted
}
