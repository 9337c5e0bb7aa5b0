package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A model is an OpenAI-compatible server that answers by rule: what it says and
// which tools it calls follows from the prompt, the seed, and the number of the
// request. Two requests never give the same text, so that two attempts which
// were mixed cannot look like one.
type model struct {
	seed uint64

	mu       sync.Mutex
	requests []*modelRequest
	seen     map[string]int // requests per message and step
	written  int            // pieces
}

// A modelRequest is one call as the model received it.
type modelRequest struct {
	Number int
	// Marker is what the person's last message said its id was; "" in a request for a title.
	Marker string
	Step   int
	Title  bool
	Begun  time.Time
	Ended  time.Time
	// Text and Calls are the whole answer, Outcome what became of it: "whole",
	// "refused", "cut" by the model, "gone" where the client hung up.
	Text    string
	Calls   []modelCall
	Outcome string
}

type modelCall struct{ Name, Arguments string }

func newModel(seed uint64) *model { return &model{seed: seed, seen: map[string]int{}} }

// maxPrompt bounds what the model reads.
const maxPrompt = 8 << 20

type prompt struct {
	Messages []promptMessage `json:"messages"`
}

type promptMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// ServeHTTP answers one request.
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPrompt))
	if err != nil {
		return
	}
	var p prompt
	if err := json.Unmarshal(body, &p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req, plan := m.admit(p, begun)
	outcome := m.serve(r.Context(), w, req, plan)
	m.mu.Lock()
	defer m.mu.Unlock()
	req.Ended, req.Outcome = time.Now(), outcome
}

// A script is how a request is answered.
type script struct {
	status     int // an error, if not 0
	retryAfter int
	text       []string
	gap        time.Duration // before each piece
	calls      []modelCall
	cutAfter   int           // pieces after which the stream ends without a finish reason; 0 = never
	hang       time.Duration // silence before the cut
}

// admit notes a request and decides about its answer.
func (m *model) admit(p prompt, at time.Time) (*modelRequest, script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	req := &modelRequest{Number: len(m.requests), Begun: at}
	m.requests = append(m.requests, req)
	said, results, step := lastMessage(p)
	req.Step = step
	if strings.HasPrefix(said, "Person: ") {
		req.Title = true
		s := script{text: []string{"About ", "number " + strconv.Itoa(req.Number)}}
		req.Text = strings.Join(s.text, "")
		return req, s
	}
	o := parseOrder(said)
	req.Marker = o.marker
	key := o.marker + "/" + strconv.Itoa(step)
	try := m.seen[key]
	m.seen[key]++
	s := answer(m.seed, o, step, results, req.Number)
	req.Text, req.Calls = strings.Join(s.text, ""), s.calls
	trouble(&s, mix(m.seed, "trouble", key, strconv.Itoa(try)), try)
	return req, s
}

// lastMessage returns what the person said last, the tool results since, and
// which step of the answer this is.
func lastMessage(p prompt) (said string, results []string, step int) {
	step = 1
	for _, msg := range p.Messages {
		switch msg.Role {
		case "user":
			said, results, step = msg.Content, nil, 1
		case "assistant":
			step++
		case "tool":
			results = append(results, msg.Content)
		}
	}
	return said, results, step
}

// An order is what a message asks of the model; persons write nothing else.
type order struct {
	marker string // the message's id
	canary string // the person's secret
	verb   string
	count  int
}

// text is how a person says it: "<marker> <canary> <verb> <count>".
func (o order) text() string {
	return fmt.Sprintf("%s %s %s %d", o.marker, o.canary, o.verb, o.count)
}

func parseOrder(said string) order {
	var o order
	fields := strings.Fields(said)
	if len(fields) >= 4 {
		o.marker, o.canary, o.verb = fields[0], fields[1], fields[2]
		if n, err := strconv.Atoi(fields[3]); err == nil {
			o.count = min(max(n, 0), 400)
		}
	}
	return o
}

// Verbs of an order.
const (
	verbSay   = "say"   // words, at once
	verbSlow  = "slow"  // words, with time between them
	verbAdd   = "add"   // tasks, in parallel calls
	verbChain = "chain" // tasks, one after the other
	verbEdit  = "edit"  // list the tasks, then change some
	verbOdd   = "odd"   // calls that no tool takes
)

// answer plans an undisturbed answer.
func answer(seed uint64, o order, step int, results []string, number int) script {
	h := mix(seed, o.marker, strconv.Itoa(step))
	add := func(i int) modelCall {
		return call("add_task", map[string]any{"title": fmt.Sprintf("%s %s-%d-%d", o.canary, o.marker, step, i)})
	}
	s := script{text: words(o.canary, number, 4+int(h%6))}
	switch {
	case o.verb == verbSay:
		s.text = words(o.canary, number, max(o.count, 1))
	case o.verb == verbSlow:
		s.text, s.gap = words(o.canary, number, max(o.count, 1)), time.Duration(15+h%30)*time.Millisecond
	case o.verb == verbAdd && step == 1:
		for i := range min(max(o.count, 1), 6) {
			s.calls = append(s.calls, add(i))
		}
		if h%3 == 0 {
			s.text = nil // as models do: calls without a word
		}
	case o.verb == verbChain && step <= min(max(o.count, 1), 4):
		s.calls = []modelCall{add(0)}
	case o.verb == verbEdit && step == 1:
		s.calls = []modelCall{call("list_tasks", map[string]any{})}
	case o.verb == verbEdit && step == 2:
		s.calls = changes(h, o, results)
	case o.verb == verbOdd && step == 1:
		s.calls = []modelCall{
			call("no_such_tool", map[string]any{"title": o.canary}),
			{"add_task", `{"title":`},
			call("complete_task", map[string]any{"task_id": 1 << 20}), call("add_task", map[string]any{"title": ""}), add(9),
		}
	}
	return s
}

