package agentworker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parleychat/parley/events"
)

// A violation says which promise a history breaks.
type violation struct {
	law  string // I1 to I5; L a lease, T a deadline, C one answer per call, O the order of messages
	text string
}

func (v *violation) Error() string { return v.law + ": " + v.text }

func broken(law, format string, a ...any) error {
	return &violation{law, fmt.Sprintf(format, a...)}
}

// A check says of each commit whether it may stand in a log. It knows the
// events, not the fold: what a fold would skip is an error here.
type check struct {
	runs   []runCheck
	calls  []callCheck
	causes []cause
	active int // of runs, plus one; 0 for none
	open   *events.StepStarted
	failed int // attempts of the open step that came to nothing

	deleted   bool
	deletions int
	after     int // answers that came while deleted
}

type runCheck struct {
	id       events.RunID
	text     string // of the person's message
	accepted bool
	started  bool
	stop     events.Why
	stopAt   time.Time
	over     string
}

// A cause is an inbox id with the first commit that it led to.
type cause struct {
	id   string
	list []events.Event
}

type callCheck struct {
	id       events.CallID
	run      events.RunID
	released bool
	answered bool
}

// A debt is what the ledger must say of a call when a commit is stored.
type debt struct {
	call    events.CallID
	law     string
	text    string
	ok, ran bool // what the commit says
	result  bool // ok counts
	ill     bool // not a call: the letter must have been beyond repair
}

func (c *check) clone() check {
	k := *c
	k.runs, k.calls, k.causes = slices.Clone(c.runs), slices.Clone(c.calls), slices.Clone(c.causes)
	return k
}

// first returns the events of the first commit with that cause.
func (c *check) first(id string) []events.Event {
	for _, k := range c.causes {
		if k.id == id {
			return k.list
		}
	}
	return nil
}

func (c *check) run(id events.RunID) *runCheck {
	for i := range c.runs {
		if c.runs[i].id == id {
			return &c.runs[i]
		}
	}
	c.runs = append(c.runs, runCheck{id: id})
	return &c.runs[len(c.runs)-1]
}

func (c *check) call(id events.CallID) *callCheck {
	for i := range c.calls {
		if c.calls[i].id == id {
			return &c.calls[i]
		}
	}
	c.calls = append(c.calls, callCheck{id: id})
	return &c.calls[len(c.calls)-1]
}

// over says how a run ended, "" if it has not.
func (c *check) over(id events.RunID) string {
	for i := range c.runs {
		if c.runs[i].id == id {
			return c.runs[i].over
		}
	}
	return ""
}

func (c *check) activeRun() events.RunID {
	if c.active == 0 {
		return ""
	}
	return c.runs[c.active-1].id
}

// commit checks k, whose handler holds in, as far as the log alone can tell.
func (c *check) commit(k *events.Commit, in Input) (owes []debt, err error) {
	if c.first(k.Cause) == nil {
		c.causes = append(c.causes, cause{k.Cause, k.Events})
		slices.SortFunc(c.causes, func(a, b cause) int { return strings.Compare(a.id, b.id) })
	}
	for _, e := range k.Events {
		more, bad := c.event(e, in)
		owes = append(owes, more...)
		if bad != nil && err == nil {
			err = bad
		}
	}
	for _, r := range c.runs {
		switch {
		case err != nil || !r.accepted || r.over != "":
		case c.active == 0:
			err = broken("I1", "nothing runs and a message waits")
		case c.deleted && r.stop == "":
			err = broken("I5", "the conversation is deleted and goes on")
		}
	}
	return owes, err
}

