package agentworker

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parleychat/parley/events"
)

// readingSeeds bounds how long a wrong reading may hide.
const readingSeeds = 10_000

// A planted reading has a name, a sentence, and promises: the one that it must
// be seen to break, and those that it may break before.
type planted struct {
	name, text, laws string
	region           string // where the search finds it
	faults           int    // with so many
	reading
}

// readings are the ways in which a careful person would misread docs/decide.md,
// each planted in the rules or in what performs them, with the promises that it
// may break first. The numbers are those of the list there.
var readings = []planted{
	{"01", "whoever meets a cancel ends the run", "I5", "calls", 0, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		run := s.Active()
		if _, ok := in.Command.(events.Result); ok && run != nil && run.Stop != nil && d.Then != Drop && !s.HasCause(in.ID) {
			return r.end(s, run, in, ending{})
		}
		return d
	}}},
	{"02", "on a conflict the same events are published at the next n", "I1 I4 I5 L C T", "queue", 1, reading{rebases: true}},
	{"03a", "run.cancelled starts nothing", "I1", "cancel", 0, reading{decide: func(_ *Rules, _ *events.Conversation, _ Input, d Decision) Decision {
		return startsNothing[events.RunCancelled](d)
	}, after: func(_ *Rules, _ *events.Conversation, _ *decision, _ Outcome, _ Input, d Decision) Decision {
		return startsNothing[events.RunCancelled](d)
	}}},
	{"03b", "run.failed starts nothing", "I1", "queue", 0, reading{decide: func(_ *Rules, _ *events.Conversation, _ Input, d Decision) Decision {
		return startsNothing[events.RunFailed](d)
	}, after: func(_ *Rules, _ *events.Conversation, _ *decision, _ Outcome, _ Input, d Decision) Decision {
		return startsNothing[events.RunFailed](d)
	}}},
	{"04", "the next run is leased to its own message", "I1", "queue", 1, leasedToItself()},
	{"05", "a redelivery emits what its first commit emits", "I1 T", "queue", 1, emitsOfCommit()},
	{"06", "a takeover emits nothing", "T", "queue", 1, reading{skips: func(h *bearer, _ *letter) bool {
		return h.dec != nil && h.dec.claim.Attempt > 1 && h.call == nil
	}}},
	{"07", "a takeover calls the model whatever the log says", "I5", "queue", 1, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		run := s.Active()
		if run != nil && run.Streaming && run.Lease.Same(in.Lease) && run.Stop != nil && d.Then != Drop && run.Attempt < maxAttempts {
			return commit(CallModel, events.StepStarted{RunID: run.RunID, Step: run.Step, Attempt: run.Attempt + 1, Lease: in.Lease, Worker: in.Worker})
		}
		return d
	}}},
	{"08", "the id in the log and an open step mean a takeover", "L", "queue", 1, reading{decide: func(_ *Rules, s *events.Conversation, in Input, d Decision) Decision {
		run := s.Active()
		if run != nil && run.Streaming && run.Lease.Same(in.Lease) && run.Stop == nil && d.Then == Drop && run.Attempt < maxAttempts {
			return commit(CallModel, events.StepStarted{RunID: run.RunID, Step: run.Step, Attempt: run.Attempt + 1, Lease: in.Lease, Worker: in.Worker})
		}
		return d
	}}},
	{"09", "one's own commit in the log means to go on", "L I5", "queue", 1, reading{trustsStored: true, after: func(r *Rules, s *events.Conversation, call *decision, out Outcome, in Input, d Decision) Decision {
		run := s.Active()
		if d.Then != Drop || run == nil || !run.Streaming || run.RunID != call.claim.RunID {
			return d
		}
		d = r.AfterModel(s, claimOf(run), out, in)
		for i, e := range d.Events {
			if e, ok := e.(events.StepCompleted); ok {
				e.Attempt = call.claim.Attempt
				d.Events[i] = e
			}
		}
		return d
	}}},
	{"10a", "poison fails whatever runs", "I1 I5", "queue", 1, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		if run := s.Active(); run != nil && in.Lease.Delivery > maxDeliveries && !s.HasCause(in.ID) {
			return r.end(s, run, in, ending{fail: &events.RunError{Code: events.FailPoison}})
		}
		return d
	}}},
	{"10b", "poison is only acknowledged", "I1 T", "queue", 1, reading{decide: func(_ *Rules, s *events.Conversation, in Input, d Decision) Decision {
		if in.Lease.Delivery > maxDeliveries && !s.HasCause(in.ID) {
			return commit(Ack)
		}
		return d
	}}},
	{"11", "many deliveries condemn an inherited lease", "I1", "queue", 2, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		run := s.Active()
		if run != nil && run.Streaming && run.Lease.Same(in.Lease) && in.Lease.Delivery > maxDeliveries && d.Then == CallModel && run.Stop == nil {
			return r.end(s, run, in, ending{fail: &events.RunError{Code: events.FailPoison}})
		}
		return d
	}}},
	{"12", "a deadline ends the run", "I5", "queue", 0, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		run := s.Active()
		if cmd, ok := in.Command.(events.RunDeadline); ok && run != nil && cmd.RunID == run.RunID && len(d.Events) > 0 {
			return r.end(s, run, in, ending{fail: &events.RunError{Code: events.FailDeadline}})
		}
		return d
	}}},
	{"13", "a cancel of a queued run is remembered", "I5", "cancel", 0, reading{decide: func(_ *Rules, s *events.Conversation, in Input, d Decision) Decision {
		if cmd, ok := in.Command.(events.Cancel); ok && len(d.Events) == 2 {
			if run := s.Run(cmd.RunID); run != nil && run.Status == events.Queued {
				d.Events = d.Events[:1]
			}
		}
		return d
	}}},
	{"14", "a cancel ends a run that asks a person, whatever else is out", "I5", "approval, cancel", 0, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		cmd, ok := in.Command.(events.Cancel)
		run := s.Active()
		if ok && run != nil && cmd.RunID == run.RunID && run.Count(events.CallAsking) > 0 && len(d.Events) == 1 {
			e := ending{stop: &events.Stop{By: events.ByUser, Why: events.WhyUser}}
			return r.end(s, run, in, e).after(d.Events)
		}
		return d
	}}},
	{"15", "a refusal is answered without a row", "I2", "calls", 0, reading{answersWithoutRow: true}},
	{"16", "answers are known by their inbox id", "C", "calls", 0, reading{revokesApart: true, decide: func(_ *Rules, s *events.Conversation, in Input, d Decision) Decision {
		res, ok := in.Command.(events.Result)
		if call, run := s.Call(res.CallID); ok && call != nil && run != nil && !call.ReturnedAt.IsZero() && !s.HasCause(in.ID) {
			return commit(Ack, events.ToolReturned{CallID: call.CallID, RunID: run.RunID, OK: res.OK, Error: res.Error})
		}
		return d
	}}},
	{"17", "a cancel stops whatever runs", "I5", "cancel", 0, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		_, ok := in.Command.(events.Cancel)
		if run := s.Active(); ok && run != nil && !s.HasCause(in.ID) {
			return r.stop(s, in, run.RunID, events.ByUser, events.WhyUser)
		}
		return d
	}}},
	{"18", "the inbox id is the stream sequence", "I1", "queue", 1, reading{as: func(in Input) Input {
		if _, ok := in.Command.(events.Message); ok {
			in.ID = fmt.Sprint("s", in.Lease.Sequence)
		}
		return in
	}}},
	{"19", "leases are compared by the inbox id", "L", "queue", 1, reading{decide: func(_ *Rules, s *events.Conversation, in Input, d Decision) Decision {
		run := s.Active()
		if run != nil && run.Streaming && run.Stop == nil && !run.Lease.Same(in.Lease) && string(run.Message.MessageID) == in.ID && run.Attempt < maxAttempts {
			return commit(CallModel, events.StepStarted{RunID: run.RunID, Step: run.Step, Attempt: run.Attempt + 1, Lease: in.Lease, Worker: in.Worker})
		}
		return d
	}}},
	{"20a", "the result of an unknown call is acknowledged", "I1 C", "calls", 1, reading{decide: func(_ *Rules, _ *events.Conversation, in Input, d Decision) Decision {
		if _, ok := in.Command.(events.Result); ok && d.Then == Drop {
			d.Then = Ack
		}
		return d
	}}},
	{"20b", "the deadline of an unknown run is acknowledged", "T", "queue", 1, reading{decide: func(_ *Rules, _ *events.Conversation, in Input, d Decision) Decision {
		if _, ok := in.Command.(events.RunDeadline); ok && d.Then == Drop {
			d.Then = Ack
		}
		return d
	}}},
	{"21", "the ack comes before the emissions", "I1 T C", "calls", 1, reading{acksFirst: true}},
	{"22", "a worker that stops gives back what it has lost", "L", "alone", 2, reading{givesBackLost: true}},
	{"23", "an outage is waited out with naks", "I1", "queue", 1, reading{naks: true}},
	{"27", "the clock runs while a person is asked", "T", "approval", 0, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		cmd, ok := in.Command.(events.RunDeadline)
		if run := s.Active(); ok && run != nil && run.RunID == cmd.RunID && run.Status == events.RequiresAction && !s.HasCause(in.ID) {
			return r.stop(s, in, cmd.RunID, events.BySystem, events.WhyDeadline)
		}
		return d
	}}},
	{"30", "the result of a call by hand belongs to no run", "C", "by hand", 0, reading{decide: func(_ *Rules, s *events.Conversation, in Input, d Decision) Decision {
		res, ok := in.Command.(events.Result)
		if call, run := s.Call(res.CallID); ok && call != nil && run == nil {
			return commit(Ack)
		}
		return d
	}}},
	{"31", "what a stale state does not know is given up", "T", "alone", 2, reading{givesUpBlindly: true}},
	{"32", "a hand-over counts as a failed attempt", "I1", "alone", 3, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		run := s.Active()
		if run != nil && run.Streaming && run.Lease.Same(in.Lease) && run.Stop == nil && d.Then == CallModel && run.Attempt >= maxAttempts {
			return r.end(s, run, in, ending{fail: &events.RunError{Code: events.FailAttempts}})
		}
		return d
	}}},
	{"33", "messages are taken as they are pulled", "O", "queue", 0, reading{outOfTurn: true}},
	{"34", "what a stopped answer had said is left out", "I3", "alone", 0, reading{after: func(_ *Rules, _ *events.Conversation, _ *decision, _ Outcome, _ Input, d Decision) Decision {
		for i, e := range d.Events {
			if e, ok := e.(events.RunFailed); ok {
				e.Receipt.Text = ""
				d.Events[i] = e
			}
		}
		return d
	}}},
	{"35", "a deletion leaves alone what runs and waits", "I5", "delete", 0, reading{decide: func(_ *Rules, _ *events.Conversation, in Input, d Decision) Decision {
		if _, ok := in.Command.(events.Delete); ok && len(d.Events) > 0 {
			return commit(Ack, d.Events[0])
		}
		return d
	}}},
	{"36", "a message to a deleted conversation is answered", "I5", "delete", 0, reading{decide: func(r *Rules, s *events.Conversation, in Input, d Decision) Decision {
		if _, ok := in.Command.(events.Message); ok && s.Deleted {
			k := s.Clone()
			k.Deleted = false
			return r.Decide(k, in)
		}
		return d
	}}},
}

