//go:build faults

package faulttest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
)

// A reader is a person's client: it sends until it is told that a command is
// stored, comes back after a lost connection to another edge, goes on after the
// last commit that it has, and keeps what does not fit.
type reader struct {
	w      *world
	user   events.UserID
	token  string
	cancel context.CancelFunc
	over   sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{} // closed at each change
	ws       *websocket.Conn
	commands map[string]*command
	views    map[events.ConversationID]*view
	wrong    []violation
	news     []map[string]any // of conversations that it does not follow, and of tasks
}

// A command is what a client sent, with the server's word about it.
type command struct {
	frame    map[string]any
	stored   bool   // "accepted" or "call" came
	done     bool   // "done" or "call_result" came
	refused  string // or an error, by its code
	conv     events.ConversationID
	run      events.RunID
	expected bool // nothing is asked of it: it is meant to be refused
}

// settled reports whether the command need not be sent again.
func (c *command) settled() bool { return c.stored || c.done || c.refused != "" }

// A place is one attempt at one step of a run.
type place struct {
	run           events.RunID
	step, attempt int
}

// A view is one conversation on the screen.
type view struct {
	fold  *events.Conversation
	draft events.Draft
	live  bool
	texts texts
}

// reader lets a person in. It begins at the newest edge with first = 0, at the one before with 1.
func (w *world) reader(user events.UserID, first int) *reader {
	w.t.Helper()
	token, _, err := w.issuer.Issue(string(user))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	r := &reader{
		w: w, user: user, token: token, cancel: cancel, changed: make(chan struct{}),
		commands: map[string]*command{}, views: map[events.ConversationID]*view{},
	}
	r.over.Go(func() {
		for try := first; ctx.Err() == nil; try++ {
			if err := r.session(ctx, w.url(try)); err == nil || ctx.Err() != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // nobody tells when an edge is back
			}
		}
	})
	w.t.Cleanup(r.close)
	w.readers = append(w.readers, r)
	return r
}

// close ends the client.
func (r *reader) close() {
	r.cancel()
	r.mu.Lock()
	if r.ws != nil {
		_ = r.ws.Close()
	}
	r.mu.Unlock()
	r.over.Wait()
}

// session is one connection.
func (r *reader) session(ctx context.Context, url string) error {
	d := websocket.Dialer{Subprotocols: []string{"parley.v1"}, HandshakeTimeout: 5 * time.Second}
	ws, res, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(url, "http")+"/api/"+string(r.user)+"/ws", http.Header{})
	if err != nil {
		return err
	}
	_ = res.Body.Close() // empty after a handshake
	defer func() { _ = ws.Close() }()
	r.mu.Lock()
	r.ws = ws
	r.put(map[string]any{"type": "connect", "token": r.token})
	for id, v := range r.views {
		v.live = false
		r.put(map[string]any{"type": "subscribe", "conversation_id": id, "after": v.fold.N})
	}
	for _, c := range r.inOrder() {
		if !c.settled() {
			r.put(c.frame)
		}
	}
	r.mu.Unlock()
	for {
		_, b, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if err := r.frame(b); err != nil {
			return err
		}
	}
}

// inOrder returns the commands as they were sent: their ids are UUIDv7s. The
// caller holds the lock.
func (r *reader) inOrder() []*command {
	var list []*command
	for _, c := range r.commands {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *command) int {
		return cmp.Compare(fmt.Sprint(a.frame["id"]), fmt.Sprint(b.frame["id"]))
	})
	return list
}

// put writes a frame; a connection that is lost shows at the next read. The
// caller holds the lock.
func (r *reader) put(frame map[string]any) {
	if r.ws != nil {
		_ = r.ws.WriteJSON(frame)
	}
}

// send sends a command, again and again until it is stored.
func (r *reader) send(kind string, fields map[string]any) *command {
	frame := map[string]any{"type": kind, "id": uuid.Must(uuid.NewV7()).String()}
	maps.Copy(frame, fields)
	c := &command{frame: frame}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands[frame["id"].(string)] = c
	r.put(frame)
	return c
}

// say sends a message to a conversation, or begins one.
func (r *reader) say(conv events.ConversationID, text string) *command {
	f := map[string]any{"message": text}
	if conv != "" {
		f["conversation_id"] = conv
	}
	return r.send("message", f)
}

// accepted is say, and waits for the word that it is stored.
func (r *reader) accepted(conv events.ConversationID, text string) *command {
	r.w.t.Helper()
	c := r.say(conv, text)
	r.until("accepted", func() bool { return c.stored })
	return c
}

// until waits until ok, which is asked under the lock at each frame.
func (r *reader) until(what string, ok func() bool) {
	r.w.t.Helper()
	if !r.within(time.Hour, ok) {
		r.w.t.Fatalf("%s: waited in vain for %s: %v", r.user, what, context.Cause(r.w.ctx))
	}
}

// within is until that gives up.
func (r *reader) within(d time.Duration, ok func() bool) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		r.mu.Lock()
		yes, changed := ok(), r.changed
		r.mu.Unlock()
		if yes {
			return true
		}
		select {
		case <-changed:
		case <-end.C:
			return false
		case <-r.w.ctx.Done():
			return false
		}
	}
}

