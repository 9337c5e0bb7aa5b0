package edge

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/events"
)

// A clientFrame is what a client may say; each type uses some of the members.
type clientFrame struct {
	Type           string                `json:"type"`
	ID             string                `json:"id"`
	Token          string                `json:"token"`
	ConversationID events.ConversationID `json:"conversation_id"`
	After          uint64                `json:"after"`
	Message        string                `json:"message"`
	ParentID       events.RunID          `json:"parent_id"`
	Model          string                `json:"model"`
	Timezone       string                `json:"timezone"`
	WhenBusy       string                `json:"when_busy"`
	RunID          events.RunID          `json:"run_id"`
	Title          string                `json:"title"`
	Pinned         *bool                 `json:"pinned"`
	Archived       *bool                 `json:"archived"`
	ReadN          *uint64               `json:"read_n"`
	Rating         string                `json:"rating"`
	Reason         string                `json:"reason"`
	Name           string                `json:"name"`
	Arguments      jsontext.Value        `json:"arguments"`
	CallID         events.CallID         `json:"call_id"`
	Decision       string                `json:"decision"`
}

// frameTypes are the types that clients may send.
var frameTypes = []string{
	"connect", "refresh", "ping", "subscribe", "unsubscribe", "message", "regenerate", "cancel", "call_tool", "answer",
	"rename", "pin", "archive", "read", "delete", "restore", "rate",
}

func decodeFrame(b []byte) (clientFrame, *apiError) {
	var f clientFrame
	if err := decodeStrict(b, &f); err != nil {
		return clientFrame{}, err
	}
	if !slices.Contains(frameTypes, f.Type) {
		return clientFrame{}, badRequest("The frame has no type that is known here.")
	}
	return f, nil
}

// receive handles one frame, on the reader's goroutine: what a client sends is
// stored in the order in which it was sent.
func (c *conn) receive(b []byte) {
	f, refusal := decodeFrame(b)
	if refusal != nil {
		c.e.metrics.framesIn.WithLabelValues("invalid").Inc()
		if c.bad++; c.bad >= badFrames || c.p == nil {
			c.close(closeBadMessage, refusal.code)
			return
		}
		c.out.send(errorFrameOf("", "", refusal))
		return
	}
	c.e.metrics.framesIn.WithLabelValues(f.Type).Inc()
	if c.p == nil && f.Type != "connect" {
		c.close(closeUnauth, "connect first")
		return
	}
	if err := c.command(f); err != nil {
		e := apiErrorOf(err)
		if f.ID != "" && !events.ValidID(f.ID) {
			f.ID = ""
		}
		if e.status >= 500 {
			// The page shows the command's id as the reference to quote.
			c.e.o.Logger.Warn("command", "type", f.Type, "code", e.code, "request_id", f.ID, "err", err)
		}
		if !events.ValidID(f.ConversationID) {
			f.ConversationID = ""
		}
		c.out.send(errorFrameOf(f.ID, f.ConversationID, e))
	}
}

func (c *conn) command(f clientFrame) error {
	switch f.Type {
	case "connect":
		return c.connect(f)
	case "refresh":
		return c.refresh(f)
	case "ping":
		c.out.send(newFrame(opText, `{"type":"pong"}`))
		return nil
	case "subscribe":
		return c.subscribe(f)
	case "unsubscribe":
		c.unsubscribe(f.ConversationID)
		return nil
	}
	if err := checkID("id", f.ID); err != nil {
		return err
	}
	if f.Type != "message" && f.Type != "regenerate" && c.pending.Load() >= pendingPerSocket {
		// Before anything is stored: what is refused has no effect.
		return refuse(429, codeTooMany, "Too many commands wait for their outcome. Nothing was done; try again when some are done.")
	}
	ctx, cancel := context.WithTimeout(c.ctx, 15*time.Second)
	defer cancel()
	if f.Type == "call_tool" {
		return c.callTool(ctx, f)
	}
	if f.ConversationID != "" || f.Type != "message" {
		if err := checkID("conversation_id", f.ConversationID); err != nil {
			return err
		}
	}
	if f.Type == "message" {
		return c.message(ctx, f)
	}
	if f.RunID != "" || f.Type == "cancel" || f.Type == "regenerate" || f.Type == "rate" {
		if err := checkID("run_id", f.RunID); err != nil {
			return err
		}
	}
	if f.Type == "regenerate" {
		return c.regenerate(ctx, f)
	}
	return c.control(ctx, f)
}

