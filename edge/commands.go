package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// enqueue stores a command in the inbox. known says that the broker has seen
// its id before: the command is stored already, or was.
func (e *Edge) enqueue(ctx context.Context, r events.Ref, id string, cmd events.Command) (known bool, err error) {
	start := time.Now()
	fault.At(fault.EdgeEnqueueBefore)
	err = e.o.Log.Enqueue(ctx, &events.Inbox{
		V: events.Version, ID: id, UserID: r.User(), ConversationID: r.Conversation(), Time: e.o.Clock().UTC(), Command: cmd,
	})
	switch {
	case err == nil:
		fault.At(fault.EdgeEnqueueAfter)
		e.metrics.publishSeconds.Observe(time.Since(start).Seconds())
		return false, nil
	case errors.Is(err, eventlog.ErrDuplicate):
		return true, nil
	}
	refusal := storeError(err)
	e.metrics.publishErrors.WithLabelValues(refusal.reason()).Inc()
	return false, refusal
}

// A submission is a command that begins a run: a message or a regenerate.
type submission struct {
	id           events.MessageID
	conversation events.ConversationID // empty: a new one
	cmd          events.Command
}

// A submitted command is stored, or was before.
type submitted struct {
	t   *topic // pinned; unpin it
	run events.RunID
	// after is the conversation's n before the run's first commit.
	after uint64
	// known is the run as the log has it, if the id was used before.
	known *events.Run
	// started: a watch at after misses nothing that the topic has not seen.
	started bool
}

