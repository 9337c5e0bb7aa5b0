//go:build faults

package faulttest

import (
	"slices"
	"strings"
	"testing"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// A plant is a bug with a story in which it shows, as a violation of an
// invariant. Without the bug the same story has no violation at all.
type plant struct {
	bug    fault.Bug
	breaks string
	story  story
}

// A story is what happens in a world.
type story struct {
	tell func(*world)
	// known stories are those of [deaths] and [pauses], told there without a bug.
	known bool
}

// own is a story of this file.
func own(tell func(*world)) story { return story{tell: tell} }

var plants = []plant{
	{fault.AckBeforeCommit, "I1", dies(fault.CommitBefore, 1, "agentworker", add)},
	{fault.AckBeforeEmit, "I1", dies(fault.WorkBefore, 1, "agentworker", add)},
	{fault.NoExpectedSequence, "I4", wakes(fault.CommitBefore, 3, "agentworker", add)},
	{fault.RebaseOnConflict, "I2", wakes(fault.CommitBefore, 3, "agentworker", add)},
	{fault.OwnCommitBlind, "I3", own(answerLost)},
	{fault.TakeoverAnyDelivery, "I1", own(wakesBeforeCommit)},
	{fault.LostLeaseAcks, "I1", own(wakesAndDies)},
	{fault.EmitFromDecision, "I1", dies(fault.WorkBefore, 1, "agentworker", add)},
	{fault.TakeoverNoTimer, "I1", own(deadline)},
	{fault.EndStartsNothing, "I1", own(queued)},
	{fault.CancelEndsRun, "I5", own(cancelledWithCalls)},
	{fault.DrainCompletes, "I3", own(drained)},
	{fault.StopDropsText, "I3", own(stopped)},
	{fault.DeltaAttemptFixed, "I3", own(killedMidway)},
	{fault.DeltaOffsetRunes, "I3", own(pieceByPiece)},
	{fault.DedupeWithoutPerson, "I1", own(sameID)},
	{fault.NoRenewal, "I1", own(patience)},

	{fault.EffectOutside, "I2", dies(fault.ToolCommitBefore, 1, "toolworker", add)},
	{fault.LedgerPerTry, "I2", dies(fault.ToolCommitAfter, 1, "toolworker", add)},
	{fault.RevokeWithoutRow, "I5", own(revoked)},
	{fault.AckBeforeAnswer, "I1", dies(fault.AnswerBefore, 1, "toolworker", add)},

	{fault.CheckpointFirst, "I6", dies(fault.BatchCommitBefore, 1, "recorder", add)},
	{fault.CheckpointIgnored, "I6", dies(fault.BatchBefore, 2, "recorder", add)},
	{fault.LiveWithoutRead, "I3", own(late)},
	{fault.SnapshotIgnored, "I3", own(joined)},
	{fault.StoreBeforeRefusal, "I8", own(refused)},
	{fault.TellEveryone, "I7", own(neighbours)},
}

// What a story shows is among what its bug is said to break.
func TestStoriesShowWhatBugsBreak(t *testing.T) {
	t.Parallel()
	for _, p := range plants {
		if !slices.Contains(p.bug.Breaks(), p.breaks) {
			t.Errorf("the story of %s shows %s, and it breaks %v", p.bug, p.breaks, p.bug.Breaks())
		}
	}
}

// TestEveryBug tells each story twice: as it is, and with its bug.
func TestEveryBug(t *testing.T) {
	t.Parallel()
	shown := map[fault.Bug]bool{}
	for _, p := range plants {
		shown[p.bug] = true
		if !p.story.known {
			t.Run(string(p.bug)+"/absent", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				p.story.tell(w)
				w.settled()
			})
		}
		t.Run(string(p.bug)+"/planted", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, p.bug)
			p.story.tell(w)
			if found := w.broken(p.breaks); !slices.ContainsFunc(found, func(v violation) bool { return v.invariant == p.breaks }) {
				t.Errorf("nothing shows that %s is broken, only %v", p.breaks, found)
			}
		})
	}
	for _, b := range fault.Bugs() {
		if !shown[b] {
			t.Errorf("nothing shows %s", b)
		}
	}
}

// all starts every role, and then drives.
func all(drive func(*world)) func(*world) {
	return func(w *world) {
		for _, role := range roles {
			w.start(role)
		}
		drive(w)
	}
}

