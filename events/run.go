package events

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Status is where a run stands.
type Status string

// The states of a run. The last three are terminal.
const (
	Queued         Status = "queued"
	InProgress     Status = "in_progress"
	RequiresAction Status = "requires_action" // only approvals are open
	Cancelling     Status = "cancelling"      // asked to stop, and the answer of a model or tool is awaited
	Completed      Status = "completed"
	Failed         Status = "failed"
	Cancelled      Status = "cancelled"
)

// Over reports whether s is terminal.
func (s Status) Over() bool { return s == Completed || s == Failed || s == Cancelled }

// CallStatus is where a tool call stands.
type CallStatus string

// The states of a call. The last four are answers.
const (
	CallWaiting CallStatus = "waiting" // asked for by the model, not yet released
	CallAsking  CallStatus = "asking"  // a person is asked
	CallRunning CallStatus = "running" // released to its tool server
	CallDone    CallStatus = "done"
	CallFailed  CallStatus = "failed"
	CallDenied  CallStatus = "denied"
	CallStopped CallStatus = "stopped" // never ran and never will
)

// Answered reports whether s is final.
func (s CallStatus) Answered() bool {
	return s == CallDone || s == CallFailed || s == CallDenied || s == CallStopped
}

// A UserMessage is what the person wrote.
type UserMessage struct {
	MessageID   MessageID `json:"message_id"`
	Text        string    `json:"text"`
	Time        time.Time `json:"time"`
	Model       string    `json:"model,omitzero"`
	Timezone    string    `json:"timezone,omitzero"`
	Regenerates RunID     `json:"regenerates,omitzero"`
}

// A Step is one finished model call.
type Step struct {
	Step         int      `json:"step"`
	Text         string   `json:"text"`
	Calls        []CallID `json:"calls,omitempty"`
	FinishReason string   `json:"finish_reason,omitzero"`
	Usage        Usage    `json:"usage"`
	// Partial marks text that was kept when the step was stopped.
	Partial bool `json:"partial,omitzero"`
}

// A Call is a tool call with what became of it.
type Call struct {
	CallID     CallID         `json:"call_id"`
	Step       int            `json:"step,omitzero"`
	Server     string         `json:"server,omitzero"`
	Name       string         `json:"name"`
	Arguments  jsontext.Value `json:"arguments"`
	By         By             `json:"by"`
	Status     CallStatus     `json:"status"`
	Deadline   time.Time      `json:"deadline,omitzero"`
	ExpiresAt  time.Time      `json:"expires_at,omitzero"`
	CalledAt   time.Time      `json:"called_at,omitzero"`
	ReturnedAt time.Time      `json:"returned_at,omitzero"`
	Result     jsontext.Value `json:"result,omitzero"`
	Error      *ToolError     `json:"error,omitempty"`
	DurationMS int64          `json:"duration_ms,omitzero"`
	Truncated  bool           `json:"truncated,omitzero"`
	Late       bool           `json:"late,omitzero"`
}

// A Stop is the first request to end a run early.
type Stop struct {
	By  By        `json:"by"`
	Why Why       `json:"why"`
	N   uint64    `json:"n"`
	At  time.Time `json:"at"`
}

// A RunError says why a run failed.
type RunError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// A Rating is the person's opinion of an answer.
type Rating struct {
	Rating string `json:"rating"`
	Reason string `json:"reason,omitzero"`
}