// submit stores a message. before is called with the conversation's topic, its
// state known, and the person locked, ahead of the publish: whoever must not
// miss what follows registers there. On an error nothing is pinned, and undo
// has been called if before was.
func (e *Edge) submit(ctx context.Context, p *person, s submission, before func(*topic, *submitted), undo func()) (*submitted, error) {
	c := s.conversation
	if c == "" {
		c = events.ConversationIDFor(p.user, s.id)
	}
	r, err := events.NewRef(p.user, c)
	if err != nil || c == events.Home {
		return nil, notFound("conversation")
	}
	out := &submitted{t: p.pin(r), run: events.RunIDFor(p.user, c, s.id), started: true}
	isFresh := fresh(string(s.id), e.o.Clock())
	deleted, err := e.place(ctx, out.t, s, isFresh)
	if err == nil && (deleted || !isFresh) {
		out.known, _, err = e.prior(ctx, r, s)
		if err == nil && out.known == nil && deleted {
			err = refuse(409, codeConflict, "This conversation is deleted. Restore it first.")
		}
	}
	if err != nil {
		if fault.Planted(fault.StoreBeforeRefusal) {
			_, _ = e.enqueue(ctx, r, string(s.id), s.cmd)
		}
		p.unpin(out.t)
		return nil, err
	}
	p.mu.Lock()
	if out.after = out.t.state.N; s.conversation == "" && out.after > 0 {
		// Sent before, and the broker has forgotten the id: who names no conversation
		// has none of its commits.
		out.after, out.started = 0, false
	}
	if out.known != nil {
		out.after, out.started = out.known.N-1, false
	}
	before(out.t, out)
	p.mu.Unlock()
	if out.known != nil {
		return out, nil
	}
	known, err := e.enqueue(ctx, r, string(s.id), s.cmd)
	var n uint64
	if err == nil && known {
		out.known, n, err = e.prior(ctx, r, s)
		err = stored(err)
	}
	if err != nil {
		undo()
		p.unpin(out.t)
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known {
		// The first use may have made commits before this topic was there.
		if out.after, out.started = n, false; out.known != nil {
			out.after = out.known.N - 1
		}
		out.t.load()
	} else {
		out.t.stored(out.run, time.Now())
	}
	return out, nil
}

// place makes sure that the topic's state is known, and says whether the
// conversation is deleted.
func (e *Edge) place(ctx context.Context, t *topic, s submission, isFresh bool) (deleted bool, err error) {
	if s.conversation == "" {
		t.p.mu.Lock()
		if isFresh && t.state == nil && !t.loading && len(t.recent) == 0 {
			// Nobody can have made this conversation before. Should that be wrong,
			// the broker knows the id, or the next commit shows a gap.
			t.state = events.NewConversation(t.ref)
		}
		t.p.mu.Unlock()
	}
	err = t.ready(ctx)
	if refusal := (*apiError)(nil); s.conversation == "" && errors.As(err, &refusal) && refusal.code == codeNotFound {
		t.p.mu.Lock()
		if t.state == nil {
			t.state = events.NewConversation(t.ref)
		}
		t.p.mu.Unlock()
		err = nil
	}
	if err != nil {
		return false, err
	}
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	return t.state.Deleted, nil
}

// prior looks for an earlier use of a message's id. It returns the run if it was
// the same command, nil if there is no trace, and a refusal if it was another;
// n is the conversation's at that reading. It asks the log, and Postgres only for
// a use in a conversation that nothing here points to.
func (e *Edge) prior(ctx context.Context, r events.Ref, s submission) (run *events.Run, n uint64, err error) {
	c, err := e.hub.fold(ctx, r)
	if err != nil {
		return nil, 0, unavailable("The event log", err)
	}
	if run := c.Run(events.RunIDFor(r.User(), r.Conversation(), s.id)); run != nil {
		if !sameCommand(run, s.cmd) {
			return nil, 0, keyReused()
		}
		return run, c.N, nil
	}
	reused, err := e.usedElsewhere(ctx, r, s.id)
	if err == nil && reused {
		err = keyReused()
	}
	return nil, c.N, err
}

// usedElsewhere reports whether a message id belongs to another conversation: to
// the one that it started, or one that Postgres knows of.
func (e *Edge) usedElsewhere(ctx context.Context, r events.Ref, id events.MessageID) (bool, error) {
	if own := events.ConversationIDFor(r.User(), id); own != r.Conversation() {
		other, err := events.NewRef(r.User(), own)
		if err != nil {
			return false, fmt.Errorf("used elsewhere: %w", err)
		}
		known, err := e.o.Log.Known(ctx, other)
		if err != nil {
			return false, unavailable("The event log", err)
		}
		if known {
			return true, nil
		}
	}
	// Without Postgres the broker's memory of the last minutes has to do.
	ctx, cancel := patient(ctx)
	defer cancel()
	other, err := e.o.Queries.ConversationOfMessage(ctx, r.User(), id)
	return err == nil && other != r.Conversation(), nil
}

// sameCommand reports whether a run was begun by this command.
func sameCommand(run *events.Run, cmd events.Command) bool {
	m := run.Message
	switch cmd := cmd.(type) {
	case events.Message:
		parent := cmd.ParentID
		switch parent {
		case events.Root:
			parent = ""
		case "": // the tip of that moment
			parent = run.ParentID
		}
		return m.Regenerates == "" && m.Text == cmd.Text && parent == run.ParentID &&
			m.Model == cmd.Model && m.Timezone == cmd.Timezone
	case events.Regenerate:
		return m.Regenerates == cmd.RunID && m.Model == cmd.Model && m.Timezone == cmd.Timezone
	}
	return false
}

// A control is a command that is done once it is committed, or once the
// conversation is as it asks.
type control struct {
	id           string
	conversation events.ConversationID
	cmd          events.Command
	// want reports whether the state is what the command asks for; nil if no
	// state shows that.
	want func(*events.Conversation) bool
	// over, if not nil, says instead of all this when the command is done: at a
	// commit, or at none but in the state as it is.
	over func(*outcome, *events.Conversation, *events.Commit) bool
}

// done reports whether the command is done in state c, or with the commit that led to it.
func (k *control) done(o *outcome, c *events.Conversation, commit *events.Commit) bool {
	o.n = c.N
	if k.over != nil {
		return k.over(o, c, commit)
	}
	return commit != nil && commit.Cause == k.id || k.want != nil && k.want(c)
}

// An outcome will tell that a control is done.
type outcome struct {
	w *waiter
	t *topic
	// Valid once w is done.
	n   uint64      // the commit that did it
	run *events.Run // of a cancel: the run, which is over; nil for one that is not known yet
}

// control stores a command unless the conversation is as it asks already. The
// caller waits for the outcome and then releases it.
func (e *Edge) control(ctx context.Context, p *person, k control) (*outcome, error) {
	r, err := events.NewRef(p.user, k.conversation)
	if err != nil || k.conversation == events.Home {
		return nil, notFound("conversation")
	}
	o := &outcome{t: p.pin(r)}
	if err := o.t.ready(ctx); err != nil {
		p.unpin(o.t)
		return nil, err
	}
	p.mu.Lock()
	o.w = o.t.await(func(c *events.Conversation, commit *events.Commit) bool { return k.done(o, c, commit) })
	p.mu.Unlock()
	select {
	case <-o.w.done:
		return o, nil
	default:
	}
	known, err := e.enqueue(ctx, r, k.id, k.cmd)
	if err == nil && known {
		err = stored(e.settled(ctx, o, &k))
	}
	if err != nil {
		o.release()
		return nil, err
	}
	return o, nil
}

// settled ends the wait for a command that was committed before.
func (e *Edge) settled(ctx context.Context, o *outcome, k *control) error {
	c, err := e.hub.fold(ctx, o.t.ref)
	if err != nil {
		return unavailable("The event log", err)
	}
	o.t.p.mu.Lock()
	defer o.t.p.mu.Unlock()
	if _, open := o.t.waiters[o.w]; open && (k.done(o, c, nil) || k.over == nil && c.HasCause(k.id)) {
		delete(o.t.waiters, o.w)
		close(o.w.done)
	}
	return nil
}

func (o *outcome) release() {
	o.t.forgo(o.w)
	o.t.p.unpin(o.t)
}

// cancelRun stops a run, and is done when the run is over: then its receipt says
// what it did, and nothing of it is accepted after the commit that ended it. One
// that is not known yet gets a tombstone: its message may be on its way.
func (e *Edge) cancelRun(ctx context.Context, p *person, id string, c events.ConversationID, run events.RunID) (*outcome, error) {
	old, err := e.findRun(ctx, p, c, run)
	if err != nil {
		return nil, err
	}
	over := func(o *outcome, s *events.Conversation, commit *events.Commit) bool {
		r := copyRun(s, run)
		if r == nil {
			r = old // left out of a base
		}
		switch {
		case r == nil:
			return commit != nil && commit.Cause == id || s.HasCause(id)
		case !r.Status.Over():
			return false
		}
		o.run, o.n = r, r.EndedN
		return true
	}
	return e.control(ctx, p, control{id: id, conversation: c, cmd: events.Cancel{RunID: run}, over: over})
}

// findRun returns a copy of a run, or nil if the conversation has none of that id.
func (e *Edge) findRun(ctx context.Context, p *person, c events.ConversationID, run events.RunID) (*events.Run, error) {
	r, err := events.NewRef(p.user, c)
	if err != nil || c == events.Home {
		return nil, notFound("conversation")
	}
	t := p.pin(r)
	defer p.unpin(t)
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	found := copyRun(t.state, run)
	p.mu.Unlock()
	if found != nil {
		return found, nil
	}
	whole, err := e.hub.fold(ctx, r)
	if err != nil {
		return nil, unavailable("The event log", err)
	}
	return whole.Run(run), nil
}

// copyRun returns a copy that later commits do not change.
func copyRun(c *events.Conversation, id events.RunID) *events.Run {
	r := c.Run(id)
	if r == nil {
		return nil
	}
	k := *r
	k.Steps = slices.Clone(r.Steps)
	k.Calls = make([]*events.Call, len(r.Calls))
	for i, call := range r.Calls {
		v := *call
		k.Calls[i] = &v
	}
	return &k
}

func rename(id string, c events.ConversationID, title string) control {
	return control{id: id, conversation: c, cmd: events.Rename{Title: title}, want: func(s *events.Conversation) bool {
		return s.Title == title && s.TitleBy == events.ByUser
	}}
}

func pin(id string, c events.ConversationID, pinned bool) control {
	return control{id: id, conversation: c, cmd: events.Pin{Pinned: pinned}, want: func(s *events.Conversation) bool {
		return s.Pinned == pinned
	}}
}

func archive(id string, c events.ConversationID, archived bool) control {
	return control{id: id, conversation: c, cmd: events.Archive{Archived: archived}, want: func(s *events.Conversation) bool {
		return s.Archived == archived
	}}
}

func read(id string, c events.ConversationID, n uint64) control {
	return control{id: id, conversation: c, cmd: events.Read{ReadN: n}, want: func(s *events.Conversation) bool {
		return s.ReadN >= min(n, s.N)
	}}
}

func remove(id string, c events.ConversationID) control {
	return control{id: id, conversation: c, cmd: events.Delete{}, want: func(s *events.Conversation) bool { return s.Deleted }}
}

func restore(id string, c events.ConversationID) control {
	return control{id: id, conversation: c, cmd: events.Restore{}, want: func(s *events.Conversation) bool { return !s.Deleted }}
}

// A handCall is a tool call by hand that was stored.
type handCall struct {
	id  events.CallID
	t   *topic
	w   *waiter
	res CallResult // valid once w is done
	err *apiError  // likewise
}

// callTool stores a call by hand in the person's home.
func (e *Edge) callTool(ctx context.Context, p *person, id string, cmd events.CallTool) (*handCall, error) {
	r, err := events.NewRef(p.user, events.Home)
	if err != nil {
		return nil, fmt.Errorf("home: %w", err)
	}
	h := &handCall{id: events.HandCallID(p.user, id), t: p.pin(r)}
	if err := h.t.ready(ctx); err != nil {
		p.unpin(h.t)
		return nil, err
	}
	p.mu.Lock()
	h.w = h.t.await(func(c *events.Conversation, _ *events.Commit) bool {
		k, _ := c.Call(h.id)
		switch {
		case k == nil && c.CallAnswered(h.id):
			h.err = longAgo()
		case k == nil:
			return false
		case k.Name != cmd.Name || !sameJSON(k.Arguments, cmd.Arguments):
			h.err = keyReused()
		case !k.Status.Answered():
			return false
		default:
			h.res = CallResult{
				CallID: k.CallID, Name: k.Name, OK: k.Status == events.CallDone, Result: k.Result, Error: k.Error, DurationMS: k.DurationMS,
			}
		}
		return true
	})
	p.mu.Unlock()
	select {
	case <-h.w.done:
		if h.err != nil {
			h.release()
			return nil, h.err
		}
		return h, nil
	default:
	}
	known, err := e.enqueue(ctx, r, id, cmd)
	if err == nil && known {
		err = stored(e.answeredLongAgo(ctx, r, h.id))
	}
	if err != nil {
		h.release()
		return nil, err
	}
	return h, nil
}

func longAgo() *apiError {
	return refuse(409, codeConflict, "This call was made and answered long ago. Look at the task's history.")
}

// answeredLongAgo refuses a repeated call whose answer home no longer shows:
// nothing would come any more.
func (e *Edge) answeredLongAgo(ctx context.Context, r events.Ref, id events.CallID) error {
	c, err := e.hub.fold(ctx, r)
	if err != nil {
		return unavailable("The event log", err)
	}
	if k, _ := c.Call(id); k == nil && c.CallAnswered(id) {
		return longAgo()
	}
	return nil
}

func (h *handCall) release() {
	h.t.forgo(h.w)
	h.t.p.unpin(h.t)
}

// sameJSON compares values whatever their spacing and order of names.
func sameJSON(a, b jsontext.Value) bool {
	a, b = a.Clone(), b.Clone()
	return a.Canonicalize() == nil && b.Canonicalize() == nil && bytes.Equal(a, b)
}

// rate records an opinion of a run's answer.
func (e *Edge) rate(ctx context.Context, p *person, id string, c events.ConversationID, run events.RunID, rating, reason string) (*outcome, error) {
	if err := checkRating(rating, reason); err != nil {
		return nil, err
	}
	r, err := e.findRun(ctx, p, c, run)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, notFound("run")
	}
	return e.control(ctx, p, control{id: id, conversation: c, cmd: events.Rate{RunID: run, Rating: rating, Reason: reason}})
}