// startsNothing is d without the run that begins after the end of another.
func startsNothing[E events.Event](d Decision) Decision {
	end := slices.IndexFunc(d.Events, func(e events.Event) bool { _, ok := e.(E); return ok })
	if end < 0 || end+1 == len(d.Events) {
		return d
	}
	return commit(Ack, d.Events[:end+1]...)
}

// leasedToItself gives the runs that end() starts the lease of their own message.
func leasedToItself() reading {
	lease := func(s *events.Conversation, d Decision) Decision {
		started := false
		for i, e := range d.Events {
			switch e := e.(type) {
			case events.RunStarted:
				started = s.Run(e.RunID) != nil // it was queued
			case events.StepStarted:
				if started {
					e.Lease = events.Lease{Stream: events.StreamInbox, Sequence: 1 << 20, Delivery: 1} // acknowledged long ago
					d.Events[i] = e
				}
			}
		}
		return d
	}
	return reading{
		decide: func(_ *Rules, s *events.Conversation, _ Input, d Decision) Decision { return lease(s, d) },
		after: func(_ *Rules, s *events.Conversation, _ *decision, _ Outcome, _ Input, d Decision) Decision {
			return lease(s, d)
		},
	}
}

// emitsOfCommit ties emissions to the events of a commit: those of the
// decision, or at a redelivery those of the first commit of its cause.
func emitsOfCommit() reading {
	return reading{skips: func(h *bearer, l *letter) bool {
		list := h.dec.Events
		if len(list) == 0 {
			list = h.seen.check.first(h.letter.in.ID)
		}
		return !slices.ContainsFunc(list, func(e events.Event) bool {
			switch e := e.(type) {
			case events.RunStarted:
				_, ok := l.in.Command.(events.RunDeadline)
				return ok
			case events.ApprovalAnswered:
				_, ok := l.in.Command.(events.RunDeadline)
				return ok && !e.Deadline.IsZero()
			case events.ApprovalRequested:
				cmd, ok := l.in.Command.(events.ApprovalExpiry)
				return ok && cmd.CallID == e.CallID
			case events.ToolCalled:
				return l.item != nil && l.item.CallID == e.CallID && !l.item.Revoke
			case events.RunCancelRequested:
				return l.item != nil && l.item.Revoke
			}
			return false
		})
	}}
}

