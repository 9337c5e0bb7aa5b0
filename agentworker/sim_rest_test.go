package agentworker

import (
	"github.com/parleychat/parley/events"
)

// maxRest bounds the way to rest: a world that needs more never gets there.
const maxRest = 3000

// rest takes w on without further faults until nothing is left to do, and
// checks on the way what must hold then: nothing waits for ever, and nothing
// waits without its deadline. Any state has this one continuation; do makes its moves.
func (w *world) rest(do func(move)) error {
	w.faults = 0
	for range maxRest {
		m, ok, err := w.restful()
		if err != nil || !ok {
			return err
		}
		do(m)
		if w.err != nil {
			return w.err
		}
	}
	return broken("I1", "it never comes to rest")
}

// restful returns the next move on the way to rest; ok is false at its end.
// Handlers go first, then tools, models and people, and timers only when
// nothing else can happen: a deadline must not hide what is stuck.
func (w *world) restful() (m move, ok bool, err error) {
	for i := range w.hands {
		if p := w.hands[i].phase; p != models && p != runs && w.inTurn(&w.hands[i]) {
			return move{moveStep, i, 0}, true, nil
		}
	}
	if len(w.flying) > 0 {
		return move{moveLand, 0, 0}, true, nil
	}
	agents, tools := w.busy()
	waits := false
	for i := range w.post {
		if p := &w.post[i]; p.letter.item == nil && !p.scheduled && !p.acked && !w.held(p) {
			if agents < w.agents {
				return move{moveDeliver, i, 0}, true, nil
			}
			waits = true
		}
	}
	if !waits {
		if err := w.clocks(); err != nil {
			return m, false, err
		}
	}
	for i := range w.hands {
		h := &w.hands[i]
		if h.phase == runs {
			return move{moveRun, i, int(rowOK)}, true, nil
		}
		if h.phase != models {
			continue
		}
		for j := range w.models {
			if m := &w.models[j]; !m.bad && (m.step == 0 || m.step == h.call.claim.Step) {
				return move{moveModel, i, j}, true, nil
			}
		}
	}
	for i := range w.post {
		if p := &w.post[i]; p.letter.item != nil && !p.acked && !w.held(p) && tools < w.tools {
			return move{moveDeliver, i, 0}, true, nil
		}
	}
	return w.patient()
}

// patient goes on where only people and timers can.
func (w *world) patient() (m move, ok bool, err error) {
	for _, c := range w.asking() {
		if !w.answered(c) {
			return move{moveAnswer, w.call(c), 0}, true, nil
		}
	}
	for i := range w.people {
		if w.sent&(1<<i) == 0 {
			return move{moveSend, i, 0}, true, nil
		}
	}
	if run := w.head.check.activeRun(); run != "" {
		if m, ok := w.looked(); ok {
			return m, true, nil
		}
		return m, false, broken("I1", "%s is stuck", w.runName(run))
	}
	for i := range w.post {
		if w.post[i].scheduled {
			return move{moveFire, i, 0}, true, nil
		}
	}
	for _, c := range w.head.check.calls {
		if c.released && !c.answered {
			return m, false, broken("C", "%s is never answered", w.callName(c.id))
		}
	}
	for _, p := range w.post {
		var id events.MessageID
		switch p.letter.in.Command.(type) {
		case events.Message, events.Regenerate:
			id = events.MessageID(p.letter.in.ID)
		default:
			continue
		}
		if w.head.check.over(events.RunIDFor(ana, w.conversation, id)) == "" && !w.saidBefore(p.letter) {
			return m, false, broken("I1", "%s never ends", p.letter.name)
		}
	}
	return m, false, nil
}

// saidBefore reports whether l's text has an end under another id, as only a
// wrong reading gives it.
func (w *world) saidBefore(l *letter) bool {
	m, ok := l.in.Command.(events.Message)
	if !ok {
		return false
	}
	for _, r := range w.head.check.runs {
		if r.text == m.Text && r.over != "" {
			return true
		}
	}
	return false
}

// clocks checks that whatever waits has its timer: the models and tools may
// never answer.
func (w *world) clocks() error {
	run := w.head.conv.Active()
	if run == nil || run.Stop != nil || w.forgotten() {
		return nil
	}
	for _, l := range w.dueOf(w.head) {
		if !l.timer {
			continue
		}
		pending := false
		for i := range w.post {
			p := &w.post[i]
			pending = pending || p.letter.first == l.first && !p.acked
		}
		if !pending {
			return broken("T", "%s waits and its timer is gone", w.runName(run.RunID))
		}
	}
	return nil
}
