package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"
)

// Options configure a [Client].
type Options struct {
	// BaseURL ends before /chat/completions; default https://api.openai.com/v1.
	BaseURL string
	// APIKey may be empty for servers that ask for none.
	APIKey string
	// Tries of a call that fails before its first byte; default 5.
	Tries int
	// Backoff before the second try, doubled for each further one; default 500 ms.
	Backoff time.Duration
	// MaxWait bounds one wait, also a provider's Retry-After; default 30 s.
	MaxWait time.Duration
	// FirstByte and Idle bound the silence before and within an answer; default 120 s and 60 s.
	FirstByte, Idle time.Duration
	// Transport carries the requests; default http.DefaultTransport's settings without compression.
	Transport http.RoundTripper
	Logger    *slog.Logger // default slog.Default()
}

// A Client calls one provider. Its methods may be called in parallel.
type Client struct {
	opts Options
	api  *api.Client
}

// New checks o and returns a client; it calls nobody.
func New(o Options) (*Client, error) {
	if o.BaseURL == "" {
		o.BaseURL = "https://api.openai.com/v1"
	}
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("model base URL %q: need http(s)://host[:port]/path", o.BaseURL)
	}
	if o.Tries == 0 {
		o.Tries = 5
	}
	if o.Backoff == 0 {
		o.Backoff = 500 * time.Millisecond
	}
	if o.MaxWait == 0 {
		o.MaxWait = 30 * time.Second
	}
	if o.FirstByte == 0 {
		o.FirstByte = 2 * time.Minute
	}
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableCompression: true, ForceAttemptHTTP2: true,
			MaxIdleConns: 512, MaxIdleConnsPerHost: 512, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	config := api.DefaultConfig(o.APIKey)
	config.BaseURL = o.BaseURL
	config.HTTPClient = &http.Client{
		Transport:     &guard{next: o.Transport, firstByte: o.FirstByte, idle: o.Idle},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// Keep-alive comments count as empty messages; the guard bounds the body instead.
	config.EmptyMessagesLimit = maxBody
	return &Client{opts: o, api: api.NewClientWithConfig(config)}, nil
}

// Stream makes one model call. onText gets the answer piece by piece, from one
// goroutine. On an error, always an *[Error], the completion holds what came before it.
func (c *Client) Stream(ctx context.Context, req Request, onText func(string)) (Completion, error) {
	body := encode(req)
	// All that go-openai looks at itself; the guard sends the body in its place.
	request := api.ChatCompletionRequest{Model: req.Model, Stream: true}
	for try := 1; ; try++ {
		note := &response{body: body}
		stream, err := c.api.CreateChatCompletionStream(context.WithValue(ctx, responseKey{}, note), request)
		if err == nil {
			out, err := collect(stream, onText)
			out.estimate(req)
			if err != nil {
				err.Err = errors.Join(err.Err, note.cause())
				return out, err
			}
			return out, nil
		}
		failure := classify(err, note)
		if !failure.retry || try >= c.opts.Tries || ctx.Err() != nil {
			return Completion{}, failure.err
		}
		wait := c.opts.Backoff << (try - 1)
		wait = wait/2 + rand.N(wait/2+1)
		wait = min(max(wait, note.retryAfter), c.opts.MaxWait)
		c.opts.Logger.Info("model call is tried again", "status", note.status, "wait_ms", wait.Milliseconds(), "try", try)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return Completion{}, failure.err
		case <-t.C:
		}
	}
}

// estimate fills in usage that the provider did not send.
func (c *Completion) estimate(req Request) {
	if c.InputTokens != 0 || c.OutputTokens != 0 {
		return
	}
	in, out := 0, len(c.Text)
	for _, m := range req.Messages {
		in += len(m.Text)
		for _, t := range m.ToolCalls {
			in += len(t.Name) + len(t.Arguments)
		}
	}
	for _, t := range req.Tools {
		in += len(t.Name) + len(t.Description) + len(t.Schema)
	}
	for _, t := range c.ToolCalls {
		out += len(t.Name) + len(t.Arguments)
	}
	c.InputTokens, c.OutputTokens, c.Estimated = (in+3)/4, (out+3)/4, true
}