// readingPrefix begins the names of the histories in which a wrong reading was found.
const readingPrefix = "reading-"

var simUpdate = flag.Bool("sim.update", false, "write the shortest history of each wrong reading anew")

// TestReadings plants each wrong reading of the rules and wants the simulation
// to find it, by the promise that it breaks; the shortest history found is kept
// and must show it, too.
func TestReadings(t *testing.T) {
	t.Parallel()
	for _, tt := range readings {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seed, h, err := tt.find(t, 1)
			if err == nil {
				t.Fatalf("%s: %d seeds do not find it", tt.text, readingSeeds)
			}
			t.Logf("%s: seed %d: %v", tt.text, seed, err)
			if *simUpdate {
				tt.update(t, seed, h, err)
			}
			s, moves := golden(t, filepath.Join(histories, readingPrefix+tt.name+".txt"), tt.reading)
			if _, err := replay(s, moves, nil); law(err) != tt.law() {
				t.Errorf("%s: its history breaks %v, want %s", tt.text, err, tt.law())
			}
		})
	}
}

// TestReadingsAreListed compares the list in docs/decide.md.
func TestReadingsAreListed(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/decide.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, p := range readings {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s, %d |", p.name, p.text, p.law(), p.region, p.faults))
	}
	if list := strings.Join(rows, "\n"); !strings.Contains(string(b), list+"\n") {
		t.Errorf("docs/decide.md should list\n%s", list)
	}
}

