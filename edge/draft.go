package edge

import (
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// A draft is the answer being written in a topic, as far as the edge knows it.
type draft struct {
	events.Draft
	// hole: bytes are missing; nothing is passed on until a snapshot or the commit.
	hole bool
	// asked is the number of the open snapshot request, 0 for none.
	asked   uint64
	askedAt time.Time
	// snapshot is the draft as a frame, until it grows.
	snapshot *frame
}

// subscribeDeltas begins to listen, with the first watch that wants deltas, and
// asks what has been written before.
func (t *topic) subscribeDeltas() {
	if t.deltas != nil {
		return
	}
	sub, err := t.p.hub.nc.ChanSubscribe(t.ref.Delta(), t.p.shard.queue)
	if err != nil {
		// A closed connection: the process is about to be replaced.
		t.p.hub.logger.Error("subscribe to deltas", "conversation_id", t.ref.Conversation(), "err", err)
		return
	}
	t.deltas = sub
	if t.state == nil || t.state.N > 0 {
		t.askDraft()
	}
}

// unsubscribeDeltas ends it with the last watch that wanted deltas.
func (t *topic) unsubscribeDeltas() {
	if t.deltas == nil {
		return
	}
	for w := range t.watches {
		if w.deltas {
			return
		}
	}
	_ = t.deltas.Unsubscribe() // fails only on a closed connection
	t.deltas = nil
	if t.draft.asked != 0 {
		t.p.hub.forget(t.draft.asked)
	}
	t.draft = draft{}
}

// askDraft asks whoever streams for the text so far, unless the log says that
// nobody does.
func (t *topic) askDraft() {
	if t.draft.asked != 0 {
		t.p.hub.forget(t.draft.asked)
		t.draft.asked = 0
	}
	for w := range t.watches {
		w.synced = false
	}
	t.draft.asked, t.draft.askedAt = t.p.hub.ask(t), time.Now()
}

// answered takes the answer to a snapshot request: a snapshot frame, or nothing
// if nobody streams.
func (t *topic) answered(number uint64, raw []byte) {
	if number != t.draft.asked || t.deltas == nil {
		return
	}
	t.draft.asked, t.draft.hole = 0, false
	if len(raw) > 0 && !fault.Planted(fault.SnapshotIgnored) {
		s, err := events.DecodeSnapshot(raw)
		if err != nil {
			t.p.hub.metrics.lost.WithLabelValues("snapshot").Inc()
		} else if s.ConversationID == t.ref.Conversation() && !t.over(s.RunID, s.Step, s.Attempt) && t.draft.Set(s) {
			t.draft.snapshot = nil
		}
	}
	for w := range t.watches {
		t.sync(w)
	}
}

// sync brings a live reader to the topic's draft.
func (t *topic) sync(w *watch) {
	if !w.live || w.synced || !w.deltas || t.draft.asked != 0 || t.draft.hole || t.early() {
		return
	}
	if len(t.draft.Text) > 0 {
		if t.draft.snapshot == nil {
			s := events.Snapshot{
				ConversationID: t.ref.Conversation(), RunID: t.draft.RunID, Step: t.draft.Step, Attempt: t.draft.Attempt,
				Text: string(t.draft.Text),
			}
			t.draft.snapshot = textFrame(s.Append(nil))
		}
		if !w.out.offer(t.draft.snapshot) && !w.fits(t.draft.snapshot) {
			return // when it has drained, it comes back here
		}
		t.p.hub.metrics.snapshots.Inc()
	}
	w.synced = true
}

// fits queues a snapshot that is larger than what readers may leave unread, if
// the reader has left nothing else.
func (w *watch) fits(f *frame) bool {
	return len(f.wire) > softBytes/2 && w.out.empty() && w.out.send(f)
}

// resync is called when a reader has caught up after deltas were refused.
func (w *watch) resync() { w.t.sync(w) }

// delta takes a piece of the answer. Its bytes are a frame already.
func (t *topic) delta(raw []byte) {
	d, err := decodeDelta(raw)
	if err != nil || d.ConversationID != t.ref.Conversation() {
		t.p.hub.metrics.lost.WithLabelValues("delta").Inc()
		return
	}
	if t.over(d.RunID, d.Step, d.Attempt) {
		return
	}
	if at, ok := t.accepted[d.RunID]; ok {
		t.p.hub.metrics.firstDelta.Observe(time.Since(at).Seconds())
		delete(t.accepted, d.RunID)
	}
	switch t.draft.Add(d) {
	case events.Appended:
	case events.Stale:
		return
	case events.Hole:
		t.draft.snapshot = nil
		if !t.draft.hole {
			t.draft.hole = true
			t.p.hub.metrics.holes.Inc()
			if t.draft.asked == 0 {
				t.askDraft()
			}
		}
		return
	}
	t.draft.snapshot, t.draft.hole = nil, false
	f, early := textFrame(raw), t.early()
	for w := range t.watches {
		if !w.live || !w.deltas {
			continue
		}
		if early {
			w.synced = false // its commit brings a snapshot
			continue
		}
		if d.Offset == 0 {
			w.synced = true // an attempt from its beginning needs nothing before it
		}
		if w.synced && !w.out.offer(f) {
			w.synced = false
			t.p.hub.metrics.droppedDeltas.Inc()
		}
	}
}

// over reports whether the log has closed this attempt already, as far as the
// state knows. What the state does not know is newer than the state.
func (t *topic) over(run events.RunID, step, attempt int) bool {
	if t.state == nil {
		return false
	}
	r := t.state.Run(run)
	if r != nil && fault.Planted(fault.DeltaAttemptFixed) {
		attempt = r.Attempt
	}
	switch {
	case r == nil || r.Status == events.Queued:
		return false
	case r.Status.Over() || step < r.Step:
		return true
	case step > r.Step:
		return false
	}
	return attempt < r.Attempt || attempt == r.Attempt && !r.Streaming
}

// early reports whether the draft is of an attempt that is in the log and has not
// been heard of here: the text came another way, and faster. Readers see no text
// before the commit that allows it.
func (t *topic) early() bool {
	if t.state == nil || t.draft.RunID == "" {
		return false
	}
	r := t.state.Run(t.draft.RunID)
	return r == nil || t.draft.Step > r.Step || t.draft.Step == r.Step && t.draft.Attempt > r.Attempt
}

// settleDraft forgets a draft that the log has closed, and shows one that it has begun.
func (t *topic) settleDraft() {
	if t.draft.RunID != "" && t.over(t.draft.RunID, t.draft.Step, t.draft.Attempt) {
		t.draft.Draft, t.draft.hole, t.draft.snapshot = events.Draft{}, false, nil
		if t.draft.asked == 0 {
			for w := range t.watches {
				w.synced = w.synced || w.live
			}
		}
	}
	for w := range t.watches {
		t.sync(w)
	}
}

// sweepDraft asks again when a request was lost, and gives up on one that
// nobody answers: then nobody streams.
func (t *topic) sweepDraft(now time.Time) {
	switch {
	case t.deltas == nil || t.draft.asked == 0 || now.Sub(t.draft.askedAt) < snapshotWait:
	case t.draft.hole:
		t.askDraft()
	default:
		number := t.draft.asked
		t.p.hub.forget(number)
		t.answered(number, nil)
	}
}
