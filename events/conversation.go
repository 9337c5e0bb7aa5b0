package events

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// ErrGap reports a commit whose n is not the next one.
var ErrGap = errors.New("gap in the conversation")

// ErrForeign reports a commit of another conversation.
var ErrForeign = errors.New("commit of another conversation")

// handCallsKept bounds the answered calls that the home conversation remembers;
// the task history in Postgres has them all.
const handCallsKept = 100

// A Conversation is the state that its commits add up to. Make one with
// [NewConversation] or [FromBase]; its JSON is the base that
// GET …/messages answers and that the page's reducer starts from.
type Conversation struct {
	UserID         UserID         `json:"user_id"`
	ConversationID ConversationID `json:"conversation_id"`
	// N is the number of the last commit applied, 0 for none.
	N         uint64    `json:"n"`
	Title     string    `json:"title,omitzero"`
	TitleBy   By        `json:"title_by,omitzero"`
	Pinned    bool      `json:"pinned,omitzero"`
	Archived  bool      `json:"archived,omitzero"`
	ReadN     uint64    `json:"read_n,omitzero"`
	Deleted   bool      `json:"deleted,omitzero"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// Runs are in the order in which their messages were accepted.
	Runs []*Run `json:"runs"`
	// Calls are those made by hand; only [Home] has them.
	Calls []*Call `json:"calls,omitempty"`
	// HasMore is set in a base that leaves out older runs.
	HasMore bool `json:"has_more,omitzero"`
	// Skipped counts events of unknown types.
	Skipped int `json:"skipped,omitzero"`

	byRun      map[RunID]*Run
	active     *Run
	tombstones map[RunID]RunCancelRequested
	causes     map[string]bool
	answered   map[CallID]bool // hand calls that have left Calls
}

// NewConversation returns the empty state of r, before its first commit.
func NewConversation(r Ref) *Conversation {
	c := &Conversation{UserID: r.user, ConversationID: r.conversation, Runs: []*Run{}}
	c.index()
	return c
}

// FromBase reads a base, as [Conversation.Base] and its JSON give it. The state
// knows no causes older than the base, so it serves readers, not deciders.
func FromBase(b []byte) (*Conversation, error) {
	c := &Conversation{Runs: []*Run{}}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("base: %w: %w", ErrMalformed, err)
	}
	if _, err := NewRef(c.UserID, c.ConversationID); err != nil {
		return nil, fmt.Errorf("base: %w: %w", ErrMalformed, err)
	}
	c.Runs = slices.DeleteFunc(c.Runs, func(r *Run) bool { return r == nil })
	c.Calls = slices.DeleteFunc(c.Calls, func(k *Call) bool { return k == nil })
	for _, r := range c.Runs {
		r.Calls = slices.DeleteFunc(r.Calls, func(k *Call) bool { return k == nil })
	}
	c.index()
	return c, nil
}

// Encode returns the state's JSON, which [FromBase] reads.
func (c *Conversation) Encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode conversation: %w", err)
	}
	return b, nil
}

func (c *Conversation) index() {
	c.byRun = make(map[RunID]*Run, len(c.Runs))
	c.tombstones = map[RunID]RunCancelRequested{}
	c.causes = map[string]bool{}
	c.answered = map[CallID]bool{}
	c.active = nil
	for _, r := range c.Runs {
		c.byRun[r.RunID] = r
		if r.Status != Queued && !r.Status.Over() {
			c.active = r
		}
	}
}

// Ref returns the conversation's name.
func (c *Conversation) Ref() Ref {
	r, err := NewRef(c.UserID, c.ConversationID)
	if err != nil {
		return Ref{}
	}
	return r
}

// Run returns the run with the given id, or nil.
func (c *Conversation) Run(id RunID) *Run { return c.byRun[id] }

// Active returns the one run that has started and is not over, or nil.
func (c *Conversation) Active() *Run { return c.active }

// NextQueued returns the oldest queued run, or nil.
func (c *Conversation) NextQueued() *Run {
	for _, r := range c.Runs {
		if r.Status == Queued {
			return r
		}
	}
	return nil
}

// HasCause reports whether a commit of the log was caused by inbox message id.
func (c *Conversation) HasCause(id string) bool { return c.causes[id] }

// Tombstone returns the request to cancel a run whose message has not been accepted.
func (c *Conversation) Tombstone(id RunID) (RunCancelRequested, bool) {
	t, ok := c.tombstones[id]
	return t, ok
}

// Call returns a call of any run or made by hand, with its run if it has one.
func (c *Conversation) Call(id CallID) (*Call, *Run) {
	for _, k := range c.Calls {
		if k.CallID == id {
			return k, nil
		}
	}
	if r := c.byRun[RunOf(id)]; r != nil {
		if k := r.Call(id); k != nil {
			return k, r
		}
	}
	return nil, nil
}

// CallAnswered reports whether the log holds the answer to call id. A call that
// its run's end stopped has none: an answer to it is news, though late.
func (c *Conversation) CallAnswered(id CallID) bool {
	if c.answered[id] {
		return true
	}
	k, _ := c.Call(id)
	return k != nil && !k.ReturnedAt.IsZero()
}

// Tip returns the newest accepted run, the end of the current branch, or nil.
func (c *Conversation) Tip() *Run {
	if len(c.Runs) == 0 {
		return nil
	}
	return c.Runs[len(c.Runs)-1]
}

// Path returns the runs from the root to tip, as far as this state has them.
func (c *Conversation) Path(tip *Run) []*Run {
	path := slices.Collect(c.Back(tip))
	slices.Reverse(path)
	return path
}

// Back walks from tip to the root: whoever needs only the newest runs of a long
// conversation stops early.
func (c *Conversation) Back(tip *Run) iter.Seq[*Run] {
	return func(yield func(*Run) bool) {
		for r := tip; r != nil && yield(r); {
			parent := c.byRun[r.ParentID]
			if parent != nil && parent.N >= r.N {
				return // no message answers a later one: a log that says so must not make a circle
			}
			r = parent
		}
	}
}

// Apply adds one commit. It fails, and changes nothing, with ErrForeign if the
// commit belongs elsewhere and ErrGap if its n is not the next.
func (c *Conversation) Apply(k *Commit) error {
	if k.UserID != c.UserID || k.ConversationID != c.ConversationID {
		return fmt.Errorf("apply commit %d: %w", k.N, ErrForeign)
	}
	if k.N != c.N+1 {
		return fmt.Errorf("apply commit %d after %d: %w", k.N, c.N, ErrGap)
	}
	c.N = k.N
	if c.N == 1 {
		c.CreatedAt = k.Time
	}
	c.UpdatedAt = k.Time
	c.causes[k.Cause] = true
	for _, e := range k.Events {
		c.apply(e, k)
	}
	return nil
}

// apply adds one event. An event that does not fit the state changes nothing,
// so that no log, whoever wrote it, gives two active runs or two answers.
func (c *Conversation) apply(e Event, k *Commit) {
	switch e := e.(type) {
	case MessageAccepted:
		c.accept(e, k)
	case RunStarted:
		if r := c.byRun[e.RunID]; r != nil && r.Status == Queued && c.active == nil {
			r.Status, r.Model, r.Deadline, r.StartedAt = InProgress, e.Model, e.Deadline, k.Time
			c.active = r
			r.settle()
		}
	case StepStarted:
		if r := c.open(e.RunID); r != nil {
			if e.Step != r.Step {
				r.Interruptions = 0
			}
			r.Step, r.Attempt, r.Lease, r.Streaming = e.Step, e.Attempt, e.Lease, true
			r.settle()
		}
	case StepInterrupted:
		if r := c.open(e.RunID); r != nil && r.Streaming && e.Step == r.Step && e.Attempt == r.Attempt && r.Interruptions < r.Attempt {
			r.Interruptions++
		}
	case StepCompleted:
		c.completeStep(e)
	case ToolCalled:
		c.callTool(e, k)
	case ApprovalRequested:
		if r := c.open(e.RunID); r != nil {
			if call := r.Call(e.CallID); call != nil && call.Status == CallWaiting {
				call.Status, call.ExpiresAt = CallAsking, e.ExpiresAt
			}
			r.settle()
		}
	case ApprovalAnswered:
		c.answerApproval(e)
	case ToolReturned:
		c.toolReturned(e, k)
	case RunCancelRequested:
		c.requestCancel(e, k)
	case RunCompleted:
		if r := c.finish(e.RunID); r != nil {
			r.end(Completed, k, e.Usage)
		}
	case RunFailed:
		if r := c.finish(e.RunID); r != nil {
			r.Error = &RunError{e.Code, e.Message}
			r.stopped(e.Receipt)
			r.end(Failed, k, e.Usage)
		}
	case RunCancelled:
		if r := c.finish(e.RunID); r != nil {
			r.stopped(e.Receipt)
			r.end(Cancelled, k, e.Usage)
		}
	case ConversationRenamed:
		if e.By == ByUser || c.TitleBy != ByUser {
			c.Title, c.TitleBy = e.Title, e.By
		}
	case ConversationPinned:
		c.Pinned = e.Pinned
	case ConversationArchived:
		c.Archived = e.Archived
	case ConversationRead:
		c.ReadN = max(c.ReadN, min(e.ReadN, c.N))
	case ConversationDeleted:
		c.Deleted = true
	case ConversationRestored:
		c.Deleted = false
	case MessageRated:
		if r := c.byRun[e.RunID]; r != nil {
			r.Rating = &Rating{e.Rating, e.Reason}
			if e.Rating == RatedNone {
				r.Rating = nil
			}
		}
	default:
		c.Skipped++
	}
}

// open returns the run if it is the active one.
func (c *Conversation) open(id RunID) *Run {
	if c.active != nil && c.active.RunID == id {
		return c.active
	}
	return nil
}

// finish returns the run if it is not over yet, and closes it as the active one.
func (c *Conversation) finish(id RunID) *Run {
	r := c.byRun[id]
	if r == nil || r.Status.Over() {
		return nil
	}
	if c.active == r {
		c.active = nil
	}
	return r
}

func (c *Conversation) accept(e MessageAccepted, k *Commit) {
	if c.byRun[e.RunID] != nil {
		return
	}
	r := &Run{
		RunID: e.RunID, ParentID: e.ParentID, N: k.N, Status: Queued,
		Message: UserMessage{e.MessageID, e.Text, k.Time, e.Model, e.Timezone, e.Regenerates},
	}
	c.Runs = append(c.Runs, r)
	c.byRun[e.RunID] = r
	c.Archived = false
}

func (c *Conversation) completeStep(e StepCompleted) {
	r := c.open(e.RunID)
	if r == nil || !r.Streaming || e.Step != r.Step || e.Attempt != r.Attempt {
		return
	}
	r.Streaming = false
	step := Step{Step: e.Step, Text: e.Text, FinishReason: e.FinishReason, Usage: e.Usage}
	for _, t := range e.ToolCalls {
		step.Calls = append(step.Calls, t.CallID)
		r.Calls = append(r.Calls, &Call{
			CallID: t.CallID, Step: e.Step, Name: t.Name, Arguments: t.Arguments, By: ByModel, Status: CallWaiting,
		})
	}
	r.Steps = append(r.Steps, step)
	r.Usage = r.Usage.Add(e.Usage)
	r.settle()
}

func (c *Conversation) callTool(e ToolCalled, k *Commit) {
	if e.RunID == "" {
		if call, _ := c.Call(e.CallID); call == nil && !c.answered[e.CallID] {
			c.Calls = append(c.Calls, &Call{
				CallID: e.CallID, Server: e.Server, Name: e.Name, Arguments: e.Arguments, By: e.By,
				Status: CallRunning, Deadline: e.Deadline, CalledAt: k.Time,
			})
		}
		return
	}
	r := c.open(e.RunID)
	if r == nil {
		return
	}
	if call := r.Call(e.CallID); call != nil && (call.Status == CallWaiting || call.Status == CallAsking) {
		call.Server, call.Arguments, call.Deadline = e.Server, e.Arguments, e.Deadline
		call.Status, call.CalledAt = CallRunning, k.Time
	}
	r.settle()
}

func (c *Conversation) answerApproval(e ApprovalAnswered) {
	r := c.open(e.RunID)
	if r == nil {
		return
	}
	if call := r.Call(e.CallID); call != nil && call.Status == CallAsking {
		call.Status = CallWaiting
		if len(e.Arguments) > 0 {
			call.Arguments = e.Arguments
		}
	}
	if !e.Deadline.IsZero() {
		r.Deadline = e.Deadline
	}
	r.settle()
}

func (c *Conversation) toolReturned(e ToolReturned, k *Commit) {
	call, r := c.Call(e.CallID)
	if call == nil || !call.ReturnedAt.IsZero() {
		return
	}
	call.returned(e, k.Time)
	if r != nil {
		r.settle()
		return
	}
	for i := 0; len(c.Calls) > handCallsKept && i < len(c.Calls); {
		if c.Calls[i].Status.Answered() {
			c.answered[c.Calls[i].CallID] = true
			c.Calls = slices.Delete(c.Calls, i, i+1)
			continue
		}
		i++
	}
}

func (c *Conversation) requestCancel(e RunCancelRequested, k *Commit) {
	r := c.byRun[e.RunID]
	if r == nil {
		if _, ok := c.tombstones[e.RunID]; !ok {
			c.tombstones[e.RunID] = e
		}
		return
	}
	if r.Stop == nil && !r.Status.Over() {
		r.Stop = &Stop{e.By, e.Why, k.N, k.Time}
		r.settle()
	}
}

// Clone returns a copy that later commits change apart from c. The bytes of
// arguments and results are shared: nothing changes them in place.
func (c *Conversation) Clone() *Conversation {
	k := c.shallow()
	k.Runs = make([]*Run, len(c.Runs))
	for i, r := range c.Runs {
		k.Runs[i] = r.clone()
	}
	k.index()
	maps.Copy(k.tombstones, c.tombstones)
	maps.Copy(k.causes, c.causes)
	maps.Copy(k.answered, c.answered)
	return k
}

func (c *Conversation) shallow() *Conversation {
	k := *c
	k.Calls = cloneCalls(c.Calls)
	return &k
}

// Unfinished returns a copy that has only the runs that are not over, and knows
// no causes: applied to it, a commit shows what it makes of them, at the cost of
// those runs and not of the conversation.
func (c *Conversation) Unfinished() *Conversation {
	k := c.shallow()
	k.Runs = nil
	for _, r := range c.Runs {
		if !r.Status.Over() {
			k.Runs = append(k.Runs, r.clone())
		}
	}
	k.index()
	return k
}

// Base returns a copy with the last limit runs of the current branch and every
// run that is not over. HasMore says that older runs of the branch were left out.
func (c *Conversation) Base(limit int) *Conversation {
	keep := map[RunID]bool{}
	path := c.Path(c.Tip())
	from := max(0, len(path)-max(0, limit))
	for _, r := range path[from:] {
		keep[r.RunID] = true
	}
	k := c.shallow()
	k.Runs = []*Run{}
	for _, r := range c.Runs {
		if keep[r.RunID] || !r.Status.Over() {
			k.Runs = append(k.Runs, r.clone())
		}
	}
	k.HasMore = c.HasMore || from > 0
	k.index()
	return k
}
