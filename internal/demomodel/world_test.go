package demomodel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sashabaranov/go-openai"

	"github.com/parleychat/parley/internal/demomodel"
)

// today of all tests is a Monday.
const system = "You are Parley.\nToday is 2026-11-23 (Monday), timezone Europe/Rome.\n"

type row struct {
	ID          int     `json:"task_id"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Due         *string `json:"due_on"`
	Status      string  `json:"status"`
	Rev         int     `json:"task_rev"`
	deleted     bool
}

// store is a small tool server with the contract of the real one.
type store struct {
	rows []*row
	rev  int
}

func seeded() *store {
	s := &store{}
	s.add("Buy groceries", "", "")
	s.add("Call mom", "", "2026-11-24")
	s.add("Pay rent", "", "2026-12-01")
	s.add("Team meeting", "", "")
	s.add("Meeting with Bob", "", "")
	s.add("Water the plants", "", "").Status = "completed"
	return s
}

func (s *store) add(title, description, due string) *row {
	s.rev++
	r := &row{ID: len(s.rows) + 1, Title: title, Description: description, Status: "open", Rev: s.rev}
	if due != "" {
		r.Due = &due
	}
	s.rows = append(s.rows, r)
	return r
}

// call executes a tool call. Arguments that the schema does not allow fail the
// test: a rule must never make them.
func (s *store) call(t *testing.T, name, args string) string {
	t.Helper()
	var a struct {
		ID          *int    `json:"task_id"`
		Title       *string `json:"title"`
		Description *string `json:"description"`
		Due         *string `json:"due_on"`
		Status      *string `json:"status"`
		Query       *string `json:"query"`
	}
	dec := json.NewDecoder(strings.NewReader(args))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		t.Errorf("%s %s: %v", name, args, err)
		return `{"error":"bad arguments"}`
	}
	if a.Due != nil && !isDate(*a.Due) {
		t.Errorf("%s %s: no date", name, args)
	}
	if name == "add_task" {
		if a.Title == nil || *a.Title == "" {
			t.Errorf("%s %s: no title", name, args)
			return `{"error":"title is empty"}`
		}
		return taskResult(s.add(*a.Title, deref(a.Description), deref(a.Due)))
	}
	if name == "list_tasks" {
		return s.list(deref(a.Status), deref(a.Query))
	}
	if a.ID == nil {
		t.Errorf("%s %s: no task_id", name, args)
		return `{"error":"task_id is missing"}`
	}
	i := slices.IndexFunc(s.rows, func(r *row) bool { return r.ID == *a.ID && !r.deleted })
	if i < 0 {
		return fmt.Sprintf(`{"error":"There is no task %d."}`, *a.ID)
	}
	r := s.rows[i]
	s.rev++
	r.Rev = s.rev
	switch name {
	case "complete_task":
		r.Status = "completed"
	case "delete_task":
		r.deleted = true
	case "update_task":
		if a.Title == nil && a.Description == nil && a.Due == nil && !strings.Contains(args, "due_on") {
			t.Errorf("%s %s: changes nothing", name, args)
		}
		if a.Title != nil {
			r.Title = *a.Title
		}
		if a.Description != nil {
			r.Description = *a.Description
		}
		if a.Due != nil || strings.Contains(args, "due_on") {
			r.Due = a.Due
		}
	default:
		return `{"error":"unknown tool"}`
	}
	return taskResult(r)
}

func (s *store) list(status, query string) string {
	found := []*row{}
	for _, r := range s.rows {
		if r.deleted || status != "" && status != "all" && r.Status != status || !strings.Contains(strings.ToLower(r.Title), strings.ToLower(query)) {
			continue
		}
		found = append(found, r)
	}
	b, _ := json.Marshal(map[string]any{"tasks": found, "count": len(found)})
	return string(b)
}

// state is the store in short: "1 Buy milk @2026-11-24; 2 Bread (done)".
func (s *store) state() string {
	var out []string
	for _, r := range s.rows {
		if r.deleted {
			continue
		}
		line := fmt.Sprintf("%d %s", r.ID, r.Title)
		if r.Description != "" {
			line += " [" + r.Description + "]"
		}
		if r.Due != nil {
			line += " @" + *r.Due
		}
		if r.Status == "completed" {
			line += " (done)"
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

func taskResult(r *row) string {
	b, _ := json.Marshal(map[string]any{"task": r})
	return string(b)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func isDate(s string) bool {
	return len(s) == 10 && s[4] == '-' && s[7] == '-'
}

var toolNames = []string{"add_task", "list_tasks", "complete_task", "delete_task", "update_task"}

func offered(names ...string) []openai.Tool {
	var out []openai.Tool
	for _, n := range names {
		out = append(out, openai.Tool{Type: openai.ToolTypeFunction, Function: &openai.FunctionDefinition{Name: n, Parameters: json.RawMessage(`{"type":"object"}`)}})
	}
	return out
}

// chat is one conversation with the demo model through the ordinary client.
type chat struct {
	t        *testing.T
	client   *openai.Client
	store    *store
	tools    []openai.Tool
	messages []openai.ChatCompletionMessage
}

func newChat(t *testing.T, s *store) *chat {
	t.Helper()
	return &chat{
		t: t, client: clientOf(t, demomodel.Options{}), store: s, tools: offered(toolNames...),
		messages: []openai.ChatCompletionMessage{{Role: "system", Content: system}},
	}
}

func clientOf(t *testing.T, o demomodel.Options) *openai.Client {
	t.Helper()
	srv := httptest.NewServer(demomodel.New(o))
	t.Cleanup(srv.Close)
	cfg := openai.DefaultConfig("none")
	cfg.BaseURL = srv.URL + "/v1"
	cfg.HTTPClient = srv.Client()
	return openai.NewClientWithConfig(cfg)
}

func (c *chat) request() openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{Model: demomodel.Model, Messages: c.messages, Tools: c.tools}
}

// say runs one message to its end and returns the calls, in the short form of
// callText, rounds separated by " > ", and the closing text.
func (c *chat) say(text string) (calls, answer string) {
	c.t.Helper()
	c.messages = append(c.messages, openai.ChatCompletionMessage{Role: "user", Content: text})
	var rounds []string
	for range 6 {
		m, finish, err := streamed(c.t.Context(), c.client, c.request())
		if err != nil {
			c.t.Fatalf("%q: %v", text, err)
		}
		c.messages = append(c.messages, m)
		if len(m.ToolCalls) == 0 {
			if finish != openai.FinishReasonStop {
				c.t.Errorf("%q: finish_reason %q", text, finish)
			}
			return strings.Join(rounds, " > "), m.Content
		}
		if finish != openai.FinishReasonToolCalls {
			c.t.Errorf("%q: finish_reason %q with tool calls", text, finish)
		}
		var round []string
		for _, k := range m.ToolCalls {
			round = append(round, callText(c.t, k.Function.Name, k.Function.Arguments))
			result := c.store.call(c.t, k.Function.Name, k.Function.Arguments)
			c.messages = append(c.messages, openai.ChatCompletionMessage{Role: "tool", ToolCallID: k.ID, Content: result})
		}
		rounds = append(rounds, strings.Join(round, "; "))
	}
	c.t.Fatalf("%q: no end after %s", text, strings.Join(rounds, " > "))
	return "", ""
}

// streamed reads a whole streamed answer as a strict client would.
func streamed(ctx context.Context, client *openai.Client, req openai.ChatCompletionRequest) (m openai.ChatCompletionMessage, finish openai.FinishReason, err error) {
	s, err := client.CreateChatCompletionStream(ctx, req)
	if err != nil {
		return m, "", err
	}
	defer s.Close()
	m.Role = "assistant"
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return m, finish, nil
		}
		if err != nil {
			return m, finish, err
		}
		for _, ch := range r.Choices {
			m.Content += ch.Delta.Content
			if ch.FinishReason != "" {
				finish = ch.FinishReason
			}
			for _, k := range ch.Delta.ToolCalls {
				if k.Index == nil {
					return m, finish, errors.New("tool call without index")
				}
				if *k.Index == len(m.ToolCalls) {
					m.ToolCalls = append(m.ToolCalls, openai.ToolCall{ID: k.ID, Type: k.Type, Function: openai.FunctionCall{Name: k.Function.Name}})
				}
				m.ToolCalls[*k.Index].Function.Arguments += k.Function.Arguments
			}
		}
	}
}

// callText is a call in short: `add Buy milk @2026-11-24 [2 liters]`, `list open
// ?rent`, `complete 3`, `update 3 =Bread @2026-11-24`.
func callText(t *testing.T, name, args string) string {
	t.Helper()
	var a struct {
		ID          int     `json:"task_id"`
		Title       string  `json:"title"`
		Description string  `json:"description"`
		Due         *string `json:"due_on"`
		Status      string  `json:"status"`
		Query       string  `json:"query"`
	}
	if err := json.Unmarshal([]byte(args), &a); err != nil {
		t.Errorf("%s %s: %v", name, args, err)
	}
	var w []string
	switch verb := strings.TrimSuffix(strings.TrimSuffix(name, "_task"), "_tasks"); name {
	case "add_task":
		w = []string{verb, a.Title}
	case "list_tasks":
		w = []string{verb, a.Status}
	default:
		w = []string{verb, fmt.Sprint(a.ID)}
		if a.Title != "" {
			w = append(w, "="+a.Title)
		}
	}
	if a.Query != "" {
		w = append(w, "?"+a.Query)
	}
	if a.Due != nil {
		w = append(w, "@"+*a.Due)
	} else if strings.Contains(args, `"due_on":null`) {
		w = append(w, "@never")
	}
	if a.Description != "" {
		w = append(w, "["+a.Description+"]")
	}
	return strings.Join(w, " ")
}

func diff(t *testing.T, what, want, got string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
