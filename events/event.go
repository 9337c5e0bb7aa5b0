package events

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// An Event is an immutable fact about a conversation. Its address is
// (conversation, n of its commit, index within it).
type Event interface {
	// EventType returns the dotted name, such as "run.started".
	EventType() string
}

// By says who caused a commit or a call.
type By string

// Who can cause something.
const (
	ByUser   By = "user"   // the person
	ByModel  By = "model"  // the language model
	BySystem By = "system" // Parley itself: deadlines, poison, expiry
)

// Why a run was asked to stop. The first reason wins.
type Why string

// Reasons to stop. A run stopped by its person ends as cancelled, by the
// others as failed.
const (
	WhyUser     Why = "user"
	WhyDeadline Why = "deadline"
	WhyPoison   Why = "poison"
)

// Usage counts tokens. Estimated is set where the provider sent no numbers and
// bytes/4 stands in for them.
type Usage struct {
	InputTokens  int  `json:"input_tokens"`
	OutputTokens int  `json:"output_tokens"`
	Estimated    bool `json:"estimated,omitzero"`
}

// Add returns the sum of two usages; one estimate makes the sum an estimate.
func (u Usage) Add(v Usage) Usage {
	return Usage{u.InputTokens + v.InputTokens, u.OutputTokens + v.OutputTokens, u.Estimated || v.Estimated}
}

// A Lease names the delivery of the inbox message under which a model call is
// made. Only a newer delivery of that very message may take the step over.
type Lease struct {
	Stream   string `json:"stream"`
	Sequence uint64 `json:"sequence"`
	Delivery uint64 `json:"delivery"`
}

// Same reports whether both leases stem from one stored message.
func (l Lease) Same(m Lease) bool { return l.Stream == m.Stream && l.Sequence == m.Sequence }

// ToolCall is a call as the model asked for it. Arguments are the model's JSON;
// text that is no JSON object is kept as a JSON string and refused by the tool.
type ToolCall struct {
	CallID    CallID         `json:"call_id"`
	Name      string         `json:"name"`
	Arguments jsontext.Value `json:"arguments"`
}

// ToolError says why a call has no result, in words the model and the person can act on.
type ToolError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Codes of [ToolError].
const (
	ToolFailed      = "tool_error"        // the tool refused; the message is its sentence
	ToolUnknown     = "unknown_tool"      // no such tool is offered
	ToolBadArgs     = "invalid_arguments" // the arguments do not fit the tool's schema
	ToolDenied      = "denied"            // policy or the person said no
	ToolRevoked     = "revoked"           // the run was stopped first; the call never ran and never will
	ToolDeadline    = "deadline"          // its time was over before it ran; it never will
	ToolPoison      = "poison"            // the call could not be carried out after many tries; it never will
	ToolOutcomeLost = "outcome_unknown"   // a foreign tool was called and did not tell; it may have run
)

// Codes of [RunFailed].
const (
	FailAttempts      = "attempts"       // a step died three times
	FailDeadline      = "deadline"       // the run's working time was over
	FailPoison        = "poison"         // the message could not be handled after many deliveries
	FailModel         = "model_error"    // the model answered with an error, or not in its protocol
	FailModelAuth     = "model_auth"     // the model refused our credentials
	FailModelBusy     = "model_busy"     // the model stayed overloaded or limited
	FailSteps         = "step_limit"     // too many steps
	FailCalls         = "call_limit"     // too many tool calls
	FailTokens        = "token_limit"    // too many tokens
	FailUnknownParent = "unknown_parent" // the message names a parent this conversation does not have
)

// MessageAccepted records a person's message. While another run is active the
// message is queued.
type MessageAccepted struct {
	MessageID MessageID `json:"message_id"`
	RunID     RunID     `json:"run_id"`
	// ParentID is the run that the message follows; empty for the first of a branch from the root.
	ParentID RunID  `json:"parent_id,omitzero"`
	Text     string `json:"text"`
	Model    string `json:"model,omitzero"`
	Timezone string `json:"timezone,omitzero"`
	// Regenerates names the run whose message is asked again, word for word.
	Regenerates RunID `json:"regenerates,omitzero"`
}

