package agentworker

import (
	"fmt"
	"slices"
	"time"

	"github.com/parleychat/parley/events"
)

// A move is one thing that may happen to a world, by its kind and places in it.
type move struct {
	kind moveKind
	i, j int
}

type moveKind int

const (
	moveSend    moveKind = iota // person i's next act
	moveAnswer                  // to the approval of call i
	moveFire                    // timer i
	moveDeliver                 // letter i
	moveStep                    // hand i goes on
	moveModel                   // hand i's model call ends
	moveRun                     // hand i runs its tool
	moveLand                    // publish i lands, late
	moveTick                    // time passes
	moveLook                    // the recorder finds the active run late
	moveDie                     // hand i
	movePart                    // hand i dies after j emissions
	movePause                   // letter i is delivered though somebody works on it
	moveForget                  // letter i is delivered again under the same count
	moveUnknown                 // hand i never hears what became of its publish
	moveDeaf                    // the ack of hand i is lost
	moveStale                   // hand i reads an old state of the log
	moveTwice                   // letter i is stored again
	moveIll                     // letter i's handlers die, over and over
	moveLose                    // NATS forgets letter i
	moveKinds
)

// fault reports whether k is something going wrong.
func (k moveKind) fault() bool { return k >= moveDie }

// What becomes of a publish whose answer is lost.
const (
	wasStored = iota
	wasLost
	willLand
)

// menu appends to list all that may happen now.
func (w *world) menu(list []move) []move {
	add := func(k moveKind, i, j int) {
		if w.kinds[k] && (!k.fault() || w.faults > 0) {
			list = append(list, move{k, i, j})
		}
	}
	if w.canon {
		if i := w.urgent(); i >= 0 {
			w.handMenu(i, add)
			return list
		}
		if m, ok := w.remnant(); ok {
			return append(list, m)
		}
	}
	for i := range w.people {
		if w.sent&(1<<i) == 0 {
			add(moveSend, i, 0)
		}
	}
	for _, c := range w.asking() {
		if !w.answered(c) {
			add(moveAnswer, w.call(c), 0)
			add(moveAnswer, w.call(c), 1)
		}
	}
	agents, tools := w.busy()
	for i := range w.post {
		p := &w.post[i]
		if w.losable(p) {
			add(moveLose, i, 0)
		}
		room := agents < w.agents
		if p.letter.item != nil {
			room = tools < w.tools
		}
		switch {
		case p.scheduled:
			add(moveFire, i, 0)
			continue
		case p.acked:
		case !w.held(p) || p.nacked:
			if room {
				add(moveDeliver, i, 0)
			}
			if p.delivery == 0 {
				add(moveIll, i, 1)
				add(moveIll, i, 0)
			}
		case room:
			add(movePause, i, 0)
			add(moveForget, i, 0)
		}
		if n, _ := w.posted(p.letter); n < 2 {
			add(moveTwice, i, 0)
		}
	}
	for i := range w.hands {
		w.handMenu(i, add)
	}
	for i := range w.flying {
		add(moveLand, i, 0)
	}
	add(moveTick, 0, 0)
	add(moveTick, 1, 0)
	if w.late() && w.looks < maxLooks {
		add(moveLook, 0, 0)
	}
	return list
}

// urgent returns a hand whose next move may as well be made at once, or -1. What
// it does then, others neither see nor prevent until something else happens: a
// decision that waits to be stored meets a conflict, and is taken anew as if the
// log had been read later; a toolworker that waits might have been given its item
// later; letters that are sent early may be delivered late. So the search need
// not try such waiting. Reading waits while a newer delivery may come in between.
func (w *world) urgent() int {
	for i := range w.hands {
		h := &w.hands[i]
		switch h.phase {
		case stores, emits, acks, runs, replies:
			return i
		case reads:
			if len(w.flying) == 0 && w.inTurn(h) && (h.model != 0 || w.faults == 0 && h.delivery == w.at(h.letter).delivery) {
				return i
			}
		case models, finds:
		}
	}
	return -1
}

// remnant returns the next move of what a run has left behind that is over: a
// timer to fire, a letter to deliver. All it leads to is an ack. When nothing
// goes wrong any more the search need not try how long that takes.
func (w *world) remnant() (move, bool) {
	if w.faults > 0 {
		return move{}, false
	}
	agents, tools := w.busy()
	for i := range w.post {
		p := &w.post[i]
		switch {
		case p.acked || p.letter.run == "" || w.head.check.over(p.letter.run) == "":
		case p.scheduled:
			return move{moveFire, i, 0}, true
		case w.held(p):
		case p.letter.item == nil && agents < w.agents, p.letter.item != nil && tools < w.tools:
			return move{moveDeliver, i, 0}, true
		}
	}
	return move{}, false
}

