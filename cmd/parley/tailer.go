package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
)

const (
	// tailLook is how often a tail compares what it was told with the list: word of
	// a conversation may get lost on its way.
	tailLook = 30 * time.Second
	// tailPages bounds the list, of 200 conversations a page.
	tailPages = 100
)

// A tailer prints the commits of a person's conversations, of each in order and
// once. The edge says of every conversation how far it is, seldom and late; its
// commits come while it is followed, from any n on.
type tailer struct {
	e    *env
	json bool
	only events.ConversationID // follow no other
	room int                   // for conversations that are followed at once

	met      bool // Parley has answered before
	begun    bool // what was there before us is known
	news     bool // say when we follow
	printed  uint64
	followed map[events.ConversationID]*followed

	// Of one connection.
	ws      *websocket.Conn
	watched int
	waiting []events.ConversationID // for room
}

// A followed is one conversation.
type followed struct {
	seen    uint64 // printed up to here, or older than us
	told    uint64 // known to be there
	used    uint64 // when it came last, in commits printed
	refused string // why it cannot be followed
	// asked for on this connection; caught up; waiting to be asked for.
	asked, live, waits bool
}

func (t *tailer) of(c events.ConversationID) *followed {
	f := t.followed[c]
	if f == nil {
		f = &followed{} // a new one, from its start
		t.followed[c] = f
	}
	return f
}

// begin follows on a new connection: what was followed before, because only the
// log knows what came meanwhile, and what the list says to be further. The first
// time it notes where everything stands. The list is the recorder's and may be a
// moment behind, so a commit of that moment may be shown; none is left out.
func (t *tailer) begin(ctx context.Context, a *caller, ws *websocket.Conn) error {
	t.ws, t.watched, t.waiting = ws, 0, nil
	var before []events.ConversationID
	for c, f := range t.followed {
		if f.asked {
			before = append(before, c)
		}
		f.asked, f.live, f.waits = false, false, false
	}
	if len(before) == 0 {
		before = append(before, t.only)
		if t.only == "" {
			before[0] = events.Home
		}
	}
	if t.only == "" && !t.begun {
		if err := t.standing(ctx, a); err != nil {
			return err
		}
	}
	for _, c := range before {
		if err := t.ask(c); err != nil {
			return err
		}
	}
	if err := t.look(ctx, a); err != nil {
		return err
	}
	t.begun = true
	if t.news {
		t.news = false
		fmt.Fprintf(t.e.stderr, "(following %s at %s; Ctrl-C ends it)\n", a.user, a.url)
	}
	return nil
}

// standing notes how far the calls made by hand are.
func (t *tailer) standing(ctx context.Context, a *caller) error {
	var home struct {
		N uint64 `json:"n"`
	}
	err := a.do(ctx, http.MethodGet, "/api/"+a.user+"/conversations/"+string(events.Home)+"/messages?limit=1", nil, &home)
	if s, ok := errors.AsType[*statusError](err); ok && s.status == http.StatusNotFound {
		err = nil // none was ever made
	}
	t.of(events.Home).seen = home.N
	return err
}

// look reads the list.
func (t *tailer) look(ctx context.Context, a *caller) error {
	if t.only != "" {
		return nil
	}
	for _, archived := range []bool{false, true} {
		query := url.Values{"limit": {"200"}, "archived": {strconv.FormatBool(archived)}}
		for range tailPages {
			var page struct {
				Data []struct {
					ConversationID events.ConversationID `json:"conversation_id"`
					N              uint64                `json:"n"`
				} `json:"data"`
				HasMore bool   `json:"has_more"`
				After   string `json:"after"`
			}
			if err := a.do(ctx, http.MethodGet, "/api/"+a.user+"/conversations?"+query.Encode(), nil, &page); err != nil {
				return err
			}
			for _, s := range page.Data {
				if !t.begun {
					t.of(s.ConversationID).seen = s.N
				}
				t.tell(s.ConversationID, s.N)
			}
			if !page.HasMore {
				break
			}
			query.Set("after", page.After)
		}
	}
	return t.fill()
}