// answer decides about a call that waits for the person.
func (e *Edge) answer(ctx context.Context, p *person, id string, c events.ConversationID, a events.Answer) (*outcome, error) {
	if err := checkID("call_id", a.CallID); err != nil {
		return nil, err
	}
	if a.Decision != events.Allow && a.Decision != events.Deny {
		return nil, badRequest("decision must be \"allow\" or \"deny\".")
	}
	if len(a.Arguments) > 0 && (a.Arguments.Kind() != '{' || len(a.Arguments) > events.MaxArguments || hasNUL(a.Arguments)) {
		return nil, badRequest("arguments must be a JSON object of at most 64 KiB.")
	}
	if a.Reason != "" {
		if err := checkText("The reason", a.Reason, events.MaxReasonRunes); err != nil {
			return nil, err
		}
	}
	run, err := e.findRun(ctx, p, c, events.RunOf(a.CallID))
	if err != nil {
		return nil, err
	}
	if run == nil || run.Call(a.CallID) == nil {
		return nil, notFound("call")
	}
	over := run.Status.Over()
	return e.control(ctx, p, control{id: id, conversation: c, cmd: a, want: func(s *events.Conversation) bool {
		k, _ := s.Call(a.CallID)
		return over || k != nil && k.Status != events.CallAsking && k.Status != events.CallWaiting
	}})
}
