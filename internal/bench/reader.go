package bench

import (
	"fmt"
	"time"

	"github.com/parleychat/parley/events"
)

// A tally is what one client has seen. Only its own goroutine writes it; the
// level adds them up when all have ended.
type tally struct {
	accepted, first, delivery, gap, run, resumed samples
	tokens, runs                                 int // tokens are those within the window
	lost, doubled                                int
	takeovers                                    samples        // when the first text of a further attempt came
	steps                                        map[string]int // model calls by worker
	err                                          error          // the first
}

func (t *tally) add(o *tally) {
	t.accepted, t.first = append(t.accepted, o.accepted...), append(t.first, o.first...)
	t.delivery, t.gap = append(t.delivery, o.delivery...), append(t.gap, o.gap...)
	t.run, t.resumed = append(t.run, o.run...), append(t.resumed, o.resumed...)
	t.tokens, t.runs = t.tokens+o.tokens, t.runs+o.runs
	t.lost, t.doubled = t.lost+o.lost, t.doubled+o.doubled
	for w, n := range o.steps {
		if t.steps == nil {
			t.steps = map[string]int{}
		}
		t.steps[w] += n
	}
	if t.err == nil {
		t.err = o.err
	}
}

// A reader follows one conversation as a browser does: it puts deltas and
// snapshots together by attempt and offset, and takes the commit's text in the
// end. It outlives its socket.
type reader struct {
	clock  *clock
	book   *book
	window window
	tally

	conversation string
	n            uint64
	// worker gets the first agentworker that writes an answer here, if it is not nil.
	worker chan string

	queue map[events.RunID]ask // accepted and not begun

	// The run that is followed.
	ask    ask
	asked  bool
	id     string // of our message; empty for a mere viewer
	sent   time.Duration
	begun  bool // the first piece has come
	draft  events.Draft
	hole   bool
	last   time.Duration // when the latest piece came; 0: none yet
	stored string        // the text that the log has
	status string        // how the run ended
}

// expect begins a run that this client has asked for.
func (r *reader) expect(a ask, id string, sent time.Duration) {
	r.begin(a)
	r.id, r.sent = id, sent
}

func (r *reader) begin(a ask) {
	r.ask, r.asked, r.begun, r.id = a, true, false, ""
	r.draft, r.hole, r.last, r.stored, r.status = events.Draft{}, false, 0, "", ""
}

// take looks at a frame that came at the given time; over says that it ended the run.
func (r *reader) take(b []byte, at time.Duration) (over bool, err error) {
	f, err := decodeFrame(b)
	if err != nil {
		return false, err
	}
	switch f.Type {
	case "accepted":
		if f.ID == r.id {
			r.conversation = f.ConversationID
			r.sample(&r.accepted, at, at-r.sent)
		}
	case "delta":
		if r.asked && f.ConversationID == r.conversation {
			r.delta(f, at)
		}
	case "snapshot":
		if r.asked && f.ConversationID == r.conversation {
			before := r.have(f)
			if r.draft.Set(events.Snapshot{RunID: events.RunID(f.RunID), Step: f.Step, Attempt: f.Attempt, Text: f.Text}) {
				r.hole = false
				r.grown(before, at)
			}
		}
	case "commit":
		if f.ConversationID == r.conversation {
			return r.commit(f.commit, at), nil
		}
	case "floor.end":
		r.stored, r.status = string(r.draft.Text), "completed"
		r.finish(at)
		return true, nil
	case "error":
		return false, fmt.Errorf("the server says %s: %s", f.Code, f.Message)
	}
	return false, nil
}

// have is the number of bytes that the draft has of f's attempt.
func (r *reader) have(f serverFrame) int {
	if string(r.draft.RunID) == f.RunID && r.draft.Step == f.Step && r.draft.Attempt == f.Attempt {
		return len(r.draft.Text)
	}
	return 0
}