// RunStarted begins the answer to a message. Deadline ends its working time.
type RunStarted struct {
	RunID     RunID     `json:"run_id"`
	MessageID MessageID `json:"message_id"`
	Model     string    `json:"model"`
	Deadline  time.Time `json:"deadline"`
}

// StepStarted begins one model call. A higher attempt supersedes a lower one.
type StepStarted struct {
	RunID   RunID  `json:"run_id"`
	Step    int    `json:"step"`
	Attempt int    `json:"attempt"`
	Lease   Lease  `json:"lease"`
	Worker  string `json:"worker"`
}

// StepInterrupted says that the worker of an open model call was told to stop
// and hands the step over: whoever takes it over begins a new attempt, and this
// one does not count among the failed ones.
type StepInterrupted struct {
	RunID   RunID `json:"run_id"`
	Step    int   `json:"step"`
	Attempt int   `json:"attempt"`
}

// StepCompleted is the only durable form of what a model said.
type StepCompleted struct {
	RunID        RunID      `json:"run_id"`
	Step         int        `json:"step"`
	Attempt      int        `json:"attempt"`
	Text         string     `json:"text"`
	ToolCalls    []ToolCall `json:"tool_calls,omitempty"`
	Usage        Usage      `json:"usage"`
	FinishReason string     `json:"finish_reason"`
}

// ToolCalled releases a call to its tool server. A call made by hand has no run.
type ToolCalled struct {
	CallID    CallID         `json:"call_id"`
	RunID     RunID          `json:"run_id,omitzero"`
	Server    string         `json:"server"`
	Name      string         `json:"name"`
	Arguments jsontext.Value `json:"arguments"`
	By        By             `json:"by"`
	// Deadline is the time after which the tool must refuse to begin.
	Deadline time.Time `json:"deadline"`
}