// wakesBeforeCommit has a worker sleep before its first commit, until another
// is in the middle of the answer.
func wakesBeforeCommit(w *world) {
	for _, role := range roles[:3] {
		w.start(role)
	}
	p := w.doom("agentworker", fault.CommitBefore, 1, ":stop")
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	p.stopped(fault.CommitBefore, 1)
	w.start("agentworker")
	w.let(1)
	p.wake()
	if r.within(2*ackWait, func() bool { run := r.run(c); return run != nil && run.Attempt > 1 }) {
		w.blame("I1", "a delivery that is not newer has taken a healthy answer over")
	}
	close(w.model.gate)
}

// wakesAndDies has a worker sleep in its answer; another takes over; the first
// wakes up; the second dies.
func wakesAndDies(w *world) {
	for _, role := range roles[:3] {
		w.start(role)
	}
	first := w.doom("agentworker", fault.ModelFirstByte, 1, ":stop")
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(1)
	first.stopped(fault.ModelFirstByte, 1)
	second := w.start("agentworker")
	r.until("a second attempt", func() bool { run := r.run(c); return run != nil && run.Attempt == 2 })
	first.wake()
	// The first finds out at its next renewal, and then waits for other work.
	w.let(1)
	r.within(ackWait, func() bool { return false })
	first.kill()
	second.kill()
	w.start("agentworker")
	close(w.model.gate)
}

// answerLost has a worker store its first commit and not hear of it, until
// another has taken over.
func answerLost(w *world) {
	for _, role := range roles[:3] {
		w.start(role)
	}
	p := w.newProxy()
	first := w.launch("agentworker", []string{"PARLEY_NATS_URL=" + p.url()})
	p.holdAfter("HPUB log.")
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	r.until("a first attempt", func() bool { return r.run(c) != nil })
	w.start("agentworker")
	r.until("a second attempt", func() bool { run := r.run(c); return run != nil && run.Attempt == 2 })
	// The first has asked the model ahead of its commit. What that call writes is
	// never shown, so pieces pass until the second has shown one.
	for range pieces + 1 {
		w.let(1)
		if r.within(ackWait/4, func() bool { return r.shown(c) != "" }) {
			break
		}
	}
	first.expect("log unreachable after a publish of unknown outcome")
	p.release()
	if w.eventually(ackWait, func() bool { return len(w.model.Requests()) > 2 }) {
		w.let(2) // for one of the two, or one each
	}
	close(w.model.gate)
}

// killedMidway has the only worker die when a part of its answer is on the screen.
func killedMidway(w *world) {
	for _, role := range roles[:3] {
		w.start(role)
	}
	p := w.start("agentworker")
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(1)
	r.until("text", func() bool { return r.shown(c) != "" })
	p.kill()
	w.start("agentworker")
	r.until("a second attempt", func() bool { run := r.run(c); return run != nil && run.Attempt == 2 })
	close(w.model.gate)
}

// pieceByPiece looks whether each piece of an answer gets to the screen before the next one is made.
func pieceByPiece(w *world) {
	all(func(*world) {})(w)
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	for range pieces - 1 {
		before := r.seen(c)
		w.let(1)
		if !r.within(ackWait, func() bool { return len(r.shown(c)) > before }) {
			w.blame("I3", "a piece of the answer is not shown")
		}
	}
	close(w.model.gate)
}

// deadline looks for the timer of an answer that was taken over.
func deadline(w *world) {
	for _, role := range roles[:3] {
		w.start(role)
	}
	p := w.doom("agentworker", fault.TimerBefore, 1)
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	p.died(fault.TimerBefore, 1)
	w.start("agentworker")
	r.until("a second attempt", func() bool { run := r.run(c); return run != nil && run.Attempt == 2 })
	w.let(1)
	if !w.eventually(ackWait, func() bool {
		timers, err := w.timers()
		if err != nil {
			w.t.Fatal(err)
		}
		for id := range timers {
			if strings.HasPrefix(id, string(c.run)) {
				return true
			}
		}
		return false
	}) {
		w.blame("I1", "run %s has no deadline", c.run)
	}
	close(w.model.gate)
}

// queued stops an answer behind which a message waits.
func queued(w *world) {
	all(func(*world) {})(w)
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(1)
	next := r.accepted(c.conv, "hello")
	r.until("a queued message", func() bool { run := r.run(next); return run != nil && run.Status == events.Queued })
	r.send("cancel", map[string]any{"conversation_id": c.conv, "run_id": c.run})
}