func (c *check) event(e events.Event, in Input) ([]debt, error) {
	switch e := e.(type) {
	case events.MessageAccepted:
		r := c.run(e.RunID)
		if m, ok := in.Command.(events.Message); ok {
			if slices.ContainsFunc(c.runs, func(o runCheck) bool { return o.text == m.Text }) {
				return nil, broken("I1", "%s is accepted twice", m.Text)
			}
			r.text = m.Text
		}
		if r.accepted {
			return nil, broken("I1", "accepted twice")
		}
		r.accepted = true
	case events.RunStarted:
		r := c.run(e.RunID)
		switch {
		case r.stop != "" || r.over != "":
			return nil, broken("I5", "a run starts after its stop")
		case c.active != 0 || !r.accepted:
			return nil, broken("I4", "a run starts beside another, or without its message")
		}
		r.started = true
		c.active = slices.IndexFunc(c.runs, func(o runCheck) bool { return o.id == e.RunID }) + 1
	case events.StepStarted:
		return nil, c.step(e, in)
	case events.StepInterrupted:
		if c.open == nil || e.RunID != c.activeRun() || e.Step != c.open.Step || e.Attempt != c.open.Attempt || in.Worker != c.open.Worker {
			return nil, broken("L", "somebody else's model call is handed over")
		}
		c.failed--
	case events.StepCompleted:
		switch {
		case c.open == nil || e.RunID != c.activeRun() || e.Step != c.open.Step || e.Attempt != c.open.Attempt || in.Worker != c.open.Worker:
			return nil, broken("L", "a superseded attempt commits")
		case c.run(e.RunID).stop != "":
			return nil, broken("I5", "a step after the stop")
		}
		c.open = nil
	case events.ToolCalled:
		k := c.call(e.CallID)
		if e.RunID != c.activeRun() && e.RunID != "" || e.RunID != "" && c.run(e.RunID).stop != "" || k.released || k.answered {
			return nil, broken("I5", "a call is released twice, or for a run that stops or is over")
		}
		k.released, k.run = true, e.RunID
	case events.ToolReturned:
		return c.returned(e)
	case events.RunCancelRequested:
		return nil, c.stopped(e, in)
	case events.ConversationDeleted:
		c.deleted = true
		c.deletions++
	case events.ConversationRestored:
		c.deleted = false
	case events.RunCompleted:
		return c.end(e.RunID, "completed", events.Receipt{}, in)
	case events.RunFailed:
		return c.end(e.RunID, e.Code, e.Receipt, in)
	case events.RunCancelled:
		return c.end(e.RunID, "cancelled", e.Receipt, in)
	default:
	}
	return nil, nil
}

func (c *check) step(e events.StepStarted, in Input) error {
	switch {
	case e.RunID != c.activeRun():
		return broken("I4", "a model call for a run that is not active")
	case c.run(e.RunID).stop != "":
		return broken("I5", "a model call after the stop")
	case c.open == nil:
		c.failed = 0
	case e.Step != c.open.Step || e.Attempt != c.open.Attempt+1:
		return broken("L", "step %d.%d begins while %d.%d is open", e.Step, e.Attempt, c.open.Step, c.open.Attempt)
	case in.Worker == c.open.Worker: // its own model call was cut
	case !in.Lease.Same(c.open.Lease) || in.Lease.Delivery <= c.open.Lease.Delivery:
		return broken("L", "a live lease is taken without a newer delivery")
	}
	for _, k := range c.calls {
		if k.released && k.run == e.RunID && !k.answered {
			return broken("C", "the next step begins without the answer to a call")
		}
	}
	c.failed++
	c.open = &e
	return nil
}

func (c *check) stopped(e events.RunCancelRequested, in Input) error {
	r := c.run(e.RunID)
	if r.stop != "" || r.over != "" {
		return broken("I5", "a second stop, or one of a run that is over")
	}
	switch cmd := in.Command.(type) {
	case events.Cancel:
		if cmd.RunID != e.RunID {
			return broken("I5", "another run than the one named is stopped")
		}
	case events.RunDeadline:
		if cmd.RunID != e.RunID {
			return broken("I5", "another run than the one named is stopped")
		}
		if c.onlyAsks(e.RunID) {
			return broken("T", "the clock ran while a person was asked")
		}
	default:
	}
	r.stop, r.stopAt = e.Why, in.Now
	return nil
}

// onlyAsks reports whether nothing of the run is under way: then a person is asked.
func (c *check) onlyAsks(run events.RunID) bool {
	return c.activeRun() == run && c.open == nil && !slices.ContainsFunc(c.calls, func(k callCheck) bool {
		return k.run == run && k.released && !k.answered
	})
}