// handMenu adds what hand i may do, and what may happen to it.
func (w *world) handMenu(i int, add func(k moveKind, i, j int)) {
	h := &w.hands[i]
	add(moveDie, i, 0)
	switch h.phase {
	case models:
		for j := range w.models {
			m := &w.models[j]
			if (m.step == 0 || m.step == h.call.claim.Step) && (!m.bad || w.faults > 0) {
				add(moveModel, i, j)
			}
		}
		return
	case runs:
		if w.row(h.letter.item.CallID) != rowNone || h.letter.item.Revoke {
			add(moveRun, i, int(rowOK))
			return
		}
		for _, r := range w.rows {
			add(moveRun, i, int(r))
		}
		return
	case reads, finds:
		if !w.inTurn(h) {
			return
		}
		for j := range w.past {
			add(moveStale, i, j)
		}
	case stores:
		if h.dec.base == w.head {
			add(moveUnknown, i, wasStored)
			add(moveUnknown, i, wasLost)
			add(moveUnknown, i, willLand)
		}
	case emits:
		for j := 1; j < len(w.owed(h)); j++ {
			add(movePart, i, j)
		}
		for j := range w.models {
			// The model call has begun beside the emissions.
			if w.models[j].drained && h.dec.Then == CallModel && w.faults > 0 {
				add(moveModel, i, j)
			}
		}
	case acks:
		add(moveDeaf, i, 0)
	case replies:
	}
	add(moveStep, i, 0)
}

// busy counts handlers and toolworkers; who waits for a turn gives its slot to others.
func (w *world) busy() (agents, tools int) {
	for i := range w.hands {
		if w.hands[i].letter.item != nil {
			tools++
		} else if w.inTurn(&w.hands[i]) {
			agents++
		}
	}
	return agents, tools
}

// asking are the calls that a person is asked about.
func (w *world) asking() (list []events.CallID) {
	run := w.head.conv.Active()
	if run == nil {
		return nil
	}
	for _, c := range run.Calls {
		if c.Status == events.CallAsking {
			list = append(list, c.CallID)
		}
	}
	return list
}

// answered reports whether a person has answered about c, which may not be in the log yet.
func (w *world) answered(c events.CallID) bool {
	return slices.ContainsFunc(w.post, func(p post) bool { return p.letter.about == c })
}

// do changes w by m, which its menu offers.
func (w *world) do(m move) {
	if m.kind.fault() {
		w.faults--
	}
	switch m.kind {
	case moveSend:
		w.sent |= 1 << m.i
		w.put(w.person(m.i))
	case moveAnswer:
		w.put(w.answer(w.calls[m.i], []string{events.Allow, events.Deny}[m.j]))
	case moveFire:
		w.post[m.i].scheduled = false
	case moveDeliver, movePause, moveForget:
		w.deliver(&w.post[m.i], m.kind == moveForget)
	case moveStep:
		w.step(m.i)
	case moveModel:
		h := &w.hands[m.i]
		if h.phase == emits {
			h.call, h.dec, h.seen = h.dec, nil, nil
		}
		h.model, h.phase = m.j+1, reads
		if w.models[m.j].bad {
			w.faults--
		}
	case moveRun:
		w.tool(m.i, row(m.j))
	case moveLand:
		d := w.flying[m.i]
		w.land(d)
		w.know(d)
	case moveTick:
		w.now += [...]time.Duration{7 * time.Second, 4 * time.Minute}[m.i]
	case moveLook:
		w.look()
	case moveDie:
		w.drop(m.i)
	case movePart:
		w.emit(m.i, m.j)
		w.drop(m.i)
	case moveUnknown:
		w.unknown(m.i, m.j)
	case moveDeaf:
		w.drop(m.i)
	case moveStale:
		if h := &w.hands[m.i]; h.phase == finds {
			h.phase = reads
		} else {
			w.read(m.i, w.past[m.j])
		}
	case moveTwice:
		w.put(w.post[m.i].letter)
	case moveIll:
		p := &w.post[m.i]
		p.delivery, p.ill = maxDeliveries-m.j, !w.wrong.naks
	case moveLose:
		p := &w.post[m.i]
		p.scheduled, p.acked, p.lost = false, true, true
	default:
	}
}

