package agentworker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// flushEvery is the time between two deltas of an answer, on average: a frame of
// a screen. A model that is slower is passed on piece by piece, a faster one is
// gathered.
//
// After a pause up to flushBurst deltas follow each other at once. With a fixed
// distance instead, one piece that came late would delay every later piece of a
// model that writes at about this pace; and what is above its pace here, about 60
// against 50 tokens a second, takes back a delay that is there all the same.
const (
	flushEvery = 16 * time.Millisecond
	flushBurst = 4
)

// A stream is one open model call: the text so far and how to cut it.
type stream struct {
	claim   Claim
	ref     events.Ref
	publish func(subject string, data []byte) error
	ctx     context.Context // the call's own: its end makes a look at the log pointless
	cut     context.CancelCauseFunc

	mu    sync.Mutex
	held  bool // until the commit is stored that allows the call, nobody sees its text
	text  []byte
	sent  int       // bytes of text that are out as deltas
	due   time.Time // of the next delta, were there no bursts
	timer *time.Timer
	buf   []byte
	over  bool
}

// write adds a piece of the answer. What cannot be stored as text is replaced
// here, so that the streamed and the stored text are one.
func (s *stream) write(piece string) {
	piece = clean(piece)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, piece...)
	switch wait := time.Until(s.due.Add(-(flushBurst - 1) * flushEvery)); {
	case wait <= 0:
		s.flush()
	case s.timer == nil:
		s.timer = time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.timer = nil
			s.flush()
		})
	}
}

// clean makes a provider's text storable: valid UTF-8 without U+0000, which
// Postgres cannot hold.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}

// flush sends what is not sent. The caller holds the lock.
func (s *stream) flush() {
	if s.held || s.over || s.sent == len(s.text) {
		return
	}
	if s.sent == 0 {
		fault.At(fault.ModelFirstByte)
	}
	d := events.Delta{
		ConversationID: s.ref.Conversation(), RunID: s.claim.RunID, Step: s.claim.Step, Attempt: s.claim.Attempt,
		Offset: s.sent, Text: string(s.text[s.sent:]),
	}
	if fault.Planted(fault.DeltaAttemptFixed) {
		d.Attempt = 1
	}
	if fault.Planted(fault.DeltaOffsetRunes) {
		d.Offset = utf8.RuneCount(s.text[:s.sent])
	}
	s.buf = d.Append(s.buf[:0])
	// A delta that cannot be sent is a hole that readers mend by asking for a snapshot.
	_ = s.publish(s.ref.Delta(), s.buf)
	if s.sent == 0 {
		fault.At(fault.DeltaAfter)
	}
	s.sent = len(s.text)
	if now := time.Now(); s.due.Before(now) {
		s.due = now
	}
	s.due = s.due.Add(flushEvery)
}

// release lets the text go out.
func (s *stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	s.flush()
}

// end sends the rest and stops the timer.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// snapshot returns the frame of the text so far, all of which counts as sent.
func (s *stream) snapshot() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	f := events.Snapshot{
		ConversationID: s.ref.Conversation(), RunID: s.claim.RunID, Step: s.claim.Step, Attempt: s.claim.Attempt, Text: string(s.text),
	}
	return f.Append(nil)
}

// A call is a model call that has begun, perhaps ahead of the commit that allows
// it: the store's time and the provider's then pass together.
type call struct {
	stream     *stream
	begun      time.Time
	done       chan struct{} // closed when the two below are set
	completion openai.Completion
	err        error
}

// begin makes a model call whose text is held.
func (h *handler) begin(ctx context.Context, claim Claim, request openai.Request) *call {
	mctx, cut := context.WithCancelCause(ctx)
	c := &call{
		stream: &stream{claim: claim, ref: h.entry.ref, publish: h.w.opts.Deltas.Publish, ctx: mctx, cut: cut, held: true},
		begun:  time.Now(), done: make(chan struct{}),
	}
	h.tasks.Go(func() {
		defer close(c.done)
		if c.err = h.takeSlot(mctx); c.err == nil {
			fault.At(fault.ModelBefore)
			c.completion, c.err = h.w.opts.Model.Stream(mctx, request, c.stream.write)
			fault.At(fault.ModelAfter)
		}
	})
	return c
}

// drop gives up a call that may not be made. The handler waits for its end in close.
func (c *call) drop() {
	if c != nil {
		c.stream.cut(errUnstored)
	}
}