// law is the promise that p must be seen to break.
func (p *planted) law() string { return strings.Fields(p.laws)[0] }

// find returns the first seed from which on shows p.
func (p *planted) find(t *testing.T, from uint64) (uint64, *story, error) {
	t.Helper()
	for seed := from; seed <= readingSeeds; seed++ {
		h, err := simulate(seed, p.reading)
		switch {
		case err == nil:
		case law(err) == p.law():
			return seed, h, err
		case !slices.Contains(strings.Fields(p.laws), law(err)):
			t.Fatalf("%s: seed %d breaks %v, want %s\n%s", p.text, seed, err, p.laws, strings.Join(tell(h.setting, h.moves), "\n"))
		}
	}
	return 0, nil, nil
}

// update keeps the shortest of the histories that some seeds find.
func (p *planted) update(t *testing.T, seed uint64, h *story, why error) {
	t.Helper()
	best := h.shortest(why)
	for range 12 {
		var err error
		if seed, h, err = p.find(t, seed+1); err == nil {
			break
		}
		if short := h.shortest(err); len(short.moves) < len(best.moves) {
			best = short
		}
	}
	_, why = replay(best.setting, best.moves, nil)
	if err := best.save(readingPrefix+p.name, fmt.Errorf("%s: %w", p.text, why)); err != nil {
		t.Fatal(err)
	}
}
