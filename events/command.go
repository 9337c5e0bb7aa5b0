package events

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Command is a request that a handler may refuse, or the news (a result, a
// timer) that lets a run go on: what the INBOX and TIMER streams carry.
type Command interface {
	// CommandType returns the word of the wire, such as "message".
	CommandType() string
}

// An Inbox is one message of the INBOX or TIMER stream.
type Inbox struct {
	V int `json:"v"`
	// ID is the message id for a person's commands, call id + ".res" for results, the timer's id for timers.
	ID             string         `json:"id"`
	UserID         UserID         `json:"user_id"`
	ConversationID ConversationID `json:"conversation_id"`
	Time           time.Time      `json:"time"`
	Command        Command        `json:"command"`
}

// Headers that repeat an inbox message's envelope, so that a poison message can
// be closed without reading its body.
const (
	HeaderID           = "Parley-Id"
	HeaderUser         = "Parley-User"
	HeaderConversation = "Parley-Conversation"
	HeaderCommand      = "Parley-Command"
)

// Limits of commands, in the units they name.
const (
	MaxMessageRunes = 8000
	MaxTitleRunes   = 200
	MaxReasonRunes  = 1000
	MaxArguments    = 64 << 10 // bytes of a tool call's arguments
	MaxResult       = 64 << 10 // bytes of a tool call's result in the log
)

// Message says something, in a new or an existing conversation.
type Message struct {
	// ParentID is the run that the message follows: empty = the tip of the current branch, [Root] = none.
	ParentID RunID  `json:"parent_id,omitzero"`
	Text     string `json:"text"`
	Model    string `json:"model,omitzero"`
	Timezone string `json:"timezone,omitzero"`
	// Interrupt stops the active run, if there is one, instead of waiting for its end.
	Interrupt bool `json:"interrupt,omitzero"`
}

// Regenerate asks the message of a run again, as a new branch.
type Regenerate struct {
	RunID    RunID  `json:"run_id"`
	Model    string `json:"model,omitzero"`
	Timezone string `json:"timezone,omitzero"`
	// Interrupt is as in [Message].
	Interrupt bool `json:"interrupt,omitzero"`
}

// CallTool is a call made by hand; its conversation is [Home].
type CallTool struct {
	Server    string         `json:"server"`
	Name      string         `json:"name"`
	Arguments jsontext.Value `json:"arguments"`
}

// Answer answers an approval request. Decision is [Allow], [Deny] or [Expired].
type Answer struct {
	CallID    CallID         `json:"call_id"`
	Decision  string         `json:"decision"`
	Arguments jsontext.Value `json:"arguments,omitzero"`
	Reason    string         `json:"reason,omitzero"`
}

// Cancel stops one run; it is always addressed, never "the active run".
type Cancel struct {
	RunID RunID `json:"run_id"`
}

// Rename gives the conversation a title.
type Rename struct {
	Title string `json:"title"`
}

// Pin pins or unpins the conversation.
type Pin struct {
	Pinned bool `json:"pinned"`
}

// Archive puts the conversation away or takes it back.
type Archive struct {
	Archived bool `json:"archived"`
}

// Read says that the person has seen commits up to ReadN.
type Read struct {
	ReadN uint64 `json:"read_n"`
}

// Delete hides the conversation and stops its run.
type Delete struct{}

// Restore undoes Delete.
type Restore struct{}

// Rate rates a run's answer with [RatedUp], [RatedDown] or [RatedNone].
type Rate struct {
	RunID  RunID  `json:"run_id"`
	Rating string `json:"rating"`
	Reason string `json:"reason,omitzero"`
}

// Result is a tool worker's answer to a call.
type Result struct {
	CallID     CallID         `json:"call_id"`
	RunID      RunID          `json:"run_id,omitzero"`
	OK         bool           `json:"ok"`
	Result     jsontext.Value `json:"result,omitzero"`
	Error      *ToolError     `json:"error,omitempty"`
	DurationMS int64          `json:"duration_ms"`
	Truncated  bool           `json:"truncated,omitzero"`
}

// RunDeadline fires when a run's working time is over. At is the deadline it
// was set for: a run whose clock stood still meanwhile has a later one.
type RunDeadline struct {
	RunID RunID     `json:"run_id"`
	At    time.Time `json:"at"`
}

// ApprovalExpiry fires when nobody answered an approval request.
type ApprovalExpiry struct {
	CallID CallID `json:"call_id"`
}

// CommandType implements [Command].
func (Message) CommandType() string { return "message" }

// CommandType implements [Command].
func (Regenerate) CommandType() string { return "regenerate" }

// CommandType implements [Command].
func (CallTool) CommandType() string { return "call_tool" }

// CommandType implements [Command].
func (Answer) CommandType() string { return "answer" }

// CommandType implements [Command].
func (Cancel) CommandType() string { return "cancel" }

// CommandType implements [Command].
func (Rename) CommandType() string { return "rename" }

// CommandType implements [Command].
func (Pin) CommandType() string { return "pin" }

// CommandType implements [Command].
func (Archive) CommandType() string { return "archive" }

// CommandType implements [Command].
func (Read) CommandType() string { return "read" }

// CommandType implements [Command].
func (Delete) CommandType() string { return "delete" }

// CommandType implements [Command].
func (Restore) CommandType() string { return "restore" }

// CommandType implements [Command].
func (Rate) CommandType() string { return "rate" }

// CommandType implements [Command].
func (Result) CommandType() string { return "result" }

// CommandType implements [Command].
func (RunDeadline) CommandType() string { return "run_deadline" }

// CommandType implements [Command].
func (ApprovalExpiry) CommandType() string { return "approval_expiry" }

func commandOf[C Command](c C) Command { return c }

var commandDecoders = map[string]decoder[Command]{
	Message{}.CommandType():        decode(commandOf[Message]),
	Regenerate{}.CommandType():     decode(commandOf[Regenerate]),
	CallTool{}.CommandType():       decode(commandOf[CallTool]),
	Answer{}.CommandType():         decode(commandOf[Answer]),
	Cancel{}.CommandType():         decode(commandOf[Cancel]),
	Rename{}.CommandType():         decode(commandOf[Rename]),
	Pin{}.CommandType():            decode(commandOf[Pin]),
	Archive{}.CommandType():        decode(commandOf[Archive]),
	Read{}.CommandType():           decode(commandOf[Read]),
	Delete{}.CommandType():         decode(commandOf[Delete]),
	Restore{}.CommandType():        decode(commandOf[Restore]),
	Rate{}.CommandType():           decode(commandOf[Rate]),
	Result{}.CommandType():         decode(commandOf[Result]),
	RunDeadline{}.CommandType():    decode(commandOf[RunDeadline]),
	ApprovalExpiry{}.CommandType(): decode(commandOf[ApprovalExpiry]),
}

// Ref returns the conversation that the message is for.
func (i *Inbox) Ref() (Ref, error) { return NewRef(i.UserID, i.ConversationID) }

// Subject returns where the message is published: commands that may call the
// model, those that never wait for a slot, and results travel apart.
func (i *Inbox) Subject(r Ref) string {
	switch i.Command.(type) {
	case Message, Regenerate, CallTool, Answer:
		return r.Message()
	case Result:
		return r.Result()
	case RunDeadline, ApprovalExpiry:
		return r.TimerFired()
	default:
		return r.Control()
	}
}

// Encode returns the message's JSON.
func (i *Inbox) Encode() ([]byte, error) {
	b, err := json.Marshal(i, codec)
	if err != nil {
		return nil, fmt.Errorf("encode inbox: %w", err)
	}
	return b, nil
}

// DecodeInbox reads an inbox message and checks its envelope.
func DecodeInbox(b []byte) (*Inbox, error) {
	var i Inbox
	if err := json.Unmarshal(b, &i, codec); err != nil {
		return nil, fmt.Errorf("decode inbox: %w: %w", ErrMalformed, err)
	}
	if i.V != Version {
		return nil, fmt.Errorf("decode inbox: %w %d", ErrVersion, i.V)
	}
	if _, err := i.Ref(); err != nil {
		return nil, fmt.Errorf("decode inbox: %w: %w", ErrMalformed, err)
	}
	if i.ID == "" || i.Command == nil {
		return nil, fmt.Errorf("decode inbox: %w: no id or command", ErrMalformed)
	}
	return &i, nil
}

// A WorkItem asks a tool server to carry out one call, or to make sure that it
// never runs. Its dedupe id is the person's key, the call id and Revoke.
type WorkItem struct {
	V              int            `json:"v"`
	UserID         UserID         `json:"user_id"`
	ConversationID ConversationID `json:"conversation_id"`
	RunID          RunID          `json:"run_id,omitzero"`
	CallID         CallID         `json:"call_id"`
	Server         string         `json:"server"`
	Name           string         `json:"name"`
	Arguments      jsontext.Value `json:"arguments"`
	By             By             `json:"by"`
	Deadline       time.Time      `json:"deadline"`
	// Revoke takes the call's ledger row so that the call can never run, or finds out that it has run.
	Revoke bool `json:"revoke,omitzero"`
}

// Ref returns the conversation that waits for the answer.
func (w *WorkItem) Ref() (Ref, error) { return NewRef(w.UserID, w.ConversationID) }

// DedupeID returns the Nats-Msg-Id of the item.
func (w *WorkItem) DedupeID() string {
	id := UserKey(w.UserID) + ":" + string(w.CallID)
	if w.Revoke {
		id += ":revoke"
	}
	return id
}

// Encode returns the item's JSON.
func (w *WorkItem) Encode() ([]byte, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode work item: %w", err)
	}
	return b, nil
}

// DecodeWorkItem reads a work item and checks its envelope.
func DecodeWorkItem(b []byte) (*WorkItem, error) {
	var w WorkItem
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("decode work item: %w: %w", ErrMalformed, err)
	}
	if w.V != Version {
		return nil, fmt.Errorf("decode work item: %w %d", ErrVersion, w.V)
	}
	if _, err := w.Ref(); err != nil {
		return nil, fmt.Errorf("decode work item: %w: %w", ErrMalformed, err)
	}
	if !ValidID(w.CallID) || !ValidID(w.Server) {
		return nil, fmt.Errorf("decode work item: %w: no call id or server", ErrMalformed)
	}
	return &w, nil
}
