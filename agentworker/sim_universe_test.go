package agentworker

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
)

// A setting is what a world begins with and what may happen in it.
type setting struct {
	conversation events.ConversationID
	rules        *Rules
	people       []letter       // what people may send, each once
	models       []modelOutcome // how a model call may end
	rows         []row          // what tools may make of a call
	faults       int            // how often something may go wrong
	kinds        [moveKinds]bool
	agents       int // handlers at once
	tools        int // toolworkers at once
	wrong        reading
	// canon makes equal states one, for the search.
	canon bool
}

// A modelOutcome is one way in which a model call may end. Step 0 means any step.
type modelOutcome struct {
	name    string
	step    int
	bad     bool // a fault
	drained bool // the worker is told to stop
	Outcome
}

// inOrder reports whether l is taken as it was stored: the messages of one subject.
func (l *letter) inOrder() bool {
	if l.lease.Stream != events.StreamInbox {
		return false
	}
	switch l.in.Command.(type) {
	case events.Message, events.Regenerate, events.CallTool, events.Answer, Unreadable:
		return true
	}
	return false
}

// answers are the ends of model calls that worlds choose from.
func answers(list ...string) []modelOutcome {
	var all []modelOutcome
	for _, name := range list {
		o := modelOutcome{name: name}
		tools, ok := strings.CutPrefix(name, "calls ")
		switch {
		case ok:
			o.FinishReason = "tool_calls"
			for t := range strings.FieldsSeq(tools) {
				o.ToolCalls = append(o.ToolCalls, openai.ToolCall{Name: t, Arguments: "{}"})
			}
		case name == "cut":
			o.bad, o.Outcome = true, Outcome{Completion: openai.Completion{Text: "half"}, Err: &openai.Error{Code: events.FailModel, Cut: true}}
		case name == "told to stop":
			o.bad, o.drained = true, true
		case name == "error":
			o.Outcome = Outcome{Err: &openai.Error{Code: events.FailModel}}
		default:
			o.Outcome = Outcome{Completion: openai.Completion{Text: name, FinishReason: "stop"}}
		}
		all = append(all, o)
	}
	return all
}

// A letter is a message of INBOX, TIMER or WORK that may come to be stored. Two
// stored copies of one message are two letters.
type letter struct {
	name  string
	id    int // its sequence
	first int // the first copy
	in    events.Inbox
	item  *events.WorkItem // of WORK
	lease events.Lease
	timer bool          // a deadline or an expiry
	about events.CallID // of an answer
	run   events.RunID  // that it is of no use without
}

// A universe holds what many worlds share and what never changes once it is
// there: letters, states of the log, and the decisions that they lead to.
type universe struct {
	*setting
	ref      events.Ref
	letters  []*letter
	byName   map[string]*letter
	calls    []events.CallID // the ledger's order
	callNo   map[events.CallID]int
	runs     map[events.RunID]string // what histories call them
	timers   map[string]string       // likewise, by id
	causes   map[string]events.RunID // the run of an inbox id that says nothing once that run is over
	merged   int                     // states that were there before
	unlike   error                   // two states that were taken for one wrongly
	states   map[[2]uint64]*snapshot // only with canon
	decided  map[decisionKey]*decision
	numbered int
}

// A snapshot is a state of the log and what the check knows of it.
type snapshot struct {
	id   int
	conv *events.Conversation
	// check is what the check knows by then; it is shared and never changed.
	check check
	due   []*letter // computed once asked for
	ask   bool
}

// A decision is what a handler decided on a state, and what comes of it.
type decision struct {
	Decision
	id    int
	base  *snapshot
	in    Input
	owes  []debt    // what the ledger must say when it is stored
	next  *snapshot // the state once it is stored; nil before it was computed
	err   error
	claim Claim
	text  string // what the model had written
}

type decisionKey struct {
	base, letter, delivery, twin, model, call, now int
}

func newUniverse(s *setting) *universe {
	ref, err := events.NewRef(ana, s.conversation)
	if err != nil {
		panic(err)
	}
	return &universe{
		setting: s, ref: ref, byName: map[string]*letter{}, callNo: map[events.CallID]int{}, runs: map[events.RunID]string{}, timers: map[string]string{},
		causes: map[string]events.RunID{},
		states: map[[2]uint64]*snapshot{}, decided: map[decisionKey]*decision{},
	}
}

func (u *universe) number() int { u.numbered++; return u.numbered }

