package agentworker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parleychat/parley/events"
)

// A simCheck says of each commit whether it may stand in a log. It knows the
// events, not the fold: what a fold would skip is an error here.
type simCheck struct {
	accepted map[events.RunID]bool
	over     map[events.RunID]string
	stop     map[events.RunID]events.Why
	active   events.RunID
	open     *events.StepStarted // the model call
	released map[events.CallID]events.RunID
	answered map[events.CallID]bool

	takeovers, revoked int
}

func newSimCheck() *simCheck {
	return &simCheck{
		accepted: map[events.RunID]bool{}, over: map[events.RunID]string{}, stop: map[events.RunID]events.Why{},
		released: map[events.CallID]events.RunID{}, answered: map[events.CallID]bool{},
	}
}

// commit checks k, whose handler holds in.
func (c *simCheck) commit(w *sim, k *events.Commit, in Input) error {
	w.note("  n=%d %s", k.N, say(Decision{Events: k.Events}))
	for _, e := range k.Events {
		if err := c.event(w, e, in); err != nil {
			return fmt.Errorf("%s: %w", e.EventType(), err)
		}
	}
	if c.active == "" {
		for run := range c.accepted {
			if c.over[run] == "" {
				return fmt.Errorf("I1: nothing runs and %s waits", run)
			}
		}
	}
	return nil
}

func (c *simCheck) event(w *sim, e events.Event, in Input) error {
	switch e := e.(type) {
	case events.MessageAccepted:
		if c.accepted[e.RunID] {
			return errors.New("I1: accepted twice")
		}
		c.accepted[e.RunID] = true
	case events.RunStarted:
		if c.active != "" || !c.accepted[e.RunID] || c.over[e.RunID] != "" || c.stop[e.RunID] != "" {
			return fmt.Errorf("I4: active %q, accepted %t, over %q, stop %q", c.active, c.accepted[e.RunID], c.over[e.RunID], c.stop[e.RunID])
		}
		c.active = e.RunID
	case events.StepStarted:
		return c.step(e, in)
	case events.StepCompleted:
		if c.open == nil || e.RunID != c.active || e.Step != c.open.Step || e.Attempt != c.open.Attempt || in.Lease != c.open.Lease {
			return fmt.Errorf("a superseded attempt commits: open %+v", c.open)
		}
		if c.stop[e.RunID] != "" {
			return errors.New("I5: a step after the stop")
		}
		c.open = nil
	case events.ToolCalled:
		if e.RunID != c.active || c.stop[e.RunID] != "" || c.released[e.CallID] != "" || c.answered[e.CallID] {
			return errors.New("I5: released twice, or of a run that stops or is over")
		}
		c.released[e.CallID] = e.RunID
	case events.ToolReturned:
		return c.returned(w, e)
	case events.RunCancelRequested:
		if c.stop[e.RunID] != "" || c.over[e.RunID] != "" {
			return errors.New("a second stop, or one of a run that is over")
		}
		if cmd, ok := in.Command.(events.Cancel); ok && cmd.RunID != e.RunID {
			return fmt.Errorf("I5: it was asked of %s", cmd.RunID)
		}
		c.stop[e.RunID] = e.Why
	case events.RunCompleted:
		return c.end(w, e.RunID, "run.completed", events.Receipt{}, in)
	case events.RunFailed:
		return c.end(w, e.RunID, "run.failed("+e.Code+")", e.Receipt, in)
	case events.RunCancelled:
		return c.end(w, e.RunID, "run.cancelled", e.Receipt, in)
	default:
	}
	return nil
}

