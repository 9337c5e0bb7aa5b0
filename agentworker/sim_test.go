package agentworker

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
)

var simSeed = flag.Uint64("sim.seed", 0, "run only this seed of TestSimulation, and print it")

// TestSimulation drives Decide, AfterModel and Due through seeded histories of
// one conversation: messages, parallel calls, approvals, cancels and deadlines,
// handled by several handlers and toolworkers that crash between any two
// actions, wake up late, read stale logs and lose the answers to their
// publishes. It checks every commit, and that the rest, without further faults,
// ends with nothing open.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := []uint64{*simSeed}
	if *simSeed == 0 {
		seeds = seeds[:0]
		for s := range uint64(2000) {
			seeds = append(seeds, s+1)
		}
	}
	ended := map[string]int{}
	for _, seed := range seeds {
		w := newSim(seed)
		err := w.run()
		if *simSeed != 0 || err != nil {
			t.Log(strings.Join(w.trace, "\n"))
		}
		if err != nil {
			t.Fatalf("seed %d: %v (run it alone with -sim.seed=%d)", seed, err, seed)
		}
		for _, word := range w.check.over {
			ended[word]++
		}
		ended["takeover"] += w.check.takeovers
		ended["revoked"] += w.check.revoked
	}
	if *simSeed != 0 {
		return
	}
	// A simulation that never gets somewhere finds nothing there.
	for _, word := range []string{"run.completed", "run.cancelled", "run.failed(deadline)", "run.failed(attempts)", "run.failed(poison)", "takeover", "revoked"} {
		if ended[word] < 20 {
			t.Errorf("%s happened %d times in all: %v", word, ended[word], ended)
		}
	}
	t.Log(ended)
}

// A simMessage is a message of INBOX, TIMER or WORK.
type simMessage struct {
	in         events.Inbox
	item       *events.WorkItem // of WORK
	lease      events.Lease
	out, acked bool // delivered and neither acked nor run out; done
}

// A simHandler carries a delivery; each step is one action after which it may die.
type simHandler struct {
	m     *simMessage
	in    Input
	state *events.Conversation // as of its last read
	d     Decision
	due   Due
	claim Claim
	out   Outcome
	after bool   // the next decision is AfterModel's
	phase string // decide, commit, emit, then, model
}

type sim struct {
	rng      *rand.Rand
	rules    *Rules
	now      time.Time
	faults   int // left to happen
	log      []*events.Commit
	head     *events.Conversation
	queue    []*simMessage
	handlers []*simHandler
	flying   []func() // publishes that may land later
	timers   map[string]Timer
	ledger   map[events.CallID]*simRow
	check    *simCheck
	todo     []func() // what people do, in any order
	seq      uint64
	worker   int
	trace    []string
	err      error
}

// A simRow is a call's row in the ledger: it ran, or it never will.
type simRow struct{ ran, ok bool }

func newSim(seed uint64) *sim {
	ref, err := events.NewRef(ana, conv)
	if err != nil {
		panic(err)
	}
	w := &sim{
		rng: rand.New(rand.NewPCG(seed, 7)), rules: testRules(), now: start, head: events.NewConversation(ref),
		timers: map[string]Timer{}, ledger: map[events.CallID]*simRow{}, check: newSimCheck(),
	}
	w.faults = w.rng.IntN(6)
	w.rules.Limits.InFlight, w.rules.Limits.Approval = 2, 8*time.Minute
	for i := range 2 + w.rng.IntN(2) {
		id := fmt.Sprint("m", i+1)
		send := func() { w.send(id, events.Message{Text: id}) }
		w.todo = append(w.todo, send)
		if w.rng.IntN(8) == 0 {
			w.todo = append(w.todo, send) // stored twice, after the dedupe window
		}
		if w.rng.IntN(2) == 0 {
			w.todo = append(w.todo, func() { w.send("x"+id, events.Cancel{RunID: events.RunIDFor(ana, conv, events.MessageID(id))}) })
		}
	}
	return w
}

