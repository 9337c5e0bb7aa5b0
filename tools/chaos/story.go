package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/parleychat/parley/events"
)

// A story is what the log says about one conversation, read strictly: where the
// fold passes over an event that does not fit, the story notes it.
type story struct {
	at     place
	state  *events.Conversation
	runs   map[events.RunID]*runStory
	calls  map[events.CallID]*callStory
	causes map[string]bool
	misfit []misfit

	active *runStory
}

// A misfit is an event that must not stand where it does.
type misfit struct {
	check string
	run   events.RunID
	what  string
}

type runStory struct {
	id          events.RunID
	message     events.MessageID
	regenerates events.RunID
	text        string
	acceptedN   uint64
	started     bool
	step        int
	attempt     int
	// holder is the worker and the delivery that hold the open step, or held the
	// last one, as they stand in the ids of commits.
	holder    string
	lease     events.Lease
	begun     time.Time // of the open step's newest attempt
	streaming bool
	stopped   bool
	steps     []stepStory
	ends      []endStory
	takeovers []takeover // attempts after the first
	handovers int        // those of them that a stopping worker asked for
	handed    bool       // the open attempt was handed over
	deadline  time.Time
}

// A takeover is an attempt that replaced another.
type takeover struct {
	n        uint64
	from, to time.Time // when the two began
	// same: the holder itself tried again, because the model had broken off.
	same     bool
	handover bool
}

type stepStory struct {
	n             uint64
	step, attempt int
	text          string
	calls         []events.ToolCall
}

type endStory struct {
	n       uint64
	status  events.Status
	code    string
	receipt *events.Receipt
	stored  time.Time
	// byHolder: whoever held the last step ended the run itself.
	byHolder      bool
	step, attempt int
}

type callStory struct {
	run      events.RunID // empty: by hand
	name     string
	released int
	returned []events.ToolReturned
}

// tell reads a conversation's log.
func tell(at place, list []logged) *story {
	s := &story{
		at: at, runs: map[events.RunID]*runStory{}, calls: map[events.CallID]*callStory{}, causes: map[string]bool{},
	}
	ref, err := events.NewRef(at.User, at.Conversation)
	if err != nil {
		s.note("I4", "", "a message of the log has no person or conversation: %s", at.Conversation)
		return s
	}
	s.state = events.NewConversation(ref)
	for i, l := range list {
		if l.Commit == nil {
			s.note("I4", "", "the message at %d cannot be read", l.Seq)
			continue
		}
		if want := uint64(i + 1); l.Commit.N != want {
			s.note("I4", "", "commit %d stands where %d should", l.Commit.N, want)
		}
		if err := s.state.Apply(l.Commit); err != nil {
			s.note("I4", "", "%v", err)
		}
		s.causes[l.Commit.Cause] = true
		for _, e := range l.Commit.Events {
			s.event(e, l)
		}
	}
	return s
}

func (s *story) note(check string, run events.RunID, format string, args ...any) {
	s.misfit = append(s.misfit, misfit{check, run, fmt.Sprintf(format, args...)})
}

// open returns the run if it is the one that goes on, and notes it otherwise.
func (s *story) open(id events.RunID, n uint64, what string) *runStory {
	r := s.runs[id]
	switch {
	case r == nil:
		s.note("I4", id, "%s in commit %d for a run that nobody asked for", what, n)
	case len(r.ends) > 0:
		s.note("I5", id, "%s in commit %d after the run ended as %s in commit %d", what, n, r.ends[0].status, r.ends[0].n)
	case s.active != r:
		s.note("I4", id, "%s in commit %d while the run is not active", what, n)
	default:
		return r
	}
	return nil
}

func (s *story) event(e events.Event, l logged) {
	n := l.Commit.N
	switch e := e.(type) {
	case events.MessageAccepted:
		if s.runs[e.RunID] != nil {
			s.note("I4", e.RunID, "the message is accepted again in commit %d", n)
			return
		}
		s.runs[e.RunID] = &runStory{id: e.RunID, message: e.MessageID, regenerates: e.Regenerates, text: e.Text, acceptedN: n}
	case events.RunStarted:
		r := s.runs[e.RunID]
		if r == nil || r.started || len(r.ends) > 0 || s.active != nil {
			s.note("I4", e.RunID, "run.started in commit %d, although the run is not queued or another is active", n)
			return
		}
		r.started, r.deadline, s.active = true, e.Deadline, r
	case events.StepStarted:
		if r := s.open(e.RunID, n, "step.started"); r != nil {
			s.stepStarted(r, e, l)
		}
	case events.StepInterrupted:
		if r := s.open(e.RunID, n, "step.interrupted"); r != nil {
			if !r.streaming || e.Step != r.step || e.Attempt != r.attempt {
				s.note("I4", r.id, "step %d attempt %d is handed over in commit %d, but step %d attempt %d is open", e.Step, e.Attempt, n, r.step, r.attempt)
			}
			r.handovers++
			r.handed = true
		}
	case events.StepCompleted:
		if r := s.open(e.RunID, n, "step.completed"); r != nil {
			s.stepCompleted(r, e, l)
		}
	case events.ToolCalled:
		s.toolCalled(e, n)
	case events.ToolReturned:
		s.toolReturned(e, n)
	case events.RunCancelRequested:
		if r := s.runs[e.RunID]; r != nil {
			if len(r.ends) > 0 {
				s.note("I5", e.RunID, "run.cancel_requested in commit %d after the end", n)
			}
			r.stopped = true
		}
	case events.RunCompleted:
		s.end(e.RunID, endStory{status: events.Completed}, l)
	case events.RunFailed:
		s.end(e.RunID, endStory{status: events.Failed, code: e.Code, receipt: &e.Receipt}, l)
	case events.RunCancelled:
		s.end(e.RunID, endStory{status: events.Cancelled, receipt: &e.Receipt}, l)
	}
}