// callModel makes the model call of p, if it has not begun, and streams it. It is
// cut when the run is asked to stop, when the lease is lost, and when ctx ends.
func (h *handler) callModel(ctx context.Context, p *plan) Outcome {
	c := p.call
	if c == nil {
		c = h.begin(ctx, p.claim, p.request)
	}
	s := c.stream
	defer s.cut(nil)
	s.release() // before anybody can ask for the text so far
	h.open(s)   //nolint:contextcheck // it looks after s, whose context is ours
	<-c.done
	s.end()
	h.open(nil) //nolint:contextcheck // likewise
	s.mu.Lock()
	c.completion.Text = string(s.text)
	s.mu.Unlock()
	out := Outcome{Completion: c.completion}
	if c.err != nil && !errors.As(c.err, &out.Err) {
		out.Err = &openai.Error{Code: events.FailModel, Message: "The model did not answer. Your message is saved; you can ask again.", Err: c.err}
	}
	if c.err != nil && s.ctx.Err() == nil {
		// Without the sentence for the person: it may quote the provider, and that the prompt.
		h.w.logger.Warn("model call failed", "run_id", p.claim.RunID, "step", p.claim.Step, "attempt", p.claim.Attempt,
			"code", out.Err.Code, "err", out.Err.Err)
	}
	h.w.logger.Debug("model call ended", "run_id", p.claim.RunID, "step", p.claim.Step, "attempt", p.claim.Attempt,
		"duration_ms", time.Since(c.begun).Milliseconds(), "output_tokens", c.completion.OutputTokens)
	return out
}

// takeSlot waits for a slot unless the delivery came with one. Its room among
// the controls is given back: a stop never waits behind the answers it should stop.
func (h *handler) takeSlot(ctx context.Context) error {
	if h.slotted {
		return nil
	}
	h.giveSlot()
	release, err := h.w.slots.first(ctx)
	if err != nil {
		return err
	}
	h.slotted, h.slot = true, release
	return nil
}

// giveSlot gives back the room that the delivery came with; a model call takes a slot again.
func (h *handler) giveSlot() {
	h.d.Release()
	h.slotted = false
}

// open makes s the open model call, or says that there is none.
func (h *handler) open(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stream = s
	if s != nil && h.signalled {
		// It came between the commit of step.started and now.
		h.tasks.Go(func() { h.check() })
	}
}

// signal has the log looked at, now or as soon as a model call is open.
func (h *handler) signal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.signalled || h.closed {
		return
	}
	h.signalled = true
	if h.stream != nil {
		h.tasks.Go(func() { h.check() })
	}
}

// listen subscribes the lease holder to stop signals and to requests for the text so far.
func (h *handler) listen() error {
	ref := h.entry.ref
	unsignal, err := h.w.log.Subscribe(ref.Signal(), func(*nats.Msg) { h.signal() })
	if err != nil {
		return err
	}
	// In order with the deltas, so on their connection.
	unsnap, err := h.w.opts.Deltas.Subscribe(ref.Snapshot(), func(m *nats.Msg) {
		h.mu.Lock()
		s := h.stream
		h.mu.Unlock()
		if s != nil {
			// Nobody waits for long: a lost answer is asked for again.
			_ = m.Respond(s.snapshot())
		}
	})
	if err != nil {
		unsignal()
		return err
	}
	h.unlisten = func() { unsignal(); unsnap() }
	return nil
}

// deafen ends the subscriptions of a lease holder.
func (h *handler) deafen() {
	if h.unlisten != nil {
		h.unlisten()
		h.unlisten = nil
	}
}

// close ends what the handler has begun, and waits for it.
func (h *handler) close() {
	h.deafen()
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.tasks.Wait()
	if h.slot != nil {
		h.slot()
	}
}

// lostLease reports whether the message belongs to another delivery.
func (h *handler) lostLease() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// check reads the log again while a model call is open, and cuts the call if
// the run was asked to stop or the lease has gone to another delivery: then it
// reports false. It runs at a signal and at each renewal, because a signal may
// be lost.
func (h *handler) check() (mine bool) {
	h.recheck.Lock()
	defer h.recheck.Unlock()
	h.mu.Lock()
	s := h.stream
	if s != nil {
		h.signalled = false
	}
	h.mu.Unlock()
	if s == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(s.ctx, h.every)
	defer cancel()
	var run *events.Run // as the log has it now, if the claim still holds it
	err := h.look(ctx, func(state *events.Conversation) {
		if r := s.claim.holds(state); r != nil {
			now := *r
			run = &now
		}
	})
	switch {
	case s.ctx.Err() != nil:
		return true // the call has ended meanwhile; its handler looks for itself
	case err != nil:
		h.w.logger.Warn("cannot look for a stop", "run_id", s.claim.RunID, "err", err)
	case run == nil:
		h.mu.Lock()
		h.lost = true
		h.mu.Unlock()
		s.cut(errLost)
		return false
	case run.Stop != nil:
		s.cut(errStopped)
	}
	return true
}
