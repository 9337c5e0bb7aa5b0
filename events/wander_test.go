package events_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// wander tells a random story of about n commits: at every point one of the
// things that may happen there.
func wander(t testing.TB, rng *rand.Rand, n int) *story {
	t.Helper()
	s := tell(t, ada, "wander")
	for i := 0; len(s.commits) < n; i++ {
		s.turn(rng, fmt.Sprintf("i%d", i))
	}
	return s
}

var words = []string{"Hello", "", "Grüße 👋", "\u202eback", "a\nb\n\nc", "\"quoted\" \\ </x>", "12345678901234567890"}

func (s *story) turn(rng *rand.Rand, id string) {
	word := func() string { return words[rng.IntN(len(words))] }
	anyRun := func() events.RunID {
		if len(s.state.Runs) == 0 || rng.IntN(8) == 0 {
			return s.run(fmt.Sprintf("i%d", rng.IntN(80)))
		}
		return s.state.Runs[rng.IntN(len(s.state.Runs))].RunID
	}
	switch p := rng.IntN(20); {
	case p < 4:
		s.say(id, word(), func(e *events.MessageAccepted) { s.branch(rng, e) })
	case p == 4:
		s.stoppable(id, anyRun())
	case p == 5:
		s.shelf(rng, id, anyRun())
	case p == 6:
		s.control(id, events.Unknown{Type: "x." + id, Raw: jsontext.Value(fmt.Sprintf(`{"type":"x.%s","w":%q}`, id, "w"))})
	case s.state.Active() == nil:
		s.late(rng)
	case s.state.Active().Streaming:
		s.model(rng, word())
	default:
		s.tools(rng, id)
	}
}

// branch sometimes answers an earlier run, or none.
func (s *story) branch(rng *rand.Rand, e *events.MessageAccepted) {
	switch rng.IntN(5) {
	case 0:
		e.ParentID = ""
	case 1:
		if n := len(s.state.Runs); n > 0 {
			r := s.state.Runs[rng.IntN(n)]
			e.ParentID, e.Regenerates, e.Model, e.Timezone = r.ParentID, r.RunID, "large", "Asia/Tokyo"
		}
	}
}

// stoppable asks a run to stop that may still be asked.
func (s *story) stoppable(id string, run events.RunID) {
	r := s.state.Run(run)
	if r != nil && (r.Status.Over() || r.Stop != nil) {
		return
	}
	by, why := events.ByUser, events.WhyUser
	if r != nil && r.Status != events.Queued && len(id)%2 == 0 {
		by, why = events.BySystem, events.WhyDeadline
	}
	s.stop(id, run, by, why)
}

func (s *story) shelf(rng *rand.Rand, id string, run events.RunID) {
	list := []events.Event{
		events.ConversationRenamed{Title: "T" + id, By: events.ByUser},
		events.ConversationRenamed{Title: "M" + id, By: events.ByModel},
		events.ConversationPinned{Pinned: rng.IntN(2) == 0},
		events.ConversationArchived{Archived: rng.IntN(3) > 0},
		events.ConversationRead{ReadN: rng.Uint64N(100)},
		events.ConversationDeleted{},
		events.ConversationRestored{},
		events.MessageRated{RunID: run, Rating: []string{events.RatedUp, events.RatedDown, events.RatedNone}[rng.IntN(3)], Reason: "because"},
	}
	s.control(id, list[rng.IntN(len(list))])
}

// late answers a call that the end of its run left open.
func (s *story) late(rng *rand.Rand) {
	for _, r := range s.state.Runs {
		for _, c := range r.Calls {
			if c.ReturnedAt.IsZero() && rng.IntN(4) == 0 {
				s.returned(c.CallID, `{"late":true}`)
				return
			}
		}
	}
}

// model ends the open model call, one way or another.
func (s *story) model(rng *rand.Rand, text string) {
	r := s.active()
	switch p := rng.IntN(10); {
	case r.Stop != nil:
		s.receive(string(r.Message.MessageID), events.ByUser)
		s.cut(text)
	case p == 0 && r.Attempt < 3:
		s.again()
	case p == 1:
		s.end(events.RunFailed{RunID: r.RunID, Code: events.FailModel, Message: text, Usage: r.Usage, Receipt: events.Receipt{Text: text}})
	case p < 6 && r.Step < 6:
		var wants []want
		for range 1 + rng.IntN(3) {
			w := want{name: "add_task", args: `{"title":"x"}`, ask: rng.IntN(3) == 0}
			if rng.IntN(6) == 0 {
				w.refuse = events.ToolBadArgs
			}
			wants = append(wants, w)
		}
		// One is always released, so that somebody's answer begins the next step.
		s.call(text, append(wants, want{name: "list_tasks", args: `{}`})...)
	default:
		s.answer(text)
	}
}

// tools answers one of the open calls of the active run.
func (s *story) tools(rng *rand.Rand, id string) {
	r := s.active()
	c := r.Calls[rng.IntN(len(r.Calls))]
	switch {
	case c.Status == events.CallAsking && r.Stop == nil:
		decision := []string{events.Allow, events.Deny, events.Expired}[rng.IntN(3)]
		args := ""
		if decision == events.Allow && rng.IntN(2) == 0 {
			args = `{}`
		}
		s.decide(id, c.CallID, decision, args, "because")
	case c.Status == events.CallRunning && rng.IntN(3) == 0:
		s.failed(c.CallID, []string{events.ToolFailed, events.ToolRevoked, events.ToolOutcomeLost}[rng.IntN(3)], "No.")
	case c.Status == events.CallRunning:
		s.returned(c.CallID, []string{`{}`, `[]`, `""`, `null`, `{"a":[1,2.50]}`}[rng.IntN(5)])
	}
}
