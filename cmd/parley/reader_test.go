package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
)

// A reader is a client that waits for one answer as the page, an EventSource or
// curl would: sent away by an edge, it goes to another one and says where it
// stopped. It keeps what is on its screen by the readers' rules, and fails at
// the first thing that those do not allow.
type reader struct {
	d           *deployment
	http        *http.Client
	user, token string
	id          events.MessageID
	message     string
	want        string // the whole answer

	at       string // the edge that it talks to
	conv     events.ConversationID
	run      events.RunID
	fold     *events.Conversation
	draft    events.Draft
	restarts int    // times that the text began again
	moves    int    // times that an edge sent it away
	response string // of a client that waits for the whole
	status   events.Status
}

func (d *deployment) reader(user, id, message, want string) *reader {
	return &reader{d: d, http: d.http, user: user, token: d.token(user), id: events.MessageID(id), message: message, want: want}
}

// errMoved says that an edge sent the client to another one.
var errMoved = errors.New("go to another edge")

// until repeats once, at another edge each time that one says to go.
func (r *reader) until(ctx context.Context, once func(context.Context) error) error {
	for {
		r.at = r.d.edge(r.at)
		err := once(ctx)
		if !errors.Is(err, errMoved) {
			if err != nil {
				err = fmt.Errorf("%s of %s at %s after %d moves: %w", r.id, r.user, r.at, r.moves, err)
			}
			return err
		}
		r.moves++
		t := time.NewTimer(10 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s: %w", r.id, context.Cause(ctx))
		case <-t.C:
		}
	}
}

// call makes a request. An edge that is about to stop, or has, is errMoved.
func (r *reader) call(ctx context.Context, method, path, accept string, body any, header ...string) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.at+path, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", string(r.id)) // lets the client's own pool retry on a connection that was just closed
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.http.Do(req)
	if err != nil {
		return nil, moved(err)
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }() // the answer is an error already
	return nil, refusal(res)
}

// moved makes errMoved of a connection that nobody takes any more. One that is
// cut after it was taken is a failure.
func moved(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errMoved
	}
	return err
}

// A refused is an error answer of an edge.
type refused struct {
	status     int
	code, text string
	retryAfter string
}

func (e *refused) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.text) }

func refusal(res *http.Response) error {
	var out struct {
		Error struct{ Code, Message string } `json:"error"`
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return fmt.Errorf("%s with %q: %w", res.Status, b, err)
	}
	if res.StatusCode == http.StatusServiceUnavailable && out.Error.Code == "draining" {
		return errMoved
	}
	return &refused{res.StatusCode, out.Error.Code, out.Error.Message, res.Header.Get("Retry-After")}
}

func (r *reader) api(path string) string { return "/api/" + r.user + path }

func (r *reader) body() map[string]string {
	body := map[string]string{"id": string(r.id), "message": r.message}
	if r.conv != "" {
		body["conversation_id"] = string(r.conv)
	}
	return body
}

// waitJSON waits for the whole answer. A 202 says where to ask: it does, and
// then joins the run again by the same id.
func (r *reader) waitJSON(ctx context.Context) error {
	return r.until(ctx, func(ctx context.Context) error {
		res, err := r.call(ctx, http.MethodPost, r.api("/chat"), "application/json", r.body())
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // read to its end
		var out struct {
			RunID          events.RunID          `json:"run_id"`
			ConversationID events.ConversationID `json:"conversation_id"`
			Status         events.Status         `json:"status"`
			Response       string                `json:"response"`
		}
		if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
			return fmt.Errorf("answer cut: %w", err)
		}
		if res.StatusCode == http.StatusAccepted {
			return r.look(ctx, res.Header.Get("Location"), out.RunID)
		}
		r.conv, r.run, r.status, r.response = out.ConversationID, out.RunID, out.Status, out.Response
		return r.check(out.Response)
	})
}

