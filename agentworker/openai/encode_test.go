package openai

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	api "github.com/sashabaranov/go-openai"

	"github.com/go-json-experiment/json/jsontext"
)

// What is sent is what go-openai would have sent for the same request: it is
// read back into go-openai's own types.
func TestEncodesAsGoOpenAIReads(t *testing.T) {
	t.Parallel()
	req := Request{
		Model: "m",
		Messages: []Message{
			{Role: System, Text: "be \"kind\"\n\tand <brief> & \u2028 plain"},
			{Role: User, Text: "ü 🎉"},
			{Role: Assistant, ToolCalls: []ToolCall{{"c1", "add_task", `{"title":"a \"b\""}`}, {"c2", "list_tasks", `{}`}}},
			{Role: ToolReply, CallID: "c1", Text: `{"ok":true}`},
			{Role: ToolReply, CallID: "c2", Text: `[]`},
			{Role: Assistant, Text: "done"},
		},
		Tools: []Tool{
			{Name: "add_task", Description: "Adds a task.", Schema: jsontext.Value(`{"type":"object","properties":{"title":{"type":"string"}}}`)},
			{Name: "list_tasks", Schema: jsontext.Value(`{"type":"object"}`)},
		},
	}
	call := func(id, name, arguments string) api.ToolCall {
		return api.ToolCall{ID: id, Type: api.ToolTypeFunction, Function: api.FunctionCall{Name: name, Arguments: arguments}}
	}
	want := api.ChatCompletionRequest{
		Model: "m", Stream: true, StreamOptions: &api.StreamOptions{IncludeUsage: true},
		Messages: []api.ChatCompletionMessage{
			{Role: "system", Content: req.Messages[0].Text},
			{Role: "user", Content: "ü 🎉"},
			{Role: "assistant", ToolCalls: []api.ToolCall{call("c1", "add_task", `{"title":"a \"b\""}`), call("c2", "list_tasks", `{}`)}},
			{Role: "tool", Content: `{"ok":true}`, ToolCallID: "c1"},
			{Role: "tool", Content: `[]`, ToolCallID: "c2"},
			{Role: "assistant", Content: "done"},
		},
		Tools: []api.Tool{
			{Type: api.ToolTypeFunction, Function: &api.FunctionDefinition{Name: "add_task", Description: "Adds a task.", Parameters: json.RawMessage(req.Tools[0].Schema)}},
			{Type: api.ToolTypeFunction, Function: &api.FunctionDefinition{Name: "list_tasks", Parameters: json.RawMessage(req.Tools[1].Schema)}},
		},
	}
	theirs, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal(theirs, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encode(req), &b); err != nil {
		t.Fatalf("%v in %s", err, encode(req))
	}
	if d := cmp.Diff(a, b, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-go-openai +ours)\n%s", d)
	}
	var empty any
	if err := json.Unmarshal(encode(Request{Model: "m"}), &empty); err != nil {
		t.Errorf("an empty request: %v", err)
	}
}

func TestTextIsQuotedAsJSON(t *testing.T) {
	t.Parallel()
	var all []byte
	for c := range 256 {
		all = append(all, byte(c), 'x')
	}
	for _, s := range []string{"", "plain", "\"", "\\", "a\"b\\c\nd\re\tf\x00g\x1fh", "ü 🎉 \u2028", "cut \xe2\x82", string(all)} {
		var got string
		if err := json.Unmarshal(text(nil, s), &got); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q is read as %q", want, got)
		}
	}
}

// BenchmarkEncode is a history at its bound, of short messages.
func BenchmarkEncode(b *testing.B) {
	req := Request{Model: "m"}
	for i := range 1000 {
		req.Messages = append(req.Messages, Message{Role: User, Text: fmt.Sprint(i, strings.Repeat(" some words", 9))})
	}
	for b.Loop() {
		encode(req)
	}
}
