package demomodel_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sashabaranov/go-openai"

	"github.com/parleychat/parley/internal/demomodel"
)

func ask(text string) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{Model: demomodel.Model, Tools: offered(toolNames...), Messages: []openai.ChatCompletionMessage{{Role: "system", Content: system}, {Role: "user", Content: text}}}
}

func TestModels(t *testing.T) {
	t.Parallel()
	list, err := clientOf(t, demomodel.Options{}).ListModels(t.Context())
	if err != nil || len(list.Models) != 1 || list.Models[0].ID != "demo" {
		t.Fatalf("%+v, %v", list, err)
	}
}

// TestWholeEqualsStream: both forms of an answer are the same answer.
func TestWholeEqualsStream(t *testing.T) {
	t.Parallel()
	client := clientOf(t, demomodel.Options{})
	for _, text := range []string{"hi", "add milk, bread and eggs", "complete the rent", "/long 50", "/empty", "äöü 漢字 add"} {
		whole, err := client.CreateChatCompletion(t.Context(), ask(text))
		if err != nil {
			t.Fatal(err)
		}
		stream, finish, err := streamed(t.Context(), client, ask(text))
		if err != nil {
			t.Fatal(err)
		}
		c := whole.Choices[0]
		if c.Message.Content != stream.Content || c.FinishReason != finish || len(c.Message.ToolCalls) != len(stream.ToolCalls) {
			t.Errorf("%q: %+v\nstreamed: %+v %s", text, c, stream, finish)
		}
		for i, k := range c.Message.ToolCalls {
			if k.Function != stream.ToolCalls[i].Function {
				t.Errorf("%q: call %+v, streamed %+v", text, k, stream.ToolCalls[i])
			}
		}
		if whole.Usage.CompletionTokens == 0 != (text == "/empty") || whole.Usage.TotalTokens != whole.Usage.PromptTokens+whole.Usage.CompletionTokens {
			t.Errorf("%q: usage %+v", text, whole.Usage)
		}
	}
}

