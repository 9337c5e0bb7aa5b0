package agentworker

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/parleychat/parley/events"
)

// The search takes two worlds for one if nothing that is still to come can tell
// them apart. Of a run that is over only its calls count, and whether they were
// answered: how it went was checked when it went so. What this leaves out must
// not be what a decision looks at; alike watches that.

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// intern returns the state that equals s, or makes s the one.
func (u *universe) intern(s *snapshot) *snapshot {
	if !u.canon {
		s.id = u.number()
		return s
	}
	b := u.encode(s)
	key := [2]uint64{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}
	if known := u.states[key]; known != nil {
		u.alike(known, s)
		return known
	}
	s.id = u.number()
	u.states[key] = s
	return s
}

// encode writes down what tells s from another state.
func (u *universe) encode(s *snapshot) []byte {
	k := s.conv.Clone()
	k.N, k.Skipped = 0, 0
	for _, r := range k.Runs {
		if r.Stop != nil {
			r.Stop.N = 0
		}
		if r.Status.Over() {
			*r = events.Run{RunID: r.RunID, Status: events.Completed, Calls: r.Calls}
			for i, c := range r.Calls {
				r.Calls[i] = &events.Call{CallID: c.CallID, ReturnedAt: c.ReturnedAt}
			}
		}
		r.N = 0
	}
	b, err := k.Encode()
	if err != nil {
		panic(err)
	}
	c := &s.check
	for _, k := range c.causes {
		if run := u.causes[k.id]; run == "" || c.over(run) == "" {
			b = append(append(b, k.id...), ' ')
		}
	}
	for _, r := range c.runs {
		if r.over != "" {
			r = runCheck{id: r.id, text: r.text, accepted: true, over: "over"}
		}
		b = fmt.Appendf(b, "%+v", r)
	}
	for _, k := range c.calls {
		if c.over(k.run) != "" {
			k.released = false
		}
		b = fmt.Appendf(b, "%+v", k)
	}
	if c.open != nil {
		b = fmt.Appendf(b, "%+v %d", *c.open, c.failed)
	}
	return fmt.Append(b, c.active)
}

// alike fails if a decision tells two states apart that were taken for one. It
// looks at some of them.
func (u *universe) alike(a, b *snapshot) {
	u.merged++
	if u.merged%64 != 0 || u.wrong.decide != nil || u.wrong.after != nil {
		return
	}
	x, errX := a.conv.Encode()
	y, errY := b.conv.Encode()
	if errX == nil && errY == nil && bytes.Equal(x, y) {
		return
	}
	for _, l := range u.letters {
		if l.item != nil {
			continue
		}
		for delivery := 1; delivery <= maxDeliveries+1; delivery += 6 {
			h := &bearer{letter: l, delivery: delivery}
			in := u.wrong.input(h.input(start))
			one, other := u.rules.Decide(a.conv, in), u.rules.Decide(b.conv, in)
			one.DeadLetter, other.DeadLetter = "", "" // it has no part in this world
			if say(one) != say(other) {
				u.unlike = fmt.Errorf("%s.%d decides %s or %s on what was taken for one state", l.name, delivery, say(one), say(other))
			}
		}
	}
}

// key writes down all that tells w from another world of its universe.
func (w *world) key(b []byte) []byte {
	num := func(list ...int) {
		for _, v := range list {
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
	}
	num(w.head.id, w.faults, int(w.sent), len(w.flying), len(w.landed), len(w.hands))
	if w.faults > 0 && w.kinds[moveStale] {
		for _, s := range w.past {
			num(s.id)
		}
	}
	for _, d := range w.flying {
		num(d.id)
	}
	for _, d := range w.landed {
		num(d.id)
	}
	for i := range w.hands {
		h := &w.hands[i]
		num(h.letter.id, h.delivery<<8|h.twin, int(h.phase)<<8|h.model<<4|int(h.row), idOf(h.dec), idOf(h.call))
		if h.seen == nil {
			num(0)
		} else {
			num(h.seen.id)
		}
	}
	for i := range w.post {
		p := w.post[i]
		if p.acked {
			if w.head.check.over(p.letter.run) != "" && !w.borne(p.letter) {
				continue // nothing asks whether it was sent any more
			}
			p.delivery, p.ill, p.nacked, p.turn = 0, false, false, 0
		}
		p.turn = w.rank(p.turn)
		num(p.letter.id, p.turn<<16|p.delivery<<4|bit(p.nacked)<<3|bit(p.scheduled)<<2|bit(p.acked)<<1|bit(p.ill))
	}
	b = append(b, 0xff)
	for i, r := range w.ledger {
		if r != rowNone && w.head.check.over(events.RunOf(w.calls[i])) != "" {
			r = rowOK
		}
		b = append(b, byte(r))
	}
	return b
}

// rank is a turn among those that are not over yet: only the order of these counts.
func (w *world) rank(turn int) (rank int) {
	if turn == 0 {
		return 0
	}
	for i := range w.post {
		rank += bit(w.post[i].turn > 0 && w.post[i].turn <= turn && !w.post[i].acked)
	}
	return rank
}

// borne reports whether somebody still works on l.
func (w *world) borne(l *letter) bool {
	return slices.ContainsFunc(w.hands, func(h bearer) bool { return h.letter.first == l.first })
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func idOf(d *decision) int {
	if d == nil {
		return 0
	}
	return d.id
}