func (c *simCheck) step(e events.StepStarted, in Input) error {
	switch {
	case e.RunID != c.active:
		return errors.New("I4: of a run that is not active")
	case c.stop[e.RunID] != "":
		return errors.New("I5: a model call after the stop")
	case e.Lease != in.Lease:
		return errors.New("under the lease of another")
	case c.open == nil:
	case !e.Lease.Same(c.open.Lease) || e.Lease.Delivery < c.open.Lease.Delivery || e.Step != c.open.Step || e.Attempt != c.open.Attempt+1:
		return fmt.Errorf("it takes %+v", c.open)
	case e.Lease.Delivery == c.open.Lease.Delivery && e.Worker != c.open.Worker:
		return errors.New("a live lease is taken without a newer delivery")
	case e.Lease.Delivery > c.open.Lease.Delivery:
		c.takeovers++
	}
	for id, run := range c.released {
		if run == e.RunID && !c.answered[id] {
			return fmt.Errorf("the join misses call %s", id)
		}
	}
	c.open = &e
	return nil
}

// returned checks an answer against the ledger (I2).
func (c *simCheck) returned(w *sim, e events.ToolReturned) error {
	if c.answered[e.CallID] {
		return fmt.Errorf("call %s is answered twice", e.CallID)
	}
	c.answered[e.CallID] = true
	if c.over[e.RunID] != "" {
		return fmt.Errorf("I5: call %s is answered after %s", e.CallID, c.over[e.RunID])
	}
	row := w.ledger[e.CallID]
	if c.released[e.CallID] == "" {
		if row != nil || e.OK {
			return fmt.Errorf("call %s was never released", e.CallID)
		}
		return nil
	}
	if row == nil || e.OK != row.ok || !row.ran && e.Error.Code != events.ToolRevoked {
		return fmt.Errorf("I2: call %s: answer ok %t, ledger %+v", e.CallID, e.OK, row)
	}
	if !row.ran {
		c.revoked++
	}
	return nil
}

// end checks a terminal event: once, the right word, a receipt as the ledger has it.
func (c *simCheck) end(w *sim, run events.RunID, word string, rec events.Receipt, in Input) error {
	stop := c.stop[run]
	switch {
	case c.over[run] != "":
		return fmt.Errorf("I1: it ended before, as %s", c.over[run])
	case !c.accepted[run]:
		return errors.New("I1: of a message that was never accepted")
	case stop == events.WhyUser && word != "run.cancelled", stop == events.WhyDeadline && word != "run.failed(deadline)",
		stop == "" && (word == "run.cancelled" || word == "run.failed(deadline)"):
		return fmt.Errorf("I5: %s after a stop %q", word, stop)
	case run == c.active && c.open != nil && !c.open.Lease.Same(in.Lease):
		return errors.New("I5: the holder of the model call was not asked")
	}
	c.over[run] = word
	if run == c.active {
		c.active, c.open = "", nil
	}
	for id, of := range c.released {
		if of != run {
			continue
		}
		row := w.ledger[id]
		if row == nil || !c.answered[id] {
			return fmt.Errorf("I5: call %s is undecided", id)
		}
		if word != "run.completed" && (slices.Contains(rec.Ran, id) != row.ran || slices.Contains(rec.NotRun, id) == row.ran) {
			return fmt.Errorf("I5: receipt %+v, but call %s ran: %t", rec, id, row.ran)
		}
	}
	return nil
}

// acked checks that nothing is lost with a message: a deadline fires once.
func (c *simCheck) acked(w *sim, in Input) error {
	d, ok := in.Command.(events.RunDeadline)
	if !ok || c.active != d.RunID {
		return nil
	}
	if run := w.head.Active(); run.Stop == nil && run.Status != events.RequiresAction && !d.At.Before(run.Deadline) {
		return fmt.Errorf("the deadline of %s is lost", d.RunID)
	}
	return nil
}

// atRest checks what must hold when nothing is left to do.
func (c *simCheck) atRest(w *sim) error {
	for _, m := range w.queue {
		cmd, ok := m.in.Command.(events.Message)
		if run := events.RunIDFor(ana, conv, events.MessageID(cmd.Text)); ok && c.over[run] == "" {
			return fmt.Errorf("I1: %s never ended: %s", cmd.Text, w.open())
		}
	}
	for id := range c.released {
		if !c.answered[id] {
			return fmt.Errorf("call %s was never answered", id)
		}
	}
	if c.active != "" {
		return fmt.Errorf("run %s is open: %s", c.active, w.open())
	}
	return nil
}
