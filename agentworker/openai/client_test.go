package openai_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client of a handler, quick to try again.
func newClient(t *testing.T, h http.HandlerFunc, change ...func(*openai.Options)) *openai.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := openai.Options{
		BaseURL: server.URL + "/v1", APIKey: "sk-secret", Backoff: time.Millisecond, MaxWait: 50 * time.Millisecond,
		Transport: transport, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	c, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hello() openai.Request {
	return openai.Request{Model: "m", Messages: []openai.Message{{Role: openai.User, Text: "hello"}}}
}

// TestWire replays what providers have been seen to send.
func TestWire(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/wire/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body := bytes.ReplaceAll(a.Files[0].Data, []byte("<CR>"), []byte("\r"))
			client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				if _, err := w.Write(body); err != nil {
					t.Error(err)
				}
			})
			var streamed strings.Builder
			out, err := client.Stream(testkit.Context(t), hello(), func(s string) { streamed.WriteString(s) })
			if got, want := describe(out, err), string(a.Files[1].Data); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			if streamed.String() != out.Text {
				t.Errorf("streamed %q, returned %q", streamed.String(), out.Text)
			}
		})
	}
}

func describe(c openai.Completion, err error) string {
	var b strings.Builder
	if c.Text != "" {
		fmt.Fprintf(&b, "text: %s\n", c.Text)
	}
	for _, t := range c.ToolCalls {
		fmt.Fprintf(&b, "call: %s %s\n", t.Name, t.Arguments)
	}
	if c.FinishReason != "" {
		fmt.Fprintf(&b, "finish: %s\n", c.FinishReason)
	}
	fmt.Fprintf(&b, "usage: %d %d%s\n", c.InputTokens, c.OutputTokens, map[bool]string{true: " estimated"}[c.Estimated])
	if e, ok := errors.AsType[*openai.Error](err); ok {
		fmt.Fprintf(&b, "error: %s%s\n", e.Code, map[bool]string{true: " cut"}[e.Cut])
	} else if err != nil {
		fmt.Fprintf(&b, "other error: %v\n", err)
	}
	return b.String()
}

func TestFailuresBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	const body = `{"error":{"message":"the key sk-secret or model is wrong.","type":"x"}}`
	for _, tt := range []struct {
		status, failures, calls int
		code                    string
	}{
		{http.StatusTooManyRequests, 2, 3, ""},
		{http.StatusInternalServerError, 2, 3, ""},
		{http.StatusServiceUnavailable, 4, 5, ""},
		{http.StatusTooManyRequests, 99, 5, events.FailModelBusy},
		{http.StatusBadGateway, 99, 5, events.FailModelBusy},
		{http.StatusUnauthorized, 99, 1, events.FailModelAuth},
		{http.StatusForbidden, 99, 1, events.FailModelAuth},
		{http.StatusBadRequest, 99, 1, events.FailModel},
		{http.StatusNotFound, 99, 1, events.FailModel},
		{http.StatusFound, 99, 1, events.FailModel},
	} {
		t.Run(fmt.Sprintf("%d x %d", tt.status, tt.failures), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				if int(calls.Add(1)) <= tt.failures {
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(tt.status)
					if _, err := io.WriteString(w, body); err != nil {
						t.Error(err)
					}
					return
				}
				if _, err := io.WriteString(w, `data: {"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}`+"\n\n"); err != nil {
					t.Error(err)
				}
			})
			out, err := client.Stream(testkit.Context(t), hello(), func(string) {})
			if int(calls.Load()) != tt.calls {
				t.Errorf("%d calls, want %d", calls.Load(), tt.calls)
			}
			if tt.code == "" {
				if err != nil || out.Text != "ok" {
					t.Errorf("%q, %v", out.Text, err)
				}
				return
			}
			var e *openai.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Cut {
				t.Fatalf("error = %v, want %s", err, tt.code)
			}
			if tt.code != events.FailModel && strings.Contains(e.Message+e.Err.Error(), "sk-secret") {
				t.Errorf("the key is in %q, %v", e.Message, e.Err)
			}
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var first time.Time
	waited := make(chan time.Duration, 1)
	client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		waited <- time.Since(first)
		if _, err := io.WriteString(w, `data: {"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}`+"\n\n"); err != nil {
			t.Error(err)
		}
	}, func(o *openai.Options) { o.MaxWait = 10 * time.Second })
	if _, err := client.Stream(testkit.Context(t), hello(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if d := <-waited; d < 900*time.Millisecond {
		t.Errorf("waited %v after Retry-After: 1", d)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	for name, body := range map[string]string{
		"line without end": "data: " + long + long,
		"endless text":     strings.Repeat(`data: {"choices":[{"delta":{"content":"`+long[:64<<10]+`"}}]}`+"\n\n", 10),
		"endless argument": strings.Repeat(`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"`+long[:64<<10]+`"}}]}}]}`+"\n\n", 10),
		"endless comments": strings.Repeat(": "+long[:1<<19]+"\n", 40),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
				// The client leaves before the end.
				_, _ = io.WriteString(w, body)
			})
			out, err := client.Stream(testkit.Context(t), hello(), func(string) {})
			var e *openai.Error
			if !errors.As(err, &e) || e.Code != events.FailModel || e.Cut || len(out.Text) > 256<<10 {
				t.Errorf("%d bytes of text, %v", len(out.Text), err)
			}
		})
	}
}