// A Run is a message and the answer to it, from acceptance to its end.
type Run struct {
	RunID    RunID       `json:"run_id"`
	ParentID RunID       `json:"parent_id,omitzero"`
	N        uint64      `json:"n"` // the commit that accepted the message
	Message  UserMessage `json:"message"`
	Status   Status      `json:"status"`
	Model    string      `json:"model,omitzero"`
	Deadline time.Time   `json:"deadline,omitzero"`
	// Step, Attempt and Lease are those of the newest step.started.
	Step    int   `json:"step,omitzero"`
	Attempt int   `json:"attempt,omitzero"`
	Lease   Lease `json:"lease,omitzero"`
	// Interruptions counts the attempts of the open step that a stopping worker handed over.
	Interruptions int `json:"interruptions,omitzero"`
	// Streaming is set while a model call is open.
	Streaming bool      `json:"streaming,omitzero"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// EndedN is the commit that ended the run: nothing of it is accepted after that.
	EndedN  uint64    `json:"ended_n,omitzero"`
	Steps   []Step    `json:"steps,omitempty"`
	Calls   []*Call   `json:"calls,omitempty"`
	Stop    *Stop     `json:"stop,omitempty"`
	Error   *RunError `json:"error,omitempty"`
	Receipt *Receipt  `json:"receipt,omitempty"`
	Usage   Usage     `json:"usage"`
	Rating  *Rating   `json:"rating,omitempty"`
}

// Call returns the call with the given id, or nil.
func (r *Run) Call(id CallID) *Call {
	for _, c := range r.Calls {
		if c.CallID == id {
			return c
		}
	}
	return nil
}

// Count returns how many of the run's calls are in status s.
func (r *Run) Count(s CallStatus) int {
	n := 0
	for _, c := range r.Calls {
		if c.Status == s {
			n++
		}
	}
	return n
}

// Failures counts the attempts of the open step that came to nothing, the
// present one included: what a stopping worker handed over is none of them.
func (r *Run) Failures() int { return r.Attempt - r.Interruptions }

// Answer returns the text of the run's steps, in order, separated by a blank line.
func (r *Run) Answer() string {
	var b []byte
	for _, s := range r.Steps {
		if s.Text == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, "\n\n"...)
		}
		b = append(b, s.Text...)
	}
	return string(b)
}

// settle derives Status from the rest; a run that waits or is over stays so.
func (r *Run) settle() {
	switch {
	case r.Status.Over() || r.Status == Queued:
	case r.Stop != nil:
		r.Status = Cancelling
	case !r.Streaming && r.Count(CallAsking) > 0 && r.Count(CallRunning) == 0 && r.Count(CallWaiting) == 0:
		r.Status = RequiresAction
	default:
		r.Status = InProgress
	}
}

// end makes the run terminal. Calls nobody answered will never run.
func (r *Run) end(s Status, k *Commit, u Usage) {
	r.Status, r.Streaming, r.EndedAt, r.EndedN, r.Usage = s, false, k.Time, k.N, u
	for _, c := range r.Calls {
		if !c.Status.Answered() {
			c.Status = CallStopped
		}
	}
}

func (r *Run) stopped(rec Receipt) {
	r.Receipt = &rec
	if rec.Text != "" {
		r.Steps = append(r.Steps, Step{Step: r.Step, Text: rec.Text, Partial: true})
	}
}

func (c *Call) returned(e ToolReturned, at time.Time) {
	c.Result, c.Error, c.DurationMS = e.Result, e.Error, e.DurationMS
	c.Truncated, c.Late, c.ReturnedAt = e.Truncated, e.Late, at
	switch {
	case e.OK:
		c.Status = CallDone
	case e.Error != nil && e.Error.Code == ToolDenied:
		c.Status = CallDenied
	case e.Error != nil && (e.Error.Code == ToolRevoked || e.Error.Code == ToolDeadline || e.Error.Code == ToolPoison):
		c.Status = CallStopped
	default:
		c.Status = CallFailed
	}
}

func (r *Run) clone() *Run {
	k := *r
	k.Steps = slices.Clone(r.Steps)
	for i := range k.Steps {
		k.Steps[i].Calls = slices.Clone(k.Steps[i].Calls)
	}
	k.Calls = cloneCalls(r.Calls)
	k.Stop, k.Error, k.Receipt, k.Rating = copyOf(r.Stop), copyOf(r.Error), copyOf(r.Receipt), copyOf(r.Rating)
	if k.Receipt != nil {
		k.Receipt.Ran, k.Receipt.NotRun = slices.Clone(k.Receipt.Ran), slices.Clone(k.Receipt.NotRun)
	}
	return &k
}

func cloneCalls(list []*Call) []*Call {
	if list == nil {
		return nil
	}
	k := make([]*Call, len(list))
	for i, c := range list {
		k[i] = copyOf(c)
		k[i].Error = copyOf(c.Error)
	}
	return k
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