// returned checks an answer; what it says must be what the ledger says (I2).
func (c *check) returned(e events.ToolReturned) ([]debt, error) {
	k := c.call(e.CallID)
	switch {
	case k.answered:
		return nil, broken("C", "a call is answered twice")
	case e.RunID != "" && c.run(e.RunID).over != "":
		return nil, broken("I5", "a call is answered after the run's end")
	}
	k.answered = true
	if c.deleted {
		c.after++
	}
	if !k.released {
		if e.OK {
			return nil, broken("I2", "a call that was never released is answered ok")
		}
		return []debt{{call: e.CallID, law: "I2", text: "a refused call has run"}}, nil
	}
	ran := e.OK || e.Error.Code == events.ToolFailed
	if e.RunID == "" && e.Error != nil && e.Error.Code == events.ToolUnknown {
		return nil, nil // there is no such server: it never went out
	}
	return []debt{{call: e.CallID, law: "I2", text: "an answer is not the ledger's", result: true, ok: e.OK, ran: ran}}, nil
}

// end checks a terminal event: once, the right word, and a receipt as the ledger has it.
func (c *check) end(id events.RunID, word string, rec events.Receipt, in Input) (owes []debt, err error) {
	r := c.run(id)
	switch {
	case r.over != "":
		return nil, broken("I1", "a run ends again, as %s", word)
	case !r.accepted:
		return nil, broken("I1", "a run ends whose message was never accepted")
	case word == events.FailPoison && r.started:
		return nil, broken("I1", "poison ends a run that had begun")
	case word == events.FailAttempts && c.failed < maxAttempts:
		return nil, broken("I1", "a run is given up after %d attempts", c.failed)
	case r.stop == events.WhyUser && word != "cancelled", r.stop == events.WhyDeadline && word != events.FailDeadline:
		return nil, broken("I5", "a run that was asked to stop ends as %s", word)
	case r.started && r.stop == "" && (word == "cancelled" || word == events.FailDeadline):
		return nil, broken("I5", "a run that nobody stopped ends as %s", word)
	case id == c.activeRun() && c.open != nil && in.Worker != c.open.Worker && (r.stop == "" || !pastHope(in, r.stopAt)) &&
		(!in.Lease.Same(c.open.Lease) || in.Lease.Delivery <= c.open.Lease.Delivery):
		return nil, broken("I5", "a run ends and its model call is still held")
	}
	r.over = word
	if id == c.activeRun() {
		c.active, c.open = 0, nil
	}
	if word == events.FailPoison {
		owes = append(owes, debt{ill: true, law: "I1", text: "a message is given up and nobody died of it"})
	}
	for _, k := range c.calls {
		if k.run != id || !k.released {
			continue
		}
		if !k.answered {
			return owes, broken("I5", "a run ends and a call is undecided")
		}
		ran, not := slices.Contains(rec.Ran, k.id), slices.Contains(rec.NotRun, k.id)
		if word != "completed" {
			if ran == not {
				return owes, broken("I5", "the receipt does not say whether a call ran")
			}
			owes = append(owes, debt{call: k.id, law: "I5", text: "the receipt is not the ledger's", ran: ran})
		}
	}
	return owes, nil
}

// pastHope reports a deadline that comes long after a stop: whoever holds the model
// call has had that long to see it.
func pastHope(in Input, stop time.Time) bool {
	_, ok := in.Command.(events.RunDeadline)
	return ok && in.Now.After(stop.Add(Limits{}.withDefaults().Late))
}

// keeps checks that a commit leaves out nothing that a model had written and
// people have seen: it is in the step, or in the receipt of the run.
func keeps(list []events.Event, text string) error {
	for _, e := range list {
		kept := text
		switch e := e.(type) {
		case events.StepCompleted:
			return nil
		case events.RunFailed:
			kept = e.Receipt.Text
		case events.RunCancelled:
			kept = e.Receipt.Text
		default:
		}
		if kept != text {
			return broken("I3", "a run ends with the text %q, and people have seen %q", kept, text)
		}
	}
	return nil
}

// paid checks a debt against a ledger row.
func (d *debt) paid(r row) error {
	if r == rowNone && !d.result && !d.ran && d.law == "I2" {
		return nil // refused by policy: no row, no effect
	}
	if r == rowNone || r.ran() != d.ran || d.result && (r == rowOK) != d.ok {
		return broken(d.law, "%s", d.text)
	}
	return nil
}