func (w *sim) note(format string, a ...any) { w.trace = append(w.trace, fmt.Sprintf(format, a...)) }

func (w *sim) fail(format string, a ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, a...)
	}
}

// fault reports whether something goes wrong here.
func (w *sim) fault(oneIn int) bool {
	if w.faults == 0 || w.rng.IntN(oneIn) > 0 {
		return false
	}
	w.faults--
	return true
}

func (w *sim) put(stream string, in events.Inbox, item *events.WorkItem) {
	w.seq++
	w.queue = append(w.queue, &simMessage{in: in, item: item, lease: events.Lease{Stream: stream, Sequence: w.seq}})
}

func (w *sim) send(id string, c events.Command) {
	w.put(events.StreamInbox, events.Inbox{V: 1, ID: id, UserID: ana, ConversationID: conv, Time: w.now, Command: c}, nil)
}

func (w *sim) run() error {
	for range 400 {
		w.act()
		if w.err != nil {
			return w.err
		}
	}
	w.note("no more faults")
	w.faults = 0
	for range 6000 {
		w.act()
		if w.err != nil {
			return w.err
		}
		if w.quiet() {
			return w.check.atRest(w)
		}
	}
	return fmt.Errorf("not at rest: %s", w.open())
}

func (w *sim) quiet() bool {
	return len(w.todo) == 0 && len(w.handlers) == 0 && len(w.flying) == 0 && len(w.timers) == 0 &&
		!slices.ContainsFunc(w.queue, func(m *simMessage) bool { return !m.acked })
}

func (w *sim) open() string {
	var b strings.Builder
	for _, m := range w.queue {
		if !m.acked {
			fmt.Fprintf(&b, "%s %d.%d ", m.in.ID, m.lease.Sequence, m.lease.Delivery)
		}
	}
	for _, r := range w.head.Runs {
		fmt.Fprintf(&b, "%s %s ", r.Message.MessageID, r.Status)
	}
	return b.String()
}

// act does one thing that may happen now.
func (w *sim) act() {
	switch n := w.rng.IntN(20); {
	case n < 2 && len(w.todo) > 0:
		i := w.rng.IntN(len(w.todo))
		f := w.todo[i]
		w.todo = slices.Delete(w.todo, i, i+1)
		f()
	case n == 2 && len(w.flying) > 0:
		f := w.flying[0]
		w.flying = w.flying[1:]
		f()
	case n == 3:
		w.tick()
	case n < 8:
		w.deliver()
	case len(w.handlers) > 0:
		h := w.handlers[w.rng.IntN(len(w.handlers))]
		if w.fault(12) {
			w.note("%s dies at %s", h.in.ID, h.phase)
			w.drop(h)
			return
		}
		w.step(h)
	default:
		w.deliver()
	}
}

// tick lets time pass: timers fire, people answer.
func (w *sim) tick() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(20)) * time.Second)
	if w.rng.IntN(8) == 0 {
		w.now = w.now.Add(4 * time.Minute)
	}
	for _, id := range slices.Sorted(maps.Keys(w.timers)) {
		if t := w.timers[id]; !t.At.After(w.now) {
			delete(w.timers, id)
			w.put(events.StreamTimer, t.Inbox, nil)
		}
	}
	if run := w.head.Active(); run != nil {
		for _, c := range run.Calls {
			if c.Status == events.CallAsking && w.rng.IntN(3) == 0 {
				w.send(fmt.Sprintf("p%d", w.seq), events.Answer{CallID: c.CallID, Decision: []string{events.Allow, events.Deny}[w.rng.IntN(2)]})
			}
		}
	}
}