// step lets hand i go on in the one way that needs no choice.
func (w *world) step(i int) {
	h := &w.hands[i]
	switch h.phase {
	case reads:
		w.read(i, w.head)
	case stores:
		w.store(i)
	case finds:
		if slices.Contains(w.landed, h.dec) {
			w.found(i)
		} else {
			h.phase = reads
		}
	case emits:
		w.emit(i, len(w.owed(h)))
		w.follow(i)
	case acks:
		w.ack(i)
	case replies:
		l := w.result(h.letter.item, h.row, h.letter.item.Revoke)
		known := slices.ContainsFunc(w.post, func(p post) bool { return p.letter.in.ID == l.in.ID })
		if !known {
			w.put(l)
		}
		h.phase, h.row = acks, 0
	case models, runs:
	}
}

// unknown publishes the decision of hand i, which does not hear what became of it.
func (w *world) unknown(i, fate int) {
	d := w.hands[i].dec
	w.hands[i].phase = finds
	switch fate {
	case wasStored:
		w.land(d)
		w.know(d)
	case willLand:
		w.flying = append(w.flying, d)
	}
}

// know notes that d is in the log, for its hand to find.
func (w *world) know(d *decision) {
	if slices.ContainsFunc(w.hands, func(h bearer) bool { return h.decided(d) }) {
		w.landed = append(w.landed, d)
	}
}

// tool decides a call in the ledger, or finds it decided.
func (w *world) tool(i int, r row) {
	h := &w.hands[i]
	item := h.letter.item
	switch known := w.row(item.CallID); {
	case known != rowNone:
		r = known
	case item.Revoke:
		r = rowRevoked
		w.write(item.CallID, r)
	case h.delivery > maxDeliveries:
		r = rowPoison
		w.write(item.CallID, r)
	case w.wrong.answersWithoutRow && r != rowOK:
	default:
		if run := w.head.conv.Run(item.RunID); r.ran() && run != nil && run.Status.Over() {
			w.fail(broken("I5", "a call takes effect after its run's end"))
		}
		w.write(item.CallID, r)
	}
	h.row, h.phase = r, replies
}

// name is what histories call m, the same in every world where it means the same.
func (w *world) name(m move) string {
	switch m.kind {
	case moveSend:
		return "send " + w.people[m.i].name
	case moveAnswer:
		return "send " + w.answer(w.calls[m.i], []string{events.Allow, events.Deny}[m.j]).name
	case moveFire:
		return w.post[m.i].letter.name + " fires"
	case moveDeliver:
		return "deliver " + w.post[m.i].letter.name
	case movePause:
		return "deliver " + w.post[m.i].letter.name + " though it is held"
	case moveForget:
		return "deliver " + w.post[m.i].letter.name + " under the same count"
	case moveTwice:
		return "store " + w.post[m.i].letter.name + " again"
	case moveIll:
		return fmt.Sprintf("deliver %s %d times to handlers that die", w.post[m.i].letter.name, maxDeliveries-m.j)
	case moveLand:
		lease := w.flying[m.i].in.Lease
		return fmt.Sprintf("%s.%d's publish lands", w.letters[lease.Sequence-1].name, lease.Delivery)
	case moveTick:
		return fmt.Sprintf("tick %d", m.i)
	case moveLook:
		return "the recorder looks"
	case moveLose:
		return "NATS forgets " + w.post[m.i].letter.name
	default:
	}
	h := &w.hands[m.i]
	who := fmt.Sprintf("%s.%d", h.letter.name, h.delivery)
	if h.twin > 0 {
		who += fmt.Sprintf("~%d", h.twin)
	}
	switch m.kind {
	case moveModel:
		if w.models[m.j].drained {
			return who + ": is told to stop"
		}
		return who + ": the model says " + w.models[m.j].name
	case moveRun:
		return who + ": runs " + row(m.j).String()
	case moveDie:
		return who + ": dies"
	case movePart:
		return fmt.Sprintf("%s: emits %d and dies", who, m.j)
	case moveUnknown:
		return who + ": stores, not hearing that it is " + [...]string{"stored", "lost", "late"}[m.j]
	case moveDeaf:
		return who + ": acks in vain"
	case moveStale:
		return fmt.Sprintf("%s: reads %d behind", who, m.j+1)
	default:
		return who + ": " + h.phase.String()
	}
}