// ApprovalRequested parks a call until a person answers or ExpiresAt passes.
type ApprovalRequested struct {
	CallID    CallID    `json:"call_id"`
	RunID     RunID     `json:"run_id"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Decisions of [ApprovalAnswered].
const (
	Allow   = "allow"
	Deny    = "deny"
	Expired = "expired"
)

// ApprovalAnswered is a person's answer. Arguments replace the model's.
type ApprovalAnswered struct {
	CallID    CallID         `json:"call_id"`
	RunID     RunID          `json:"run_id"`
	Decision  string         `json:"decision"`
	Arguments jsontext.Value `json:"arguments,omitzero"`
	Reason    string         `json:"reason,omitzero"`
	By        By             `json:"by"`
	// Deadline is the run's new deadline: its clock stood still while the person was asked.
	Deadline time.Time `json:"deadline,omitzero"`
}

// ToolReturned is the one answer to a call.
type ToolReturned struct {
	CallID     CallID         `json:"call_id"`
	RunID      RunID          `json:"run_id,omitzero"`
	OK         bool           `json:"ok"`
	Result     jsontext.Value `json:"result,omitzero"`
	Error      *ToolError     `json:"error,omitempty"`
	DurationMS int64          `json:"duration_ms"`
	// Late marks an answer that came after its run had ended; it changes nothing.
	Late bool `json:"late,omitzero"`
	// Truncated marks a result over 64 KiB that was cut.
	Truncated bool `json:"truncated,omitzero"`
}

// RunCancelRequested asks a run to stop. For a run not yet known it is a
// tombstone: the message, when it comes, is accepted and cancelled at once.
type RunCancelRequested struct {
	RunID RunID `json:"run_id"`
	By    By    `json:"by"`
	Why   Why   `json:"why"`
}

// A Receipt says what a stopped run did: the text that was kept, the calls that
// ran, and the calls that did not and never will.
type Receipt struct {
	Text   string   `json:"text,omitzero"`
	Ran    []CallID `json:"ran,omitempty"`
	NotRun []CallID `json:"not_run,omitempty"`
}

// RunCompleted ends a run with its answer.
type RunCompleted struct {
	RunID RunID `json:"run_id"`
	Usage Usage `json:"usage"`
}

// RunFailed ends a run with a reason.
type RunFailed struct {
	RunID   RunID   `json:"run_id"`
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Usage   Usage   `json:"usage"`
	Receipt Receipt `json:"receipt"`
}

// RunCancelled ends a run that its person stopped.
type RunCancelled struct {
	RunID   RunID   `json:"run_id"`
	Usage   Usage   `json:"usage"`
	Receipt Receipt `json:"receipt"`
}

// ConversationRenamed gives a title. A model's title never replaces a person's.
type ConversationRenamed struct {
	Title string `json:"title"`
	By    By     `json:"by"`
}

// ConversationPinned pins or unpins.
type ConversationPinned struct {
	Pinned bool `json:"pinned"`
}

// ConversationArchived puts a conversation away or takes it back. The next message
// in it takes it back too.
type ConversationArchived struct {
	Archived bool `json:"archived"`
}

// ConversationRead records that the person has seen commits up to ReadN.
type ConversationRead struct {
	ReadN uint64 `json:"read_n"`
}

// ConversationDeleted hides a conversation; Restored brings it back.
type ConversationDeleted struct{}

// ConversationRestored undoes ConversationDeleted.
type ConversationRestored struct{}

// Ratings of [MessageRated].
const (
	RatedUp   = "up"
	RatedDown = "down"
	RatedNone = "none"
)

// MessageRated is a person's opinion of an answer.
type MessageRated struct {
	RunID  RunID  `json:"run_id"`
	Rating string `json:"rating"`
	Reason string `json:"reason,omitzero"`
}

// Unknown is an event of a type this build does not know: kept byte for byte.
type Unknown struct {
	Type string
	Raw  jsontext.Value
}

// EventType implements [Event].
func (MessageAccepted) EventType() string { return "message.accepted" }

// EventType implements [Event].
func (RunStarted) EventType() string { return "run.started" }

// EventType implements [Event].
func (StepStarted) EventType() string { return "step.started" }

// EventType implements [Event].
func (StepInterrupted) EventType() string { return "step.interrupted" }

// EventType implements [Event].
func (StepCompleted) EventType() string { return "step.completed" }

// EventType implements [Event].
func (ToolCalled) EventType() string { return "tool.called" }

// EventType implements [Event].
func (ApprovalRequested) EventType() string { return "approval.requested" }

// EventType implements [Event].
func (ApprovalAnswered) EventType() string { return "approval.answered" }

// EventType implements [Event].
func (ToolReturned) EventType() string { return "tool.returned" }

// EventType implements [Event].
func (RunCancelRequested) EventType() string { return "run.cancel_requested" }

// EventType implements [Event].
func (RunCompleted) EventType() string { return "run.completed" }

// EventType implements [Event].
func (RunFailed) EventType() string { return "run.failed" }

// EventType implements [Event].
func (RunCancelled) EventType() string { return "run.cancelled" }

// EventType implements [Event].
func (ConversationRenamed) EventType() string { return "conversation.renamed" }

// EventType implements [Event].
func (ConversationPinned) EventType() string { return "conversation.pinned" }

// EventType implements [Event].
func (ConversationArchived) EventType() string { return "conversation.archived" }

// EventType implements [Event].
func (ConversationRead) EventType() string { return "conversation.read" }

// EventType implements [Event].
func (ConversationDeleted) EventType() string { return "conversation.deleted" }

// EventType implements [Event].
func (ConversationRestored) EventType() string { return "conversation.restored" }

// EventType implements [Event].
func (MessageRated) EventType() string { return "message.rated" }

// EventType implements [Event].
func (u Unknown) EventType() string { return u.Type }
