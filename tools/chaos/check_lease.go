package main

import (
	"fmt"
	"slices"
	"time"
)

// noticed is how long after a fault a takeover may still be due to it.
const noticed = 3 * ackWait

// nobodyIsRobbed is I1 for the attempts of a step: whoever works well keeps its
// lease. A takeover follows a fault at a worker or at NATS, a hand-over, or the
// model's own break.
func (t *trial) nobodyIsRobbed() {
	for _, s := range t.stories {
		for _, r := range s.runs {
			for _, k := range r.takeovers {
				if !k.same && !k.handover && !t.hurt(k.from.Add(-noticed), k.to, roleAgent, roleNATS, "") {
					t.violated("I1", s.at, r.id, "a step was taken over in commit %d, %v after it began, and nothing had happened to its worker", k.n, k.to.Sub(k.from).Round(time.Millisecond))
				}
			}
		}
	}
}

// hurt reports whether a fault at one of the roles touches the time. The role
// "" stands for what is no process: Postgres and leaders.
func (t *trial) hurt(from, to time.Time, roles ...string) bool {
	for _, f := range t.Faults {
		if f.From.After(to) || f.To.Before(from) {
			continue
		}
		if slices.Contains(roles, f.Role) {
			return true
		}
	}
	return false
}

// deadlinesAreSet is I1 for the timers: a run that got past its first model call
// has its deadline scheduled, for that is stored before the model's answer is.
// Schedules stay until they fire. One that a server acknowledged and then forgot,
// because it was killed, is counted apart: nothing of ours could have kept it.
func (t *trial) deadlinesAreSet() {
	for _, s := range t.stories {
		for _, r := range s.runs {
			if len(r.steps) == 0 || !r.deadline.After(t.TimersAt.Add(wholeSecond)) {
				continue
			}
			id := fmt.Sprintf("%s-%d", r.id, r.deadline.UnixMilli())
			switch began := r.deadline.Add(-workingTime); {
			case t.Timers[id]:
			case t.hurt(began, began.Add(forgets), roleNATS):
				t.Forgotten++
			default:
				t.violated("I1", s.at, r.id, "the run got to step %d and its deadline was never scheduled", r.steps[len(r.steps)-1].step)
			}
		}
	}
}

const (
	// wholeSecond is what a schedule may fire early: NATS is told the second.
	wholeSecond = time.Second + clockSlack
	// workingTime is from a run's start to its deadline, the agentworker's default.
	workingTime = 5 * time.Minute
	// forgets is how long after a run's start a kill of NATS may have cost its schedule.
	forgets = 2 * time.Second
)

// Bounds of a reader's lag where nothing disturbs it.
const (
	// streamed is how long a text must have come for its lag to be told.
	streamed = 1500 * time.Millisecond
	// settled is how long before that nothing must have happened.
	settled = 5 * time.Second
)

// streamsArrive is I3 for what is seen before the commit: without a fault
// nearby, a reader that was there all the time has seen most of a text that took
// its time.
func (t *trial) streamsArrive() {
	took := map[string]modelRequest{}
	for _, m := range t.Model {
		if m.Text != "" {
			took[m.Text] = m
		}
	}
	for _, d := range t.Devices {
		for conv, v := range d.Views {
			at := place{d.User, conv}
			s := t.story(at)
			for _, draft := range v.Drafts {
				r := s.runs[draft.Run]
				if r == nil {
					continue
				}
				for _, step := range r.stepsOf(draft.Step) {
					m := took[step.text]
					if step.attempt != draft.Attempt || draft.Watched < streamed || m.Ended.Sub(m.Begun) < streamed ||
						2*len(draft.Text) > len(step.text) || t.hurt(m.Begun.Add(-settled), m.Ended.Add(clockSlack), roleEdge, roleNATS, roleAgent, "") {
						continue
					}
					t.violated("I3", at, r.id, "%s watched step %d attempt %d for %v and saw %d of %d bytes before the commit", d.Name, step.step,
						step.attempt, draft.Watched.Round(time.Millisecond), len(draft.Text), len(step.text))
				}
			}
		}
	}
}