func TestSilenceEndsTheCall(t *testing.T) {
	t.Parallel()
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.WriteString(w, `data: {"choices":[{"delta":{"content":"half"}}]}`+"\n\n"); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}, func(o *openai.Options) { o.Idle = 100 * time.Millisecond })
	out, err := client.Stream(testkit.Context(t), hello(), func(string) {})
	var e *openai.Error
	if !errors.As(err, &e) || !e.Cut || out.Text != "half" {
		t.Errorf("%q, %v", out.Text, err)
	}
}

func TestCancelEndsTheProvidersRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(testkit.Context(t))
	gone := make(chan struct{})
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.WriteString(w, `data: {"choices":[{"delta":{"content":"half"}}]}`+"\n\n"); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
		close(gone)
	})
	out, err := client.Stream(ctx, hello(), func(string) { cancel() })
	if err == nil || out.Text != "half" {
		t.Errorf("%q, %v", out.Text, err)
	}
	<-gone
}

func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	var got map[string]any
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer sk-secret" {
			t.Errorf("%s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(w, `data: {"choices":[{"delta":{"content":"ok"},"finish_reason":"stop"}]}`+"\n\n"); err != nil {
			t.Error(err)
		}
	})
	req := openai.Request{Model: "m", Tools: []openai.Tool{{Name: "f", Description: "d", Schema: []byte(`{"type":"object"}`)}}, Messages: []openai.Message{
		{Role: openai.System, Text: "s"},
		{Role: openai.User, Text: "u"},
		{Role: openai.Assistant, ToolCalls: []openai.ToolCall{{CallID: "c", Name: "f", Arguments: `{"a":1}`}}},
		{Role: openai.ToolReply, CallID: "c", Text: "r"},
	}}
	if _, err := client.Stream(testkit.Context(t), req, func(string) {}); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"stream":true`, `"include_usage":true`, `"model":"m"`, `"parameters":{"type":"object"}`, `"tool_call_id":"c"`, `"arguments":"{\"a\":1}"`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is missing in %s", want, b)
		}
	}
}

func TestNewRefusesWhatIsNoURL(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"localhost:8080", "ftp://host/v1", "http://", "://"} {
		if _, err := openai.New(openai.Options{BaseURL: u}); err == nil {
			t.Errorf("%q was taken", u)
		}
	}
}

// Where a provider tells no usage, every four bytes that went there and came back
// count as a token: instructions, history, calls and their results, and the tools.
func TestUsageThatIsNotToldIsEstimated(t *testing.T) {
	t.Parallel()
	req := openai.Request{
		Model: "m",
		Messages: []openai.Message{
			{Role: openai.System, Text: strings.Repeat("s", 400)},
			{Role: openai.User, Text: strings.Repeat("ü", 20)},
			{Role: openai.Assistant, ToolCalls: []openai.ToolCall{{CallID: "c1", Name: "look", Arguments: `{"at":"x"}`}}},
			{Role: openai.ToolReply, CallID: "c1", Text: strings.Repeat("r", 4000)},
		},
		Tools: []openai.Tool{{Name: "look", Description: strings.Repeat("d", 36), Schema: []byte(`{"type":"object"}`)}},
	}
	for answer, want := range map[string]openai.Completion{
		`{"content":"` + strings.Repeat("a", 41) + `"}`: {InputTokens: 1128, OutputTokens: 11, Estimated: true},
		`{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"look","arguments":"{\"at\":\"somewhere\"}"}}]}`: {InputTokens: 1128, OutputTokens: 6, Estimated: true},
	} {
		client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, err := fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", answer)
			if err != nil {
				t.Error(err)
			}
		})
		out, err := client.Stream(testkit.Context(t), req, func(string) {})
		if err != nil || out.InputTokens != want.InputTokens || out.OutputTokens != want.OutputTokens || !out.Estimated {
			t.Errorf("%s costs %d and %d, estimated %v (%v), want %d and %d", answer, out.InputTokens, out.OutputTokens, out.Estimated, err, want.InputTokens, want.OutputTokens)
		}
	}
}
