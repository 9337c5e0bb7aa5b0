package main

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// A view is a reader's picture of one conversation, made by the reader's rules:
// commits in order, deltas between them, a resume after the last commit.
type view struct {
	state *events.Conversation
	draft events.Draft
	// hole is when bytes began to be missing; zero if none are.
	hole time.Time
	last time.Time // of the newest delta
	// since is when this reader began to see the open attempt; zero if it does not.
	since time.Time
	// subscribed is how often this connection has asked for the conversation.
	subscribed int
	touched    time.Time // when there was last anything about it
	record     viewRecord
}

func newView(u events.UserID, c events.ConversationID) (*view, error) {
	ref, err := events.NewRef(u, c)
	if err != nil {
		return nil, err
	}
	return &view{state: events.NewConversation(ref), record: viewRecord{Texts: map[events.RunID]string{}}}, nil
}

// commit takes one commit. A gap is reported and heals by asking again.
func (v *view) commit(raw jsontext.Value, n uint64) (gap bool) {
	have := v.state.N
	if n <= have {
		if v.record.Hashes[n-1] != hashOf(raw) {
			v.disorder("commit %d came twice and differs", n)
		} else if v.subscribed == 1 {
			v.disorder("commit %d came again within one subscription", n)
		}
		return false
	}
	if n != have+1 {
		if v.subscribed > 0 {
			v.disorder("commit %d followed %d", n, have)
		}
		return true
	}
	k, err := events.DecodeCommit(raw)
	if err != nil {
		v.disorder("commit %d: %v", n, err)
		return false
	}
	v.keepDraft(k)
	if err := v.state.Apply(k); err != nil {
		v.disorder("commit %d: %v", n, err)
		return false
	}
	v.record.Hashes = append(v.record.Hashes, hashOf(raw))
	v.since = time.Time{}
	if time.Since(k.Time) < 300*time.Millisecond && v.subscribed > 0 {
		v.live() // told as it happened; what is read again on a resume is older
	}
	return false
}

// live notes that from now on the reader sees what is written.
func (v *view) live() {
	if r := v.state.Active(); r != nil && r.Streaming {
		v.since = time.Now()
	}
}

func (v *view) disorder(format string, args ...any) {
	if len(v.record.Disorder) < 20 {
		v.record.Disorder = append(v.record.Disorder, fmt.Sprintf(format, args...))
	}
}

// keepDraft notes what was on the screen when its commit replaces it.
func (v *view) keepDraft(k *events.Commit) {
	for _, e := range k.Events {
		run, step, attempt := events.RunID(""), 0, 0
		switch e := e.(type) {
		case events.StepCompleted:
			run, step, attempt = e.RunID, e.Step, e.Attempt
		case events.RunCancelled:
			run = e.RunID
		case events.RunFailed:
			run = e.RunID
		}
		if run == "" {
			continue
		}
		if r := v.state.Run(run); step == 0 && r != nil {
			step, attempt = r.Step, r.Attempt
		}
		d := draftRecord{Run: run, Step: step, Attempt: attempt}
		if !v.since.IsZero() {
			d.Watched = time.Since(v.since)
		}
		if run == v.draft.RunID && step == v.draft.Step && attempt == v.draft.Attempt {
			d.Text, d.HoleFor = string(v.draft.Text), v.lacking()
		}
		if d.Text != "" || d.HoleFor > 0 || d.Watched > 0 {
			v.record.Drafts = append(v.record.Drafts, d)
		}
	}
}

// delta takes a piece of the answer that is being written, if that is the
// active run's; others are too late or too early.
func (v *view) delta(d events.Delta) {
	r := v.state.Active()
	if r == nil || r.RunID != d.RunID || d.Step < r.Step || d.Step == r.Step && !r.Streaming {
		return
	}
	before := v.draft.Attempt
	v.last = time.Now()
	fit := v.draft.Add(d)
	if before != v.draft.Attempt || fit == events.Appended {
		v.hole = time.Time{}
	}
	switch fit {
	case events.Hole:
		if v.hole.IsZero() {
			v.hole = v.last
			v.record.Holes++
		}
	case events.Appended:
	case events.Stale:
	}
}

func (v *view) snapshot(s events.Snapshot) {
	if r := v.state.Active(); r == nil || r.RunID != s.RunID {
		return
	}
	if v.draft.Set(s) {
		v.hole = time.Time{}
	}
}

// lacking is how long the draft has had a hole while more of it came.
func (v *view) lacking() time.Duration {
	if v.hole.IsZero() {
		return 0
	}
	return v.last.Sub(v.hole)
}

// finish writes down what the reader's own fold shows.
func (v *view) finish() *viewRecord {
	for _, r := range v.state.Runs {
		v.record.Texts[r.RunID] = r.Answer()
	}
	return &v.record
}