// A source is the part of go-openai's stream that collect needs.
type source interface {
	Recv() (api.ChatCompletionStreamResponse, error)
	Close() error
}

// collect reads a stream to its end. Only a finish reason makes it complete.
func collect(stream source, onText func(string)) (out Completion, failure *Error) {
	defer func() { _ = stream.Close() }() // the answer is read or given up
	var all strings.Builder
	defer func() { out.Text = all.String() }()
	var calls assembly
	size := 0
	fail := func(e *Error) (Completion, *Error) {
		out.ToolCalls = nil // half a call is none
		return out, e
	}
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if out.FinishReason == "" {
				return fail(cut(err))
			}
			out.ToolCalls = calls.list
			return out, nil
		}
		if err != nil {
			if out.FinishReason != "" {
				// The answer is whole; what broke off was its epilogue.
				out.ToolCalls = calls.list
				return out, nil
			}
			return fail(broken(err))
		}
		if chunk.Usage != nil {
			out.InputTokens, out.OutputTokens = chunk.Usage.PromptTokens, chunk.Usage.CompletionTokens
		}
		if len(chunk.Choices) == 0 {
			continue
		}
		choice := chunk.Choices[0]
		text := choice.Delta.Content + choice.Delta.Refusal
		if text != "" {
			if size += stored(text); size > maxText {
				return fail(garbage("The model's answer was too long."))
			}
			all.WriteString(text)
			onText(text)
		}
		for _, t := range choice.Delta.ToolCalls {
			if !calls.add(t) {
				return fail(garbage("The model's tool calls were too long."))
			}
		}
		if choice.FinishReason != "" {
			out.FinishReason = string(choice.FinishReason)
		}
	}
}

// Bounds of one answer, in bytes as they are stored: a commit that holds it must
// fit into the log, with the arguments twice.
const (
	maxText      = 256 << 10
	maxArguments = 256 << 10 // of all calls of a step together
	maxCalls     = 128
	maxName      = 128
)

// stored returns the length of s within a JSON string: a control character
// takes six bytes there.
func stored(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t', c == '\b', c == '\f':
			n++
		case c < ' ':
			n += 5
		}
	}
	return n
}

// assembly puts tool calls together from their fragments.
type assembly struct {
	list  []ToolCall
	index []int // the provider's index of each call, -1 where it sends none
	bytes int
}

// add takes one fragment. Providers leave out the index, send whole calls in
// one piece, repeat the id in each fragment, or number all calls 0; a new id
// with a name always begins a new call. It reports false when a bound is hit.
func (a *assembly) add(t api.ToolCall) bool {
	at := -1
	if t.Index != nil {
		for i := range a.list {
			if a.index[i] == *t.Index {
				at = i
			}
		}
	} else if len(a.list) > 0 {
		at = len(a.list) - 1
	}
	fresh := at >= 0 && t.ID != "" && t.ID != a.list[at].CallID && t.Function.Name != "" && a.list[at].Name != ""
	if at < 0 || fresh {
		if len(a.list) == maxCalls {
			return false
		}
		index := -1
		if t.Index != nil {
			index = *t.Index
		}
		a.list, a.index = append(a.list, ToolCall{}), append(a.index, index)
		at = len(a.list) - 1
	}
	call := &a.list[at]
	if call.CallID == "" {
		call.CallID = t.ID
	}
	if call.Name == "" {
		call.Name = t.Function.Name
	}
	call.Arguments += t.Function.Arguments
	a.bytes += stored(t.Function.Arguments)
	return a.bytes <= maxArguments && len(call.Name) <= maxName
}