// calling sends a message whose call waits for a toolworker.
func calling(w *world) (*reader, *command) {
	r := w.reader("ana", 0)
	c := r.accepted("", "add milk")
	r.until("a call", func() bool { run := r.run(c); return run != nil && run.Count(events.CallRunning) == 1 })
	return r, c
}

// cancelledWithCalls stops a run whose call nobody has taken up yet.
func cancelledWithCalls(w *world) {
	for _, role := range []string{"edge", "recorder", "agentworker"} {
		w.start(role)
	}
	r, c := calling(w)
	r.send("cancel", map[string]any{"conversation_id": c.conv, "run_id": c.run})
	r.until("the stop", func() bool { return r.run(c).Stop != nil })
	w.start("toolworker")
}

// revoked stops a run whose call was taken up by a toolworker that died.
func revoked(w *world) {
	for _, role := range []string{"edge", "recorder", "agentworker"} {
		w.start(role)
	}
	p := w.doom("toolworker", fault.LedgerBefore, 1)
	r, c := calling(w)
	p.died(fault.LedgerBefore, 1)
	r.send("cancel", map[string]any{"conversation_id": c.conv, "run_id": c.run})
	r.until("the stop", func() bool { return r.run(c).Stop != nil })
	w.start("toolworker")
}

// drained tells a worker to stop in the middle of an answer.
func drained(w *world) {
	for _, role := range roles[:3] {
		w.start(role)
	}
	p := w.start("agentworker", "--grace", "100ms")
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(2)
	r.until("text", func() bool { return r.shown(c) != "" })
	p.terminate()
	w.start("agentworker")
	close(w.model.gate)
}

// stopped stops an answer and compares the receipt with the screen.
func stopped(w *world) {
	all(func(*world) {})(w)
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(2)
	shown := ""
	r.until("text", func() bool { shown = r.shown(c); return shown != "" })
	r.send("cancel", map[string]any{"conversation_id": c.conv, "run_id": c.run})
	r.ended(c)
	r.mu.Lock()
	defer r.mu.Unlock()
	if run := r.run(c); run.Receipt == nil || !strings.HasPrefix(run.Receipt.Text, shown) {
		w.blame("I3", "the receipt has not the text %q that was shown", shown)
	}
}

// sameID has two people use the same id, as only one of them may mean to.
func sameID(w *world) {
	all(func(*world) {})(w)
	id := map[string]any{"id": "0197a0a0-0000-7000-8000-000000000001", "message": "hello"}
	for _, user := range []events.UserID{"ana", "ben"} {
		w.reader(user, 0).send("message", id)
	}
}

// patience has an answer that takes longer than an AckWait, and nobody dies.
func patience(w *world) {
	all(func(*world) {})(w)
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(1)
	if r.within(2*ackWait, func() bool { run := r.run(c); return run != nil && run.Attempt > 1 }) {
		w.blame("I1", "an answer was taken over from a healthy worker")
	}
	close(w.model.gate)
}

// late comes to a conversation that is over, on an edge that has never seen it.
func late(w *world) {
	all(func(*world) {})(w)
	r := w.reader("ana", 0)
	c := r.accepted("", "hello")
	r.ended(c)
	w.start("edge")
	w.reader("ana", 0).follow(c.conv)
}

// joined comes in the middle of an answer.
func joined(w *world) {
	all(func(*world) {})(w)
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(2)
	r.until("text", func() bool { return r.shown(c) != "" })
	w.start("edge")
	second := w.reader("ana", 0)
	v := second.follow(c.conv)
	if !second.within(2*ackWait, func() bool { return len(v.draft.Text) > 0 }) {
		w.blame("I3", "whoever joins late sees nothing of the answer")
	}
	close(w.model.gate)
}

// refused speaks in a conversation that does not exist.
func refused(w *world) {
	all(func(*world) {})(w)
	r := w.reader("ana", 0)
	c := r.say("nosuchconversation", "hello")
	c.expected = true
	r.until("the refusal", func() bool { return c.refused != "" })
	r.ended(r.accepted("", "hello"))
}

// neighbours are two people on one edge.
func neighbours(w *world) {
	all(func(*world) {})(w)
	ana, ben := w.reader("ana", 0), w.reader("ben", 0)
	ana.ended(ana.accepted("", "hello"))
	ben.ended(ben.accepted("", "add milk"))
}