// deliver hands a message to a new handler or toolworker. The lease of one that
// nobody holds runs out at some time; that of a living handler only by a fault.
func (w *sim) deliver() {
	var free []*simMessage
	for _, m := range w.queue {
		held := slices.ContainsFunc(w.handlers, func(h *simHandler) bool { return h.m == m })
		switch {
		case m.acked:
		case !m.out:
			free = append(free, m)
		case !held && w.rng.IntN(3) == 0, held && w.fault(30):
			free = append(free, m)
		}
	}
	if len(free) == 0 {
		return
	}
	m := free[w.rng.IntN(len(free))]
	m.out = true
	m.lease.Delivery++
	if m.item == nil && w.faults > 0 && m.lease.Delivery == 1 && w.rng.IntN(60) == 0 {
		m.lease.Delivery = maxDeliveries + 1 // its handlers died before, all of them
	}
	if m.item != nil {
		w.tool(m)
		return
	}
	w.worker++
	h := &simHandler{m: m, phase: "decide", in: Input{Inbox: m.in, Lease: m.lease, Worker: fmt.Sprint("w", w.worker)}}
	w.handlers = append(w.handlers, h)
}

func (w *sim) drop(h *simHandler) {
	w.handlers = slices.DeleteFunc(w.handlers, func(o *simHandler) bool { return o == h })
}

// tool carries a work item out, as the ledger has it.
func (w *sim) tool(m *simMessage) {
	id := m.item.CallID
	if w.fault(12) {
		return // died before its transaction
	}
	skew := time.Duration(w.rng.IntN(20)-10) * time.Second // clocks differ
	row := w.ledger[id]
	if row == nil {
		row = &simRow{}
		if !m.item.Revoke && w.now.Add(skew).Before(m.item.Deadline) {
			row.ran, row.ok = true, w.rng.IntN(4) > 0
			if run := w.head.Run(m.item.RunID); run != nil && run.Status.Over() {
				w.fail("I5: call %s took effect after its run was over", id)
			}
		}
		w.ledger[id] = row
		w.note("ledger %s: ran %t", id, row.ran)
	}
	if w.fault(12) {
		return // died after it
	}
	res := events.Result{CallID: id, RunID: m.item.RunID, OK: row.ok}
	if !row.ok {
		res.Error = &events.ToolError{Code: events.ToolRevoked}
		if row.ran {
			res.Error.Code = events.ToolFailed
		}
	}
	known := slices.ContainsFunc(w.queue, func(o *simMessage) bool { return o.in.ID == events.ResultID(id) })
	if !known || w.rng.IntN(2) == 0 {
		w.send(events.ResultID(id), res)
	}
	m.acked = !w.fault(12)
}

// read gives h the log, or with a fault an older one.
func (w *sim) read(h *simHandler) {
	n := len(w.log)
	if n > 0 && w.fault(15) {
		n -= 1 + w.rng.IntN(min(n, 3))
		w.note("%s reads only %d of %d", h.in.ID, n, len(w.log))
		h.state = events.NewConversation(w.head.Ref())
		for _, k := range w.log[:n] {
			if err := h.state.Apply(k); err != nil {
				w.fail("fold: %v", err)
			}
		}
		return
	}
	h.state = w.head.Clone()
}

func (w *sim) step(h *simHandler) {
	switch h.phase {
	case "decide":
		w.read(h)
		h.in.Now = w.now
		if h.after {
			h.d = w.rules.AfterModel(h.state, h.claim, h.out, h.in)
		} else {
			h.d = w.rules.Decide(h.state, h.in)
		}
		w.note("%s %v decides on %d: %s", h.in.ID, h.in.Lease, h.state.N, say(h.d))
		h.phase = "commit"
	case "commit":
		w.publish(h)
	case "emit":
		w.emit(h)
	case "then":
		if h.d.Then == CallModel {
			h.phase = "model"
			return
		}
		if err := w.check.acked(w, h.in); err != nil {
			w.fail("%v", err)
		}
		h.m.acked = true
		w.drop(h)
	case "model":
		h.out, h.after, h.phase = w.model(), true, "decide"
	}
}

