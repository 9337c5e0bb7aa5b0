package agentworker

import (
	"fmt"
	"slices"
	"time"

	"github.com/parleychat/parley/events"
)

// A world is one conversation and all that works on it at one moment: the log,
// the letters in the streams, handlers and toolworkers, publishes that may
// still land, and the ledger. It changes only by moves.
type world struct {
	*universe
	head   *snapshot
	past   []*snapshot // what a stale read may show, newest first
	post   []post      // by letter id
	hands  []bearer    // by letter and delivery
	flying []*decision // publishes that may land later
	landed []*decision // stored, and their handlers do not know it
	ledger []row       // by callNo
	sent   uint64      // what people have done, a bit each
	faults int         // left to happen
	looks  int         // of the recorder that found something
	now    time.Duration
	err    error
}

// A post is a letter that was stored.
type post struct {
	letter    *letter
	delivery  int
	scheduled bool // a timer that has not fired
	acked     bool
	ill       bool // its handlers died, again and again
	nacked    bool // given back
	lost      bool // forgotten by NATS
	turn      int  // its place among those that are taken as they were stored, from 1
}

// A bearer carries one delivery: a handler, or a toolworker if its letter is work.
type bearer struct {
	letter   *letter
	delivery int
	twin     int // more than 0 if the server gave out the same delivery again
	phase    phase
	model    int       // how its model call ended, plus one; 0 before
	dec      *decision // to be stored, or stored
	call     *decision // the one that began its model call
	seen     *snapshot // what it emits for
	row      row       // what a toolworker answers
}

type phase uint8

const (
	reads  phase = iota // the log, and decides
	stores              // its decision
	finds               // whether it was stored: the answer to the publish is lost
	emits
	acks
	models
	runs // a tool
	replies
)

func (p phase) String() string {
	return [...]string{"reads", "stores", "finds", "emits", "acks", "asks the model", "runs", "replies"}[p]
}

// input is what a handler decides on.
func (h *bearer) input(now time.Time) Input {
	in := Input{Inbox: h.letter.in, Lease: h.lease(), Now: now}
	in.Worker = fmt.Sprintf("%d.%d.%d", h.letter.id, h.delivery, h.twin)
	return in
}

func (h *bearer) lease() events.Lease {
	l := h.letter.lease
	l.Delivery = uint64(h.delivery)
	return l
}

func (h *bearer) holds(l *letter, delivery int) bool { return h.letter == l && h.delivery == delivery }

func newWorld(s *setting) *world {
	u := newUniverse(s)
	return &world{universe: u, head: u.empty(), faults: s.faults}
}

// clone returns a copy that moves change apart from w.
func (w *world) clone() *world { return w.into(&world{}) }

// into makes k, which nobody needs any more, such a copy.
func (w *world) into(k *world) *world {
	was := *k
	*k = *w
	k.past, k.post, k.hands = append(was.past[:0], w.past...), append(was.post[:0], w.post...), append(was.hands[:0], w.hands...)
	k.flying, k.landed, k.ledger = append(was.flying[:0], w.flying...), append(was.landed[:0], w.landed...), append(was.ledger[:0], w.ledger...)
	return k
}

func (w *world) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// posted returns how many copies of l were stored, and the newest.
func (w *world) posted(l *letter) (n int, newest *post) {
	for i := range w.post {
		if p := &w.post[i]; p.letter.first == l.first {
			n++
			if newest == nil || p.letter.id > newest.letter.id {
				newest = p
			}
		}
	}
	return n, newest
}

// put stores l, as a further copy if there is one.
func (w *world) put(l *letter) {
	n, _ := w.posted(l)
	l = w.copy(w.letters[l.first], n+1)
	i, _ := slices.BinarySearchFunc(w.post, l.id, func(p post, id int) int { return p.letter.id - id })
	p := post{letter: l, scheduled: l.timer}
	if l.inOrder() {
		p.turn = 1
		for i := range w.post {
			p.turn = max(p.turn, w.post[i].turn+1)
		}
	}
	w.post = slices.Insert(w.post, i, p)
}

