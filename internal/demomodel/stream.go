package demomodel

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// completion writes one outcome in OpenAI's two forms.
type completion struct {
	seed        string // hash of the request: the source of every id
	out         outcome
	promptBytes int
	maxTokens   int // 0 = no limit
}

func (c *completion) id() string { return "chatcmpl-demo-" + c.seed }

func (c *completion) callID(i int) string { return fmt.Sprintf("call_%s_%d", c.seed, i) }

// parts returns the text in pieces, cut at the caller's limit, the calls, and
// how the answer ends. A limit drops whole calls: half of one would be no call.
func (c *completion) parts() (pieces []string, calls []call, finish string) {
	pieces, calls, finish = tokens(c.out.text), c.out.calls, "stop"
	if len(calls) > 0 {
		finish = "tool_calls"
	}
	if c.maxTokens > 0 && len(pieces) > c.maxTokens {
		return pieces[:c.maxTokens], nil, "length"
	}
	return pieces, calls, finish
}

func (c *completion) usage(pieces []string, calls []call) *usage {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	for _, k := range calls {
		n += len(k.name) + len(k.args)
	}
	// Bytes / 4 is the usual estimate for English; there is no tokenizer here.
	u := &usage{PromptTokens: (c.promptBytes + 3) / 4, CompletionTokens: (n + 3) / 4}
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	return u
}

func (c *completion) whole(w http.ResponseWriter) error {
	pieces, calls, finish := c.parts()
	text := strings.Join(pieces, "")
	if c.out.fault.kind == faultGarbage {
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write([]byte(garbage))
		return err
	}
	m := &fullMessage{Role: "assistant", Content: &text}
	for i, k := range calls {
		m.ToolCalls = append(m.ToolCalls, toolCall{ID: c.callID(i), Type: "function", Function: function{Name: k.name, Arguments: k.args}})
	}
	if len(calls) > 0 && text == "" {
		m.Content = nil
	}
	ch := choice{Message: m, FinishReason: &finish}
	if c.out.fault.kind == faultCut {
		ch.FinishReason = nil
	}
	if c.out.fault.kind == faultBreak {
		panic(http.ErrAbortHandler) // net/http's own way to break a connection
	}
	writeJSON(w, http.StatusOK, chunk{ID: c.id(), Object: "chat.completion", Model: Model, Choices: []choice{ch}, Usage: c.usage(pieces, calls)})
	return nil
}

const garbage = "<!doctype html>\x00\xff{\"choices\":[{\"delta\":{\"content\":4"

func (c *completion) stream(ctx context.Context, w http.ResponseWriter, rate float64, withUsage bool) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	s := &sse{w: w, flush: http.NewResponseController(w), pace: newPace(rate), chunk: chunk{ID: c.id(), Object: "chat.completion.chunk", Model: Model}}
	if c.out.fault.rate > 0 {
		s.pace = newPace(c.out.fault.rate)
	}
	if c.out.fault.kind == faultGarbage {
		_, err := w.Write([]byte("data: " + garbage + "\n\ndata: [DONE]\n\n"))
		return err
	}
	pieces, calls, finish := c.parts()
	empty := ""
	if err := s.send(&delta{Role: "assistant", Content: &empty}, nil); err != nil {
		return err
	}
	for _, p := range pieces {
		if err := s.pace.wait(ctx); err != nil {
			return err
		}
		if err := s.send(&delta{Content: &p}, nil); err != nil {
			return err
		}
	}
	switch c.out.fault.kind {
	case faultCut:
		return nil // a clean end of the body, without finish_reason and [DONE]
	case faultBreak:
		panic(http.ErrAbortHandler) // net/http's own way to break a connection
	default:
	}
	for i, k := range calls {
		head := toolCall{Index: &i, ID: c.callID(i), Type: "function", Function: function{Name: k.name}}
		if err := s.send(&delta{ToolCalls: []toolCall{head}}, nil); err != nil {
			return err
		}
		for _, p := range fragments(k.args) {
			if err := s.pace.wait(ctx); err != nil {
				return err
			}
			if err := s.send(&delta{ToolCalls: []toolCall{{Index: &i, Function: function{Arguments: p}}}}, nil); err != nil {
				return err
			}
		}
	}
	if err := s.send(&delta{}, &finish); err != nil {
		return err
	}
	if withUsage {
		s.chunk.Usage = c.usage(pieces, calls)
		s.chunk.Choices = []choice{}
		if err := s.write(); err != nil {
			return err
		}
	}
	if _, err := w.Write([]byte("data: [DONE]\n\n")); err != nil {
		return err
	}
	return s.flush.Flush()
}

// sse writes chunks as server-sent events, each flushed on its own.
type sse struct {
	w     http.ResponseWriter
	flush *http.ResponseController
	pace  *pace
	chunk chunk
}

func (s *sse) send(d *delta, finish *string) error {
	s.chunk.Choices = []choice{{Delta: d, FinishReason: finish}}
	return s.write()
}

func (s *sse) write() error {
	b, err := json.Marshal(s.chunk)
	if err != nil {
		return err
	}
	if _, err := s.w.Write(append(append([]byte("data: "), b...), "\n\n"...)); err != nil {
		return err
	}
	return s.flush.Flush()
}

// pace lets pieces pass on a fixed schedule that starts with the first, so that
// a late one does not delay all that follow.
type pace struct {
	gap   time.Duration
	start time.Time
	n     int
}

func newPace(rate float64) *pace {
	if rate <= 0 {
		return &pace{}
	}
	return &pace{gap: time.Duration(float64(time.Second) / rate)}
}

func (p *pace) wait(ctx context.Context) error {
	if p.n == 0 {
		p.start = time.Now()
	}
	d := time.Until(p.start.Add(time.Duration(p.n) * p.gap))
	p.n++
	if p.gap == 0 || d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tokens cuts text where a tokenizer might: before a blank that follows a word,
// and within long words. Joined again they are the text.
func tokens(text string) []string {
	const long = 8 // bytes
	var out []string
	start, word := 0, false
	for i, r := range text {
		blank := r == ' ' || r == '\n'
		if word && (blank || i-start >= long) {
			out, start = append(out, text[start:i]), i
		}
		word = !blank
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// fragments cuts tool arguments as providers do: anywhere between two runes.
func fragments(args string) []string {
	const size = 12 // bytes
	var out []string
	for len(args) > size {
		n := size
		for !utf8.RuneStart(args[n]) {
			n--
		}
		out, args = append(out, args[:n]), args[n:]
	}
	return append(out, args)
}
