package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/parleychat/parley/events"
)

// checks are the names that violations may have.
var checks = []string{"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "panic"}

// A violation is one thing that must never be.
type violation struct {
	// Check is the invariant, I1 to I8, or "panic".
	Check        string
	User         events.UserID         `json:",omitempty"`
	Conversation events.ConversationID `json:",omitempty"`
	Run          events.RunID          `json:",omitempty"`
	What         string
}

func (v violation) String() string {
	s := v.Check
	if v.User != "" {
		s += fmt.Sprintf(" %s/%s", v.User, v.Conversation)
	}
	if v.Run != "" {
		s += " run " + string(v.Run)
	}
	return s + ": " + v.What
}

// A trial holds the evidence in the order in which the checks look at it.
type trial struct {
	*evidence
	stories map[place]*story
	ledger  map[callPlace]ledgerRow
	effects map[callPlace][]historyRow
	list    []violation
}

func (t *trial) violated(check string, at place, run events.RunID, format string, args ...any) {
	t.list = append(t.list, violation{check, at.User, at.Conversation, run, fmt.Sprintf(format, args...)})
}

// judge returns everything that the evidence shows to be wrong.
func judge(e *evidence) []violation {
	t := &trial{
		evidence: e, stories: map[place]*story{}, ledger: map[callPlace]ledgerRow{}, effects: map[callPlace][]historyRow{},
	}
	for at, list := range e.Log {
		t.stories[at] = tell(at, list)
	}
	for _, l := range e.Ledger {
		t.ledger[l.callPlace] = l
	}
	for _, h := range e.History {
		k := callPlace{h.User, h.Call}
		t.effects[k] = append(t.effects[k], h)
	}
	for _, s := range t.stories {
		for _, m := range s.misfit {
			t.violated(m.check, s.at, m.run, "%s", m.what)
		}
	}
	for _, check := range []func(*trial){
		(*trial).everyMessageEnds,    // I1
		(*trial).nobodyIsRobbed,      // I1
		(*trial).deadlinesAreSet,     // I1
		(*trial).effectsAreSingle,    // I2
		(*trial).tasksAreTheirEffect, // I2
		(*trial).textsAreOne,         // I3
		(*trial).readersAgree,        // I3, I4
		(*trial).streamsArrive,       // I3
		(*trial).orderIsKept,         // I4
		(*trial).endsAreEnds,         // I5
		(*trial).archiveIsTheLog,     // I6
		(*trial).personsAreApart,     // I7
		(*trial).refusalsAreEmpty,    // I8
	} {
		check(t)
	}
	for _, line := range e.Panics {
		t.violated("panic", place{}, "", "%s", line)
	}
	slices.SortFunc(t.list, func(a, b violation) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.User, b.User), cmp.Compare(a.Conversation, b.Conversation), cmp.Compare(a.What, b.What))
	})
	return t.list
}

// story returns the story of a place, an empty one if the log has nothing.
func (t *trial) story(at place) *story {
	if s := t.stories[at]; s != nil {
		return s
	}
	return tell(at, nil)
}

// everyMessageEnds is I1: what was accepted ends once, and nothing is left over.
func (t *trial) everyMessageEnds() {
	for _, r := range t.Requests {
		if r.verdict() != accepted {
			continue
		}
		at := place{r.User, r.Conversation}
		switch r.Kind {
		case kindMessage, kindRegenerate:
			id := events.RunIDFor(r.User, r.Conversation, events.MessageID(r.ID))
			if t.story(at).runs[id] == nil {
				t.violated("I1", at, id, "message %s was accepted and is nowhere in the log", r.ID)
			}
		case kindCall:
			id := events.HandCallID(r.User, r.ID)
			if c := t.story(at).calls[id]; c == nil {
				t.violated("I1", at, "", "call %s by hand was accepted and is nowhere in the log", r.ID)
			}
		}
	}
	for _, s := range t.stories {
		for _, r := range s.runs {
			if n := len(r.ends); n != 1 {
				t.violated("I1", s.at, r.id, "message %s has %d terminal events", r.message, n)
			}
		}
		for id, c := range s.calls {
			if c.released > 0 && len(c.returned) == 0 {
				t.violated("I1", s.at, c.run, "call %s was released and never answered", id)
			}
		}
	}
	for name, n := range t.Queues {
		if n > 0 {
			t.violated("I1", place{}, "", "%s: %d left when all should be quiet", name, n)
		}
	}
	if !t.Quiet {
		t.violated("I1", place{}, "", "the system did not come to rest")
	}
	for _, d := range t.Dead {
		t.violated("I1", place{}, "", "given up as poison: %s", d)
	}
}

