package agentworker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// A handler carries one delivery from its decision to its ack, through as many
// model calls as its lease gives it.
type handler struct {
	w     *Worker
	d     *eventlog.Delivery
	every time.Duration // between renewals; also how long a look at the log may take
	in    Input
	entry *conversation
	// slot gives back the slot that a handler without one took for its model
	// call. Slotted deliveries come with theirs.
	slotted bool
	slot    func()

	fresh    bool           // the fold has been brought up to date for the next decision
	tried    bool           // a commit has been tried: no later one has its model call begin ahead
	unlisten func()         // ends the subscriptions of a lease holder; nil before
	recheck  sync.Mutex     // one look at the log at a time
	tasks    sync.WaitGroup // the looks that signals asked for, and model calls

	mu        sync.Mutex
	stream    *stream // the open model call, nil before and after
	signalled bool    // a signal came that no look at the log has followed yet
	closed    bool    // no more looks
	lost      bool    // the model call belongs to another delivery
}

// A plan is what a committed decision leaves to do.
type plan struct {
	Decision
	due     Due
	claim   Claim
	request openai.Request
	call    *call // the model call if it has begun already
	done    bool  // the first run of the conversation has been completed
}

// handle is the eventlog.Handler of all four consumers. Slotted says that d was
// pulled with a slot for a model call.
func (w *Worker) handle(ctx context.Context, d *eventlog.Delivery, slotted bool) {
	in, ref, err := w.read(d)
	if err != nil {
		w.discard(ctx, d, err)
		return
	}
	h := &handler{w: w, d: d, every: d.RenewEvery(), in: in, entry: w.cache.get(ref), slotted: slotted}
	release := d.Hold(h.check)
	defer release()
	defer h.close()
	switch err := h.run(ctx); {
	case err == nil:
	case h.lostLease():
		// The message belongs to another delivery now: ack and nak would act on that.
	case ctx.Err() != nil:
		release()
		w.acked("nak", d.Nak())
	default:
		w.logger.Error("message left to be redelivered", "conversation_id", in.ConversationID, "inbox_id", in.ID,
			"delivery", in.Lease.Delivery, "err", err)
	}
}

// discard gives up a message that names no conversation of ours.
func (w *Worker) discard(ctx context.Context, d *eventlog.Delivery, reason error) {
	w.logger.Error("message given up", "stream", d.Lease().Stream, "seq", d.Lease().Sequence, "err", reason)
	if err := w.log.DeadLetter(ctx, d, reason.Error()); err != nil {
		w.logger.Error("dead letter", "err", err)
		return
	}
	w.acked("ack", d.Ack())
}

func (w *Worker) acked(what string, err error) {
	if err != nil {
		w.logger.Warn("message will be redelivered", "op", what, "err", err)
	}
}

func (h *handler) run(ctx context.Context) error {
	step := func(s *events.Conversation, in Input) Decision { return h.w.rules.Decide(s, in) }
	if err := h.inTurn(ctx); err != nil {
		return err
	}
	if fault.Planted(fault.AckBeforeCommit) {
		h.w.acked("ack", h.d.Ack())
	}
	var held Claim
	var used events.Usage // by the attempts of held's step that are from here
	defer func() {
		if ctx.Err() != nil && held != (Claim{}) && !h.lostLease() {
			h.handOver(ctx, held)
		}
	}()
	for {
		p, err := h.commit(ctx, step)
		if err != nil {
			return err
		}
		if p.claim.RunID != held.RunID || p.claim.Step != held.Step {
			used = events.Usage{}
		}
		held = p.claim
		if p.Signal {
			fault.At(fault.SignalBefore)
			// A lost signal costs time, not truth: the holder re-reads the log with each renewal.
			if err := h.w.log.Publish(h.entry.ref.Signal(), nil); err != nil {
				h.w.logger.Warn("signal", "err", err)
			}
			fault.At(fault.SignalAfter)
		}
		if p.Then != CallModel {
			if p.Then == Drop {
				if fault.Planted(fault.LostLeaseAcks) && h.lostLease() {
					h.w.acked("ack", h.d.Ack())
				}
				return nil
			}
			if fault.Planted(fault.AckBeforeEmit) {
				h.w.acked("ack", h.d.Ack())
			}
			if err := h.emit(ctx, p.due); err != nil {
				return err
			}
			h.deafen() // the next holder of a lease answers for the conversation
			fault.At(fault.AgentAckBefore)
			h.w.acked("ack", h.d.Ack())
			fault.At(fault.AgentAckAfter)
			if p.done {
				h.w.title(ctx, h.entry)
			}
			return nil
		}
		// Timers go out beside the model call, and before anything that follows it.
		emitted := make(chan error, 1)
		go func() { emitted <- h.emit(ctx, p.due) }()
		out := h.callModel(ctx, p)
		used = used.Add(out.usage())
		out.InputTokens, out.OutputTokens, out.Estimated = used.InputTokens, used.OutputTokens, used.Estimated
		if err := <-emitted; err != nil {
			return err
		}
		if ctx.Err() != nil {
			if !fault.Planted(fault.DrainCompletes) {
				return context.Cause(ctx)
			}
			ctx, out.Err = context.WithoutCancel(ctx), nil //nolint:fatcontext // planted: a context ends once
		}
		step = func(s *events.Conversation, in Input) Decision { return h.w.rules.AfterModel(s, p.claim, out, in) }
	}
}

