package openai

import "github.com/go-json-experiment/json/jsontext"

// Roles of a [Message].
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
	ToolReply = "tool"
)

// A Message is one entry of the prompt.
type Message struct {
	Role string
	Text string
	// ToolCalls are what an assistant's message asked for.
	ToolCalls []ToolCall
	// CallID says which call a tool's reply answers.
	CallID string
}

// A ToolCall is a call as text, the way providers carry it.
type ToolCall struct {
	CallID    string
	Name      string
	Arguments string
}

// A Tool is offered to the model.
type Tool struct {
	Name        string
	Description string
	// Schema is the JSON Schema of the arguments.
	Schema jsontext.Value
}

// A Request is one model call.
type Request struct {
	Model    string
	Messages []Message
	Tools    []Tool
}

// A Completion is what a model said.
type Completion struct {
	Text         string
	ToolCalls    []ToolCall
	FinishReason string
	InputTokens  int
	OutputTokens int
	// Estimated is set where the provider sent no usage and bytes/4 stand in.
	Estimated bool
}

// An Error is a model call that gave no complete answer.
type Error struct {
	// Code is one of events.FailModel, FailModelAuth and FailModelBusy.
	Code string
	// Message is a sentence for the person; it holds nothing of the provider's body but its own short message.
	Message string
	// Cut marks a stream that ended before its finish reason: worth another attempt.
	Cut bool
	// Err is the cause, for the operator's log.
	Err error
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