// writers are the tools whose success always writes a row of the history.
var writers = []string{"add_task", "delete_task", "update_task"}

// effectsAreSingle is I2: ledger, history and log tell the same of every call.
func (t *trial) effectsAreSingle() {
	called := map[callPlace]bool{}
	for _, s := range t.stories {
		for id, c := range s.calls {
			k := callPlace{s.at.User, id}
			called[k] = true
			effects, row := t.effects[k], t.ledger[k]
			if len(effects) > 1 {
				t.violated("I2", s.at, c.run, "call %s of %s had %d effects", id, c.name, len(effects))
			}
			if len(c.returned) == 0 {
				continue
			}
			t.answerIsTrue(s.at, id, c, row, effects)
		}
	}
	for k, l := range t.ledger {
		at := place{l.User, l.Conversation}
		if !called[k] {
			t.violated("I2", at, l.Run, "the ledger has a row of call %s, which the log does not know", l.Call)
		}
		if l.State == "intent" {
			t.violated("I2", at, l.Run, "the ledger row of call %s was left as an intent", l.Call)
		}
	}
	for k, list := range t.effects {
		if l, ok := t.ledger[k]; !ok || l.State != "done" || !l.OK {
			t.violated("I2", place{k.User, ""}, list[0].Run, "call %s of %s has an effect and no ledger row that says so", k.Call, list[0].Tool)
		}
	}
}

// answerIsTrue compares the answer to a call with what the tool server did.
func (t *trial) answerIsTrue(at place, id events.CallID, c *callStory, row ledgerRow, effects []historyRow) {
	a := c.returned[0]
	code := ""
	if a.Error != nil {
		code = a.Error.Code
	}
	switch {
	case a.OK && (row.State != "done" || !row.OK):
		t.violated("I2", at, c.run, "call %s returned ok, the ledger says %q ok=%v", id, row.State, row.OK)
	case a.OK && !a.Truncated && string(a.Result) != row.Result:
		t.violated("I2", at, c.run, "call %s returned something else than the ledger has", id)
	case a.OK && slices.Contains(writers, c.name) && len(effects) != 1:
		t.violated("I2", at, c.run, "call %s of %s returned ok with %d effects", id, c.name, len(effects))
	case !a.OK && len(effects) > 0:
		t.violated("I2", at, c.run, "call %s returned %q and has an effect", id, code)
	case !a.OK && c.released > 0 && row.State == "":
		t.violated("I2", at, c.run, "call %s returned %q without a ledger row", id, code)
	case !a.OK && (code == events.ToolRevoked || code == events.ToolDeadline) && row.State != "revoked":
		t.violated("I2", at, c.run, "call %s returned %q, the ledger says %q", id, code, row.State)
	}
}

// tasksAreTheirEffect is I2 for the rows themselves: a person's revisions count
// without gaps, and each task is what its last change left.
func (t *trial) tasksAreTheirEffect() {
	type task struct {
		user events.UserID
		id   int64
	}
	newest := map[task]int64{}
	rev := map[events.UserID]int64{}
	for _, h := range t.History { // in order of person and revision
		if rev[h.User]++; h.Rev != rev[h.User] {
			t.violated("I2", place{h.User, ""}, h.Run, "task revision %d stands where %d should", h.Rev, rev[h.User])
			rev[h.User] = h.Rev
		}
		newest[task{h.User, h.TaskID}] = h.Rev
	}
	for _, row := range t.Tasks {
		k := task{row.User, row.TaskID}
		if newest[k] != row.Rev {
			t.violated("I2", place{row.User, ""}, "", "task %d is at revision %d, its history at %d", row.TaskID, row.Rev, newest[k])
		}
		delete(newest, k)
	}
	for k := range newest {
		t.violated("I2", place{k.user, ""}, "", "task %d has a history and is not there", k.id)
	}
}