func (s *story) stepStarted(r *runStory, e events.StepStarted, l logged) {
	n := l.Commit.N
	next := !r.streaming && e.Step == r.step+1 && e.Attempt == 1
	again := r.streaming && e.Step == r.step && e.Attempt == r.attempt+1
	if !next && !again {
		s.note("I4", r.id, "step %d attempt %d begins in commit %d after step %d attempt %d (open: %v)", e.Step, e.Attempt, n, r.step, r.attempt, r.streaming)
	}
	if again {
		same := e.Lease == r.lease && strings.HasPrefix(r.holder, ":"+e.Worker+":")
		if !same && (!e.Lease.Same(r.lease) || e.Lease.Delivery <= r.lease.Delivery) {
			s.note("I1", r.id, "step %d is taken over in commit %d by delivery %d of %d, which is no newer one than its holder's, delivery %d of %d",
				e.Step, n, e.Lease.Delivery, e.Lease.Sequence, r.lease.Delivery, r.lease.Sequence)
		}
		r.takeovers = append(r.takeovers, takeover{n, r.begun, l.Stored, same, r.handed})
	}
	r.step, r.attempt, r.streaming, r.handed = e.Step, e.Attempt, true, false
	r.lease, r.begun = e.Lease, l.Stored
	r.holder = fmt.Sprintf(":%s:%s-%d.%d:", e.Worker, e.Lease.Stream, e.Lease.Sequence, e.Lease.Delivery)
}

func (s *story) stepCompleted(r *runStory, e events.StepCompleted, l logged) {
	if !r.streaming || e.Step != r.step || e.Attempt != r.attempt {
		s.note("I4", r.id, "step %d attempt %d is completed in commit %d, but step %d attempt %d is open", e.Step, e.Attempt, l.Commit.N, r.step, r.attempt)
	}
	if r.stopped {
		s.note("I5", r.id, "step.completed in commit %d after the run was asked to stop", l.Commit.N)
	}
	r.streaming = false
	r.steps = append(r.steps, stepStory{l.Commit.N, e.Step, e.Attempt, e.Text, e.ToolCalls})
	for _, c := range e.ToolCalls {
		if s.calls[c.CallID] != nil {
			s.note("I2", r.id, "call %s is asked for again in commit %d", c.CallID, l.Commit.N)
			continue
		}
		s.calls[c.CallID] = &callStory{run: r.id, name: c.Name}
	}
}

func (s *story) toolCalled(e events.ToolCalled, n uint64) {
	c := s.calls[e.CallID]
	if e.RunID == "" {
		if c != nil {
			s.note("I2", "", "call %s by hand is called again in commit %d", e.CallID, n)
			return
		}
		s.calls[e.CallID] = &callStory{name: e.Name, released: 1}
		return
	}
	if s.open(e.RunID, n, "tool.called") == nil {
		return
	}
	if c == nil || c.released > 0 || len(c.returned) > 0 {
		s.note("I2", e.RunID, "call %s is released in commit %d, but was not asked for, or was released or answered before", e.CallID, n)
		return
	}
	c.released++
}

func (s *story) toolReturned(e events.ToolReturned, n uint64) {
	c := s.calls[e.CallID]
	if c == nil {
		s.note("I2", e.RunID, "tool.returned in commit %d for call %s, which nobody made", n, e.CallID)
		return
	}
	if len(c.returned) > 0 {
		s.note("I2", e.RunID, "call %s is answered again in commit %d", e.CallID, n)
	}
	if c.run != "" {
		s.open(c.run, n, "tool.returned")
	}
	c.returned = append(c.returned, e)
}

func (s *story) end(id events.RunID, e endStory, l logged) {
	r := s.runs[id]
	if r == nil {
		s.note("I4", id, "commit %d ends a run that nobody asked for", l.Commit.N)
		return
	}
	e.n, e.stored, e.byHolder = l.Commit.N, l.Stored, r.holder != "" && strings.Contains(l.Commit.CommitID, r.holder)
	e.step, e.attempt = r.step, r.attempt
	r.ends = append(r.ends, e)
	if s.active == r {
		s.active = nil
	}
}

// source returns the run whose words a run answers: its own, or those of the one
// that it asks again.
func (s *story) source(r *runStory) *runStory {
	for r.regenerates != "" && s.runs[r.regenerates] != nil {
		r = s.runs[r.regenerates]
	}
	return r
}