// letter returns the letter of that name, made on first sight.
func (u *universe) letter(name string, make func(*letter)) *letter {
	if l := u.byName[name]; l != nil {
		return l
	}
	l := &letter{name: name, id: len(u.letters), first: len(u.letters)}
	make(l)
	l.lease.Sequence = uint64(l.id) + 1
	l.run = l.runOf()
	if l.run != "" && l.about == "" {
		u.causes[l.in.ID] = l.run
	}
	u.letters = append(u.letters, l)
	u.byName[name] = l
	return l
}

// runOf returns the run outside which l means nothing, if there is one.
func (l *letter) runOf() events.RunID {
	switch c := l.in.Command.(type) {
	case events.Result:
		return c.RunID
	case events.RunDeadline:
		return c.RunID
	case events.ApprovalExpiry:
		return events.RunOf(c.CallID)
	case events.Answer:
		return events.RunOf(c.CallID)
	case events.Cancel:
		return c.RunID
	}
	if l.item != nil {
		return l.item.RunID
	}
	return ""
}

// copy returns the n-th copy of l, 1 being l itself.
func (u *universe) copy(l *letter, n int) *letter {
	if n == 1 {
		return l
	}
	return u.letter(fmt.Sprintf("%s*%d", l.name, n), func(c *letter) {
		c.first, c.in, c.item, c.lease, c.timer, c.about = l.id, l.in, l.item, l.lease, l.timer, l.about
	})
}

func (u *universe) inbox(id string, c events.Command) events.Inbox {
	return events.Inbox{V: events.Version, ID: id, UserID: ana, ConversationID: u.conversation, Time: start, Command: c}
}

// said is a person's command as a letter.
func said(id string, c events.Command) letter {
	return letter{name: id, in: events.Inbox{ID: id, Command: c}}
}

// person returns the letter of the i-th thing that people may do.
func (u *universe) person(i int) *letter {
	p := &u.people[i]
	return u.letter(p.name, func(l *letter) {
		l.in, l.lease.Stream = u.inbox(p.in.ID, p.in.Command), events.StreamInbox
		run := events.RunIDFor(ana, u.conversation, events.MessageID(p.in.ID))
		if _, ok := u.runs[run]; !ok {
			u.runs[run] = p.in.ID
		}
		if _, ok := p.in.Command.(events.CallTool); ok {
			u.call(events.HandCallID(ana, p.in.ID))
			u.runs[events.RunID(events.HandCallID(ana, p.in.ID))] = p.in.ID
		}
	})
}

// answer is a person's decision about a call.
func (u *universe) answer(call events.CallID, decision string) *letter {
	id := u.callName(call) + "." + decision
	return u.letter(id, func(l *letter) {
		l.in, l.lease.Stream, l.about = u.inbox(id, events.Answer{CallID: call, Decision: decision}), events.StreamInbox, call
	})
}

// result is the answer to a call as the ledger has it. A revoke's has the same
// id as the call's: whichever comes second finds the first.
func (u *universe) result(item *events.WorkItem, row row, revoke bool) *letter {
	id := events.ResultID(item.CallID)
	if revoke && u.wrong.revokesApart {
		id = "revoked-" + id
	}
	name := u.callName(item.CallID) + ".res"
	if revoke {
		name += "!"
	}
	return u.letter(name+" "+row.String(), func(l *letter) {
		res := events.Result{CallID: item.CallID, RunID: item.RunID, OK: row == rowOK}
		if !res.OK {
			res.Error = &events.ToolError{Code: row.code()}
		}
		l.in, l.lease.Stream = u.inbox(id, res), events.StreamInbox
	})
}

// call returns the place of a call in the ledger.
func (u *universe) call(id events.CallID) int {
	n, ok := u.callNo[id]
	if !ok {
		n = len(u.calls)
		u.callNo[id], u.calls = n, append(u.calls, id)
	}
	return n
}

// callName is what histories call a call: m1-1-0 for the first one of m1.
func (u *universe) callName(id events.CallID) string {
	if run := events.RunOf(id); run != "" {
		return u.runName(run) + strings.TrimPrefix(string(id), string(run))
	}
	return u.runName(events.RunID(id))
}

func (u *universe) runName(id events.RunID) string {
	if name, ok := u.runs[id]; ok {
		return name
	}
	return string(id)
}

