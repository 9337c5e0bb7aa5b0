package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
)

// A device is one socket of a person that is dropped again and again, and
// goes on after the last commit it has, on another edge as it comes.
type device struct {
	p    *person
	name string
	// calm devices are not dropped on purpose any more.
	calm bool

	mu      sync.Mutex
	views   map[events.ConversationID]*view
	ws      *websocket.Conn
	edge    int
	waiting map[string]chan serverFrame
	foreign []string
	resumes int
	rng     *rand.Rand
}

// A serverFrame is what an edge may say.
type serverFrame struct {
	Type           string                `json:"type"`
	ID             string                `json:"id"`
	ConversationID events.ConversationID `json:"conversation_id"`
	RunID          events.RunID          `json:"run_id"`
	N              uint64                `json:"n"`
	Commit         jsontext.Value        `json:"commit"`
	Step           int                   `json:"step"`
	Attempt        int                   `json:"attempt"`
	Offset         int                   `json:"offset"`
	Text           string                `json:"text"`
	Code           string                `json:"code"`
	CallID         events.CallID         `json:"call_id"`
	OK             bool                  `json:"ok"`
}

// lookedAt is how long after its last news a conversation is still followed.
const lookedAt = 45 * time.Second

var errDropped = errors.New("the socket is gone")

func newDevice(p *person, name string, seed uint64) *device {
	return &device{
		p: p, name: name, views: map[events.ConversationID]*view{}, waiting: map[string]chan serverFrame{},
		rng: rand.New(rand.NewPCG(seed, mix(seed, string(p.id), name))),
	}
}

// run keeps a socket open until ctx ends.
func (d *device) run(ctx context.Context) {
	for ctx.Err() == nil {
		d.mu.Lock()
		d.edge = d.rng.IntN(d.p.w.edgeCount())
		life := time.Duration(300+d.rng.IntN(6000)) * time.Millisecond
		if d.calm {
			life = time.Hour
		}
		d.mu.Unlock()
		d.session(ctx, life)
		pause(ctx, 100*time.Millisecond)
	}
}

// session is one connection from its dial to its end.
func (d *device) session(ctx context.Context, life time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, life)
	defer cancel()
	dialer := websocket.Dialer{Subprotocols: []string{"parley.v1"}, HandshakeTimeout: 3 * time.Second}
	url := "ws" + strings.TrimPrefix(d.p.w.edgeURL(d.edge), "http") + "/api/" + string(d.p.id) + "/ws"
	ws, res, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		if res != nil {
			_ = res.Body.Close()
		}
		return
	}
	defer d.gone(ws)
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer stop()
	token, err := d.p.w.token(d.p.id)
	if err != nil || ws.WriteJSON(map[string]string{"type": "connect", "token": token}) != nil {
		return
	}
	for {
		// The edge pings every 25 s or so; a paused one is given up long before.
		_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, b, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if !d.handle(ws, b) {
			return
		}
	}
}

// gone tells everybody who waits for an answer that none will come.
func (d *device) gone(ws *websocket.Conn) {
	_ = ws.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ws = nil
	for id, c := range d.waiting {
		delete(d.waiting, id)
		close(c)
	}
	for _, v := range d.views {
		v.subscribed, v.since = 0, time.Time{}
	}
}

