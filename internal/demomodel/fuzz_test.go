package demomodel_test

import (
	"bufio"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sashabaranov/go-openai"

	"github.com/parleychat/parley/internal/demomodel"
)

// FuzzAnswer: whatever two messages say, one after the other, each step is a
// well-formed stream whose tool calls have valid arguments for offered tools, and
// the turn ends within three model calls.
func FuzzAnswer(f *testing.F) {
	for _, rows := range [][]sentence{adds, lists, completes, changes, deletes, chats} {
		for _, s := range rows {
			first := "show my tasks"
			if len(s.after) > 0 {
				first = s.after[len(s.after)-1]
			}
			f.Add(first, s.say)
		}
	}
	for _, s := range []string{"", " ", "\n", "add ", "add \"", "delete #", "rename 3 to ", "complete -1", "99999999999999999999", "delete 1-999999999", "in 0 days", "add x on 31.02.", "add x 9999-12-31", "move 1 by 1000 months", "\u202e", "İ", "add İ to", "/tool x {\"a\":1}", "/long -1", "no, ", "make it ", "not a, b", "/tool \n/tool"} {
		f.Add("add milk and bread", s)
		f.Add(s, "yes")
	}
	handler := demomodel.New(demomodel.Options{})
	f.Fuzz(func(t *testing.T, first, second string) {
		if !utf8.ValidString(first) || !utf8.ValidString(second) {
			t.Skip("a request is JSON, so it is valid UTF-8")
		}
		s := seeded()
		messages := []openai.ChatCompletionMessage{{Role: "system", Content: system}}
		for _, text := range []string{first, second} {
			messages = append(messages, openai.ChatCompletionMessage{Role: "user", Content: text})
			raw := strings.HasPrefix(strings.TrimSpace(text), "/")
			for step := 0; ; step++ {
				if step == 4 {
					t.Fatalf("%q then %q does not end", first, second)
				}
				b, err := json.Marshal(openai.ChatCompletionRequest{Model: demomodel.Model, Stream: true, Tools: offered(toolNames...), Messages: messages})
				if err != nil {
					t.Fatal(err)
				}
				w := httptest.NewRecorder()
				if raw && (strings.Contains(text, "slow") || strings.Contains(text, "cut") || strings.Contains(text, "garbage")) {
					return // they misbehave on purpose
				}
				handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/v1/chat/completions", strings.NewReader(string(b))))
				if w.Code != 200 {
					if raw && strings.Contains(text, "error") {
						return
					}
					t.Fatalf("%q: %d %s", text, w.Code, w.Body)
				}
				m := readStream(t, w.Body.String())
				if len(m.ToolCalls) == 0 {
					if !raw && strings.TrimSpace(m.Content) == "" {
						t.Errorf("%q: no answer", text)
					}
					messages = append(messages, m)
					break
				}
				messages = append(messages, m)
				for _, k := range m.ToolCalls {
					result := "{}"
					if !raw {
						result = s.call(t, k.Function.Name, k.Function.Arguments)
					} else if !json.Valid([]byte(k.Function.Arguments)) {
						t.Errorf("%q: arguments %q", text, k.Function.Arguments)
					}
					messages = append(messages, openai.ChatCompletionMessage{Role: "tool", ToolCallID: k.ID, Content: result})
				}
			}
		}
	})
}

// readStream reads server-sent chunks strictly.
func readStream(t *testing.T, s string) openai.ChatCompletionMessage {
	t.Helper()
	m := openai.ChatCompletionMessage{Role: "assistant"}
	finish, done := "", false
	sc := bufio.NewScanner(strings.NewReader(s))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		if line == "" {
			continue
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || done {
			t.Fatalf("line %q", line)
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		var r openai.ChatCompletionStreamResponse
		if err := json.Unmarshal([]byte(data), &r); err != nil || len(r.Choices) != 1 || finish != "" {
			t.Fatalf("chunk %q: %v", data, err)
		}
		c := r.Choices[0]
		finish = string(c.FinishReason)
		m.Content += c.Delta.Content
		for _, k := range c.Delta.ToolCalls {
			if *k.Index == len(m.ToolCalls) {
				m.ToolCalls = append(m.ToolCalls, openai.ToolCall{ID: k.ID, Type: k.Type, Function: openai.FunctionCall{Name: k.Function.Name}})
			}
			m.ToolCalls[*k.Index].Function.Arguments += k.Function.Arguments
		}
	}
	if want := map[bool]string{true: "tool_calls", false: "stop"}[len(m.ToolCalls) > 0]; sc.Err() != nil || !done || finish != want {
		t.Fatalf("stream ends with finish_reason %q, done %v, %v", finish, done, sc.Err())
	}
	return m
}

// BenchmarkFirstToken is the model's own work on a conversation of 60 turns.
func BenchmarkFirstToken(b *testing.B) {
	messages := []openai.ChatCompletionMessage{{Role: "system", Content: system}}
	for range 60 {
		messages = append(messages, openai.ChatCompletionMessage{Role: "user", Content: "complete the meeting"},
			openai.ChatCompletionMessage{Role: "assistant", ToolCalls: []openai.ToolCall{{ID: "a", Type: "function", Function: openai.FunctionCall{Name: "list_tasks", Arguments: `{"status":"all"}`}}}},
			openai.ChatCompletionMessage{Role: "tool", ToolCallID: "a", Content: seeded().list("all", "")},
			openai.ChatCompletionMessage{Role: "assistant", Content: "Which one do you mean?"})
	}
	messages = append(messages, openai.ChatCompletionMessage{Role: "user", Content: "the quick brown fox jumps over the lazy dog"})
	body, err := json.Marshal(openai.ChatCompletionRequest{Model: demomodel.Model, Tools: offered(toolNames...), Messages: messages})
	if err != nil {
		b.Fatal(err)
	}
	handler := demomodel.New(demomodel.Options{})
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), "POST", "/v1/chat/completions", strings.NewReader(string(body))))
	}
}