// follow shows a conversation from its beginning.
func (r *reader) follow(conv events.ConversationID) *view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.view(conv)
	r.put(map[string]any{"type": "subscribe", "conversation_id": conv, "after": v.fold.N})
	return v
}

// run returns a run as the client shows it, or nil. The caller holds the lock.
func (r *reader) run(c *command) *events.Run {
	if v := r.views[c.conv]; v != nil {
		return v.fold.Run(c.run)
	}
	return nil
}

// ended waits until the answer to a message is over.
func (r *reader) ended(c *command) {
	r.w.t.Helper()
	r.until("the end of the answer", func() bool { run := r.run(c); return run != nil && run.Status.Over() })
}

func (r *reader) view(conv events.ConversationID) *view {
	v := r.views[conv]
	if v == nil {
		ref, err := events.NewRef(r.user, conv)
		if err != nil {
			r.w.t.Errorf("conversation %q: %v", conv, err)
		}
		v = &view{fold: events.NewConversation(ref), texts: texts{}}
		r.views[conv] = v
	}
	return v
}

// frame takes what the server says. An error means that another edge may know better.
func (r *reader) frame(b []byte) error {
	var f struct {
		Type           string                `json:"type"`
		ID             string                `json:"id"`
		ConversationID events.ConversationID `json:"conversation_id"`
		RunID          events.RunID          `json:"run_id"`
		Code           string                `json:"code"`
		Commit         json.RawMessage       `json:"commit"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		close(r.changed)
		r.changed = make(chan struct{})
	}()
	c := r.commands[f.ID]
	switch f.Type {
	case "accepted":
		c.stored, c.conv, c.run = true, f.ConversationID, f.RunID
		r.view(f.ConversationID)
	case "call":
		c.stored = true
	case "done", "call_result":
		c.done = true
	case "error":
		switch {
		case f.Code == "unavailable" || f.Code == "outcome_unknown" || f.Code == "draining":
			return fmt.Errorf("the edge says %s", f.Code)
		case c != nil:
			c.refused = f.Code
		case f.Code != "not_found": // a subscription whose first message is still to be sent again
			r.blame("I3", "%s: the edge says %s", r.user, b)
		}
	case "live":
		r.view(f.ConversationID).live = true
	case "commit":
		r.commit(r.view(f.ConversationID), f.Commit)
	case "delta":
		d, err := events.DecodeDelta(b)
		if err != nil {
			return err
		}
		v := r.view(f.ConversationID)
		r.show(v, place{d.RunID, d.Step, d.Attempt}, d.Offset, d.Text)
		if v.draft.Add(d) == events.Hole {
			r.blame("I3", "%s: a hole before byte %d of %s", r.user, d.Offset, d.RunID)
		}
		if !r.w.model.said(string(v.draft.Text), true) {
			r.blame("I3", "%s: a text on the screen that nobody said: %q", r.user, v.draft.Text)
		}
	case "snapshot":
		s, err := events.DecodeSnapshot(b)
		if err != nil {
			return err
		}
		v := r.view(f.ConversationID)
		r.show(v, place{s.RunID, s.Step, s.Attempt}, 0, s.Text)
		v.draft.Set(s)
	case "conversation", "task":
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		r.news = append(r.news, m)
	}
	return nil
}

// commit shows a commit.
func (r *reader) commit(v *view, raw []byte) {
	k, err := events.DecodeCommit(raw)
	if err == nil {
		err = v.fold.Apply(k)
	}
	if err != nil {
		r.blame("I4", "%s: a commit that does not follow %d: %v", r.user, v.fold.N, err)
		return
	}
	for _, e := range k.Events {
		s, ok := e.(events.StepCompleted)
		if !ok {
			continue
		}
		// What was shown of this attempt must be what is stored now.
		for offset, was := range v.texts[place{s.RunID, s.Step, s.Attempt}] {
			if offset >= len(s.Text) || s.Text[offset] != was {
				r.blame("I3", "%s: the text shown of %s at byte %d is not the text stored", r.user, s.RunID, offset)
				break
			}
		}
	}
}

// show remembers text of an attempt.
func (r *reader) show(v *view, p place, offset int, text string) {
	if at, ok := v.texts.add(p, offset, text); !ok {
		r.blame("I3", "%s: two texts at byte %d of %s, step %d, attempt %d", r.user, at, p.run, p.step, p.attempt)
	}
}

// texts are every byte that was sent of an answer, by attempt and offset.
type texts map[place]map[int]byte

// add adds a piece. The same place never has two texts: else ok is false.
func (t texts) add(p place, offset int, text string) (at int, ok bool) {
	have := t[p]
	if have == nil {
		have = map[int]byte{}
		t[p] = have
	}
	for i := range len(text) {
		if was, ok := have[offset+i]; ok && was != text[i] {
			return offset + i, false
		}
		have[offset+i] = text[i]
	}
	return 0, true
}

// shown returns what is on the screen of the answer being written. The caller holds the lock.
func (r *reader) shown(c *command) string {
	v := r.views[c.conv]
	if v == nil || v.draft.RunID != c.run {
		return ""
	}
	return string(v.draft.Text)
}

// seen is how many bytes of an answer are on the screen.
func (r *reader) seen(c *command) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.shown(c))
}

func (r *reader) blame(invariant, format string, a ...any) {
	r.wrong = append(r.wrong, violation{invariant, fmt.Sprintf(format, a...)})
}