// handle takes one frame and reports whether the connection is of further use.
func (d *device) handle(ws *websocket.Conn, b []byte) bool {
	var f serverFrame
	if err := json.Unmarshal(b, &f); err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if bad := foreignCanary(string(b), d.p.canary); bad != "" {
		d.foreign = append(d.foreign, bad+" in "+clip(string(b), 300))
	}
	switch f.Type {
	case "connected":
		d.ws = ws
		for c, v := range d.views {
			// As a page does not follow what nobody looks at.
			if (d.calm || time.Since(v.touched) < lookedAt) && !d.subscribe(c) {
				return false
			}
		}
		if len(d.views) > 0 {
			d.resumes++
		}
	case "commit":
		v := d.view(f.ConversationID)
		if v == nil {
			return false
		}
		if v.commit(f.Commit, f.N) {
			return d.subscribe(f.ConversationID)
		}
	case "live":
		if v := d.views[f.ConversationID]; v != nil {
			v.live()
		}
	case "delta":
		if v := d.views[f.ConversationID]; v != nil {
			v.delta(events.Delta{ConversationID: f.ConversationID, RunID: f.RunID, Step: f.Step, Attempt: f.Attempt, Offset: f.Offset, Text: f.Text})
		}
	case "snapshot":
		if v := d.views[f.ConversationID]; v != nil {
			v.snapshot(events.Snapshot{ConversationID: f.ConversationID, RunID: f.RunID, Step: f.Step, Attempt: f.Attempt, Text: f.Text})
		}
	case "accepted", "error", "done", "call", "call_result":
		if f.Type == "call_result" {
			break // its call was answered when it was stored
		}
		if f.Type == "error" && f.ID == "" && f.ConversationID != "" {
			v := d.views[f.ConversationID]
			if f.Code == "not_found" && v != nil && v.state.N == 0 {
				// It was refused before it began, or is another person's. A device that
				// came again for it would read nothing else to its end.
				delete(d.views, f.ConversationID)
				break
			}
			if v != nil {
				v.subscribed = 0
			}
			return false // a watch has ended: come again
		}
		if f.Type == "accepted" {
			// The socket follows the conversation from here on.
			if v := d.view(f.ConversationID); v != nil && v.subscribed == 0 {
				v.subscribed = 1
			}
		}
		if c := d.waiting[f.ID]; c != nil {
			delete(d.waiting, f.ID)
			c <- f
		}
	}
	return true
}

// view returns the view of a conversation, which a first commit makes.
func (d *device) view(c events.ConversationID) *view {
	v := d.views[c]
	if v == nil {
		var err error
		if v, err = newView(d.p.id, c); err != nil {
			return nil
		}
		d.views[c] = v
	}
	v.touched = time.Now()
	return v
}

// subscribe asks for what follows the last commit. The caller holds the lock.
func (d *device) subscribe(c events.ConversationID) bool {
	v := d.views[c]
	if d.ws == nil || v == nil {
		return false
	}
	v.subscribed++
	return d.ws.WriteJSON(map[string]any{"type": "subscribe", "conversation_id": c, "after": v.state.N}) == nil
}

// follow makes the device read a conversation from now on.
func (d *device) follow(c events.ConversationID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.view(c); v != nil && v.subscribed == 0 {
		d.subscribe(c)
	}
}

// command sends a frame with an id and waits for the answer to it.
func (d *device) command(ctx context.Context, frame map[string]any) (serverFrame, int, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	id := fmt.Sprint(frame["id"])
	answer := make(chan serverFrame, 1)
	d.mu.Lock()
	if d.ws == nil {
		d.mu.Unlock()
		return serverFrame{}, 0, errNotSent
	}
	if c, ok := frame["conversation_id"].(events.ConversationID); ok && (frame["type"] == "message" || frame["type"] == "regenerate") {
		// As a page does: it reads what it writes to, from where it is.
		if v := d.view(c); v != nil && v.subscribed == 0 {
			d.subscribe(c)
		}
	}
	edge := d.edge
	if d.waiting[id] != nil {
		d.mu.Unlock()
		return serverFrame{}, edge, errNotSent
	}
	d.waiting[id] = answer
	err := d.ws.WriteJSON(frame)
	d.mu.Unlock()
	if err != nil {
		return serverFrame{}, edge, errDropped
	}
	select {
	case f, ok := <-answer:
		if !ok {
			return serverFrame{}, edge, errDropped
		}
		return f, edge, nil
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.waiting, id)
		d.mu.Unlock()
		return serverFrame{}, edge, errDropped
	}
}

// settle makes the device stay connected, and follow all its person's conversations.
func (d *device) settle(list []events.ConversationID) {
	d.mu.Lock()
	d.calm = true
	d.mu.Unlock()
	for _, c := range list {
		d.follow(c)
	}
}

// at returns the last commit that the device has of a conversation.
func (d *device) at(c events.ConversationID) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.views[c]; v != nil {
		return v.state.N
	}
	return 0
}

// finish writes down what the device saw. It is called once the device is still.
func (d *device) finish() deviceRecord {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := deviceRecord{Name: d.name, User: d.p.id, Views: map[events.ConversationID]*viewRecord{}, Foreign: d.foreign, Resumes: d.resumes}
	for c, v := range d.views {
		r.Views[c] = v.finish()
	}
	return r
}

var canaryPattern = regexp.MustCompile(`canary-[0-9a-z]+`)

// foreignCanary returns a canary in s that is not own, or "".
func foreignCanary(s, own string) string {
	for _, c := range canaryPattern.FindAllString(s, -1) {
		if c != own {
			return c
		}
	}
	return ""
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
