package agentworker

import (
	"testing"
	"time"

	"github.com/parleychat/parley/events"
)

// A deadline that comes again, long after, ends what nobody gives back: a model
// call whose stop has been in the log for that long. Calls that are out are asked
// for again instead, because their receipt must be exact.
func TestDecideLate(t *testing.T) {
	t.Parallel()
	deadline := start.Add(5 * time.Minute)
	for _, tt := range []struct {
		state string
		after time.Duration
		want  string
	}{
		{"model", 0, "run.cancel_requested(deadline) ack signal"},
		{"model", time.Minute, "run.cancel_requested(deadline) ack signal"},
		{"late model", 30 * time.Second, "ack"},
		{"late model", 31 * time.Second, "run.failed(deadline) ack"},
		{"stop model", 31 * time.Second, "run.cancelled ack"},
		{"stop model+queue", 31 * time.Second, "run.cancelled run.started step.started(1.1) model"},
		{"late last", time.Hour, "ack"},
		{"stop calls", time.Hour, "ack"},
		{"asking", time.Hour, "ack"},
		{"inherited", time.Hour, "ack"}, // the next run's own deadline is an hour later
		{"over", time.Hour, "ack"},
		{"empty", time.Hour, "drop"},
	} {
		in := command("t3", events.Lease{Stream: events.StreamTimer, Sequence: 63, Delivery: 1}, events.RunDeadline{RunID: run1, At: deadline})
		in.Now = deadline.Add(tt.after)
		s := states()[tt.state].fold(t, conv)
		if got := say(testRules().Decide(s, in)); got != tt.want {
			t.Errorf("%s, %v after the deadline: %s, want %s", tt.state, tt.after, got, tt.want)
		}
	}
}