// look asks for the run at the place that a 202 named, at any edge.
func (r *reader) look(ctx context.Context, location string, run events.RunID) error {
	if location == "" {
		return errors.New("202 without a Location")
	}
	err := r.until(ctx, func(ctx context.Context) error {
		res, err := r.call(ctx, http.MethodGet, location, "application/json", nil)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // read to its end
		var out struct {
			RunID events.RunID `json:"run_id"`
		}
		if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.RunID != run {
			return fmt.Errorf("%s shows run %q, want %q: %w", location, out.RunID, run, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errMoved
}

// read is one of the three ways to read the answer.
func (r *reader) read(way int) func(context.Context) error {
	return []func(context.Context) error{r.readSocket, r.readSSE, r.waitJSON}[way%3]
}

// readSSE reads the answer as server-sent events, going on with Last-Event-ID.
func (r *reader) readSSE(ctx context.Context) error {
	last := ""
	return r.until(ctx, func(ctx context.Context) error {
		var res *http.Response
		var err error
		if last == "" {
			res, err = r.call(ctx, http.MethodPost, r.api("/chat"), "text/event-stream", r.body())
		} else {
			res, err = r.call(ctx, http.MethodGet, r.api("/conversations/"+string(r.conv)+"/events"), "text/event-stream", nil, "Last-Event-ID", last)
		}
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // read as far as it is needed
		scan := bufio.NewScanner(res.Body)
		scan.Buffer(make([]byte, 4<<10), maxFrame)
		for scan.Scan() {
			name, value, _ := strings.Cut(scan.Text(), ": ")
			switch name {
			case "id":
				last = value
			case "data":
				if err := r.frame([]byte(value)); err != nil || r.status.Over() {
					return err
				}
			}
		}
		return fmt.Errorf("stream cut: %w", scan.Err())
	})
}

// readSocket reads the answer over a WebSocket, as the page does.
func (r *reader) readSocket(ctx context.Context) error {
	return r.until(ctx, func(ctx context.Context) error {
		dialer := websocket.Dialer{Subprotocols: []string{"parley.v1"}}
		ws, res, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(r.at, "http")+r.api("/ws"), http.Header{"Authorization": {"Bearer " + r.token}})
		if err != nil {
			if res != nil {
				return refusal(res)
			}
			return fmt.Errorf("dial: %w", moved(err))
		}
		defer func() { _ = ws.Close() }() // over by then, or given up
		undo := context.AfterFunc(ctx, func() { _ = ws.Close() })
		defer undo()
		say := map[string]any{"type": "message", "id": r.id, "message": r.message}
		if r.conv != "" {
			say = map[string]any{"type": "subscribe", "conversation_id": r.conv, "after": r.n()}
		}
		if err := ws.WriteJSON(say); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		for !r.status.Over() {
			_, b, err := ws.ReadMessage()
			if websocket.IsCloseError(err, websocket.CloseServiceRestart) {
				return errMoved
			}
			if err != nil {
				return fmt.Errorf("socket cut: %w", err)
			}
			if err := r.frame(b); err != nil && !errors.Is(err, errMoved) { // the close frame follows
				return err
			}
		}
		return nil
	})
}

func (r *reader) n() uint64 {
	if r.fold == nil {
		return 0
	}
	return r.fold.N
}

// frame takes one frame of either kind of stream.
func (r *reader) frame(b []byte) error {
	var f struct {
		Type           string                `json:"type"`
		ConversationID events.ConversationID `json:"conversation_id"`
		RunID          events.RunID          `json:"run_id"`
		Commit         json.RawMessage       `json:"commit"`
		Code           string                `json:"code"`
		Message        string                `json:"message"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	switch f.Type {
	case "accepted":
		r.conv, r.run = f.ConversationID, f.RunID
	case "commit":
		c, err := events.DecodeCommit(f.Commit)
		if err != nil {
			return err
		}
		return r.commit(c)
	case "delta":
		delta, err := events.DecodeDelta(b)
		if err != nil {
			return err
		}
		begun, attempt := len(r.draft.Text) > 0, r.draft.Attempt
		if r.draft.Add(delta) == events.Hole {
			return fmt.Errorf("a hole: delta at %d after %d bytes", delta.Offset, len(r.draft.Text))
		}
		if begun && r.draft.Attempt != attempt {
			r.restarts++
		}
		return r.prefix()
	case "snapshot":
		s, err := events.DecodeSnapshot(b)
		if err != nil {
			return err
		}
		begun, attempt := len(r.draft.Text) > 0, r.draft.Attempt
		if r.draft.Set(s) && begun && r.draft.Attempt != attempt {
			r.restarts++
		}
		return r.prefix()
	case "error":
		if f.Code == "draining" {
			return errMoved
		}
		return fmt.Errorf("error frame %s: %s", f.Code, f.Message)
	}
	return nil
}

// prefix checks what is on the screen while the answer is being written.
func (r *reader) prefix() error {
	if !strings.HasPrefix(r.want, string(r.draft.Text)) {
		return fmt.Errorf("on the screen: %q", r.draft.Text)
	}
	return nil
}

// commit folds a commit: each exactly once, in order.
func (r *reader) commit(c *events.Commit) error {
	if r.fold == nil {
		ref, err := c.Ref()
		if err != nil {
			return err
		}
		r.fold = events.NewConversation(ref)
		r.conv = c.ConversationID
	}
	if err := r.fold.Apply(c); err != nil {
		return fmt.Errorf("commit %d after %d: %w", c.N, r.fold.N, err)
	}
	r.run = events.RunIDFor(events.UserID(r.user), r.conv, r.id)
	if run := r.fold.Run(r.run); run != nil && run.Status.Over() && !r.status.Over() {
		r.status, r.response = run.Status, run.Answer()
		if !strings.HasPrefix(r.response, string(r.draft.Text)) {
			return fmt.Errorf("on the screen before the end: %q, in the log: %q", r.draft.Text, r.response)
		}
		return r.check(run.Answer())
	}
	return nil
}

// check compares the answer with what the model said.
func (r *reader) check(text string) error {
	if r.status != events.Completed || text != r.want {
		return fmt.Errorf("run %s with %d of %d bytes: %q", r.status, len(text), len(r.want), text)
	}
	return nil
}

func decode(res *http.Response, out any) error {
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("answer cut: %w", err)
	}
	return nil
}