func (c *conn) connect(f clientFrame) error {
	if c.p != nil {
		return badRequest("This socket is connected already; send refresh for a new token.")
	}
	id, err := c.verify(f.Token)
	if err != nil {
		if errors.Is(err, auth.ErrUnavailable) {
			c.out.send(errorFrameOf("", "", apiErrorOf(err)))
			c.closeWith(websocket.CloseTryAgainLater, "retry_after=2", true)
		} else {
			c.close(closeUnauth, apiErrorOf(err).code)
		}
		return nil
	}
	if id.UserID != string(c.user) {
		c.close(closeForbidden, codeForbidden)
		return nil
	}
	c.admit(id)
	return nil
}

func (c *conn) verify(token string) (auth.Identity, error) {
	ctx, cancel := context.WithTimeout(c.ctx, connectWait)
	defer cancel()
	return c.e.o.Verifier.Verify(ctx, token)
}

// admit lets a socket in whose token is good.
func (c *conn) admit(id auth.Identity) {
	p, err := c.e.hub.acquire(c.user)
	if err != nil {
		c.closeWith(websocket.CloseTryAgainLater, "retry_after=2", true)
		return
	}
	p.mu.Lock()
	if len(p.conns) >= socketsPerPerson {
		p.mu.Unlock()
		c.e.hub.release(p)
		c.close(closeTooMuch, "too many sockets")
		return
	}
	c.p, c.watches, c.session = p, map[events.ConversationID]*watch{}, id.SessionID
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	if c.waiting {
		c.waiting = false
		c.e.waiting.leave(c.address)
	}
	c.expires.Store(id.ExpiresAt.UnixNano())
	c.ws.SetReadLimit(frameLimit)
	c.alive()
	c.out.send(jsonFrame(connectedFrame{
		Type: "connected", UserID: c.user, Model: c.e.o.Model, Limits: limits{events.MaxMessageRunes},
		ServerVersion: c.e.o.ServerVersion, ExpiresAt: id.ExpiresAt,
	}))
}

// refresh takes a newer token of the same sign-in.
func (c *conn) refresh(f clientFrame) error {
	id, err := c.verify(f.Token)
	if err != nil {
		return err
	}
	if id.UserID != string(c.user) || id.SessionID != c.session {
		c.close(closeForbidden, codeForbidden)
		return nil
	}
	c.expires.Store(id.ExpiresAt.UnixNano())
	if f.ID != "" && events.ValidID(f.ID) {
		c.out.send(jsonFrame(doneFrame{Type: "done", ID: f.ID}))
	}
	return nil
}

func (c *conn) subscribe(f clientFrame) error {
	if err := checkID("conversation_id", f.ConversationID); err != nil {
		return err
	}
	r, err := events.NewRef(c.user, f.ConversationID)
	if err != nil {
		return notFound("conversation")
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	old := c.watches[f.ConversationID]
	if old == nil && len(c.watches) >= watchesPerSocket {
		return refuse(429, codeTooMany, "This socket follows too many conversations. Unsubscribe from some.")
	}
	w := c.watch(c.p.topic(r), f.After)
	if old != nil {
		old.stop()
	}
	w.start(false)
	return nil
}

// watch adds a watch to the socket, in the place of an older one. The caller
// holds the lock.
func (c *conn) watch(t *topic, after uint64) *watch {
	id := t.ref.Conversation()
	var w *watch
	w = t.watch(&c.out, after, true, func(e *apiError) {
		if c.watches[id] == w {
			delete(c.watches, id)
		}
		c.out.send(errorFrameOf("", id, e))
	})
	c.watches[id] = w
	return w
}

func (c *conn) unsubscribe(id events.ConversationID) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if w := c.watches[id]; w != nil {
		delete(c.watches, id)
		w.stop()
	}
}

func (c *conn) message(ctx context.Context, f clientFrame) error {
	interrupt, refusal := c.e.interrupts(f.WhenBusy)
	if refusal != nil {
		return refusal
	}
	m := events.Message{ParentID: f.ParentID, Text: f.Message, Model: f.Model, Timezone: f.Timezone, Interrupt: interrupt}
	if err := c.e.checkMessage(m); err != nil {
		return err
	}
	return c.submit(ctx, submission{id: events.MessageID(f.ID), conversation: f.ConversationID, cmd: m})
}

func (c *conn) regenerate(ctx context.Context, f clientFrame) error {
	if err := c.e.checkModel(f.Model, f.Timezone); err != nil {
		return err
	}
	run, err := c.e.findRun(ctx, c.p, f.ConversationID, f.RunID)
	if err != nil {
		return err
	}
	if run == nil {
		return notFound("run")
	}
	interrupt, refusal := c.e.interrupts(f.WhenBusy)
	if refusal != nil {
		return refusal
	}
	cmd := events.Regenerate{RunID: f.RunID, Model: f.Model, Timezone: f.Timezone, Interrupt: interrupt}
	return c.submit(ctx, submission{id: events.MessageID(f.ID), conversation: f.ConversationID, cmd: cmd})
}