func TestUsageChunk(t *testing.T) {
	t.Parallel()
	req := ask("hi")
	req.Stream, req.StreamOptions = true, &openai.StreamOptions{IncludeUsage: true}
	s, err := clientOf(t, demomodel.Options{}).CreateChatCompletionStream(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var last openai.ChatCompletionStreamResponse
	for n := 0; ; n++ {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if last.Usage != nil {
			t.Error("a chunk after the usage")
		}
		last = r
	}
	if last.Usage == nil || len(last.Choices) != 0 || last.Usage.PromptTokens == 0 || last.Usage.CompletionTokens == 0 {
		t.Errorf("last chunk: %+v", last)
	}
}

// serve sends a body and returns what came back, byte for byte.
func serve(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	demomodel.New(demomodel.Options{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w
}

func body(t *testing.T, req openai.ChatCompletionRequest) string {
	t.Helper()
	b, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDeterminism(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"hi", "thanks", "add milk and bread", "what is left?", "what is love?", "/long 30"} {
		req := ask(text)
		req.Stream = true
		b := body(t, req)
		if first, second := serve(t, "POST", "/v1/chat/completions", b).Body.String(), serve(t, "POST", "/v1/chat/completions", b).Body.String(); first != second {
			t.Errorf("%q: two answers\n%s\n%s", text, first, second)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const chat = "/v1/chat/completions"
	call := `{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"x","arguments":"{}"}}]}`
	user := `{"role":"user","content":"hi"}`
	with := func(messages string) string { return `{"model":"demo","messages":[` + messages + `]}` }
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no such path", "GET", "/", "", 404},
		{"wrong method", "GET", chat, "", 405},
		{"models by POST", "POST", "/v1/models", "", 405},
		{"no JSON", "POST", chat, "{", 400},
		{"twice the same key", "POST", chat, `{"model":"demo","model":"demo","messages":[` + user + `]}`, 400},
		{"invalid UTF-8", "POST", chat, with(`{"role":"user","content":"` + "\xff" + `"}`), 400},
		{"no messages", "POST", chat, with(""), 400},
		{"too many messages", "POST", chat, with(strings.Repeat(user+",", 5000) + user), 400},
		{"too big", "POST", chat, with(`{"role":"user","content":"` + strings.Repeat("x", 9<<20) + `"}`), 413},
		{"unknown model", "POST", chat, `{"model":"gpt-5","messages":[` + user + `]}`, 404},
		{"unknown role", "POST", chat, with(`{"role":"wizard","content":"hi"}`), 400},
		{"no user message", "POST", chat, with(`{"role":"system","content":"hi"}`), 400},
		{"assistant last", "POST", chat, with(user + `,{"role":"assistant","content":"yes"}`), 400},
		{"call without result", "POST", chat, with(user + "," + call + "," + user), 400},
		{"call without result at the end", "POST", chat, with(user + "," + call), 400},
		{"result without call", "POST", chat, with(user + `,{"role":"tool","tool_call_id":"a","content":"{}"}`), 400},
		{"result twice", "POST", chat, with(user + "," + call + strings.Repeat(`,{"role":"tool","tool_call_id":"a","content":"{}"}`, 2)), 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, tc.method, tc.path, tc.body)
			var e struct {
				Error struct{ Message, Type, Code string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != tc.status || e.Error.Message == "" || e.Error.Type == "" || e.Error.Code == "" {
				t.Errorf("status %d, want %d: %s", w.Code, tc.status, w.Body)
			}
			if tc.status == 405 && w.Header().Get("Allow") == "" {
				t.Error("no Allow header")
			}
		})
	}
}

func TestForgivingForms(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]string{
		"content in parts":  `{"model":"demo","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"x"}}]}]}`,
		"unknown fields":    `{"model":"demo","temperature":0.3,"seed":1,"messages":[{"role":"user","content":"hi","name":"Ann"}]}`,
		"developer message": `{"model":"demo","messages":[{"role":"developer","content":"x"},{"role":"user","content":"hi"}]}`,
		"null content":      `{"model":"demo","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"x","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"{}"}]}`,
	} {
		if w := serve(t, "POST", "/v1/chat/completions", b); w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	client := clientOf(t, demomodel.Options{})
	say := func(text string) (openai.ChatCompletionMessage, openai.FinishReason, error) {
		return streamed(t.Context(), client, ask(text))
	}
	t.Run("long", func(t *testing.T) {
		t.Parallel()
		for text, words := range map[string]int{"/long 500": 500, "/long 1": 1, "/long": 500, "/long 7 words": 7} {
			m, finish, err := say(text)
			if err != nil || finish != "stop" || len(strings.Fields(m.Content)) != words {
				t.Errorf("%s: %d words, %s, %v", text, len(strings.Fields(m.Content)), finish, err)
			}
		}
	})
	t.Run("error", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]struct {
			status int
			retry  string
		}{"/error 429": {429, "1"}, "/error 429 7": {429, "7"}, "/error 500": {500, ""}, "/error 503": {503, "1"}, "/error 401": {401, ""}, "/error 400": {400, ""}, "/error": {500, ""}} {
			w := serve(t, "POST", "/v1/chat/completions", body(t, ask(text)))
			if w.Code != want.status || w.Header().Get("Retry-After") != want.retry {
				t.Errorf("%s: %d, Retry-After %q", text, w.Code, w.Header().Get("Retry-After"))
			}
			var e *openai.APIError
			if _, _, err := say(text); !errors.As(err, &e) || e.HTTPStatusCode != want.status || e.Message == "" {
				t.Errorf("%s: %v", text, err)
			}
		}
		if m, _, err := say("/error 200"); err != nil || !strings.Contains(m.Content, "400 to 599") {
			t.Errorf("/error 200: %q, %v", m.Content, err)
		}
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		m, finish, err := say("/cut")
		if err != nil || finish != "" || m.Content == "" {
			t.Errorf("%q, finish_reason %q, %v", m.Content, finish, err)
		}
		m, finish, err = say("/cut hard")
		if err == nil || finish != "" || m.Content == "" {
			t.Errorf("hard: %q, finish_reason %q, %v", m.Content, finish, err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		m, finish, err := say("/empty")
		if err != nil || finish != "stop" || m.Content != "" || len(m.ToolCalls) != 0 {
			t.Errorf("%+v, %s, %v", m, finish, err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		t.Parallel()
		if _, _, err := say("/garbage"); err == nil {
			t.Error("a client could read it")
		}
	})
	t.Run("tool", func(t *testing.T) {
		t.Parallel()
		m, finish, err := say("/tool drop_database {\"name\": \"a b\",\n \"n\": [1]}\n/tool list_tasks")
		if err != nil || finish != "tool_calls" || len(m.ToolCalls) != 2 {
			t.Fatalf("%+v, %s, %v", m, finish, err)
		}
		diff(t, "name", "drop_database", m.ToolCalls[0].Function.Name)
		diff(t, "arguments", "{\"name\": \"a b\",\n \"n\": [1]}", m.ToolCalls[0].Function.Arguments)
		diff(t, "none", "{}", m.ToolCalls[1].Function.Arguments)
		for _, bad := range []string{"/tool", "/tool x [1]", "/tool x {", "/tool x {} {}"} {
			if m, _, err := say(bad); err != nil || len(m.ToolCalls) != 0 || !strings.Contains(m.Content, "/tool name") {
				t.Errorf("%s: %+v, %v", bad, m, err)
			}
		}
		c := newChat(t, seeded())
		calls, answer := c.say(`/tool complete_task {"task_id": 3}`)
		diff(t, "calls", "complete 3", calls)
		if !strings.Contains(answer, "```json\n{\"task\":") {
			t.Error(answer)
		}
	})
	t.Run("help", func(t *testing.T) {
		t.Parallel()
		m, _, err := say("/help")
		for _, v := range []string{"/long", "/slow", "/error", "/tool", "/cut", "/empty", "/garbage"} {
			if err != nil || !strings.Contains(m.Content, v) {
				t.Errorf("%s is not in /help (%v)", v, err)
			}
		}
	})
}

// TestNoticeAfterVerbs: a test verb is no answer that could have carried it.
func TestNoticeAfterVerbs(t *testing.T) {
	t.Parallel()
	c := newChat(t, seeded())
	if _, a := c.say("/long 20"); strings.Contains(a, demomodel.Notice) {
		t.Error("/long carries the notice")
	}
	if _, a := c.say("hi"); !strings.Contains(a, demomodel.Notice) {
		t.Error("the first real answer does not")
	}
	if _, a := c.say("show my tasks"); strings.Contains(a, demomodel.Notice) {
		t.Error("the second does")
	}
}

func TestMaxTokens(t *testing.T) {
	t.Parallel()
	req := ask("/long 500")
	req.MaxCompletionTokens = 10
	m, finish, err := streamed(t.Context(), clientOf(t, demomodel.Options{}), req)
	if err != nil || finish != openai.FinishReasonLength || len(strings.Fields(m.Content)) > 10 || m.Content == "" {
		t.Errorf("%q, %s, %v", m.Content, finish, err)
	}
}

// timed is a response writer that knows when each chunk came.
type timed struct {
	*httptest.ResponseRecorder
	start time.Time
	at    []time.Duration
}

func (w *timed) Write(b []byte) (int, error) {
	w.at = append(w.at, time.Since(w.start))
	return w.ResponseRecorder.Write(b)
}

// TestPace runs in a bubble with its own clock, so the times are exact.
func TestPace(t *testing.T) {
	for _, tc := range []struct {
		text string
		rate float64
	}{
		{"/long 41", 40},
		{"/long 41", 0},
		{"/slow 5", 0},
		{"add milk", 40},
	} {
		synctest.Test(t, func(t *testing.T) {
			req := ask(tc.text)
			req.Stream = true
			w := &timed{ResponseRecorder: httptest.NewRecorder(), start: time.Now()}
			demomodel.New(demomodel.Options{Rate: tc.rate}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/v1/chat/completions", strings.NewReader(body(t, req))))
			rate := tc.rate
			if strings.HasPrefix(tc.text, "/slow") {
				rate = 2
			}
			if w.at[1] != 0 {
				t.Errorf("%s at %v: the first piece came after %v", tc.text, tc.rate, w.at[1])
			}
			pieces := strings.Count(w.Body.String(), `"content":"`) - 1 // the first chunk names the role alone
			if strings.HasPrefix(tc.text, "add") {
				pieces = strings.Count(w.Body.String(), `"arguments":"`) - 1
			}
			want := time.Duration(0)
			if rate > 0 {
				want = time.Duration(pieces-1) * time.Duration(float64(time.Second)/rate)
			}
			if got := w.at[len(w.at)-1]; got != want || pieces < 2 {
				t.Errorf("%s at %v tokens/s: %d pieces took %v, want %v", tc.text, tc.rate, pieces, got, want)
			}
		})
	}
}

// TestStopsWithItsReader: a cancelled request ends the answer at once.
func TestStopsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		req := ask("/slow 1000")
		req.Stream = true
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			demomodel.New(demomodel.Options{}).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/v1/chat/completions", strings.NewReader(body(t, req))))
		}()
		start := time.Now()
		time.AfterFunc(3*time.Second, cancel)
		<-done
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("ended after %v", d)
		}
		if s := w.Body.String(); strings.Contains(s, "[DONE]") || strings.Contains(s, `"stop"`) {
			t.Error("the cut answer says that it is complete")
		}
	})
}

// TestEventStream holds the raw stream to the protocol.
func TestEventStream(t *testing.T) {
	t.Parallel()
	req := ask("add milk")
	req.Stream = true
	w := serve(t, http.MethodPost, "/v1/chat/completions", body(t, req))
	if ct := w.Header().Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("Content-Type %q", ct)
	}
	events := strings.Split(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n")
	for i, e := range events {
		data, ok := strings.CutPrefix(e, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Errorf("event %d: %q", i, e)
		}
		if i == len(events)-1 {
			diff(t, "last event", "[DONE]", data)
		} else if !json.Valid([]byte(data)) {
			t.Errorf("event %d is no JSON: %q", i, data)
		}
	}
	if !strings.Contains(events[0], `"role":"assistant"`) {
		t.Errorf("first event: %s", events[0])
	}
}