func (r *reader) delta(f serverFrame, at time.Duration) {
	before := r.have(f)
	if r.hole && f.Offset != 0 {
		// Nothing more until a snapshot or the commit, unless it fits after all.
		if f.Offset != before {
			return
		}
	}
	switch r.draft.Add(events.Delta{RunID: events.RunID(f.RunID), Step: f.Step, Attempt: f.Attempt, Offset: f.Offset, Text: f.Text}) {
	case events.Appended:
		r.hole = false
		r.grown(before, at)
	case events.Hole:
		r.hole = true
	case events.Stale:
	}
}

// grown notes the tokens that have become complete.
func (r *reader) grown(before int, at time.Duration) {
	call := r.book.last(r.ask.Key)
	for i := before / r.ask.Size; i < len(r.draft.Text)/r.ask.Size; i++ {
		if w, ok := call.at(i); ok && r.window.holds(at) {
			r.delivery = append(r.delivery, at-w)
			r.tokens++
		}
	}
	if r.draft.Attempt > 1 && before == 0 {
		r.takeovers = append(r.takeovers, at)
	}
	if r.last > 0 {
		r.sample(&r.gap, at, at-r.last)
	}
	r.last = at
	if !r.begun {
		r.begun = true
		if r.id != "" && call != nil {
			r.sample(&r.first, at, at-r.sent-call.modelTime())
		}
	}
}

func (r *reader) sample(s *samples, at, took time.Duration) {
	if r.window.holds(at) {
		*s = append(*s, took)
	}
}

// commit takes a commit of the conversation; what a reconnect repeats is skipped.
func (r *reader) commit(c *events.Commit, at time.Duration) (over bool) {
	if c.N <= r.n {
		return false
	}
	r.lost += int(c.N - r.n - 1) // a hole in the order of commits
	r.n = c.N
	for _, e := range c.Events {
		switch e := e.(type) {
		case events.MessageAccepted:
			if a, ok := parseAsk(e.Text); ok {
				if r.queue == nil {
					r.queue = map[events.RunID]ask{}
				}
				r.queue[e.RunID] = a
			}
		case events.RunStarted:
			// Our own message has been expected since it was sent.
			if a := r.queue[e.RunID]; a.Key != "" && (!r.asked || a.Key != r.ask.Key) {
				r.begin(a)
			}
			delete(r.queue, e.RunID)
		case events.StepStarted:
			select {
			case r.worker <- e.Worker:
			default:
			}
			if r.window.holds(at) {
				if r.steps == nil {
					r.steps = map[string]int{}
				}
				r.steps[e.Worker]++
			}
		case events.StepCompleted:
			if len(e.ToolCalls) == 0 {
				r.stored = e.Text
			}
			r.last = 0
		case events.RunCompleted:
			r.status, over = "completed", true
		case events.RunFailed:
			r.status, over = "failed: "+e.Code, true
		case events.RunCancelled:
			r.status, over = "cancelled", true
		}
	}
	if over {
		r.finish(at)
	}
	return over
}

// finish compares what was shown and what is stored with what the model wrote.
func (r *reader) finish(at time.Duration) {
	if r.id != "" {
		r.sample(&r.run, at, at-r.sent)
	}
	if r.window.holds(at) {
		r.runs++
	}
	if r.status != "completed" {
		r.fail(fmt.Errorf("a run has ended as %s", r.status))
	}
	lost, doubled := r.ask.count(r.stored)
	r.lost, r.doubled = r.lost+lost, r.doubled+doubled
	// What was on the screen is a beginning of what is stored.
	if shown := string(r.draft.Text); len(shown) > len(r.stored) || shown != r.stored[:len(shown)] {
		r.doubled++
	}
	r.last = 0
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// abandon counts a run whose end nobody saw as lost.
func (r *reader) abandon(err error) {
	r.fail(err)
	if r.asked && r.status == "" {
		r.lost += r.ask.Tokens
	}
}

// total adds up what all readers saw.
func total(list []*reader) *tally {
	t := &tally{}
	for _, r := range list {
		t.add(&r.tally)
	}
	return t
}