// dueOf returns the letters that must be on their way in s.
func (u *universe) dueOf(s *snapshot) []*letter {
	if s.ask {
		return s.due
	}
	s.ask = true
	due := u.rules.Due(s.conv)
	for _, t := range due.Timers {
		l := u.letter(u.timerName(s.conv.Active(), t), func(l *letter) {
			l.in, l.lease.Stream, l.timer = t.Inbox, events.StreamTimer, true
		})
		s.due = append(s.due, l)
	}
	for _, item := range due.Work {
		name := u.callName(item.CallID) + ".work"
		if item.Revoke {
			name += "!"
		}
		s.due = append(s.due, u.letter(name, func(l *letter) {
			u.call(item.CallID)
			l.item, l.lease.Stream = &item, events.StreamWork
		}))
	}
	return s.due
}

// timerName is what histories call a timer: the deadlines of a run in the order
// of their times, an expiry by its call.
func (u *universe) timerName(run *events.Run, t Timer) string {
	if name, ok := u.timers[t.ID]; ok {
		return name
	}
	name := ""
	if cmd, ok := t.Inbox.Command.(events.ApprovalExpiry); ok {
		name = u.callName(cmd.CallID) + ".expiry"
	}
	for n := 1; name == ""; n++ {
		name = fmt.Sprintf("%s.deadline-%d", u.runName(run.RunID), n)
		if u.byName[name] != nil {
			name = ""
		}
	}
	u.timers[t.ID] = name
	return name
}

// empty is the state before the first commit.
func (u *universe) empty() *snapshot {
	return &snapshot{id: u.number(), conv: events.NewConversation(u.ref)}
}

// decide returns what a hand decides on s, and computes it once.
func (u *universe) decide(s *snapshot, h *bearer, now time.Duration) *decision {
	k := decisionKey{base: s.id, letter: h.letter.id, delivery: h.delivery, twin: h.twin, model: h.model, now: int(now)}
	if h.call != nil {
		k.call = h.call.id
	}
	if d := u.decided[k]; d != nil {
		return d
	}
	in := u.wrong.input(h.input(start.Add(now)))
	var d Decision
	switch {
	case h.model != 0:
		d = u.wrong.afterModel(u.rules, s.conv, h.call, &u.models[h.model-1], in)
	default:
		d = u.wrong.decision(u.rules, s.conv, in)
	}
	made := u.decision(s, in, d)
	if h.model != 0 {
		made.text = u.models[h.model-1].Text
	}
	u.decided[k] = made
	return made
}

func (u *universe) decision(s *snapshot, in Input, d Decision) *decision {
	made := &decision{Decision: d, id: u.number(), base: s, in: in}
	for _, e := range d.Events {
		if e, ok := e.(events.StepStarted); ok {
			made.claim = Claim{RunID: e.RunID, Step: e.Step, Attempt: e.Attempt, Lease: e.Lease}
		}
	}
	return made
}

// store computes the state after d.
func (u *universe) store(d *decision) *snapshot {
	if d.next != nil {
		return d.next
	}
	s := &snapshot{conv: d.base.conv.Clone(), check: d.base.check.clone()}
	k := &events.Commit{
		V: events.Version, UserID: ana, ConversationID: u.conversation, N: s.conv.N + 1, CommitID: fmt.Sprint(d.id), Cause: d.in.ID,
		By: d.in.by(), Time: d.in.Now, Events: d.Events,
	}
	d.owes, d.err = s.check.commit(k, d.in)
	if err := keeps(d.Events, d.text); d.err == nil {
		d.err = err
	}
	if err := s.conv.Apply(k); err != nil {
		d.err = fmt.Errorf("fold: %w", err)
	}
	d.next = u.intern(s)
	return d.next
}

// A row is what the ledger says of a call.
type row uint8

const (
	rowNone    row = iota
	rowOK          // it ran
	rowFailed      // it ran, and the tool refused
	rowRevoked     // it never ran and never will, as all that follow
	rowLate
	rowPoison
)

func (r row) ran() bool { return r == rowOK || r == rowFailed }
func (r row) String() string {
	return [...]string{"none", "ok", "failed", "revoked", "late", "poison"}[r]
}

func (r row) code() string {
	return [...]string{"", "", events.ToolFailed, events.ToolRevoked, events.ToolDeadline, events.ToolPoison}[r]
}

// handCall is a call that a person makes in the task panel.
func handCall(server string) events.CallTool {
	return events.CallTool{Server: server, Name: "add_task", Arguments: jsontext.Value(`{}`)}
}
