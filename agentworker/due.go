package agentworker

import (
	"fmt"
	"time"

	"github.com/parleychat/parley/events"
)

// A Timer is a message that arrives at its time.
type Timer struct {
	ID    string
	At    time.Time
	Inbox events.Inbox
}

// key tells a timer from other emissions.
func (t *Timer) key() string { return "timer:" + t.ID }

// Due is what must be on its way in a given state.
type Due struct {
	Timers []Timer
	Work   []events.WorkItem
}

// Due computes from the log what must have been emitted: it is not a list tied
// to a commit, so the recovery of a crash walks the same path as every step.
func (r *Rules) Due(s *events.Conversation) Due {
	var due Due
	for _, c := range s.Calls {
		if c.Status == events.CallRunning {
			due.Work = append(due.Work, work(s, "", c, false))
		}
	}
	run := s.Active()
	if run == nil {
		return due
	}
	timer := func(id string, at time.Time, cmd events.Command) {
		// The inbox id is none that a client could make and use up before the timer does.
		due.Timers = append(due.Timers, Timer{ID: id, At: at, Inbox: events.Inbox{
			V: events.Version, ID: id + ".timer", UserID: s.UserID, ConversationID: s.ConversationID, Time: at, Command: cmd,
		}})
	}
	for _, c := range run.Calls {
		switch c.Status {
		case events.CallRunning:
			due.Work = append(due.Work, work(s, run.RunID, c, run.Stop != nil))
		case events.CallAsking:
			timer(string(c.CallID)+"-expiry", c.ExpiresAt, events.ApprovalExpiry{CallID: c.CallID})
		default:
		}
	}
	if run.Status != events.RequiresAction && run.Stop == nil {
		// The id holds the deadline: a later one is another timer, and its
		// firing another cause.
		id := fmt.Sprintf("%s-%d", run.RunID, run.Deadline.UnixMilli())
		timer(id, run.Deadline, events.RunDeadline{RunID: run.RunID, At: run.Deadline})
	}
	return due
}

func work(s *events.Conversation, run events.RunID, c *events.Call, revoke bool) events.WorkItem {
	return events.WorkItem{
		V: events.Version, UserID: s.UserID, ConversationID: s.ConversationID, RunID: run, CallID: c.CallID,
		Server: c.Server, Name: c.Name, Arguments: c.Arguments, By: c.By, Deadline: c.Deadline, Revoke: revoke,
	}
}
