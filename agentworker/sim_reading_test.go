package agentworker

import (
	"slices"

	"github.com/parleychat/parley/events"
)

// A reading is a wrong way to read the rules; the zero value reads them right.
// Decisions are changed after the fact, what a handler or toolworker does by
// switches, so that nothing of this is in the product.
type reading struct {
	decide func(r *Rules, s *events.Conversation, in Input, d Decision) Decision
	after  func(r *Rules, s *events.Conversation, call *decision, out Outcome, in Input, d Decision) Decision
	as     func(Input) Input // how a delivery is taken
	skips  func(h *bearer, l *letter) bool

	rebases           bool // a conflict publishes the same events at the next n
	trustsStored      bool // one's own commit in the log means to go on
	acksFirst         bool // before the emissions
	revokesApart      bool // a revoke's answer has an id of its own
	answersWithoutRow bool // a refusal rolls back and is answered
	naks              bool // an outage is waited out with naks
	givesUpBlindly    bool // what a stale state does not know is given up
	givesBackLost     bool // a worker that stops naks what it has lost, too
	outOfTurn         bool // messages are taken as they are pulled
}

func (w *reading) input(in Input) Input {
	if w.as != nil {
		return w.as(in)
	}
	return in
}

func (w *reading) decision(r *Rules, s *events.Conversation, in Input) Decision {
	d := r.Decide(s, in)
	if w.decide != nil {
		return w.decide(r, s, in, d)
	}
	return d
}

func (w *reading) afterModel(r *Rules, s *events.Conversation, call *decision, out *modelOutcome, in Input) Decision {
	d := r.AfterModel(s, call.claim, out.Outcome, in)
	if out.drained {
		d = r.Interrupted(s, call.claim)
	}
	if w.after != nil {
		return w.after(r, s, call, out.Outcome, in, d)
	}
	return d
}

// emissions are what h sends for what it has seen.
func (w *reading) emissions(u *universe, h *bearer) []*letter {
	due := u.dueOf(h.seen)
	if w.skips == nil {
		return due
	}
	return slices.DeleteFunc(slices.Clone(due), func(l *letter) bool { return w.skips(h, l) })
}
