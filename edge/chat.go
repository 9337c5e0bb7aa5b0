package edge

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// ChatRequest is the body of POST /api/{user_id}/chat.
type ChatRequest struct {
	Message        *string               `json:"message"`
	ConversationID events.ConversationID `json:"conversation_id,omitzero"`
	// ID is the message's id, a UUIDv7 that the client makes. It may stand in the
	// Idempotency-Key header instead.
	ID       string       `json:"id,omitzero"`
	ParentID events.RunID `json:"parent_id,omitzero"`
	Model    string       `json:"model,omitzero"`
	Timezone string       `json:"timezone,omitzero"`
	// WhenBusy says what a message does to the run that is active in its
	// conversation: "queue" waits for its end, "interrupt" stops it.
	WhenBusy string `json:"when_busy,omitzero"`
}

// ChatResponse is how a run stands, for the client that asked.
type ChatResponse struct {
	ConversationID events.ConversationID `json:"conversation_id"`
	MessageID      events.MessageID      `json:"message_id"`
	RunID          events.RunID          `json:"run_id"`
	Status         events.Status         `json:"status"`
	Response       string                `json:"response"`
	ToolCalls      []ToolCallState       `json:"tool_calls"`
	Usage          events.Usage          `json:"usage"`
	Error          *events.RunError      `json:"error,omitempty"`
	Receipt        *events.Receipt       `json:"receipt,omitempty"`
}

// ToolCallState is a tool call of a run with what became of it. OK is absent
// while that is open.
type ToolCallState struct {
	CallID     events.CallID     `json:"call_id"`
	Name       string            `json:"name"`
	Arguments  jsontext.Value    `json:"arguments"`
	Status     events.CallStatus `json:"status"`
	OK         *bool             `json:"ok,omitempty"`
	Result     jsontext.Value    `json:"result,omitzero"`
	Error      *events.ToolError `json:"error,omitempty"`
	DurationMS int64             `json:"duration_ms"`
}

// Accepted is the 202 to a client that does not wait for the run's end.
type Accepted struct {
	ConversationID events.ConversationID `json:"conversation_id"`
	MessageID      events.MessageID      `json:"message_id,omitzero"`
	RunID          events.RunID          `json:"run_id,omitzero"`
	Status         events.Status         `json:"status"`
}

func toolCallsOf(r *events.Run) []ToolCallState {
	list := make([]ToolCallState, 0, len(r.Calls))
	for _, k := range r.Calls {
		s := ToolCallState{
			CallID: k.CallID, Name: k.Name, Arguments: k.Arguments, Status: k.Status, Result: k.Result, Error: k.Error, DurationMS: k.DurationMS,
		}
		if k.Status.Answered() {
			ok := k.Status == events.CallDone
			s.OK = &ok
		}
		list = append(list, s)
	}
	return list
}

func chatResponse(c events.ConversationID, r *events.Run) ChatResponse {
	return ChatResponse{
		ConversationID: c, MessageID: r.Message.MessageID, RunID: r.RunID, Status: r.Status, Response: r.Answer(),
		ToolCalls: toolCallsOf(r), Usage: r.Usage, Error: r.Error, Receipt: r.Receipt,
	}
}

// chat stores a message and answers in the form that the client asks for.
func (c *call) chat() error {
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	stream, err := c.form()
	if err != nil {
		return err
	}
	var in ChatRequest
	if err := c.body(&in); err != nil {
		return err
	}
	s, err := c.submission(in, key)
	if err != nil {
		return err
	}
	p, err := c.e.hub.acquire(c.user)
	if err != nil {
		return err
	}
	defer c.e.hub.release(p)
	switch {
	case prefers(c.r, "respond-async"):
		return c.chatAsync(p, s)
	case stream:
		return c.chatStream(p, s)
	}
	return c.chatJSON(p, s)
}

// form chooses between JSON and a stream by the Accept header.
func (c *call) form() (stream bool, err error) {
	jsonOK, _ := accepts(c.r, "application/json")
	_, streamNamed := accepts(c.r, "text/event-stream")
	if !jsonOK && !streamNamed {
		return false, refuse(http.StatusNotAcceptable, codeNotAcceptable, "This answers application/json or text/event-stream.")
	}
	return streamNamed, nil
}

// idempotencyKey returns the header's message id, "" if there is none. A key
// that is no id by our rule becomes one.
func (c *call) idempotencyKey() (events.MessageID, error) {
	values := c.r.Header.Values("Idempotency-Key")
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1, values[0] == "", len(values[0]) > 512:
		return "", badRequest("Idempotency-Key must stand once and have 1 to 512 bytes.")
	case events.ValidID(values[0]):
		return events.MessageID(values[0]), nil
	}
	return events.KeyID(c.user, values[0]), nil
}

