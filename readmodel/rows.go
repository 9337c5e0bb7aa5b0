package readmodel

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

var (
	// ErrNotFound reports a row that does not exist or belongs to somebody else.
	ErrNotFound = errors.New("not found")
	// ErrCursor reports a page cursor that this package did not make.
	ErrCursor = errors.New("malformed cursor")
)

// A Page is one page of a list. After is an opaque cursor for the next page,
// empty if there is none.
type Page[T any] struct {
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
	After   string `json:"after,omitzero"`
}

// Idle is the [Summary.Status] of a conversation without an open run.
const Idle = "idle"

// A Summary is one line of the conversation list.
type Summary struct {
	ConversationID events.ConversationID `json:"conversation_id"`
	Title          string                `json:"title"`
	TitleBy        events.By             `json:"title_by"`
	Pinned         bool                  `json:"pinned"`
	Archived       bool                  `json:"archived,omitzero"`
	ReadN          uint64                `json:"read_n"`
	N              uint64                `json:"n"`
	// Status is that of the active run, else of the oldest queued one, else [Idle].
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// LastText is the beginning of the newest text, at most 140 characters.
	LastText string `json:"last_text"`
	Deleted  bool   `json:"deleted,omitzero"`
}

// ConversationsQuery selects conversations: pinned ones first, then by newest
// activity, without deleted ones and without home.
type ConversationsQuery struct {
	// Text, if not empty, must occur in title or messages.
	Text string
	// Archived selects those that are put away instead of the others.
	Archived bool
	Limit    int
	After    string
}

// TasksQuery selects tasks that are not deleted.
type TasksQuery struct {
	Status string // "all", "open" or "completed"
	Text   string
	Limit  int
	After  string
	// AsOf, if set, is the task_rev after which the tasks are wanted as they were.
	AsOf *int64
}

// A Task is one task of a person.
type Task struct {
	TaskID      int64      `json:"task_id"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	DueOn       *string    `json:"due_on"` // YYYY-MM-DD
	Status      string     `json:"status"` // "open" or "completed"
	Deleted     bool       `json:"deleted"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	CompletedAt *time.Time `json:"completed_at"`
	TaskRev     int64      `json:"task_rev"`
}

// TaskPage is a page of tasks with the person's newest task_rev at that reading,
// or the one that was asked for.
type TaskPage struct {
	Data    []Task `json:"data"`
	HasMore bool   `json:"has_more"`
	After   string `json:"after,omitzero"`
	TaskRev int64  `json:"task_rev"`
}

// A TaskChange is one entry of a task's history: who did what, and the row after it.
type TaskChange struct {
	TaskRev        int64                 `json:"task_rev"`
	Tool           string                `json:"tool"`
	By             events.By             `json:"by"`
	CallID         events.CallID         `json:"call_id"`
	ConversationID events.ConversationID `json:"conversation_id"`
	RunID          events.RunID          `json:"run_id,omitzero"`
	At             time.Time             `json:"at"`
	// Task is the task's JSON as the tool answered it.
	Task jsontext.Value `json:"task"`
}

// TaskChangesQuery selects changes of a person's tasks: those after a task_rev,
// or with Since those from a moment on.
type TaskChangesQuery struct {
	After int64
	Since time.Time
	Limit int
}

// TaskChanges is a page of the changes of all tasks, oldest first. After is the
// task_rev to read on from, at the end of the list too; of a page that is empty,
// it is the one before everything that was asked for.
type TaskChanges struct {
	Data    []TaskChange `json:"data"`
	HasMore bool         `json:"has_more"`
	After   int64        `json:"after"`
}
