package testkit

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// maxModelRequest bounds what a scripted model reads.
const maxModelRequest = 8 << 20

// A ModelRequest is a call as a scripted model received it.
type ModelRequest struct {
	Model    string         `json:"model"`
	Messages []ModelMessage `json:"messages"`
	Tools    []struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	} `json:"tools"`
}

// A ModelMessage is one entry of a request's prompt.
type ModelMessage struct {
	Role       string      `json:"role"`
	Content    string      `json:"content"`
	ToolCallID string      `json:"tool_call_id"`
	ToolCalls  []ModelCall `json:"tool_calls"`
}

// A ModelCall is a tool call on the wire.
type ModelCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// A ModelReply is what a scripted model answers.
type ModelReply struct {
	// Status other than 0 and 200 answers with an error body and Header.
	Status int
	Header http.Header
	// Text is streamed piece by piece. Before piece i the model waits for Gate,
	// if it is not nil, to give a value or to be closed.
	Text []string
	Gate <-chan struct{}
	// Calls are name and arguments in turn.
	Calls [][2]string
	// Raw replaces all of the above: the body byte for byte.
	Raw string
	// Cut leaves out finish_reason and [DONE].
	Cut bool
	// Usage in tokens, input and output; zero leaves it out.
	Usage [2]int
}

// A Model is an OpenAI-compatible server that answers what a test says.
type Model struct {
	// URL is the base URL for clients.
	URL string

	mu       sync.Mutex
	requests []ModelRequest
	cut      chan int
}

// NewModel starts a scripted model. answer is asked for each request, numbered
// from 0; it may be called in parallel.
func NewModel(t testing.TB, answer func(n int, req ModelRequest) ModelReply) *Model {
	t.Helper()
	m := &Model{cut: make(chan int, 64)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxModelRequest))
		if err != nil {
			return
		}
		var req ModelRequest
		if err := json.Unmarshal(body, &req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m.mu.Lock()
		n := len(m.requests)
		m.requests = append(m.requests, req)
		m.mu.Unlock()
		serveReply(w, r, answer(n, req), func() {
			select {
			case m.cut <- n:
			default:
			}
		})
	}))
	t.Cleanup(server.Close)
	m.URL = server.URL + "/v1"
	return m
}

// Requests returns what has been asked so far.
func (m *Model) Requests() []ModelRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]ModelRequest(nil), m.requests...)
}

// Cut gives the number of each request whose client went away before its end.
func (m *Model) Cut() <-chan int { return m.cut }

func serveReply(w http.ResponseWriter, r *http.Request, p ModelReply, gone func()) {
	maps.Copy(w.Header(), p.Header)
	if p.Status != 0 && p.Status != http.StatusOK {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(p.Status)
		fmt.Fprintf(w, `{"error":{"message":"scripted %d","type":"scripted"}}`, p.Status)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	if p.Raw != "" {
		if _, err := io.WriteString(w, p.Raw); err == nil {
			_ = flush() // a client that is gone is part of the script
		}
		return
	}
	chunk := func(delta any, finish string) bool {
		var reason any
		if finish != "" {
			reason = finish
		}
		b, err := json.Marshal(map[string]any{"object": "chat.completion.chunk", "choices": []any{
			map[string]any{"index": 0, "delta": delta, "finish_reason": reason},
		}})
		if err != nil {
			return false
		}
		_, err = fmt.Fprintf(w, "data: %s\n\n", b)
		return err == nil && flush() == nil
	}
	for _, piece := range p.Text {
		if p.Gate != nil {
			select {
			case <-p.Gate:
			case <-r.Context().Done():
				gone()
				return
			}
		}
		if !chunk(map[string]any{"content": piece}, "") {
			gone()
			return
		}
	}
	for i, c := range p.Calls {
		call := map[string]any{"index": i, "id": fmt.Sprintf("call_%d", i), "type": "function", "function": map[string]any{"name": c[0], "arguments": c[1]}}
		if !chunk(map[string]any{"tool_calls": []any{call}}, "") {
			gone()
			return
		}
	}
	if p.Cut {
		return
	}
	finish := "stop"
	if len(p.Calls) > 0 {
		finish = "tool_calls"
	}
	if !chunk(map[string]any{}, finish) {
		return
	}
	if p.Usage != [2]int{} {
		fmt.Fprintf(w, `data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`+"\n\n",
			p.Usage[0], p.Usage[1], p.Usage[0]+p.Usage[1])
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}
