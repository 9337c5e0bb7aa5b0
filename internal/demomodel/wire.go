package demomodel

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type request struct {
	Model         string         `json:"model"`
	Messages      []message      `json:"messages"`
	Tools         []tool         `json:"tools"`
	ToolChoice    jsontext.Value `json:"tool_choice"`
	Stream        bool           `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           int `json:"max_tokens"`
	MaxCompletionTokens int `json:"max_completion_tokens"`
}

type message struct {
	Role       string     `json:"role"`
	Content    content    `json:"content"`
	ToolCalls  []toolCall `json:"tool_calls"`
	ToolCallID string     `json:"tool_call_id"`
}

type toolCall struct {
	Index    *int     `json:"index,omitempty"` // only in stream chunks
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type,omitempty"`
	Function function `json:"function"`
}

type function struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type tool struct {
	Function struct {
		Name       string         `json:"name"`
		Parameters jsontext.Value `json:"parameters"`
	} `json:"function"`
}

// content is a message's text: a string, null, or parts of which the text counts.
type content string

// UnmarshalJSON reads any of the three forms.
func (c *content) UnmarshalJSON(b []byte) error {
	switch jsontext.Value(b).Kind() {
	case 'n':
		*c = ""
		return nil
	case '[':
		var parts []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}
		if err := json.Unmarshal(b, &parts); err != nil {
			return fmt.Errorf("content parts: %w", err)
		}
		var texts []string
		for _, p := range parts {
			if p.Type == "text" {
				texts = append(texts, p.Text)
			}
		}
		*c = content(strings.Join(texts, "\n"))
		return nil
	default:
		return json.Unmarshal(b, (*string)(c))
	}
}

func decodeRequest(body []byte) (*request, *apiError) {
	req := &request{}
	if err := json.Unmarshal(body, req); err != nil {
		return nil, badRequest("The request is not valid JSON of the expected form.")
	}
	switch {
	case req.Model != Model:
		return nil, &apiError{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Message: fmt.Sprintf("The demo server has one model, %q.", Model)}
	case len(req.Messages) == 0:
		return nil, badRequest("messages is empty.")
	case len(req.Messages) > maxMessages:
		return nil, badRequest(fmt.Sprintf("messages has more than %d entries.", maxMessages))
	}
	if problem := checkOrder(req.Messages); problem != "" {
		return nil, badRequest(problem)
	}
	return req, nil
}

// checkOrder holds the history to what OpenAI demands of it: every tool call is
// answered, at once and once, and nothing else claims to be an answer.
func checkOrder(messages []message) string {
	var open map[string]bool
	user := false
	for i, m := range messages {
		if m.Role != "tool" && len(open) > 0 {
			return fmt.Sprintf("messages[%d]: an assistant message with tool_calls must be followed by a tool message for each tool_call_id.", i)
		}
		switch m.Role {
		case "system", "developer":
		case "user":
			user = true
		case "assistant":
			open = make(map[string]bool, len(m.ToolCalls))
			for _, c := range m.ToolCalls {
				if c.ID == "" || c.Function.Name == "" || open[c.ID] {
					return fmt.Sprintf("messages[%d]: each tool call needs a name and an id of its own.", i)
				}
				open[c.ID] = true
			}
		case "tool":
			if !open[m.ToolCallID] {
				return fmt.Sprintf("messages[%d]: a tool message must answer a tool call of the assistant message before it.", i)
			}
			delete(open, m.ToolCallID)
		default:
			return fmt.Sprintf("messages[%d]: unknown role.", i)
		}
	}
	switch {
	case len(open) > 0:
		return "The last assistant message has tool_calls without a tool message for each tool_call_id."
	case !user:
		return "messages has no user message."
	case messages[len(messages)-1].Role == "assistant":
		return "The last message is the assistant's own; there is nothing to answer."
	}
	return ""
}

func (r *request) maxTokens() int {
	if r.MaxCompletionTokens > 0 {
		return r.MaxCompletionTokens
	}
	return r.MaxTokens
}

// toolsAllowed is false when the caller forbade tools for this answer.
func (r *request) toolsAllowed() bool {
	return !bytes.Equal(bytes.TrimSpace(r.ToolChoice), []byte(`"none"`))
}

func (r *request) textBytes() int {
	n := 0
	for _, m := range r.Messages {
		n += len(m.Content)
		for _, c := range m.ToolCalls {
			n += len(c.Function.Name) + len(c.Function.Arguments)
		}
	}
	for _, t := range r.Tools {
		n += len(t.Function.Name) + len(t.Function.Parameters)
	}
	return n
}

type chunk struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"` // always 0: answers do not depend on a clock
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index        int          `json:"index"`
	Delta        *delta       `json:"delta,omitzero"`
	Message      *fullMessage `json:"message,omitzero"`
	FinishReason *string      `json:"finish_reason"`
}

type delta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitzero"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type fullMessage struct {
	Role      string     `json:"role"`
	Content   *string    `json:"content"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

type modelInfo struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Name    string `json:"name"`
}

type modelList struct {
	Object string      `json:"object"`
	Data   []modelInfo `json:"data"`
}

var demoInfo = modelInfo{ID: Model, Object: "model", OwnedBy: "parley", Name: ModelName}
