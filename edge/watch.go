package edge

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// errAhead reports a cursor beyond the end of the conversation.
var errAhead = errors.New("cursor is ahead of the log")

// aheadTries is how often a cursor beyond the end is looked at again: a replica
// may answer from a moment ago.
const aheadTries = 4

// A watch is one reader's place in one conversation: it has been sent all
// commits up to n. All fields are guarded by the person's lock.
type watch struct {
	t      *topic
	out    *outbox
	deltas bool // wanted
	n      uint64
	// live: commits come from the topic. Otherwise a goroutine reads the log.
	live bool
	// synced: the reader has the topic's draft, so the next delta fits.
	synced bool
	// announce: send "live" and, if an answer is being written, the draft.
	announce bool
	failed   func(*apiError) // told when a first catch-up cannot be done
	ctx      context.Context // ends with the watch
	cancel   context.CancelFunc
}

// watch adds a reader who has all commits up to after. It does not get anything
// before start. The caller holds the lock.
func (t *topic) watch(out *outbox, after uint64, deltas bool, failed func(*apiError)) *watch {
	w := &watch{t: t, out: out, n: after, deltas: deltas, announce: true, failed: failed}
	w.ctx, w.cancel = context.WithCancel(t.p.hub.ctx)
	t.watches[w] = struct{}{}
	if deltas {
		t.subscribeDeltas()
	}
	if after > 0 {
		t.p.hub.metrics.resumes.Inc()
	}
	return w
}

// start brings the reader from its n to the present. With known, the caller
// knows that the log holds nothing after n that the topic has not seen. The
// caller holds the lock.
func (w *watch) start(known bool) {
	if (known || fault.Planted(fault.LiveWithoutRead)) && w.goLive() {
		return
	}
	w.t.p.hub.background(func(context.Context) { w.catchUp() })
}

// stop removes the reader. The caller holds the lock.
func (w *watch) stop() {
	w.cancel()
	delete(w.t.watches, w)
	w.t.unsubscribeDeltas()
	w.t.p.trim()
}

// lose makes a live reader read the log again. The caller holds the lock.
func (w *watch) lose() {
	if w.live {
		w.live, w.synced = false, false
		w.t.p.hub.metrics.gaps.Inc()
		w.t.p.hub.background(func(context.Context) { w.catchUp() })
	}
}

// catchUp sends what the log holds after n and goes live; it returns when that
// is done or the watch has ended.
func (w *watch) catchUp() {
	p := w.t.p
	wait := 5 * time.Millisecond
	level := slog.LevelWarn // once an outage; it may have thousands of readers
	for ahead := 0; ; {
		p.mu.Lock()
		after, first := w.n, w.announce
		p.mu.Unlock()
		list, err := p.hub.tail(w.ctx, w.t.ref, after)
		switch {
		case w.ctx.Err() != nil:
			return
		case errors.Is(err, errAhead):
			if ahead++; ahead == aheadTries {
				w.fail(refuse(409, codeConflict, "This conversation has fewer commits than you say. Read it from the start."))
				return
			}
		case first && errors.As(err, new(*apiError)):
			w.fail(apiErrorOf(err))
			return
		case first && unreadable(err) != nil:
			w.fail(unreadable(err))
			return
		case err != nil:
			p.hub.logger.Log(w.ctx, level, "catch up", "conversation_id", w.t.ref.Conversation(), "n", after, "err", err)
			level, wait = slog.LevelDebug, max(wait, 100*time.Millisecond)
		default:
			if !w.sendAll(list) {
				return
			}
			p.mu.Lock()
			done := w.ctx.Err() != nil || w.goLive()
			p.mu.Unlock()
			if done {
				return
			}
		}
		if !pause(w.ctx, wait/2+rand.N(wait)) {
			return
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (w *watch) fail(e *apiError) {
	p := w.t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	failed := w.failed
	w.stop()
	if failed != nil {
		failed(e)
	}
}

// sendAll sends commits as fast as the reader takes them.
func (w *watch) sendAll(list []eventlog.Stored) bool {
	for _, s := range list {
		if w.out.waitRoom(w.ctx) != nil {
			return false
		}
		w.t.p.mu.Lock()
		if w.ctx.Err() == nil && s.N == w.n+1 && w.out.send(commitFrame(s.Commit, s.Raw)) {
			w.n = s.N
		}
		w.t.p.mu.Unlock()
	}
	return true
}

// goLive joins the live stream if what the topic remembers reaches back to the
// reader's n. The caller holds the lock.
func (w *watch) goLive() bool {
	for _, f := range w.t.recent {
		if f.n <= w.n {
			continue
		}
		if f.n != w.n+1 {
			return false
		}
		w.out.send(f)
		w.n = f.n
	}
	w.live = true
	if w.announce {
		w.announce = false
		w.out.send(newFrame(opText, `{"type":"live","conversation_id":"`, string(w.t.ref.Conversation()),
			`","n":`, strconv.FormatUint(w.n, 10), `}`))
	}
	w.t.sync(w)
	return true
}

// tail reads the commits after n.
func (h *hub) tail(ctx context.Context, r events.Ref, after uint64) ([]eventlog.Stored, error) {
	list, _, err := h.commits(ctx, r, after, math.MaxInt)
	return list, err
}

// commits reads up to limit commits after n, and whether there are more. Most
// readers are up to date or one behind, and the newest commit alone tells.
func (h *hub) commits(ctx context.Context, r events.Ref, after uint64, limit int) (list []eventlog.Stored, more bool, err error) {
	if err := h.reading(ctx); err != nil {
		return nil, false, err
	}
	defer h.read()
	last, ok, err := h.log.Last(ctx, r)
	switch {
	case err != nil:
		return nil, false, err
	case !ok:
		if r.Conversation() != events.Home {
			known, err := h.log.Known(ctx, r)
			if err != nil {
				return nil, false, err
			}
			if !known {
				return nil, false, notFound("conversation")
			}
		}
		if after > 0 {
			return nil, false, errAhead
		}
		return nil, false, nil
	case last.N < after:
		return nil, false, errAhead
	case last.N == after:
		return nil, false, nil
	case last.N == after+1:
		return []eventlog.Stored{last}, false, nil
	}
	return h.log.Page(ctx, h.queries, r, after, limit)
}

// reading waits for the right to read from the log, which read gives back.
func (h *hub) reading(ctx context.Context) error {
	select {
	case h.reads <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (h *hub) read() { <-h.reads }

// pause waits for d and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