// inTurn waits until the messages that INBOX stored before this one are in the
// log: a person's messages are accepted in the order in which they were stored,
// whichever workers pulled them. A slot is not held meanwhile: the message that
// is waited for may need it.
func (h *handler) inTurn(ctx context.Context) error {
	if h.d.Subject() != h.entry.ref.Message() || h.in.Lease.Delivery > maxDeliveries {
		return nil
	}
	partial := 0 // looks that did not show this message
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		mine, whole, err := h.mine(ctx)
		if !whole {
			partial++
		}
		switch {
		case err == nil && mine && (whole || partial > partialLooks):
			return nil
		case permanent(err):
			return err
		case err != nil && ctx.Err() == nil:
			h.w.logger.Warn("waiting for a turn", "conversation_id", h.entry.ref.Conversation(), "err", err)
		}
		h.giveSlot()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// mine reports whether nothing that must come before this message waits, or the
// log has this one already; whole, whether INBOX still showed this message. The
// fold, which the decision needs next, is brought up to date meanwhile.
func (h *handler) mine(ctx context.Context) (mine, whole bool, err error) {
	var beside sync.WaitGroup
	if !h.fresh {
		beside.Go(func() { h.fresh = h.look(ctx, func(*events.Conversation) {}) == nil })
	}
	earlier, whole, err := h.w.log.Earlier(ctx, h.entry.ref, h.in.Lease.Sequence)
	beside.Wait()
	if err != nil || len(earlier) == 0 {
		return err == nil, whole, err
	}
	// Whoever left INBOX before that look was in the log before it.
	err = h.look(ctx, func(s *events.Conversation) {
		mine = s.HasCause(h.in.ID) || !slices.ContainsFunc(earlier, func(id string) bool { return !s.HasCause(id) })
	})
	return mine, whole, err
}

// look calls f with the fold of the whole log, under its lock.
func (h *handler) look(ctx context.Context, f func(*events.Conversation)) error {
	e := h.entry
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.unlock()
	if err := h.w.cache.refresh(ctx, e); err != nil {
		return err
	}
	f(e.state)
	return nil
}

// trusts reports whether the fold is likely to be the log's end, without a look:
// this handler has committed before, and its newest commit is from here. If it is
// not the end, the log refuses what is decided on it. Whether a delivery is of
// something new is always looked up: it may be done, and an answer to it over. The
// caller holds the entry.
func (h *handler) trusts() bool {
	return h.tried && h.in.Lease.Delivery == 1 && h.entry.state != nil && h.entry.own
}

// partialLooks is how often a message is looked for where it should be. One that
// another handler has acknowledged is not there, and that handler has the log's answer.
const partialLooks = 5

// handOver says in the log that the open model call of c was interrupted, not
// lost. If another delivery has taken the call over, there is nothing to give back.
func (h *handler) handOver(ctx context.Context, c Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	p, err := h.commit(ctx, func(s *events.Conversation, _ Input) Decision { return h.w.rules.Interrupted(s, c) })
	switch {
	case err == nil && len(p.Events) == 0:
		h.mu.Lock()
		h.lost = true
		h.mu.Unlock()
	case err != nil:
		h.w.logger.Warn("step handed over as a failed attempt", "run_id", c.RunID, "step", c.Step, "attempt", c.Attempt, "err", err)
	}
}

// commit decides on the newest state and stores the decision, deciding again
// whenever someone was faster, and waiting out outages.
func (h *handler) commit(ctx context.Context, step func(*events.Conversation, Input) Decision) (*plan, error) {
	w, e := h.w, h.entry
	if err := e.lock(ctx); err != nil {
		return nil, err
	}
	defer e.unlock()
	if fault.Planted(fault.RebaseOnConflict) {
		step = onlyOnce(step)
	}
	trust := h.fresh && e.state != nil || h.trusts()
	h.fresh = false
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		p, err := h.try(ctx, step, trust)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		trusted := trust
		trust = false
		if errors.Is(err, eventlog.ErrConflict) {
			if trusted {
				continue // it was not the log's end after all
			}
		} else {
			if permanent(err) {
				return nil, err
			}
			w.logger.Warn("waiting to commit", "conversation_id", e.ref.Conversation(), "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// onlyOnce makes step decide once and say the same ever after: a planted bug.
func onlyOnce(step func(*events.Conversation, Input) Decision) func(*events.Conversation, Input) Decision {
	var d *Decision
	return func(s *events.Conversation, in Input) Decision {
		if d == nil {
			first := step(s, in)
			d = &first
		}
		return *d
	}
}

// permanent reports an error that waiting does not mend.
func permanent(err error) bool {
	return errors.Is(err, events.ErrMalformed) || errors.Is(err, events.ErrVersion) || errors.Is(err, events.ErrForeign) ||
		errors.Is(err, events.ErrTooLarge)
}

// try makes one attempt, with trust on the fold as it is: the log refuses a commit
// that does not follow its newest one. What asks for no commit is decided on what
// the log has now. The caller holds the entry.
func (h *handler) try(ctx context.Context, step func(*events.Conversation, Input) Decision, trust bool) (*plan, error) {
	w, e := h.w, h.entry
	in := h.in
	in.Now = w.opts.Now().UTC().Truncate(time.Millisecond)
	var d Decision
	if trust {
		d = step(e.state, in)
		trust = len(d.Events) > 0 && !d.Certain && d.DeadLetter == ""
	}
	if !trust {
		if err := w.cache.refresh(ctx, e); err != nil {
			return nil, err
		}
		d = step(e.state, in)
	}
	if d.Then == CallModel && h.unlisten == nil {
		// Before step.started is stored: a stop that follows it must find a listener.
		if err := h.listen(); err != nil { //nolint:contextcheck // signals outlive this call; each look has its stream's context
			return nil, err
		}
	}
	if d.Certain {
		seq, err := w.log.Newest(ctx, e.ref)
		if err != nil {
			return nil, err
		}
		if seq != e.seq {
			return nil, &eventlog.ConflictError{} // the state was stale: read and decide again
		}
	}
	if d.DeadLetter != "" {
		// Before the commit: once that is there, a redelivery is only acknowledged.
		if err := w.log.DeadLetter(ctx, h.d, d.DeadLetter); err != nil {
			return nil, err
		}
	}
	var begun *call
	if len(d.Events) > 0 {
		c, err := h.build(in, d)
		if err != nil {
			return nil, err
		}
		fault.At(fault.CommitBefore)
		var seq uint64
		seq, begun, err = h.append(ctx, c, d)
		var conflict *eventlog.ConflictError
		switch {
		case err == nil:
			fault.At(fault.CommitAfter)
			raw, err := c.Encode() // for its length
			if err == nil {
				err = e.apply(c, seq, len(raw))
			}
			if err != nil {
				e.state = nil // never: it was encoded before, and n was this state's next
				begun.drop()
				return nil, err
			}
			e.own = true
			w.cache.settle(e)
		case errors.As(err, &conflict) && conflict.Stored:
			// Stored after all, perhaps with more behind it: go on only if the
			// state still gives the model call to this handler.
			if err := w.cache.refresh(ctx, e); err != nil {
				return nil, err
			}
			if run := e.state.Active(); !fault.Planted(fault.OwnCommitBlind) && d.Then == CallModel && (run == nil || !run.Streaming || run.Lease != in.Lease || !started(d, run)) {
				d = Decision{Then: Drop}
			}
		default:
			return nil, err
		}
	}
	p, err := h.plan(d, begun)
	if err != nil {
		begun.drop()
	}
	return p, err
}

// append stores c. Where d calls the model, the call begins meanwhile: with a
// handler's first try only, so that a log which refuses again and again costs no
// calls, and who comes from a model call looks first. On an error it is given up,
// also where the log has c after all: then the state says who goes on.
//
// A store that is under way when the worker is told to stop is waited for a little
// longer: only a step that is known to be stored can be handed over.
func (h *handler) append(ctx context.Context, c *events.Commit, d Decision) (seq uint64, begun *call, err error) {
	if ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	store, end := outlive(ctx, handOverTime, errShutdown)
	defer end()
	ahead := !h.tried && d.Then == CallModel && h.slotted && h.in.Lease.Delivery == 1
	h.tried = true
	if !ahead {
		seq, err = h.w.log.Append(store, c, h.entry.seq)
		return seq, nil, err
	}
	var done sync.WaitGroup
	done.Go(func() { seq, err = h.w.log.Append(store, c, h.entry.seq) })
	begun = h.foresee(ctx, c)
	done.Wait()
	if err != nil {
		begun.drop()
		begun = nil
	}
	return seq, begun, err
}

// foresee begins the model call that c leads to. It returns nil where c also ends
// a run: what that one adds to the history is not in the fold yet.
func (h *handler) foresee(ctx context.Context, c *events.Commit) *call {
	s := h.entry.state
	next := s.Unfinished()
	if next.Apply(c) != nil {
		return nil
	}
	run := next.Active()
	if run == nil || s.Active() != nil && s.Active().RunID != run.RunID {
		return nil
	}
	request, err := h.w.opts.Prompt.request(s, run, h.w.rules.Tools)
	if err != nil {
		return nil
	}
	return h.begin(ctx, claimOf(run), request)
}

// started reports whether d is the decision that began run's open step.
func started(d Decision, run *events.Run) bool {
	for _, e := range d.Events {
		if s, ok := e.(events.StepStarted); ok && s.RunID == run.RunID && s.Step == run.Step && s.Attempt == run.Attempt {
			return true
		}
	}
	return false
}

func (h *handler) build(in Input, d Decision) (*events.Commit, error) {
	e := h.entry
	n := e.state.N + 1
	id, err := events.CommitID(e.ref, n, h.w.name, in.Lease, d.Events)
	if err != nil {
		return nil, err
	}
	return &events.Commit{
		V: events.Version, ConversationID: in.ConversationID, UserID: in.UserID, N: n, CommitID: id,
		Cause: in.ID, By: in.by(), Time: in.Now, Events: d.Events,
	}, nil
}

// plan takes from the state, under its lock, all that is needed once the lock is gone.
func (h *handler) plan(d Decision, begun *call) (*plan, error) {
	s := h.entry.state
	p := &plan{Decision: d, call: begun}
	if d.Then == Drop {
		return p, nil
	}
	p.due = h.w.rules.Due(s)
	switch {
	case fault.Planted(fault.EmitFromDecision) && len(d.Events) == 0, fault.Planted(fault.TakeoverNoTimer) && d.Then == CallModel && s.Active().Attempt > 1:
		p.due = Due{}
	}
	h.entry.emitted.keep(p.due)
	for _, e := range d.Events {
		if _, ok := e.(events.RunCompleted); ok && s.Title == "" {
			p.done = true
		}
	}
	if d.Then == CallModel {
		run := s.Active()
		if run == nil {
			return nil, fmt.Errorf("decided to call the model without a run: %w", events.ErrMalformed)
		}
		p.claim = claimOf(run)
		if begun != nil {
			return p, nil
		}
		var err error
		if p.request, err = h.w.opts.Prompt.request(s, run, h.w.rules.Tools); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// emit publishes what due holds and this process has not seen stored yet,
// waiting out outages until ctx ends.
func (h *handler) emit(ctx context.Context, due Due) error {
	for _, t := range due.Timers {
		err := h.once(ctx, t.key(), func() error { return h.w.log.Schedule(ctx, t.ID, t.At, &t.Inbox) })
		if err != nil {
			return err
		}
	}
	for _, item := range due.Work {
		if err := h.once(ctx, item.DedupeID(), func() error { return h.w.log.Dispatch(ctx, &item) }); err != nil {
			return err
		}
	}
	return nil
}

func (h *handler) once(ctx context.Context, key string, publish func() error) error {
	e := h.entry
	if e.emitted.has(key) {
		return nil
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := publish()
		if err == nil {
			e.emitted.add(key)
			return nil
		}
		h.w.logger.Warn("waiting to emit", "conversation_id", e.ref.Conversation(), "err", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