// inTurn reports whether h may act: what the stream holds before its message is in the log.
func (w *world) inTurn(h *bearer) bool {
	return h.phase != reads || h.call != nil || w.wrong.outOfTurn || w.unaccepted(h.letter, h.delivery) == nil
}

// unaccepted returns a letter that was stored before l and is not in the log, if l must wait for it.
func (w *world) unaccepted(l *letter, delivery int) *letter {
	own := w.at(l)
	if own.turn == 0 || delivery > maxDeliveries || w.head.check.first(l.in.ID) != nil {
		return nil
	}
	for i := range w.post {
		if p := &w.post[i]; p.turn > 0 && p.turn < own.turn && !p.acked && w.head.check.first(p.letter.in.ID) == nil {
			return p.letter
		}
	}
	return nil
}

// at returns the post of l.
func (w *world) at(l *letter) *post {
	i, ok := slices.BinarySearchFunc(w.post, l.id, func(p post, id int) int { return p.letter.id - id })
	if !ok {
		return nil
	}
	return &w.post[i]
}

// held reports whether somebody works on the newest delivery of p.
func (w *world) held(p *post) bool {
	return slices.ContainsFunc(w.hands, func(h bearer) bool { return h.holds(p.letter, p.delivery) })
}

func (w *world) row(call events.CallID) row {
	if n := w.call(call); n < len(w.ledger) {
		return w.ledger[n]
	}
	return rowNone
}

func (w *world) write(call events.CallID, r row) {
	n := w.call(call)
	for len(w.ledger) <= n {
		w.ledger = append(w.ledger, rowNone)
	}
	w.ledger[n] = r
}

// deliver hands p to somebody.
func (w *world) deliver(p *post, again bool) {
	if p.nacked && w.held(p) {
		w.fail(broken("L", "%s is taken from a handler that is neither dead nor late", p.letter.name))
	}
	p.nacked = false
	h := bearer{letter: p.letter}
	if again {
		for _, o := range w.hands {
			if o.holds(p.letter, p.delivery) {
				h.twin = max(h.twin, o.twin+1)
			}
		}
	} else {
		p.delivery++
	}
	h.delivery = p.delivery
	if p.letter.item != nil {
		h.phase = runs
	}
	i, _ := slices.BinarySearchFunc(w.hands, h, func(a, b bearer) int {
		return (a.letter.id-b.letter.id)<<16 + (a.delivery-b.delivery)<<8 + a.twin - b.twin
	})
	w.hands = slices.Insert(w.hands, i, h)
}

// drop ends hand i without a word; its letter will be delivered again.
func (w *world) drop(i int) {
	h := w.hands[i]
	w.hands = slices.Delete(w.hands, i, i+1)
	w.landed = slices.DeleteFunc(w.landed, h.decided)
}

// decided reports whether d is a decision of h.
func (h *bearer) decided(d *decision) bool { return d.in.Lease == h.lease() }

// read lets hand i look at s and decide.
func (w *world) read(i int, s *snapshot) {
	h := &w.hands[i]
	d := w.decide(s, h, w.now)
	h.dec = d
	switch {
	case d.Certain && s != w.head && !w.wrong.givesUpBlindly:
		h.phase = reads // the newest state is asked for, and this one is older
	case len(d.Events) > 0:
		h.phase = stores
	case d.Then == Drop:
		if w.wrong.givesBackLost && h.model != 0 && w.models[h.model-1].drained {
			w.at(h.letter).nacked = true
		}
		w.drop(i)
	default:
		h.seen = s
		w.follow(i)
	}
}