// submit stores a message and follows its conversation from just before it.
func (c *conn) submit(ctx context.Context, s submission) error {
	var w *watch
	sub, err := c.e.submit(ctx, c.p, s, func(t *topic, sub *submitted) {
		if c.watches[t.ref.Conversation()] == nil && len(c.watches) < watchesPerSocket {
			w = c.watch(t, sub.after)
		}
	}, func() {
		c.p.mu.Lock()
		defer c.p.mu.Unlock()
		if w == nil {
			return
		}
		// Unless the person has subscribed anew in the meantime.
		if id := w.t.ref.Conversation(); c.watches[id] == w {
			delete(c.watches, id)
			w.stop()
		}
	})
	if err != nil {
		return err
	}
	c.out.send(jsonFrame(acceptedFrame{
		Type: "accepted", ID: s.id, ConversationID: sub.t.ref.Conversation(), RunID: sub.run,
	}))
	c.p.mu.Lock()
	switch id := sub.t.ref.Conversation(); {
	case w != nil && c.watches[id] == w:
		w.n = sub.after
		w.start(sub.started)
	case c.watches[id] == nil && len(c.watches) < watchesPerSocket:
		// It was followed for the sake of another message, which was not accepted.
		c.watch(sub.t, sub.after).start(false)
	}
	c.p.mu.Unlock()
	c.p.unpin(sub.t)
	return nil
}

// control carries out the commands that end in "done".
func (c *conn) control(ctx context.Context, f clientFrame) error {
	var o *outcome
	var err error
	switch id, conv := f.ID, f.ConversationID; f.Type {
	case "cancel":
		o, err = c.e.cancelRun(ctx, c.p, id, conv, f.RunID)
	case "rename":
		if err := checkText("The title", f.Title, events.MaxTitleRunes); err != nil {
			return err
		}
		o, err = c.e.control(ctx, c.p, rename(id, conv, f.Title))
	case "pin":
		if f.Pinned == nil {
			return badRequest("pinned is missing.")
		}
		o, err = c.e.control(ctx, c.p, pin(id, conv, *f.Pinned))
	case "archive":
		if f.Archived == nil {
			return badRequest("archived is missing.")
		}
		o, err = c.e.control(ctx, c.p, archive(id, conv, *f.Archived))
	case "read":
		if f.ReadN == nil {
			return badRequest("read_n is missing.")
		}
		o, err = c.e.control(ctx, c.p, read(id, conv, *f.ReadN))
	case "delete":
		o, err = c.e.control(ctx, c.p, remove(id, conv))
	case "restore":
		o, err = c.e.control(ctx, c.p, restore(id, conv))
	case "rate":
		o, err = c.e.rate(ctx, c.p, id, conv, f.RunID, f.Rating, f.Reason)
	case "answer":
		o, err = c.e.answer(ctx, c.p, id, conv, events.Answer{CallID: f.CallID, Decision: f.Decision, Arguments: f.Arguments, Reason: f.Reason})
	default:
		return badRequest("The frame has no type that is known here.")
	}
	if err != nil {
		return err
	}
	c.later(o.w, o.release, func() *frame {
		done := doneFrame{Type: "done", ID: f.ID, N: o.n}
		if o.run != nil {
			done.Status, done.Receipt = o.run.Status, o.run.Receipt
		}
		return jsonFrame(done)
	})
	return nil
}

func (c *conn) callTool(ctx context.Context, f clientFrame) error {
	cmd, refusal := c.e.toolCall(f.Name, f.Arguments)
	if refusal != nil {
		return refusal
	}
	h, err := c.e.callTool(ctx, c.p, f.ID, cmd)
	if err != nil {
		return err
	}
	c.out.send(jsonFrame(callFrame{Type: "call", ID: f.ID, CallID: h.id}))
	c.later(h.w, h.release, func() *frame {
		if h.err != nil {
			return errorFrameOf(f.ID, "", h.err)
		}
		return jsonFrame(callResultFrame{Type: "call_result", ID: f.ID, CallResult: h.res})
	})
	return nil
}

// later sends a frame once w is done. The command is stored: the wait may take
// as long as the socket lives. Only the reader's goroutine adds to pending, after
// it has looked whether there is room.
func (c *conn) later(w *waiter, release func(), answer func() *frame) {
	select {
	case <-w.done:
		release()
		c.out.send(answer())
		return
	default:
	}
	c.pending.Add(1)
	c.tasks.Go(func() {
		defer c.pending.Add(-1)
		defer release()
		select {
		case <-w.done:
			c.out.send(answer())
		case <-c.ctx.Done():
		}
	})
}
