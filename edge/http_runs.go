package edge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// runWait is how long a run that was just begun may take to show up.
const runWait = time.Second

// handCallWait is how long a call by hand waits for its answer: until its
// deadline has passed it may still run.
const handCallWait = 65 * time.Second

// RunState is how a run stands.
type RunState struct {
	RunID          events.RunID          `json:"run_id"`
	ConversationID events.ConversationID `json:"conversation_id"`
	MessageID      events.MessageID      `json:"message_id"`
	Status         events.Status         `json:"status"`
	Response       string                `json:"response"`
	ToolCalls      []ToolCallState       `json:"tool_calls"`
	Usage          events.Usage          `json:"usage"`
	Error          *events.RunError      `json:"error,omitempty"`
	Receipt        *events.Receipt       `json:"receipt,omitempty"`
	// EndedN is the commit that ended the run: nothing of it is accepted after that.
	EndedN uint64 `json:"ended_n,omitzero"`
	// N is the conversation's at the time of this reading.
	N uint64 `json:"n"`
}

// ToolCallRequest is the body of POST …/tool_calls.
type ToolCallRequest struct {
	Name      string         `json:"name"`
	Arguments jsontext.Value `json:"arguments,omitzero"`
	// ID makes a retry safe; the Idempotency-Key header does as well.
	ID string `json:"id,omitzero"`
}

func runState(c *events.Conversation, r *events.Run) RunState {
	return RunState{
		RunID: r.RunID, ConversationID: c.ConversationID, MessageID: r.Message.MessageID, Status: r.Status, Response: r.Answer(),
		ToolCalls: toolCallsOf(r), Usage: r.Usage, Error: r.Error, Receipt: r.Receipt, EndedN: r.EndedN, N: c.N,
	}
}

func (c *call) run() error {
	p, err := c.e.hub.acquire(c.user)
	if err != nil {
		return err
	}
	defer c.e.hub.release(p)
	run, r, err := c.runRef()
	if err != nil {
		return err
	}
	s, err := c.readRun(p, r, run)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, s)
}

// runRef returns the run that the path names and its conversation: what the
// query says, or what Postgres knows. The recorder may be a moment behind.
func (c *call) runRef() (events.RunID, events.Ref, error) {
	run := events.RunID(chi.URLParam(c.r, "run"))
	if !events.ValidID(run) {
		return "", events.Ref{}, notFound("run")
	}
	if conv := events.ConversationID(c.r.URL.Query().Get("conversation_id")); conv != "" {
		r, err := events.NewRef(c.user, conv)
		if err != nil || conv == events.Home {
			return "", events.Ref{}, notFound("run")
		}
		return run, r, nil
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), runWait)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		conv, err := c.e.o.Queries.ConversationOfRun(c.r.Context(), c.user, run)
		switch {
		case err == nil:
			r, err := events.NewRef(c.user, conv)
			return run, r, err
		case !errors.Is(err, readmodel.ErrNotFound):
			return "", events.Ref{}, queryError(err)
		case !pause(ctx, wait):
			return "", events.Ref{}, notFound("run")
		}
	}
}

// readRun waits a moment for a run whose message is on its way.
func (c *call) readRun(p *person, r events.Ref, run events.RunID) (RunState, error) {
	t := p.pin(r)
	defer p.unpin(t)
	if err := t.ready(c.r.Context()); err != nil {
		return RunState{}, hideConversation(err)
	}
	var s RunState
	p.mu.Lock()
	w := t.await(func(st *events.Conversation, _ *events.Commit) bool {
		k := copyRun(st, run)
		if k == nil {
			return false
		}
		s = runState(st, k)
		return true
	})
	p.mu.Unlock()
	defer t.forgo(w)
	select {
	case <-w.done:
		return s, nil
	default:
	}
	whole, err := c.e.wholeConversation(c.r.Context(), r)
	if err != nil {
		return RunState{}, err
	}
	if k := whole.Run(run); k != nil {
		return runState(whole, k), nil
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), runWait)
	defer cancel()
	if !c.wait(ctx, w) {
		return RunState{}, notFound("run")
	}
	return s, nil
}

// hideConversation speaks of the run where it was the conversation that is unknown.
func hideConversation(err error) error {
	var e *apiError
	if errors.As(err, &e) && e.code == codeNotFound {
		return notFound("run")
	}
	return err
}

