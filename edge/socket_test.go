package edge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A client is a reader as the page is one: it folds commits and assembles the
// draft by the rules that all readers follow.
type client struct {
	t    testing.TB
	ws   *websocket.Conn
	user string

	conv  *events.Conversation // of the one conversation that it follows
	draft events.Draft
	holes int
	// frames are all that came, in order.
	frames []serverFrame
}

// A serverFrame is what a server may say; each type uses some of the members.
type serverFrame struct {
	Type           string                `json:"type"`
	ID             string                `json:"id"`
	ConversationID events.ConversationID `json:"conversation_id"`
	RunID          events.RunID          `json:"run_id"`
	Step           int                   `json:"step"`
	Attempt        int                   `json:"attempt"`
	Offset         int                   `json:"offset"`
	Text           string                `json:"text"`
	N              uint64                `json:"n"`
	Commit         jsontext.Value        `json:"commit"`
	Code           string                `json:"code"`
	Message        string                `json:"message"`
	CallID         events.CallID         `json:"call_id"`
	OK             bool                  `json:"ok"`
	Result         jsontext.Value        `json:"result"`
	Error          *events.ToolError     `json:"error"`
	Title          string                `json:"title"`
	Status         string                `json:"status"`
	Deleted        bool                  `json:"deleted"`
	Task           jsontext.Value        `json:"task"`
	UserID         string                `json:"user_id"`
	raw            string
}

// dial opens a socket without saying who is there.
func (w *world) dial(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{Subprotocols: []string{subprotocol}, HandshakeTimeout: 10 * time.Second, ReadBufferSize: 4096}
	return d.Dial("ws"+strings.TrimPrefix(w.url, "http")+path, header)
}

// connect opens an authenticated socket.
func (w *world) connect(user string) *client {
	w.t.Helper()
	ws, res, err := w.dial("/api/"+user+"/ws", http.Header{"Origin": {testOrigin}})
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	c := &client{t: w.t, ws: ws, user: user}
	w.t.Cleanup(func() { _ = ws.Close() })
	c.send(map[string]any{"type": "connect", "token": w.token(user)})
	if f := c.until("connected"); f.UserID != user {
		w.t.Fatalf("connected as %q", f.UserID)
	}
	return c
}

func (c *client) send(v any) {
	c.t.Helper()
	b, ok := v.(string)
	if !ok {
		b = string(must(json.Marshal(v)))
	}
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(b)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// next reads one frame and folds it.
func (c *client) next() (serverFrame, error) {
	deadline, _ := testkit.Context(c.t).Deadline()
	_ = c.ws.SetReadDeadline(deadline)
	_, b, err := c.ws.ReadMessage()
	if err != nil {
		return serverFrame{}, err
	}
	if !strings.HasPrefix(string(b), `{"type":"`) {
		c.t.Errorf("frame does not begin with its type: %s", b)
	}
	var f serverFrame
	if err := json.Unmarshal(b, &f); err != nil {
		c.t.Fatalf("frame %s: %v", b, err)
	}
	f.raw = string(b)
	c.frames = append(c.frames, f)
	c.fold(f)
	return f, nil
}

func (c *client) fold(f serverFrame) {
	if c.conv == nil || f.ConversationID != c.conv.ConversationID {
		return
	}
	switch f.Type {
	case "commit":
		k, err := events.DecodeCommit(f.Commit)
		if err != nil {
			c.t.Fatalf("commit: %v", err)
		}
		if k.N != f.N {
			c.t.Errorf("frame says n %d, commit %d", f.N, k.N)
		}
		if err := c.conv.Apply(k); err != nil {
			c.t.Errorf("reader after %d: %v", c.conv.N, err)
		}
	case "delta":
		d := events.Delta{ConversationID: f.ConversationID, RunID: f.RunID, Step: f.Step, Attempt: f.Attempt, Offset: f.Offset, Text: f.Text}
		if c.draft.Add(d) == events.Hole {
			c.holes++
		}
	case "snapshot":
		c.draft.Set(events.Snapshot{ConversationID: f.ConversationID, RunID: f.RunID, Step: f.Step, Attempt: f.Attempt, Text: f.Text})
	}
}

// until reads up to the next frame of a type.
func (c *client) until(kind string) serverFrame {
	c.t.Helper()
	return c.untilFrame(kind, func(f serverFrame) bool { return f.Type == kind })
}

func (c *client) untilFrame(what string, ok func(serverFrame) bool) serverFrame {
	c.t.Helper()
	for {
		f, err := c.next()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v; last frames: %v", what, err, tailOf(c.frames))
		}
		if ok(f) {
			return f
		}
		if f.Type == "error" && what != "error" {
			c.t.Fatalf("waiting for %s: %s", what, f.raw)
		}
	}
}

func tailOf(list []serverFrame) []string {
	var out []string
	for _, f := range list[max(0, len(list)-5):] {
		out = append(out, f.raw[:min(len(f.raw), 300)])
	}
	return out
}

// untilClosed reads to the end and returns the close code, 1006 for none.
func (c *client) untilClosed() int {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			return closeCode(c.t, err)
		}
	}
}

func closeCode(t testing.TB, err error) int {
	t.Helper()
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		return closed.Code
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("socket was not closed in time")
	}
	return websocket.CloseAbnormalClosure
}

// follow subscribes to a conversation from the start and waits until it is live.
func (c *client) follow(id events.ConversationID) {
	c.t.Helper()
	c.followFrom(events.NewConversation(ref(c.user, id)))
}

// followFrom subscribes after what state has.
func (c *client) followFrom(state *events.Conversation) {
	c.t.Helper()
	c.conv = state
	c.send(map[string]any{"type": "subscribe", "conversation_id": state.ConversationID, "after": state.N})
	if f := c.until("live"); f.N != c.conv.N {
		c.t.Fatalf("live at %d, reader at %d", f.N, c.conv.N)
	}
}

// say sends a message and returns its id.
func (c *client) say(id events.ConversationID, text string) string {
	c.t.Helper()
	m := newID()
	c.send(map[string]any{"type": "message", "id": m, "conversation_id": id, "message": text})
	return m
}

// untilEnd reads until the run is over.
func (c *client) untilEnd(run events.RunID) {
	c.t.Helper()
	over := func(serverFrame) bool {
		r := c.conv.Run(run)
		return r != nil && r.Status.Over()
	}
	if !over(serverFrame{}) {
		c.untilFrame("end of run", over)
	}
}

func (c *client) state() string {
	return string(must(c.conv.Encode()))
}

// bounded returns a context that ends with the test.
func bounded(t testing.TB) context.Context {
	t.Helper()
	return testkit.Context(t)
}
