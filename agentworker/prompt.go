package agentworker

import (
	_ "embed" // the default prompts
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
)

//go:embed prompts/system.md
var defaultSystemPrompt string

//go:embed prompts/title.md
var titlePrompt string

// historyBytes bounds what the model is told: the system prompt and the run it
// is to answer, both whole whatever their length, and of the runs before it as
// many as fit, the newest first. A run goes in whole, its message with the answer
// and every call with its result, or not at all, and nothing older than a run
// that did not fit. At four bytes a token it is about 24,000 tokens, which every
// current model takes.
const historyBytes = 96 << 10

// A Prompt is the system prompt's template. It may use .Today and .Timezone.
type Prompt struct{ t *template.Template }

// ParsePrompt reads a system prompt; the empty text gives the built-in one.
func ParsePrompt(text string) (*Prompt, error) {
	if text == "" {
		text = defaultSystemPrompt
	}
	t, err := template.New("system").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("system prompt: %w", err)
	}
	p := &Prompt{t}
	if _, err := p.render(time.Time{}, ""); err != nil {
		return nil, err
	}
	return p, nil
}

// render fills the template. Today is the day of the message in its own
// timezone, so that a retry tomorrow says the same.
func (p *Prompt) render(at time.Time, timezone string) (string, error) {
	loc, err := time.LoadLocation(timezone)
	if err != nil || timezone == "" {
		loc, timezone = time.UTC, "UTC"
	}
	var b strings.Builder
	err = p.t.Execute(&b, struct{ Today, Timezone string }{at.In(loc).Format("2006-01-02 (Monday)"), timezone})
	if err != nil {
		return "", fmt.Errorf("system prompt: %w", err)
	}
	return b.String(), nil
}

// request builds the model call of the active run's open step: the path from
// the root to its message, and the steps so far.
func (p *Prompt) request(s *events.Conversation, run *events.Run, tools []events.Tool) (openai.Request, error) {
	system, err := p.render(run.Message.Time, run.Message.Timezone)
	if err != nil {
		return openai.Request{}, err
	}
	runs, count := recent(s, run)
	list := make([]openai.Message, 0, count+1)
	list = append(list, openai.Message{Role: openai.System, Text: system})
	for _, r := range slices.Backward(runs) {
		list = exchange(list, r)
	}
	req := openai.Request{Model: run.Model, Messages: list}
	for _, t := range tools {
		if !t.PeopleOnly {
			req.Tools = append(req.Tools, openai.Tool{Name: t.Name, Description: t.Description, Schema: t.Schema})
		}
	}
	return req, nil
}

// recent returns the runs that the model is told, the newest first, and how many
// messages they take at most.
//
// Where older runs are left out, the beginning stays where it is for some time:
// providers charge less, and answer sooner, for a prompt that begins as the one
// before. Of the runs at which it could begin and leave at least half of the bound,
// it is the one whose number and its parent's differ in the highest bit. Of any
// numbers in a row there is one such, and it stays the one until it no longer fits
// or a rounder number is half a bound away.
func recent(s *events.Conversation, run *events.Run) (runs []*events.Run, messages int) {
	size, highest, begin, count := 0, 0, 0, 0
	for r := range s.Back(run) {
		bytes, n := weigh(r)
		if size+bytes > historyBytes && r != run {
			if begin > 0 {
				return runs[:begin], count
			}
			return runs, messages
		}
		size, runs, messages = size+bytes, append(runs, r), messages+n
		if parent := s.Run(r.ParentID); parent != nil && size >= historyBytes/2 {
			if bit := bits.Len64(parent.N ^ r.N); bit > highest {
				highest, begin, count = bit, len(runs), messages
			}
		}
	}
	return runs, messages
}

// callBytes is about what a call is told in beside its arguments and result.
const callBytes = 64

// weigh returns about the bytes of what the model is told of a run, and in how many
// messages at most.
func weigh(r *events.Run) (bytes, messages int) {
	bytes, messages = len(r.Message.Text), 1
	for _, step := range r.Steps {
		bytes, messages = bytes+len(step.Text), messages+1+len(step.Calls)
	}
	for _, c := range r.Calls {
		bytes += len(c.Name) + len(c.Arguments) + len(c.Result) + callBytes
		if c.Error != nil {
			bytes += len(c.Error.Message)
		}
	}
	return bytes, messages
}

// exchange appends a run as the model saw it: every call has exactly one reply.
func exchange(list []openai.Message, run *events.Run) []openai.Message {
	list = append(list, openai.Message{Role: openai.User, Text: run.Message.Text})
	for _, step := range run.Steps {
		m := openai.Message{Role: openai.Assistant, Text: step.Text}
		var replies []openai.Message
		for _, id := range step.Calls {
			call := run.Call(id)
			if call == nil {
				continue
			}
			m.ToolCalls = append(m.ToolCalls, openai.ToolCall{CallID: string(id), Name: call.Name, Arguments: objectText(call.Arguments)})
			replies = append(replies, openai.Message{Role: openai.ToolReply, CallID: string(id), Text: reply(call)})
		}
		if m.Text != "" || len(m.ToolCalls) > 0 {
			list = append(append(list, m), replies...)
		}
	}
	return list
}

// objectText returns arguments as providers accept them in a history: an object.
func objectText(v jsontext.Value) string {
	if v.Kind() != '{' {
		return "{}"
	}
	return string(v)
}

// reply returns what the model is told of a call.
func reply(c *events.Call) string {
	switch {
	case c.Error != nil:
		return errorText(c.Error.Message)
	case c.Status == events.CallDone && len(c.Result) == 0:
		return "{}"
	case c.Status == events.CallDone && c.Truncated:
		return string(c.Result) + "\n(The result was longer and has been cut.)"
	case c.Status == events.CallDone:
		return string(c.Result)
	}
	return errorText("The call was stopped before it ran.")
}

func errorText(message string) string {
	b, err := jsontext.AppendQuote([]byte(`{"error":`), message)
	if err != nil {
		return `{"error":"the call failed"}`
	}
	return string(append(b, '}'))
}
