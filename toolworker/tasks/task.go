package tasks

import "time"

// A Task is one row as clients see it, in results, events and reads.
type Task struct {
	TaskID      int        `json:"task_id"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	DueOn       *string    `json:"due_on"` // a date, 2006-01-02
	Status      string     `json:"status"`
	Deleted     bool       `json:"deleted"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	CompletedAt *time.Time `json:"completed_at"`
	// TaskRev counts the person's task writes; of two versions of a task the higher is the newer.
	TaskRev int64 `json:"task_rev"`
}

// States of a task.
const (
	open      = "open"
	completed = "completed"
)
