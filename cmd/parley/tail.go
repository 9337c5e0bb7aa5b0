package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
)

type tailCmd struct {
	Client       `embed:""`
	Conversation string `help:"Go on with, or follow only, this conversation; its history is shown first." group:"Client"`
	JSON         bool   `help:"Print JSON; of commits one a line." group:"Client"`
}

// Run prints the person's events as they happen, until it is interrupted.
func (c *tailCmd) Run(ctx context.Context, e *env) error {
	a, err := c.caller(ctx, e)
	if err != nil {
		return err
	}
	url := "ws" + strings.TrimPrefix(a.url, "http") + "/api/" + a.user + "/ws"
	dialer := websocket.Dialer{Subprotocols: []string{"parley.v1"}, HandshakeTimeout: 10 * time.Second}
	ws, res, err := dialer.DialContext(ctx, url, http.Header{"Authorization": {"Bearer " + a.token}})
	if err != nil {
		return fmt.Errorf("cannot reach Parley at %s: %w", a.url, err)
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	defer func() { _ = ws.Close() }() // leaving says enough
	undo := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer undo()
	t := &tailer{e: e, ws: ws, json: c.JSON, watched: map[events.ConversationID]bool{}, only: events.ConversationID(c.Conversation)}
	if t.only != "" {
		if err := t.subscribe(t.only, 0); err != nil {
			return err
		}
	}
	for {
		_, data, err := ws.ReadMessage()
		if ctx.Err() != nil {
			return nil
		}
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			return fmt.Errorf("the server ended the connection: %d %s", closed.Code, closed.Text)
		}
		if err != nil {
			return fmt.Errorf("tail: %w", err)
		}
		if err := t.frame(data); err != nil {
			return err
		}
	}
}

type tailer struct {
	e       *env
	ws      *websocket.Conn
	json    bool
	watched map[events.ConversationID]bool
	only    events.ConversationID
}

func (t *tailer) subscribe(c events.ConversationID, after uint64) error {
	t.watched[c] = true
	return t.ws.WriteJSON(map[string]any{"type": "subscribe", "conversation_id": c, "after": after})
}

func (t *tailer) frame(data []byte) error {
	var f struct {
		Type           string                `json:"type"`
		ConversationID events.ConversationID `json:"conversation_id"`
		N              uint64                `json:"n"`
		Commit         json.RawMessage       `json:"commit"`
		Code           string                `json:"code"`
		Message        string                `json:"message"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("tail: %w", err)
	}
	switch f.Type {
	case "conversation":
		if t.only == "" && !t.watched[f.ConversationID] {
			return t.subscribe(f.ConversationID, f.N-min(f.N, 1))
		}
	case "error":
		return &statusError{code: f.Code, message: f.Message}
	case "commit":
		if t.json {
			_, err := fmt.Fprintf(t.e.stdout, "%s\n", f.Commit)
			return err
		}
		c, err := events.DecodeCommit(f.Commit)
		if err != nil {
			return err
		}
		return printCommit(t.e.stdout, c, c.Time.Local().Format("15:04:05.000")+"  "+string(c.ConversationID))
	}
	return nil
}
