package edge

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// maxDepth bounds the nesting of JSON from strangers.
const maxDepth = 32

// Frames to clients, beside commit, delta and snapshot. The first member of
// every frame is its type.
type (
	connectedFrame struct {
		Type          string        `json:"type"` // connected
		UserID        events.UserID `json:"user_id"`
		Model         Model         `json:"model"`
		Limits        limits        `json:"limits"`
		ServerVersion string        `json:"server_version"`
		ExpiresAt     time.Time     `json:"expires_at"`
	}
	acceptedFrame struct {
		Type           string                `json:"type"` // accepted
		ID             events.MessageID      `json:"id"`
		ConversationID events.ConversationID `json:"conversation_id"`
		RunID          events.RunID          `json:"run_id"`
	}
	// The n of a cancel is the commit that ended the run: nothing of it is
	// accepted after that.
	doneFrame struct {
		Type string `json:"type"` // done
		ID   string `json:"id"`
		N    uint64 `json:"n"`
		// How the cancelled run ended.
		Status  events.Status   `json:"status,omitzero"`
		Receipt *events.Receipt `json:"receipt,omitempty"`
	}
	callFrame struct {
		Type   string        `json:"type"` // call
		ID     string        `json:"id"`
		CallID events.CallID `json:"call_id"`
	}
	callResultFrame struct {
		Type string `json:"type"` // call_result
		ID   string `json:"id"`
		CallResult
	}
	errorFrame struct {
		Type           string                `json:"type"` // error
		ID             string                `json:"id,omitzero"`
		ConversationID events.ConversationID `json:"conversation_id,omitzero"`
		Code           string                `json:"code"`
		Message        string                `json:"message"`
		// RetryAfter is in seconds.
		RetryAfter float64 `json:"retry_after,omitzero"`
	}
	conversationState struct {
		Type           string                `json:"type"` // conversation
		ConversationID events.ConversationID `json:"conversation_id"`
		Title          string                `json:"title"`
		N              uint64                `json:"n"`
		Status         string                `json:"status"`
		UpdatedAt      time.Time             `json:"updated_at"`
		Deleted        bool                  `json:"deleted,omitzero"`
		Pinned         bool                  `json:"pinned,omitzero"`
		Archived       bool                  `json:"archived,omitzero"`
	}
)

type limits struct {
	MessageChars int `json:"message_chars"`
}

// CallResult is the outcome of a tool call.
type CallResult struct {
	CallID     events.CallID     `json:"call_id"`
	Name       string            `json:"name,omitzero"`
	OK         bool              `json:"ok"`
	Result     jsontext.Value    `json:"result,omitzero"`
	Error      *events.ToolError `json:"error,omitempty"`
	DurationMS int64             `json:"duration_ms"`
}

// jsonFrame encodes a frame of ours. Its types hold nothing that cannot be encoded
// but text of events, which was checked when it came in.
func jsonFrame(v any) *frame {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		b = []byte(`{"type":"error","code":"internal","message":"An answer could not be written."}`)
	}
	return textFrame(b)
}

func errorFrameOf(id string, c events.ConversationID, e *apiError) *frame {
	return jsonFrame(errorFrame{
		Type: "error", ID: id, ConversationID: c, Code: e.code, Message: e.message, RetryAfter: e.retry.Seconds(),
	})
}

func conversationFrame(c *events.Conversation, s summary) *frame {
	return jsonFrame(conversationState{
		Type: "conversation", ConversationID: c.ConversationID, Title: s.title, N: s.n, Status: s.status,
		UpdatedAt: c.UpdatedAt, Deleted: s.deleted, Pinned: s.pinned, Archived: s.archived,
	})
}

// statusOf is the status that a conversation shows: that of its active run, else
// of the oldest queued one.
func statusOf(c *events.Conversation) string {
	r := c.Active()
	if r == nil {
		r = c.NextQueued()
	}
	if r == nil {
		return readmodel.Idle
	}
	return string(r.Status)
}

// taskRow returns the row in the result of a tool that wrote one, or nil.
func taskRow(result jsontext.Value) jsontext.Value {
	var r struct {
		Task jsontext.Value `json:"task"`
	}
	if len(result) == 0 || json.Unmarshal(result, &r) != nil || r.Task.Kind() != '{' {
		return nil
	}
	return r.Task
}

// decodeDelta reads what [events.Delta.Append] wrote, by hand because it runs
// for every piece of every answer. What does not look like it goes the long way.
func decodeDelta(b []byte) (events.Delta, error) {
	var d events.Delta
	s := deltaScanner{b}
	c, ok1 := s.id(`{"type":"delta","conversation_id":"`)
	r, ok2 := s.id(`","run_id":"`)
	step, ok3 := s.int(`","step":`)
	attempt, ok4 := s.int(`,"attempt":`)
	offset, ok5 := s.int(`,"offset":`)
	text, ok6 := s.text(`,"text":`)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return events.DecodeDelta(b)
	}
	d.ConversationID, d.RunID = events.ConversationID(c), events.RunID(r)
	d.Step, d.Attempt, d.Offset, d.Text = step, attempt, offset, text
	return d, nil
}

type deltaScanner struct{ rest []byte }

func (s *deltaScanner) id(prefix string) (string, bool) {
	rest, ok := bytes.CutPrefix(s.rest, []byte(prefix))
	i := bytes.IndexByte(rest, '"')
	if !ok || i < 0 || !events.ValidID(string(rest[:i])) {
		return "", false
	}
	s.rest = rest[i:]
	return string(rest[:i]), true
}

func (s *deltaScanner) int(prefix string) (int, bool) {
	rest, ok := bytes.CutPrefix(s.rest, []byte(prefix))
	i := 0
	for i < len(rest) && '0' <= rest[i] && rest[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(string(rest[:i]))
	s.rest = rest[i:]
	return n, ok && err == nil
}

func (s *deltaScanner) text(prefix string) (string, bool) {
	rest, ok := bytes.CutPrefix(s.rest, []byte(prefix))
	rest, closed := bytes.CutSuffix(rest, []byte("}"))
	if !ok || !closed {
		return "", false
	}
	text, err := jsontext.AppendUnquote(nil, rest)
	return string(text), err == nil
}

// decodeStrict reads one JSON document from a stranger into v: names by their
// exact case, each once, UTF-8, at most maxDepth deep, nothing behind it.
// Members that v does not have are ignored.
func decodeStrict(b []byte, v any) *apiError {
	if !utf8.Valid(b) {
		return refuse(400, codeInvalidJSON, "The text is not valid UTF-8.")
	}
	if e := checkDepth(b); e != nil {
		return e
	}
	if jsontext.Value(b).Kind() != '{' {
		return refuse(400, codeInvalidJSON, "The JSON is not an object.")
	}
	if err := json.Unmarshal(b, v); err != nil {
		return &apiError{status: 400, code: codeInvalidJSON, message: jsonProblem(err)}
	}
	return nil
}

// checkDepth counts brackets outside strings: it must not itself be what deep
// nesting makes slow.
func checkDepth(b []byte) *apiError {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return refuse(400, codeInvalidJSON, fmt.Sprintf("The JSON is nested deeper than %d levels.", maxDepth))
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return nil
}

// jsonProblem says what is wrong without repeating what was sent.
func jsonProblem(err error) string {
	if errors.As(err, new(*json.SemanticError)) {
		return "A member of the JSON has the wrong type."
	}
	return "The text is not valid JSON, or has a name twice in one object."
}
