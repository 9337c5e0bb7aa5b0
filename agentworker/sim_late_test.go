package agentworker

import (
	"fmt"
	"slices"
	"testing"

	"github.com/parleychat/parley/events"
)

// forgetful is the last of the seeds in which NATS forgets nothing.
const forgetful = 1 << 32

// TestSimulationForgets is TestSimulation where NATS may forget what it had
// acknowledged, and the recorder finds the runs that wait for it.
func TestSimulationForgets(t *testing.T) {
	t.Parallel()
	n := *simSeeds / 4
	ended := simulateAll(t, forgetful, n)
	t.Log(ended)
	for _, word := range []string{"completed", "cancelled", "deadline", "forgotten", "looks", "revoked"} {
		if want := int(n / 100); ended[word] < want {
			t.Errorf("%s happened %d times, want %d", word, ended[word], want)
		}
	}
}

// maxLooks bounds how often the recorder finds something in one world.
const maxLooks = 4

// late reports whether the recorder would find the active run long past its deadline.
func (w *world) late() bool {
	run := w.head.conv.Active()
	return run != nil && (run.Status == events.InProgress || run.Status == events.Cancelling) &&
		start.Add(w.now).After(run.Deadline.Add(w.rules.Limits.Late))
}

// fresh reports whether a living holder of the model call may not have seen the stop yet.
func (w *world) fresh() bool {
	run := w.head.conv.Active()
	return run != nil && run.Stop != nil && !start.Add(w.now).After(run.Stop.At.Add(w.rules.Limits.Late))
}

// look sends the active run its deadline again, as the recorder does.
func (w *world) look() {
	w.looks++
	run := w.head.conv.Active()
	id := fmt.Sprintf("%s.late-%d", w.runName(run.RunID), w.looks)
	w.put(w.letter(fmt.Sprintf("%s@%d", id, run.Deadline.Sub(start)), func(l *letter) {
		l.in, l.lease.Stream = w.inbox(id, events.RunDeadline{RunID: run.RunID, At: run.Deadline}), events.StreamTimer
	}))
}

// forgotten reports whether NATS has forgotten something.
func (w *world) forgotten() bool {
	return slices.ContainsFunc(w.post, func(p post) bool { return p.lost })
}

// looked returns the next move towards the recorder's finding a run that waits for
// something which NATS has forgotten; nothing else may need that.
func (w *world) looked() (move, bool) {
	switch {
	case !w.forgotten(), w.looks == 2*maxLooks:
		return move{}, false
	case !w.late(), w.fresh():
		return move{moveTick, 1, 0}, true
	}
	return move{moveLook, 0, 0}, true
}

// losable reports whether p may be forgotten without anybody being the wiser but
// the recorder. A command that is not in the log would be lost for good, and its
// sender alone can know; a call by hand has no deadline; and what must revoke a
// call is emitted again when NATS is back (reemit.go), which this world does not play.
func (w *world) losable(p *post) bool {
	switch {
	case p.acked:
		return false
	case w.conversation == events.Home:
		return false
	case p.letter.item != nil:
		return !p.letter.item.Revoke
	}
	return p.letter.timer || w.head.check.first(p.letter.in.ID) != nil
}
