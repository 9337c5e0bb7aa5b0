package edge

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

const (
	// recentFrames and recentBytes bound the commits that a topic remembers, so
	// that readers who arrive together need not all read the log.
	recentFrames = 32
	recentBytes  = 128 << 10
	// openRuns is how many runs a topic's state may have before those that are
	// over are left out.
	openRuns = 8
	// tellEvery bounds how often the sockets hear about one conversation.
	tellEvery = 300 * time.Millisecond
	// longHistory is the number of commits above which the state is read from
	// Postgres first.
	longHistory = 200
)

// A topic is one conversation on this edge. All fields are guarded by the
// person's lock.
type topic struct {
	p    *person
	ref  events.Ref
	used uint64
	pins int

	watches map[*watch]struct{}
	waiters map[*waiter]struct{}

	// recent are the newest commits, without a gap.
	recent      []*frame
	recentBytes int
	heard       time.Time // when a commit came last, or the log was compared

	// state is the conversation with its open runs and the last few others; nil
	// until somebody needs it.
	state   *events.Conversation
	loading bool
	loaded  []chan error

	// told is what the sockets know.
	told     summary
	toldAt   time.Time
	tellLate *time.Timer

	draft draft
	// deltas is the subscription, while somebody watches.
	deltas *nats.Subscription
	// accepted is when this edge stored a message, until its first delta.
	accepted map[events.RunID]time.Time
}

// summary is what a "conversation" frame says.
type summary struct {
	n        uint64
	title    string
	status   string
	pinned   bool
	archived bool
	deleted  bool
}

func newTopic(p *person, r events.Ref) *topic {
	return &topic{p: p, ref: r, watches: map[*watch]struct{}{}, heard: time.Now()}
}

// idle reports whether nobody needs the topic.
func (t *topic) idle() bool {
	return t.pins == 0 && len(t.watches) == 0 && len(t.waiters) == 0 && !t.loading
}

// drop frees what the topic holds outside itself.
func (t *topic) drop() {
	for w := range t.watches {
		w.cancel()
	}
	clear(t.watches)
	t.unsubscribeDeltas()
	if t.tellLate != nil {
		t.tellLate.Stop()
	}
}

// commit takes a live commit.
func (t *topic) commit(f *frame) {
	t.heard = time.Now()
	if k := len(t.recent); k > 0 {
		switch last := t.recent[k-1].n; {
		case f.n <= last:
			return
		case f.n > last+1:
			t.recent, t.recentBytes = nil, 0
		}
	}
	t.recent = append(t.recent, f)
	t.recentBytes += len(f.wire)
	for len(t.recent) > recentFrames || len(t.recent) > 1 && t.recentBytes > recentBytes {
		t.recentBytes -= len(t.recent[0].wire)
		t.recent = append(t.recent[:0:0], t.recent[1:]...)
	}
	for w := range t.watches {
		switch {
		case !w.live || f.n <= w.n:
		case f.n == w.n+1 || fault.Planted(fault.LiveWithoutRead):
			w.out.send(f)
			w.n = f.n
		default:
			w.lose()
		}
	}
	switch {
	case t.state == nil && f.n == 1 && !t.loading:
		t.state = events.NewConversation(t.ref)
		t.advance()
	case t.state != nil:
		t.advance()
	case !t.loading:
		t.load()
	}
}

// advance applies to the state what the topic remembers, and reads what it does not.
func (t *topic) advance() {
	for _, f := range t.recent {
		if f.n <= t.state.N {
			continue
		}
		if f.n > t.state.N+1 {
			t.p.hub.metrics.gaps.Inc()
			t.load()
			return
		}
		t.apply(f.commit)
	}
}

// apply adds the next commit to the state and tells who waits for it.
func (t *topic) apply(c *events.Commit) {
	if err := t.state.Apply(c); err != nil {
		t.p.hub.logger.Error("commit does not apply", "conversation_id", c.ConversationID, "n", c.N, "err", err)
		return
	}
	for w := range t.waiters {
		t.check(w, c)
	}
	t.settleDraft()
	for _, e := range c.Events {
		if r, ok := e.(events.ToolReturned); ok {
			t.tellTask(r)
		}
		t.forgetAccepted(e)
	}
	t.tell()
	if len(t.state.Runs) > openRuns {
		// What is over has been told; the causes of old commits go with it.
		t.state = t.state.Base(openRuns / 4)
	}
}

