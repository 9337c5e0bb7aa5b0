package bench

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// modelName is what the model calls itself; messages and commits carry it.
const modelName = "bench"

// maxRequest bounds what the model reads of one request.
const maxRequest = 8 << 20

// A model answers chat completions as an OpenAI-compatible server does, always
// streaming, with the tokens that an [ask] wants at exactly its pace: token i is
// due at start + i/rate, however late the one before it was.
type model struct {
	clock *clock
	book  *book
}

type modelRequest struct {
	Messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"messages"`
}

// ServeHTTP answers one call.
func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	received := m.clock.now()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var req modelRequest
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		http.Error(w, "request cannot be read", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s := &modelStream{w: w, flush: http.NewResponseController(w)}
	a, ok := ask{}, false
	answered := false // the tool call
	for _, msg := range req.Messages {
		switch msg.Role {
		case "user":
			a, ok = parseAsk(msg.Content)
			answered = false
		case "tool":
			answered = true
		}
	}
	switch {
	case !ok:
		_ = s.text([]byte("Bench")) // a caller that is gone needs no title
		s.end("stop", 1)
	case a.Tool && !answered:
		if m.clock.until(r.Context(), received+time.Duration(a.DelayMS)*time.Millisecond) {
			s.call("add_task", `{\"title\":\"`+a.Key+`\"}`)
			s.end("tool_calls", 1)
		}
	default:
		m.answer(r.Context(), s, a, received)
	}
}

func (m *model) answer(ctx context.Context, s *modelStream, a ask, received time.Duration) {
	c := m.book.begin(a, received)
	start := received + time.Duration(a.DelayMS)*time.Millisecond
	var token []byte
	for i := range a.Tokens {
		due := start
		if a.Rate > 0 {
			due += time.Duration(float64(i) / a.Rate * float64(time.Second))
		}
		if !m.clock.until(ctx, due) {
			return
		}
		token = appendToken(token[:0], i, a.Size)
		c.written[i].Store(int64(m.clock.now()))
		if s.text(token) != nil {
			return
		}
	}
	s.end("stop", a.Tokens)
}

// A modelStream writes chunks, each at once.
type modelStream struct {
	w     io.Writer
	flush *http.ResponseController
	buf   []byte
}

const (
	chunkHead = `data: {"id":"bench","object":"chat.completion.chunk","model":"bench","choices":[{"index":0,"delta":`
	chunkTail = "}]}\n\n"
)

func (s *modelStream) send() error {
	if _, err := s.w.Write(s.buf); err != nil {
		return err
	}
	return s.flush.Flush()
}

// text sends a token; ours need no quoting.
func (s *modelStream) text(token []byte) error {
	s.buf = append(append(append(append(s.buf[:0], chunkHead...), `{"content":"`...), token...), `"}`...)
	s.buf = append(s.buf, chunkTail...)
	return s.send()
}

func (s *modelStream) call(name, quoted string) {
	s.buf = append(s.buf[:0], chunkHead+`{"tool_calls":[{"index":0,"id":"call_0","type":"function","function":{"name":"`+name+
		`","arguments":"`+quoted+`"}}]}`+chunkTail...)
	_ = s.send() // a caller that is gone needs no more
}

func (s *modelStream) end(reason string, tokens int) {
	n := strconv.Itoa(tokens)
	s.buf = append(s.buf[:0], chunkHead+`{},"finish_reason":"`+reason+`"`+chunkTail+
		`data: {"id":"bench","object":"chat.completion.chunk","model":"bench","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":`+n+
		`,"total_tokens":`+n+"}}\n\ndata: [DONE]\n\n"...)
	_ = s.send() // likewise
}
