package main

import (
	"context"
	"time"
)

// faultStrain is no harm of ours: the machine gave somebody no time. It excuses
// what a fault would.
const faultStrain = "strain"

const (
	// lookEvery is how often the machine is asked, and tooLate what an answer may
	// take: leases are renewed three times in an AckWait.
	lookEvery = 100 * time.Millisecond
	tooLate   = ackWait / 8
)

// strain notes, until ctx ends, when this process or NATS had to wait for its turn.
func (w *world) strain(ctx context.Context) (spans []span) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return spans
		case <-tick.C:
		}
		asked := time.Now()
		// An error is a connection that is away, which is the nemesis' work.
		err := w.nc.FlushTimeout(ackWait)
		now := time.Now()
		if asked.Sub(last) > lookEvery+tooLate || err == nil && now.Sub(asked) > tooLate {
			spans = append(spans, span{faultStrain, roleAgent, last, now})
		}
		last = now
	}
}
