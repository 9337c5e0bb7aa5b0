package events

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrMalformed reports bytes that are no commit, inbox message, work item or delta of ours.
var ErrMalformed = errors.New("malformed")

// ErrVersion reports a version of the envelope that this build cannot read.
var ErrVersion = errors.New("unknown version")

// Version is the envelope's version. Adding fields or types does not change it.
const Version = 1

// A decoder turns the JSON of one tagged object into its Go type.
type decoder[T any] func(jsontext.Value) (T, error)

func decode[C, T any](upcast func(C) T) decoder[T] {
	return func(raw jsontext.Value) (T, error) {
		var c C
		if err := json.Unmarshal(raw, &c); err != nil {
			var zero T
			return zero, err
		}
		return upcast(c), nil
	}
}

func eventOf[E Event](e E) Event { return e }

// eventDecoders lists every event type of this build; the schema is generated from it.
var eventDecoders = map[string]decoder[Event]{
	MessageAccepted{}.EventType():      decode(eventOf[MessageAccepted]),
	RunStarted{}.EventType():           decode(eventOf[RunStarted]),
	StepStarted{}.EventType():          decode(eventOf[StepStarted]),
	StepInterrupted{}.EventType():      decode(eventOf[StepInterrupted]),
	StepCompleted{}.EventType():        decode(eventOf[StepCompleted]),
	ToolCalled{}.EventType():           decode(eventOf[ToolCalled]),
	ApprovalRequested{}.EventType():    decode(eventOf[ApprovalRequested]),
	ApprovalAnswered{}.EventType():     decode(eventOf[ApprovalAnswered]),
	ToolReturned{}.EventType():         decode(eventOf[ToolReturned]),
	RunCancelRequested{}.EventType():   decode(eventOf[RunCancelRequested]),
	RunCompleted{}.EventType():         decode(eventOf[RunCompleted]),
	RunFailed{}.EventType():            decode(eventOf[RunFailed]),
	RunCancelled{}.EventType():         decode(eventOf[RunCancelled]),
	ConversationRenamed{}.EventType():  decode(eventOf[ConversationRenamed]),
	ConversationPinned{}.EventType():   decode(eventOf[ConversationPinned]),
	ConversationArchived{}.EventType(): decode(eventOf[ConversationArchived]),
	ConversationRead{}.EventType():     decode(eventOf[ConversationRead]),
	ConversationDeleted{}.EventType():  decode(eventOf[ConversationDeleted]),
	ConversationRestored{}.EventType(): decode(eventOf[ConversationRestored]),
	MessageRated{}.EventType():         decode(eventOf[MessageRated]),
}

// encodeTagged returns v's JSON object with "type" as its first member.
func encodeTagged(name string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	head, err := jsontext.AppendQuote([]byte(`{"type":`), name)
	if err != nil {
		return nil, err
	}
	if len(body) == len(`{}`) {
		return append(head, '}'), nil
	}
	return append(append(head, ','), body[1:]...), nil
}

func typeOf(raw jsontext.Value) (string, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return "", err
	}
	if head.Type == "" {
		return "", fmt.Errorf("%w: no type", ErrMalformed)
	}
	return head.Type, nil
}

func encodeEvent(e Event) ([]byte, error) {
	switch u := e.(type) {
	case Unknown:
		return u.Raw, nil
	case *Unknown: // what package json passes for an element of a slice
		return u.Raw, nil
	}
	return encodeTagged(e.EventType(), e)
}

// leadingType returns the "type" of an object that begins with it, as ours do.
// Nothing is said about the rest.
func leadingType(raw []byte) []byte {
	rest, _ := bytes.CutPrefix(raw, []byte(`{"type":"`))
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return name
}

func decodeEvent(raw []byte, e *Event) (err error) {
	// A known type that comes first needs no look at the whole for its name: its
	// decoder takes that look. No name of ours has a character that JSON escapes.
	if dec, known := eventDecoders[string(leadingType(raw))]; known {
		if *e, err = dec(raw); err != nil {
			return fmt.Errorf("event %s: %w", leadingType(raw), err)
		}
		return nil
	}
	name, err := typeOf(raw)
	if err != nil {
		return err
	}
	dec, known := eventDecoders[name]
	if !known {
		*e = Unknown{Type: name, Raw: jsontext.Value(raw).Clone()}
		return nil
	}
	*e, err = dec(raw)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	return nil
}

func encodeCommand(c Command) ([]byte, error) { return encodeTagged(c.CommandType(), c) }

func decodeCommand(raw []byte, c *Command) error {
	name, err := typeOf(raw)
	if err != nil {
		return err
	}
	dec, known := commandDecoders[name]
	if !known {
		return fmt.Errorf("%w: command %q", ErrMalformed, name)
	}
	*c, err = dec(raw)
	if err != nil {
		return fmt.Errorf("command %s: %w", name, err)
	}
	return nil
}

var codec = json.JoinOptions(
	json.WithMarshalers(json.JoinMarshalers(json.MarshalFunc(encodeEvent), json.MarshalFunc(encodeCommand))),
	json.WithUnmarshalers(json.JoinUnmarshalers(json.UnmarshalFunc(decodeEvent), json.UnmarshalFunc(decodeCommand))),
)

// EventTypes returns the types of event that this build knows, sorted.
func EventTypes() []string { return slices.Sorted(maps.Keys(eventDecoders)) }

// CommandTypes returns the types of command that this build knows, sorted.
func CommandTypes() []string { return slices.Sorted(maps.Keys(commandDecoders)) }

// EncodeEvent returns the JSON of one event, as it stands in a commit.
func EncodeEvent(e Event) ([]byte, error) { return encodeEvent(e) }

// DecodeEvent reads the JSON of one event; an unknown type gives [Unknown].
func DecodeEvent(raw []byte) (Event, error) {
	var e Event
	if err := decodeEvent(raw, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return e, nil
}

// DecodeCommand reads the JSON of one command, as it stands in an inbox message.
func DecodeCommand(raw []byte) (Command, error) {
	var c Command
	if err := decodeCommand(raw, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c, nil
}