// load reads the state from archive and log in the background, or the part
// that is missing from it.
func (t *topic) load() {
	if t.loading {
		return
	}
	t.loading = true
	known, after := t.state != nil, uint64(0)
	if known {
		after = t.state.N
	}
	t.p.hub.background(func(ctx context.Context) {
		var tail []eventlog.Stored
		var fresh *events.Conversation
		var err error
		if known {
			tail, err = t.p.hub.tail(ctx, t.ref, after)
			if errors.Is(err, errAhead) { // a stale replica: what is missing comes later
				err = nil
			}
		} else {
			fresh, err = t.p.hub.openState(ctx, t.ref)
		}
		t.p.mu.Lock()
		defer t.p.mu.Unlock()
		t.loading = false
		if err == nil {
			if t.state == nil {
				t.state = fresh
				for w := range t.waiters {
					t.check(w, nil)
				}
				t.settleDraft()
			}
			for _, s := range tail {
				if s.N == t.state.N+1 {
					t.apply(s.Commit)
				}
			}
			t.advance()
			t.tell()
		}
		for _, c := range t.loaded {
			c <- err
		}
		t.loaded = nil
		t.p.trim()
	})
}

// ready waits until the state is known. It fails with a 404 if the person has
// no such conversation.
func (t *topic) ready(ctx context.Context) error {
	t.p.mu.Lock()
	if t.state != nil {
		t.p.mu.Unlock()
		return nil
	}
	done := make(chan error, 1)
	t.loaded = append(t.loaded, done)
	t.load()
	t.p.mu.Unlock()
	select {
	case err := <-done:
		if err != nil && !errors.As(err, new(*apiError)) {
			return unavailable("The event log", err)
		}
		return err
	case <-ctx.Done():
		return unavailable("The event log", context.Cause(ctx))
	}
}

// openState returns a conversation with its open runs and the last few others.
func (h *hub) openState(ctx context.Context, r events.Ref) (*events.Conversation, error) {
	if err := h.reading(ctx); err != nil {
		return nil, err
	}
	last, ok, err := h.log.Last(ctx, r)
	h.read()
	if err != nil {
		return nil, err
	}
	if !ok {
		_, err := h.tail(ctx, r, 0) // waiting to become the first commit, home, or unknown
		return events.NewConversation(r), err
	}
	if last.N > longHistory {
		if base, err := h.recordedState(ctx, r); err == nil {
			return base, nil
		}
	}
	c, err := h.fold(ctx, r)
	if err != nil {
		return nil, err
	}
	return c.Base(openRuns / 4), nil
}

// recordedState reads what the recorder has, and the rest from the log.
func (h *hub) recordedState(ctx context.Context, r events.Ref) (*events.Conversation, error) {
	qctx, cancel := patient(ctx)
	defer cancel()
	base, err := h.queries.Base(qctx, r, openRuns/4, "")
	if err != nil {
		return nil, err
	}
	tail, err := h.tail(ctx, r, base.N)
	if err != nil {
		return nil, err
	}
	return base, applyAll(base, tail)
}

// fold returns the whole conversation; one without commits is empty.
func (h *hub) fold(ctx context.Context, r events.Ref) (*events.Conversation, error) {
	if err := h.reading(ctx); err != nil {
		return nil, err
	}
	defer h.read()
	list, err := h.log.History(ctx, h.queries, r, 0)
	if err != nil {
		return nil, err
	}
	c := events.NewConversation(r)
	return c, applyAll(c, list)
}

func applyAll(c *events.Conversation, list []eventlog.Stored) error {
	for _, s := range list {
		if err := c.Apply(s.Commit); err != nil {
			return err
		}
	}
	return nil
}

// A waiter waits for something to be true of a conversation.
type waiter struct {
	// check is asked with the state, and with the commit that led to it or nil.
	check func(*events.Conversation, *events.Commit) bool
	done  chan struct{}
}