func (c *call) submission(in ChatRequest, key events.MessageID) (submission, error) {
	if in.Message == nil {
		return submission{}, invalidMessage("\"message\" is missing.")
	}
	interrupt, refusal := c.e.interrupts(in.WhenBusy)
	if refusal != nil {
		return submission{}, refusal
	}
	m := events.Message{ParentID: in.ParentID, Text: *in.Message, Model: in.Model, Timezone: in.Timezone, Interrupt: interrupt}
	if err := c.e.checkMessage(m); err != nil {
		return submission{}, err
	}
	if in.ConversationID != "" {
		if err := checkID("conversation_id", in.ConversationID); err != nil {
			return submission{}, err
		}
	}
	id := key
	if in.ID != "" {
		if err := checkID("id", in.ID); err != nil {
			return submission{}, err
		}
		if id = events.MessageID(in.ID); key != "" && key != id {
			return submission{}, badRequest("\"id\" and Idempotency-Key differ.")
		}
	}
	if id == "" {
		id = events.MessageID(newID())
	}
	return submission{id: id, conversation: in.ConversationID, cmd: m}, nil
}

func (c *call) runLocation(conv events.ConversationID, run events.RunID) string {
	return "/api/" + string(c.user) + "/runs/" + string(run) + "?conversation_id=" + string(conv)
}

func (c *call) accepted(conv events.ConversationID, message events.MessageID, run events.RunID, status events.Status) error {
	c.w.Header().Set("Location", c.runLocation(conv, run))
	return c.json(http.StatusAccepted, Accepted{ConversationID: conv, MessageID: message, RunID: run, Status: status})
}

// storing bounds the time until a message is stored.
func storing(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), 15*time.Second)
}

func (c *call) chatAsync(p *person, s submission) error {
	ctx, cancel := storing(c.r)
	defer cancel()
	sub, err := c.e.submit(ctx, p, s, func(*topic, *submitted) {}, func() {})
	if err != nil {
		return err
	}
	defer p.unpin(sub.t)
	status := events.Queued
	if sub.known != nil {
		status = sub.known.Status
	}
	c.w.Header().Set("Preference-Applied", "respond-async")
	return c.accepted(sub.t.ref.Conversation(), s.id, sub.run, status)
}

// chatJSON waits for the run to end or to need a person.
func (c *call) chatJSON(p *person, s submission) error {
	c.long()
	var run *events.Run // guarded by the person until w is done
	var w *waiter
	var undo func()
	ctx, cancel := storing(c.r)
	defer cancel()
	sub, err := c.e.submit(ctx, p, s, func(t *topic, sub *submitted) {
		undo = func() { t.forgo(w) }
		w = t.await(func(st *events.Conversation, _ *events.Commit) bool {
			r := st.Run(sub.run)
			if r == nil || !r.Status.Over() && r.Status != events.RequiresAction && sameCommand(r, s.cmd) {
				return false
			}
			run = copyRun(st, sub.run)
			return true
		})
	}, func() { undo() })
	if err != nil {
		return err
	}
	defer p.unpin(sub.t)
	defer undo()
	conv := sub.t.ref.Conversation()
	if sub.known != nil && (sub.known.Status.Over() || sub.known.Status == events.RequiresAction) {
		return c.json(http.StatusOK, chatResponse(conv, sub.known))
	}
	// An id that the broker knows and the log does not may belong to another
	// conversation whose commit is still to come: look again, ever more rarely.
	again := time.NewTimer(time.Second)
	defer again.Stop()
	for wait := time.Second; ; {
		select {
		case <-w.done:
			if !sameCommand(run, s.cmd) {
				return keyReused()
			}
			return c.json(http.StatusOK, chatResponse(conv, run))
		case <-again.C:
			if !sub.started && sub.known == nil {
				if reused, err := c.e.usedElsewhere(c.r.Context(), sub.t.ref, s.id); err == nil && reused {
					return keyReused()
				}
			}
			wait = min(2*wait, time.Minute)
			again.Reset(wait)
		case <-c.e.stop:
			c.w.Header().Set("Connection", "close")
			return c.accepted(conv, s.id, sub.run, events.InProgress)
		case <-c.r.Context().Done():
			return nil // the client is gone; the run goes on
		}
	}
}

// chatStream sends the conversation's frames from just before the message until
// its run is over.
func (c *call) chatStream(p *person, s submission) error {
	c.long()
	st := c.newStream(string(s.conversation))
	ctx, cancel := storing(c.r)
	defer cancel()
	sub, err := c.e.submit(ctx, p, s, func(t *topic, sub *submitted) {
		st.watch(t, sub.after)
	}, func() { st.stop(p) })
	if err != nil {
		return err
	}
	defer p.unpin(sub.t)
	defer st.stop(p)
	conv := sub.t.ref.Conversation()
	st.prefix = string(conv) + ":"
	st.out.send(jsonFrame(acceptedFrame{Type: "accepted", ID: s.id, ConversationID: conv, RunID: sub.run}))
	p.mu.Lock()
	st.w.n = sub.after
	st.w.start(sub.started)
	p.mu.Unlock()
	return st.serve(func(f *frame) bool { return ends(f.commit, sub.run) })
}

// ends reports whether a commit ends a run.
func ends(c *events.Commit, run events.RunID) bool {
	if c == nil {
		return false
	}
	for _, e := range c.Events {
		switch e := e.(type) {
		case events.RunCompleted:
			if e.RunID == run {
				return true
			}
		case events.RunFailed:
			if e.RunID == run {
				return true
			}
		case events.RunCancelled:
			if e.RunID == run {
				return true
			}
		}
	}
	return false
}