func (c *call) cancelRun() error {
	p, err := c.e.hub.acquire(c.user)
	if err != nil {
		return err
	}
	defer c.e.hub.release(p)
	run, r, err := c.runRef()
	if err != nil {
		return err
	}
	t := p.pin(r)
	defer p.unpin(t)
	ctx, cancel := context.WithTimeout(c.r.Context(), commitWait)
	defer cancel()
	o, err := c.e.cancelRun(ctx, p, newID(), r.Conversation(), run)
	if err != nil {
		return hideConversation(err)
	}
	over := c.wait(ctx, o.w)
	o.release()
	if !over {
		// A tool's answer is still out, such as while Postgres is away.
		return c.accepted(r.Conversation(), "", run, events.Cancelling)
	}
	s, err := c.readRun(p, r, run)
	if e := (*apiError)(nil); errors.As(err, &e) && e.code == codeNotFound {
		// A tombstone: the run's message, should it come, is cancelled at once.
		return c.accepted(r.Conversation(), "", run, events.Cancelling)
	}
	if err != nil {
		return stored(err)
	}
	return c.json(http.StatusOK, s)
}

// toolCalls makes a call by hand, in the person's home.
func (c *call) toolCalls() error {
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	var in ToolCallRequest
	if err := c.body(&in); err != nil {
		return err
	}
	cmd, refusal := c.e.toolCall(in.Name, in.Arguments)
	if refusal != nil {
		return refusal
	}
	id := in.ID
	if id != "" {
		if err := checkID("id", id); err != nil {
			return err
		}
		if key != "" && string(key) != id {
			return badRequest("\"id\" and Idempotency-Key differ.")
		}
	} else if id = string(key); id == "" {
		id = newID()
	}
	p, err := c.e.hub.acquire(c.user)
	if err != nil {
		return err
	}
	defer c.e.hub.release(p)
	c.long()
	ctx, cancel := context.WithTimeout(c.r.Context(), handCallWait)
	defer cancel()
	h, err := c.e.callTool(ctx, p, id, cmd)
	if err != nil {
		return err
	}
	defer h.release()
	if !c.wait(ctx, h.w) {
		return c.storedOnly("/api/" + string(c.user) + "/conversations/" + string(events.Home) + "/events")
	}
	if h.err != nil {
		return h.err
	}
	return c.json(http.StatusOK, h.res)
}

func (c *call) tasks() error {
	limit, err := c.limit(200, 500)
	if err != nil {
		return err
	}
	status := c.r.URL.Query().Get("status")
	switch status {
	case "":
		status = "all"
	case "all", "open", "completed":
	default:
		return badRequest("status must be all, open or completed.")
	}
	q, err := c.text("q")
	if err != nil {
		return err
	}
	after, err := c.text("after")
	if err != nil {
		return err
	}
	query := readmodel.TasksQuery{Status: status, Text: q, Limit: limit, After: after}
	if c.r.URL.Query().Has("as_of") {
		rev, err := c.number("as_of")
		if err != nil {
			return err
		}
		asOf := int64(rev)
		query.AsOf = &asOf
	}
	page, err := c.e.o.Queries.Tasks(c.r.Context(), c.user, query)
	if err != nil {
		return queryError(err)
	}
	if page.Data == nil {
		page.Data = []readmodel.Task{}
	}
	return c.json(http.StatusOK, page)
}

// taskChanges answers what a replay needs beside the commits: tasks belong to the
// person, and other conversations and the person's own hand change them too.
func (c *call) taskChanges() error {
	limit, err := c.limit(200, 500)
	if err != nil {
		return err
	}
	after, err := c.number("after")
	if err != nil {
		return err
	}
	q := readmodel.TaskChangesQuery{After: int64(after), Limit: limit}
	if s := c.r.URL.Query().Get("since"); s != "" {
		if q.Since, err = time.Parse(time.RFC3339, s); err != nil {
			return badRequest("since must be a time, as 2026-01-02T15:04:05Z.")
		}
	}
	page, err := c.e.o.Queries.TaskChanges(c.r.Context(), c.user, q)
	if err != nil {
		return queryError(err)
	}
	if page.Data == nil {
		page.Data = []readmodel.TaskChange{}
	}
	return c.json(http.StatusOK, page)
}

func (c *call) taskHistory() error {
	limit, err := c.limit(50, 200)
	if err != nil {
		return err
	}
	after, err := c.text("after")
	if err != nil {
		return err
	}
	task, ok := parseTaskID(chi.URLParam(c.r, "task"))
	if !ok {
		return notFound("task")
	}
	page, err := c.e.o.Queries.TaskHistory(c.r.Context(), c.user, task, limit, after)
	if errors.Is(err, readmodel.ErrNotFound) {
		return notFound("task")
	}
	if err != nil {
		return queryError(err)
	}
	if page.Data == nil {
		page.Data = []readmodel.TaskChange{}
	}
	return c.json(http.StatusOK, page)
}