// tell takes word that a conversation has n commits.
func (t *tailer) tell(c events.ConversationID, n uint64) {
	f := t.of(c)
	f.told = max(f.told, n)
	if f.told > f.seen && !f.asked && !f.waits {
		f.waits = true
		t.waiting = append(t.waiting, c)
	}
}

// fill asks for the conversations that wait, as far as there is room.
func (t *tailer) fill() error {
	for len(t.waiting) > 0 {
		if t.watched >= t.room {
			if left, err := t.leave(); err != nil || !left {
				return err
			}
		}
		c := t.waiting[0]
		t.waiting = t.waiting[1:]
		if err := t.ask(c); err != nil {
			return err
		}
	}
	return nil
}

// leave lets go of the conversation that was idle longest and has been shown as
// far as it is known to be.
func (t *tailer) leave() (bool, error) {
	var oldest events.ConversationID
	for c, f := range t.followed {
		if f.live && f.seen >= f.told && c != events.Home && (oldest == "" || f.used < t.followed[oldest].used) {
			oldest = c
		}
	}
	if oldest == "" {
		return false, nil
	}
	t.unfollow(oldest)
	return true, t.send(map[string]any{"type": "unsubscribe", "conversation_id": oldest})
}

func (t *tailer) unfollow(c events.ConversationID) {
	if f := t.of(c); f.asked {
		f.asked, f.live = false, false
		t.watched--
	}
}

func (t *tailer) ask(c events.ConversationID) error {
	f := t.of(c)
	f.asked, f.waits = true, false
	f.used = t.printed
	t.watched++
	return t.send(map[string]any{"type": "subscribe", "conversation_id": c, "after": f.seen})
}

func (t *tailer) send(frame any) error {
	err := t.ws.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if err == nil {
		err = t.ws.WriteJSON(frame)
	}
	if err != nil {
		return awayError{fmt.Errorf("the connection to Parley broke: %w", err)}
	}
	return nil
}

// frame takes what the edge says.
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
		if t.only == "" {
			t.tell(f.ConversationID, f.N)
		}
	case "live":
		t.of(f.ConversationID).live = t.of(f.ConversationID).asked
	case "commit":
		if err := t.commit(f.ConversationID, f.Commit); err != nil {
			return err
		}
	case "error":
		err := &statusError{code: f.Code, message: f.Message}
		if f.ConversationID == "" || t.only != "" {
			return err
		}
		t.refuse(f.ConversationID, err)
	}
	return t.fill()
}

// refuse says once that one conversation cannot be followed; the others can. It
// is tried again at the next word of it.
func (t *tailer) refuse(c events.ConversationID, err *statusError) {
	t.unfollow(c)
	f := t.of(c)
	if err.code == "conflict" { // the log has been replaced by one that is not so far
		f.seen, f.told = 0, 0
	}
	if f.refused != err.code {
		f.refused = err.code
		fmt.Fprintf(t.e.stderr, "! %s: %s\n", c, err.message)
	}
}

func (t *tailer) commit(id events.ConversationID, raw []byte) error {
	c, err := events.DecodeCommit(raw)
	if err != nil {
		return err
	}
	f := t.of(id)
	switch {
	case c.N <= f.seen:
		return nil // from the connection before
	case c.N > f.seen+1 && f.asked:
		return fmt.Errorf("tail: %s: commit %d came after %d", id, c.N, f.seen)
	case c.N > f.seen+1: // of a conversation just left
		t.tell(id, c.N)
		return nil
	}
	t.printed++
	f.seen, f.told, f.used, f.refused = c.N, max(f.told, c.N), t.printed, ""
	if t.json {
		_, err := fmt.Fprintf(t.e.stdout, "%s\n", raw)
		return err
	}
	return printCommit(t.e.stdout, c, c.Time.Local().Format("15:04:05.000")+"  "+string(c.ConversationID))
}
