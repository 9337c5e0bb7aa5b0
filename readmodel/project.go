package readmodel

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// A Fold is a conversation's state with what has changed in it since its rows
// were last written.
type Fold struct {
	*events.Conversation
	// Broken says why the archive could not be folded, or nil. Such a
	// conversation takes no more commits.
	Broken error

	size    int
	since   uint64 // N when the rows were written
	changed map[events.RunID]bool
	renamed bool
}

// NewFold returns the empty state of r.
func NewFold(r events.Ref) *Fold {
	return &Fold{Conversation: events.NewConversation(r), changed: map[events.RunID]bool{}}
}

// Size returns the bytes of the commits in the state, a measure of its memory.
func (f *Fold) Size() int { return f.size }

// Apply adds a commit, whose encoded form has size bytes.
func (f *Fold) Apply(k *events.Commit, size int) error {
	if err := f.Conversation.Apply(k); err != nil {
		return err
	}
	f.size += size
	for _, e := range k.Events {
		switch e := e.(type) {
		case events.MessageAccepted:
			f.touch(e.RunID)
		case events.RunStarted:
			f.touch(e.RunID)
		case events.StepStarted:
			f.touch(e.RunID)
		case events.StepInterrupted:
			f.touch(e.RunID)
		case events.StepCompleted:
			f.touch(e.RunID)
		case events.ToolCalled:
			f.touch(e.RunID)
		case events.ApprovalRequested:
			f.touch(e.RunID)
		case events.ApprovalAnswered:
			f.touch(e.RunID)
		case events.ToolReturned:
			f.touch(events.RunOf(e.CallID)) // as the fold finds it
		case events.RunCancelRequested:
			f.touch(e.RunID)
		case events.RunCompleted:
			f.touch(e.RunID)
		case events.RunFailed:
			f.touch(e.RunID)
		case events.RunCancelled:
			f.touch(e.RunID)
		case events.MessageRated:
			f.touch(e.RunID)
		case events.ConversationRenamed:
			f.renamed = true
		}
	}
	return nil
}

func (f *Fold) touch(id events.RunID) {
	if f.Run(id) != nil {
		f.changed[id] = true
	}
}

// saved forgets the changes: the rows say the same as the state.
func (f *Fold) saved() {
	f.since, f.renamed = f.N, false
	clear(f.changed)
}

// A head is the JSON of a conversation without its runs.
type head struct {
	*events.Conversation
	Runs    jsontext.Value `json:"runs,omitzero"`     // hides the conversation's own
	HasMore jsontext.Value `json:"has_more,omitzero"` // likewise
}

type conversationRow struct {
	Summary
	user     events.UserID
	activeAt time.Time
	runs     int
	tip      events.RunID
	open     []string
	body     []byte
}

type runRow struct {
	*events.Run
	user         events.UserID
	conversation events.ConversationID
	pos          int
	body         []byte
}

type wordsRow struct {
	user         events.UserID
	conversation events.ConversationID
	run          events.RunID
	words        []string
}

// project returns the rows that differ from what was written.
func (f *Fold) project() (c conversationRow, runs []runRow, found []wordsRow, err error) {
	c = conversationRow{Summary: Summarize(f.Conversation), user: f.UserID, runs: len(f.Runs)}
	c.activeAt = c.UpdatedAt
	if tip := f.Tip(); tip != nil {
		c.tip = tip.RunID
	}
	if c.body, err = json.Marshal(head{Conversation: f.Conversation}); err != nil {
		return c, nil, nil, err
	}
	if f.renamed {
		found = append(found, wordsRow{f.UserID, f.ConversationID, "", words(f.Title)})
	}
	for pos, r := range f.Runs {
		// Ids are checked where they enter. One that got past could still not be a
		// key: Postgres refuses keys of any length and some characters.
		if !events.ValidID(r.RunID) {
			continue
		}
		if !r.Status.Over() {
			c.open = append(c.open, string(r.RunID))
		}
		if !f.changed[r.RunID] {
			continue
		}
		body, err := json.Marshal(r)
		if err != nil {
			return c, nil, nil, err
		}
		runs = append(runs, runRow{r, f.UserID, f.ConversationID, pos, body})
		if r.N > f.since || r.Status.Over() {
			found = append(found, wordsRow{f.UserID, f.ConversationID, r.RunID, words(searched(r))})
		}
	}
	return c, runs, found, nil
}

// searched is the text by which a run is found. The answer counts once it is
// final, so that a run is not indexed anew with every step.
func searched(r *events.Run) string {
	if r.Status.Over() {
		return r.Message.Text + "\n" + r.Answer()
	}
	return r.Message.Text
}

// lastTextRunes is how much of the newest text a summary shows.
const lastTextRunes = 140

// Summarize returns the conversation's line in the list. Its UpdatedAt is when
// somebody last spoke in it: reading, pinning or renaming does not move a
// conversation to the top.
func Summarize(c *events.Conversation) Summary {
	s := Summary{
		ConversationID: c.ConversationID, Title: c.Title, TitleBy: c.TitleBy, Pinned: c.Pinned, Archived: c.Archived, ReadN: c.ReadN, N: c.N,
		Status: Idle, CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt, Deleted: c.Deleted,
	}
	for _, r := range c.Runs {
		for _, at := range []time.Time{r.Message.Time, r.StartedAt, r.EndedAt} {
			if at.After(s.UpdatedAt) {
				s.UpdatedAt = at
			}
		}
	}
	// As Postgres keeps them, so that a line is the same from either side.
	s.CreatedAt, s.UpdatedAt = s.CreatedAt.Truncate(time.Microsecond), s.UpdatedAt.Truncate(time.Microsecond)
	if r := c.Active(); r != nil {
		s.Status = string(r.Status)
	} else if r := c.NextQueued(); r != nil {
		s.Status = string(r.Status)
	}
	if tip := c.Tip(); tip != nil {
		s.LastText = tip.Message.Text
		for _, step := range slices.Backward(tip.Steps) {
			if strings.TrimSpace(step.Text) != "" {
				s.LastText = step.Text
				break
			}
		}
		s.LastText = beginning(s.LastText, lastTextRunes)
	}
	return s
}

// beginning returns the first runes of s on one line.
func beginning(s string, runes int) string {
	if len(s) > 16*runes { // enough for any mix of characters and spaces worth showing
		s = strings.ToValidUTF8(s[:16*runes], "") // the cut may have split a character
	}
	r := []rune(strings.Join(strings.Fields(storable(s)), " "))
	if len(r) <= runes {
		return string(r)
	}
	return strings.TrimSpace(string(r[:runes-1])) + "…"
}