// publish stores h's decision if nobody was faster; its answer may get lost.
func (w *sim) publish(h *simHandler) {
	if len(h.d.Events) == 0 {
		w.committed(h)
		return
	}
	id, err := events.CommitID(w.head.Ref(), h.state.N+1, h.in.Worker, h.in.Lease, h.d.Events)
	if err != nil {
		w.fail("%v", err)
		return
	}
	k := &events.Commit{V: 1, UserID: ana, ConversationID: conv, N: h.state.N + 1, CommitID: id, Cause: h.in.ID, By: h.in.by(), Time: w.now, Events: h.d.Events}
	land := func() bool {
		if k.N != w.head.N+1 {
			return false
		}
		if err := w.check.commit(w, k, h.in); err != nil {
			w.fail("%d, by %s %v: %v", k.N, h.in.ID, h.in.Lease, err)
		}
		if err := w.head.Apply(k); err != nil {
			w.fail("%v", err)
		}
		w.log = append(w.log, k)
		return true
	}
	switch {
	case w.fault(12): // the answer is lost: stored, lost, or on its way
		switch w.rng.IntN(3) {
		case 0:
			land()
		case 1:
			w.flying = append(w.flying, func() { land() })
		}
		w.note("%s does not know whether %d is stored", h.in.ID, k.N)
		h.phase = "decide"
		if slices.ContainsFunc(w.log, func(o *events.Commit) bool { return o.CommitID == id }) {
			h.state = w.head.Clone()
			if run := h.state.Active(); h.d.Then == CallModel && (run == nil || !run.Streaming || run.Lease != h.in.Lease || !started(h.d, run)) {
				h.d = Decision{Then: Drop}
			}
			w.committed(h)
		}
	case land():
		if err := h.state.Apply(k); err != nil {
			w.fail("%v", err)
		}
		w.committed(h)
	default:
		h.phase = "decide" // a conflict discards the decision
	}
}

func (w *sim) committed(h *simHandler) {
	if h.d.Then == Drop {
		w.drop(h)
		return
	}
	h.due, h.phase = w.rules.Due(h.state), "emit"
	if h.d.Then == CallModel {
		if run := h.state.Active(); run != nil {
			h.claim = claimOf(run)
		}
	}
}

// emit publishes one thing that is due; the dedupe window may have forgotten it.
func (w *sim) emit(h *simHandler) {
	switch {
	case len(h.due.Timers) > 0:
		w.timers[h.due.Timers[0].ID] = h.due.Timers[0]
		h.due.Timers = h.due.Timers[1:]
	case len(h.due.Work) > 0:
		item := h.due.Work[0]
		h.due.Work = h.due.Work[1:]
		known := slices.ContainsFunc(w.queue, func(m *simMessage) bool { return m.item != nil && m.item.DedupeID() == item.DedupeID() })
		if !known || w.rng.IntN(3) == 0 {
			w.put(events.StreamWork, events.Inbox{ID: item.DedupeID()}, &item)
		}
	default:
		h.phase = "then"
	}
}

func (w *sim) model() Outcome {
	switch n := w.rng.IntN(12); {
	case n < 5:
		out := Outcome{Completion: openai.Completion{FinishReason: "tool_calls"}}
		for range 1 + w.rng.IntN(4) {
			name := []string{"add_task", "add_task", "add_task", "ask_first", "never", "no_such"}[w.rng.IntN(6)]
			out.ToolCalls = append(out.ToolCalls, openai.ToolCall{Name: name, Arguments: "{}"})
		}
		return out
	case n == 5:
		return Outcome{Completion: openai.Completion{Text: "half"}, Err: &openai.Error{Code: events.FailModel, Cut: true}}
	case n == 6:
		return Outcome{Err: &openai.Error{Code: events.FailModel}}
	}
	return Outcome{Completion: openai.Completion{Text: "words", FinishReason: "stop"}}
}
