package bench

import (
	"context"
	"time"
)

// A clock counts from the start of a run; both ends of every latency use it.
type clock struct{ epoch time.Time }

func newClock() *clock { return &clock{time.Now()} }

// now returns the time since the start; the difference of two is monotonic.
func (c *clock) now() time.Duration { return time.Since(c.epoch) }

// until waits for a time of the clock and reports whether ctx is still good.
func (c *clock) until(ctx context.Context, at time.Duration) bool {
	wait := at - c.now()
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// A window is the part of a run that counts: before it things are warming up,
// after it they come to an end.
type window struct{ from, to time.Duration }

func (w window) holds(at time.Duration) bool { return w.from <= at && at < w.to }