// changes makes calls about the tasks that list_tasks gave.
func changes(h uint64, o order, results []string) []modelCall {
	var list struct {
		Tasks []struct {
			TaskID int `json:"task_id"`
		} `json:"tasks"`
	}
	if len(results) == 0 || json.Unmarshal([]byte(results[0]), &list) != nil || len(list.Tasks) == 0 {
		return nil
	}
	var calls []modelCall
	for i := range min(max(o.count, 1), 4) {
		id := list.Tasks[int(h>>(8*i)%251)%len(list.Tasks)].TaskID
		switch (h >> (4 * i)) % 3 {
		case 0:
			calls = append(calls, call("complete_task", map[string]any{"task_id": id}))
		case 1:
			calls = append(calls, call("delete_task", map[string]any{"task_id": id}))
		default:
			calls = append(calls, call("update_task", map[string]any{"task_id": id, "description": fmt.Sprintf("%s %s-%d", o.canary, o.marker, i)}))
		}
	}
	return calls
}

func call(name string, args map[string]any) modelCall {
	b, err := json.Marshal(args)
	if err != nil {
		b = []byte("{}")
	}
	return modelCall{name, string(b)}
}

// trouble disturbs some answers. Later tries of the same step have less of it,
// so that most runs end well.
func trouble(s *script, h uint64, try int) {
	dice := h % 100
	if try > 0 {
		dice *= 3
	}
	switch {
	case dice < 5:
		s.status, s.retryAfter = http.StatusTooManyRequests, int(h>>8%2)
	case dice < 8:
		s.status = http.StatusInternalServerError
	case dice < 13 && len(s.text) > 1:
		s.cutAfter = 1 + int(h>>8%uint64(len(s.text)-1))
	case dice < 15 && len(s.text) > 1:
		s.cutAfter, s.hang = 1+int(h>>8%uint64(len(s.text)-1)), time.Duration(1+h>>16%4)*time.Second
	}
}

// words are count pieces of text that say whose and which request's they are.
// They hold characters of one to four bytes: offsets count bytes.
func words(canary string, number, count int) []string {
	marks := []string{"a", "é", "語", "🙂"}
	list := make([]string, count)
	for i := range list {
		list[i] = fmt.Sprintf("r%d.%d%s ", number, i, marks[i%len(marks)])
	}
	list[0] = canary + " " + list[0]
	return list
}

// mix hashes parts into a number that is spread well.
func mix(seed uint64, parts ...string) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, seed)
	for _, p := range parts {
		fmt.Fprint(h, "\x00", p)
	}
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}

// serve writes an answer and returns what became of it.
func (m *model) serve(ctx context.Context, w http.ResponseWriter, req *modelRequest, s script) string {
	if s.status != 0 {
		if s.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(s.retryAfter))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(s.status)
		fmt.Fprintf(w, `{"error":{"message":"scripted %d","type":"scripted"}}`, s.status)
		return outcomeRefused
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i, piece := range s.text {
		if s.cutAfter > 0 && i == s.cutAfter {
			if s.hang > 0 && !pause(ctx, s.hang) {
				return outcomeGone
			}
			return outcomeCut
		}
		m.wrote()
		if s.gap > 0 && !pause(ctx, s.gap) || !chunk(w, map[string]any{"content": piece}, nil) {
			return outcomeGone
		}
	}
	for i, c := range s.calls {
		// In two fragments, as providers send them.
		half := len(c.Arguments) / 2
		first := map[string]any{"index": i, "id": fmt.Sprintf("call_%d", i), "type": "function", "function": map[string]any{"name": c.Name, "arguments": c.Arguments[:half]}}
		rest := map[string]any{"index": i, "function": map[string]any{"arguments": c.Arguments[half:]}}
		if !chunk(w, map[string]any{"tool_calls": []any{first}}, nil) || !chunk(w, map[string]any{"tool_calls": []any{rest}}, nil) {
			return outcomeGone
		}
	}
	finish := "stop"
	if len(s.calls) > 0 {
		finish = "tool_calls"
	}
	if !chunk(w, map[string]any{}, finish) {
		return outcomeGone
	}
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", 10+req.Step, len(s.text))
	if ctx.Err() != nil {
		return outcomeGone
	}
	return outcomeWhole
}

// What became of a model request.
const (
	outcomeWhole   = "whole"
	outcomeRefused = "refused"
	outcomeCut     = "cut"
	outcomeGone    = "gone"
)

// chunk writes one piece of a stream and reports whether anybody takes it.
func chunk(w http.ResponseWriter, delta map[string]any, finish any) bool {
	b, err := json.Marshal(map[string]any{"object": "chat.completion.chunk", "choices": []any{
		map[string]any{"index": 0, "delta": delta, "finish_reason": finish},
	}})
	if err != nil {
		return false
	}
	_, err = fmt.Fprintf(w, "data: %s\n\n", b)
	return err == nil && http.NewResponseController(w).Flush() == nil
}

func (m *model) wrote() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written++
}

// busy grows while the model writes.
func (m *model) busy() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.written
}

// log returns the requests so far.
func (m *model) log() []modelRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]modelRequest, len(m.requests))
	for i, r := range m.requests {
		list[i] = *r
	}
	return list
}
