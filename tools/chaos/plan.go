package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kinds of faults.
const (
	faultKill     = "kill"      // SIGKILL, and started again after Hold
	faultPause    = "pause"     // SIGSTOP for Hold, longer than the AckWait
	faultTerm     = "term"      // SIGTERM, and started again once it has ended
	faultPostgres = "postgres"  // stopped at once, away for Hold
	faultStepDown = "step-down" // a leader of JetStream gives up
)

// A harm is one thing that the nemesis does.
type harm struct {
	At   time.Duration // from the beginning
	Kind string
	// Role and Index name the process; for a step-down Index names the leader.
	Role  string
	Index int
	Hold  time.Duration
}

func (f harm) String() string {
	switch f.Kind {
	case faultPostgres:
		return fmt.Sprintf("%s away for %v", f.Kind, f.Hold)
	case faultStepDown:
		return fmt.Sprintf("%s of %s", f.Kind, leaders[f.Index%len(leaders)])
	}
	return fmt.Sprintf("%s %s-%d for %v", f.Kind, f.Role, f.Index+1, f.Hold)
}

// leaders are the API subjects that make a leader step down.
var leaders = []string{
	"STREAM.LEADER.STEPDOWN.LOG", "STREAM.LEADER.STEPDOWN.INBOX", "STREAM.LEADER.STEPDOWN.WORK", "STREAM.LEADER.STEPDOWN.TIMER",
	"CONSUMER.LEADER.STEPDOWN.INBOX.agent-msg-v1", "CONSUMER.LEADER.STEPDOWN.INBOX.agent-res-v1",
	"CONSUMER.LEADER.STEPDOWN.INBOX.agent-ctl-v1", "CONSUMER.LEADER.STEPDOWN.WORK.tool-tasks-v1", "META.LEADER.STEPDOWN",
}

// counts are how many processes of each role a world has.
var counts = []struct {
	role  string
	count int
}{{roleEdge, 2}, {roleAgent, 3}, {roleTool, 2}, {roleRecorder, 2}}

// emphasis is what a plan prefers: a planted bug may need certain faults.
type emphasis struct {
	kinds []string // all if empty
	roles []string // likewise
}

// makePlan says what happens when. The seed alone decides, so that a run can be
// repeated as far as the machine's own timing lets it.
func makePlan(seed uint64, last time.Duration, nodes int, e scene) []harm {
	if e.calm {
		return nil
	}
	rng := rand.New(rand.NewPCG(seed, 0xfa17))
	has := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	between := func(from, to time.Duration) time.Duration {
		return (from + time.Duration(rng.Int64N(int64(to-from)))).Round(time.Millisecond)
	}
	fits := func(f harm) bool { return has(e.kinds, f.Kind) && (f.Role == "" || has(e.roles, f.Role)) }
	longest := 1600 * time.Millisecond
	if e.dense {
		longest = 800 * time.Millisecond
	}
	var plan []harm
	for at := between(time.Second, 2*time.Second); at < last; at += between(200*time.Millisecond, longest) {
		f := draw(rng, nodes, between)
		for range 10_000 {
			if fits(f) {
				break
			}
			f = draw(rng, nodes, between)
		}
		f.At = at
		if e.brief && f.Kind == faultPause {
			f.Hold = between(ackWait+200*time.Millisecond, ackWait+time.Second)
		}
		plan = append(plan, f)
	}
	return plan
}

// draw chooses a harm, without its time.
func draw(rng *rand.Rand, nodes int, between func(from, to time.Duration) time.Duration) harm {
	f := harm{Hold: between(100*time.Millisecond, 2*time.Second)}
	switch dice := rng.IntN(100); {
	case dice < 62:
		role := counts[pickRole(rng.IntN(100))]
		f.Role, f.Index, f.Kind = role.role, rng.IntN(role.count), faultKill
		switch kind := rng.IntN(100); {
		case kind < 25:
			f.Kind, f.Hold = faultPause, between(ackWait+500*time.Millisecond, 3*ackWait)
		case kind < 45:
			f.Kind = faultTerm
		}
	case dice < 72:
		f.Kind, f.Role, f.Hold = faultPostgres, "", between(100*time.Millisecond, 3*time.Second)
	case dice < 90 || nodes == 1:
		f.Role, f.Index, f.Kind = roleNATS, rng.IntN(nodes), faultKill
		if rng.IntN(4) == 0 {
			f.Kind, f.Hold = faultPause, between(time.Second, 4*time.Second)
		}
	default:
		f.Kind, f.Role, f.Index = faultStepDown, "", rng.IntN(len(leaders))
	}
	return f
}

// pickRole prefers agentworkers, where most can go wrong.
func pickRole(dice int) int {
	switch {
	case dice < 20:
		return 0
	case dice < 65:
		return 1
	case dice < 90:
		return 2
	}
	return 3
}
