package agentworker

import (
	"testing"
	"time"

	"github.com/parleychat/parley/events"
)

// A deadline ends what nobody gives back: a model call whose stop has been in the
// log for longer than a living holder would need to see it, however late that stop
// came. Calls that are out are asked for again instead: their receipt must be exact.
func TestDecideLate(t *testing.T) {
	t.Parallel()
	deadline := start.Add(5 * time.Minute)
	for _, tt := range []struct {
		state string
		after time.Duration // the stop, or the deadline where there is none
		want  string
	}{
		{"model", 0, "run.cancel_requested(deadline) ack signal"},
		{"model", time.Hour, "run.cancel_requested(deadline) ack signal"},
		{"late model", 30 * time.Second, "ack"},
		{"late model", 31 * time.Second, "run.failed(deadline) ack"},
		{"stop model", 30 * time.Second, "ack"},
		{"stop model", 31 * time.Second, "run.cancelled ack"},
		{"stop model+queue", 31 * time.Second, "run.cancelled run.started step.started(1.1) model"},
		{"late last", time.Hour, "ack"},
		{"stop calls", time.Hour, "ack"},
		{"asking", time.Hour, "ack"},
		{"inherited", time.Minute, "ack"}, // of the run before it
		{"over", time.Hour, "ack"},
		{"empty", time.Hour, "drop"},
	} {
		in := command("t3", events.Lease{Stream: events.StreamTimer, Sequence: 63, Delivery: 1}, events.RunDeadline{RunID: run1, At: deadline})
		s := states()[tt.state].fold(t, conv)
		in.Now = deadline.Add(tt.after)
		if run := s.Active(); run != nil && run.Stop != nil {
			in.Now = run.Stop.At.Add(tt.after)
		}
		if got := say(testRules().Decide(s, in)); got != tt.want {
			t.Errorf("%s, %v after: %s, want %s", tt.state, tt.after, got, tt.want)
		}
	}
}