// await registers check; the channel is closed once it has returned true. The
// caller holds the lock, and calls forgo with the waiter in the end.
func (t *topic) await(check func(*events.Conversation, *events.Commit) bool) *waiter {
	w := &waiter{check: check, done: make(chan struct{})}
	if t.waiters == nil {
		t.waiters = map[*waiter]struct{}{}
	}
	t.waiters[w] = struct{}{}
	if t.state != nil {
		t.check(w, nil)
	}
	return w
}

func (t *topic) check(w *waiter, c *events.Commit) {
	if w.check(t.state, c) {
		delete(t.waiters, w)
		close(w.done)
	}
}

func (t *topic) forgo(w *waiter) {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	delete(t.waiters, w)
	t.p.trim()
}

// recheck reads everything again after a gap of unknown size.
func (t *topic) recheck() {
	for w := range t.watches {
		w.lose()
	}
	if t.state != nil {
		t.load()
	}
	if t.deltas != nil {
		t.askDraft()
	}
}

// sweep looks after what has been quiet for long.
func (t *topic) sweep(now time.Time) {
	t.sweepDraft(now)
	if (len(t.watches) == 0 && len(t.waiters) == 0) || now.Sub(t.heard) < verifyEvery {
		return
	}
	t.heard = now
	t.p.hub.background(func(ctx context.Context) {
		last, ok, err := t.p.hub.log.Last(ctx, t.ref)
		if err != nil || !ok {
			return
		}
		t.p.mu.Lock()
		defer t.p.mu.Unlock()
		for w := range t.watches {
			if w.n < last.N {
				w.lose()
			}
		}
		if t.state != nil && t.state.N < last.N {
			t.load()
		}
	})
}

func (t *topic) summary() summary {
	return summary{n: t.state.N, title: t.state.Title, pinned: t.state.Pinned, archived: t.state.Archived, deleted: t.state.Deleted, status: statusOf(t.state)}
}

// tell lets the person's sockets know how the conversation stands, at once if
// they have not been told lately.
func (t *topic) tell() {
	if len(t.p.conns) == 0 || t.ref.Conversation() == events.Home {
		return
	}
	if t.summary() == t.told || t.tellLate != nil {
		return
	}
	if wait := tellEvery - time.Since(t.toldAt); wait > 0 {
		t.tellLate = time.AfterFunc(wait, func() {
			t.p.mu.Lock()
			defer t.p.mu.Unlock()
			t.tellLate = nil
			t.tell()
		})
		return
	}
	t.told, t.toldAt = t.summary(), time.Now()
	t.p.tell(conversationFrame(t.state, t.told))
}

// tellTask sends the row that a task tool wrote to the person's sockets.
func (t *topic) tellTask(r events.ToolReturned) {
	if !r.OK || len(t.p.conns) == 0 {
		return
	}
	call, _ := t.state.Call(r.CallID)
	if call == nil || call.Server != t.p.hub.taskServer {
		return
	}
	if row := taskRow(r.Result); row != nil {
		t.p.tell(newFrame(opText, `{"type":"task","task":`, string(row), `}`))
	}
}

// stored notes when a message of run r was stored.
func (t *topic) stored(r events.RunID, at time.Time) {
	if t.accepted == nil {
		t.accepted = map[events.RunID]time.Time{}
	}
	t.accepted[r] = at
}

func (t *topic) forgetAccepted(e events.Event) {
	switch e := e.(type) {
	case events.RunCompleted:
		delete(t.accepted, e.RunID)
	case events.RunFailed:
		delete(t.accepted, e.RunID)
	case events.RunCancelled:
		delete(t.accepted, e.RunID)
	}
}

// commitFrame wraps a commit's bytes as they are stored.
func commitFrame(c *events.Commit, raw []byte) *frame {
	f := newFrame(opText, `{"type":"commit","conversation_id":"`, string(c.ConversationID),
		`","n":`, strconv.FormatUint(c.N, 10), `,"commit":`, string(raw), `}`)
	f.n, f.commit = c.N, c
	return f
}