// store publishes the decision of hand i: it stands if nobody was faster.
func (w *world) store(i int) {
	h := &w.hands[i]
	d := h.dec
	if d.base != w.head {
		switch {
		case slices.Contains(w.landed, d):
			w.found(i)
		case w.wrong.rebases:
			h.dec = w.decision(w.head, d.in, d.Decision)
			w.land(h.dec)
			w.stored(i, w.head)
		default:
			h.phase = reads // a conflict discards the decision
		}
		return
	}
	w.land(d)
	w.stored(i, w.head)
}

// land appends d to the log.
func (w *world) land(d *decision) {
	if _, ok := d.Events[0].(events.MessageAccepted); ok {
		l := w.letters[d.in.Lease.Sequence-1]
		if before := w.unaccepted(l, int(d.in.Lease.Delivery)); before != nil {
			w.fail(broken("O", "%s is accepted before %s, which was stored first", l.name, before.name))
		}
	}
	next := w.universe.store(d)
	w.past = slices.Insert(w.past, 0, w.head)
	if len(w.past) > 3 {
		w.past = w.past[:3]
	}
	w.head = next
	w.flying = slices.DeleteFunc(w.flying, func(f *decision) bool { return f.base != w.head })
	if d.err != nil {
		w.fail(d.err)
	}
	for i := range d.owes {
		w.settle(&d.owes[i], d)
	}
}

func (w *world) settle(owed *debt, d *decision) {
	if owed.ill {
		if _, ok := d.in.Command.(Unreadable); ok {
			return
		}
		if p := w.at(w.letters[d.in.Lease.Sequence-1]); p == nil || !p.ill {
			w.fail(broken(owed.law, "%s", owed.text))
		}
		return
	}
	if err := owed.paid(w.row(owed.call)); err != nil {
		w.fail(err)
	}
}

// stored goes on after a commit; s is what the hand then sees.
func (w *world) stored(i int, s *snapshot) {
	h := &w.hands[i]
	if h.dec.Then == Drop {
		w.drop(i)
		return
	}
	h.seen = s
	w.follow(i)
}

// found goes on after a commit that was stored though its answer was lost.
func (w *world) found(i int) {
	h := &w.hands[i]
	run := w.head.conv.Active()
	mine := run != nil && run.Streaming && run.Lease == h.dec.in.Lease && started(h.dec.Decision, run)
	if h.dec.Then == CallModel && !mine && !w.wrong.trustsStored {
		w.drop(i)
		return
	}
	w.stored(i, w.head)
}

// follow begins what comes after a decision: emissions, then ack or model call.
func (w *world) follow(i int) {
	h := &w.hands[i]
	early := w.wrong.acksFirst && h.dec.Then == Ack
	switch {
	case early && !w.at(h.letter).acked:
		h.phase = acks
	case len(w.owed(h)) > 0:
		h.phase = emits
	case early:
		w.drop(i)
	case h.dec.Then == CallModel:
		h.phase, h.call, h.dec, h.seen, h.model = models, h.dec, nil, nil, 0
	default:
		h.phase, h.dec, h.call, h.seen, h.model = acks, nil, nil, nil, 0
	}
}

// ack ends the letter of hand i.
func (w *world) ack(i int) {
	h := &w.hands[i]
	w.at(h.letter).acked = true
	if h.dec != nil {
		w.follow(i)
		return
	}
	w.drop(i)
}

// owed are the letters that h still has to send. What was stored before is
// absorbed by its id.
func (w *world) owed(h *bearer) []*letter {
	var list []*letter
	for _, l := range w.wrong.emissions(w.universe, h) {
		if n, _ := w.posted(l); n == 0 {
			list = append(list, l)
		}
	}
	return list
}

// emit sends the first n of what h owes.
func (w *world) emit(i, n int) {
	for _, l := range w.owed(&w.hands[i])[:n] {
		w.put(l)
	}
}

// last says what the newest commit holds.
func (w *world) last() string {
	for _, d := range w.decided {
		if d.next == w.head {
			return say(Decision{Events: d.Events, Then: d.Then})
		}
	}
	return ""
}
