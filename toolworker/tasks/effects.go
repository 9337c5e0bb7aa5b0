package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/toolworker/ledger"
)

// A txn is the transaction of one call.
type txn struct {
	*ledger.Tx
	call ledger.Call
	now  time.Time
}

// one is the result of every tool about a single task.
type one struct {
	Task Task `json:"task"`
}

// many is the result of list_tasks. Count is that of all that fit, shown or not.
type many struct {
	Tasks []Task `json:"tasks"`
	Count int    `json:"count"`
}

// listed bounds the tasks in one result, which must fit into the log.
const listed = 100

const columns = `task_id, title, description, to_char(due_on, 'YYYY-MM-DD'), status, deleted, created_at, updated_at, completed_at, task_rev`

func scan(row pgx.CollectableRow) (Task, error) {
	var t Task
	err := row.Scan(&t.TaskID, &t.Title, &t.Description, &t.DueOn, &t.Status, &t.Deleted, &t.CreatedAt, &t.UpdatedAt, &t.CompletedAt, &t.TaskRev)
	t.CreatedAt, t.UpdatedAt = t.CreatedAt.UTC(), t.UpdatedAt.UTC()
	if t.CompletedAt != nil {
		at := t.CompletedAt.UTC()
		t.CompletedAt = &at
	}
	return t, err
}

// next locks the person's row and hands out the next rev, and with fresh the
// next task number. All writes of a person take turns here.
func (t *txn) next(ctx context.Context, fresh bool) (id int, rev int64, err error) {
	add := 0
	if fresh {
		add = 1
	}
	err = t.QueryRow(ctx, `INSERT INTO task_owner AS o (user_id, next_task_id, task_rev) VALUES ($1, 1 + $2, 1)
		ON CONFLICT (user_id) DO UPDATE SET next_task_id = o.next_task_id + $2, task_rev = o.task_rev + 1
		RETURNING next_task_id - $2, task_rev`, t.call.UserID, add).Scan(&id, &rev)
	if err != nil {
		return 0, 0, fmt.Errorf("task rev: %w", err)
	}
	return id, rev, nil
}

// get returns the person's task and locks it.
func (t *txn) get(ctx context.Context, a arguments) (Task, error) {
	id, err := a.id()
	if err != nil {
		return Task{}, err
	}
	rows, err := t.Query(ctx, `SELECT `+columns+` FROM task WHERE user_id = $1 AND task_id = $2 FOR UPDATE`, t.call.UserID, id)
	if err != nil {
		return Task{}, fmt.Errorf("task: %w", err)
	}
	task, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Task{}, refuse(events.ToolFailed, "There is no task #%d.", id)
	}
	if err != nil {
		return Task{}, fmt.Errorf("task: %w", err)
	}
	return task, nil
}

// living is get for tools that do not work on deleted tasks.
func (t *txn) living(ctx context.Context, a arguments) (Task, error) {
	task, err := t.get(ctx, a)
	if err == nil && task.Deleted {
		return Task{}, refuse(events.ToolFailed, "Task #%d has been deleted.", task.TaskID)
	}
	return task, err
}

// save writes the task under the person's next rev, with its history row.
func (t *txn) save(ctx context.Context, task Task) (any, error) {
	_, rev, err := t.next(ctx, false)
	if err != nil {
		return nil, err
	}
	task.TaskRev, task.UpdatedAt = rev, t.now
	_, err = t.Exec(ctx, `UPDATE task SET title = $3, description = $4, due_on = $5, status = $6, deleted = $7, updated_at = $8, completed_at = $9, task_rev = $10
		WHERE user_id = $1 AND task_id = $2`, t.call.UserID, task.TaskID, task.Title, task.Description, date(task.DueOn), task.Status, task.Deleted,
		task.UpdatedAt, task.CompletedAt, task.TaskRev)
	if err != nil {
		return nil, fmt.Errorf("save task: %w", err)
	}
	return t.record(ctx, task)
}

func (t *txn) record(ctx context.Context, task Task) (any, error) {
	row, err := json.Marshal(task)
	if err != nil {
		return nil, fmt.Errorf("task history: %w", err)
	}
	var run *string
	if t.call.RunID != "" {
		s := string(t.call.RunID)
		run = &s
	}
	_, err = t.Exec(ctx, `INSERT INTO task_history (user_id, task_rev, task_id, tool, by, call_id, conversation_id, run_id, at, row)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb)`, t.call.UserID, task.TaskRev, task.TaskID, t.call.Name, t.call.By, t.call.CallID,
		t.call.ConversationID, run, t.now, string(row))
	if err != nil {
		return nil, fmt.Errorf("task history: %w", err)
	}
	return one{task}, nil
}

// date passes a checked date on as the type that Postgres wants.
func date(s *string) *time.Time {
	if s == nil {
		return nil
	}
	d, err := time.Parse(time.DateOnly, *s)
	if err != nil {
		return nil
	}
	return &d
}

func add(ctx context.Context, t *txn, a arguments) (any, error) {
	task := Task{Status: open, CreatedAt: t.now, UpdatedAt: t.now}
	var err error
	if task.Title, err = a.title(); err != nil {
		return nil, err
	}
	if a.Description != nil {
		if task.Description, err = a.description(); err != nil {
			return nil, err
		}
	}
	if task.DueOn, err = a.dueOn(); err != nil {
		return nil, err
	}
	if task.TaskID, task.TaskRev, err = t.next(ctx, true); err != nil {
		return nil, err
	}
	_, err = t.Exec(ctx, `INSERT INTO task (user_id, task_id, title, description, due_on, status, created_at, updated_at, task_rev)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)`, t.call.UserID, task.TaskID, task.Title, task.Description, date(task.DueOn), task.Status, t.now, task.TaskRev)
	if err != nil {
		return nil, fmt.Errorf("add task: %w", err)
	}
	return t.record(ctx, task)
}

func list(ctx context.Context, t *txn, a arguments) (any, error) {
	status, err := a.status()
	if err != nil {
		return nil, err
	}
	query, err := a.query()
	if err != nil {
		return nil, err
	}
	like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(query) + "%"
	const where = ` FROM task WHERE user_id = $1 AND NOT deleted AND ($2 = 'all' OR status = $2) AND (title ILIKE $3 OR description ILIKE $3)`
	out := many{Tasks: []Task{}}
	if err := t.QueryRow(ctx, `SELECT count(*)`+where, t.call.UserID, status, like).Scan(&out.Count); err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	rows, err := t.Query(ctx, `SELECT `+columns+where+` ORDER BY status = 'completed', task_id LIMIT $4`, t.call.UserID, status, like, listed)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	if out.Tasks, err = pgx.AppendRows(out.Tasks, rows, scan); err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	for i := range out.Tasks {
		// Details are in the panel; a list of long ones would not fit into the log.
		if r := []rune(out.Tasks[i].Description); len(r) > 200 {
			out.Tasks[i].Description = string(r[:200]) + "…"
		}
	}
	return out, nil
}

// complete leaves a completed task as it is: asking twice is no error.
func complete(ctx context.Context, t *txn, a arguments) (any, error) {
	task, err := t.living(ctx, a)
	if err != nil || task.Status == completed {
		return one{task}, err
	}
	task.Status, task.CompletedAt = completed, &t.now
	return t.save(ctx, task)
}

func reopen(ctx context.Context, t *txn, a arguments) (any, error) {
	task, err := t.living(ctx, a)
	if err != nil || task.Status == open {
		return one{task}, err
	}
	task.Status, task.CompletedAt = open, nil
	return t.save(ctx, task)
}

func remove(ctx context.Context, t *txn, a arguments) (any, error) {
	task, err := t.living(ctx, a)
	if err != nil {
		return nil, err
	}
	task.Deleted = true
	return t.save(ctx, task)
}

func restore(ctx context.Context, t *txn, a arguments) (any, error) {
	task, err := t.get(ctx, a)
	if err != nil || !task.Deleted {
		return one{task}, err
	}
	task.Deleted = false
	return t.save(ctx, task)
}

func update(ctx context.Context, t *txn, a arguments) (any, error) {
	if a.Title == nil && a.Description == nil && !a.DueOn.set {
		return nil, bad("Nothing to change: give a title, a description or due_on.")
	}
	due, err := a.dueOn()
	if err != nil {
		return nil, err
	}
	var title, description string
	if a.Title != nil {
		if title, err = a.title(); err != nil {
			return nil, err
		}
	}
	if a.Description != nil {
		if description, err = a.description(); err != nil {
			return nil, err
		}
	}
	task, err := t.living(ctx, a)
	if err != nil {
		return nil, err
	}
	if a.Title != nil {
		task.Title = title
	}
	if a.Description != nil {
		task.Description = description
	}
	if a.DueOn.set {
		task.DueOn = due
	}
	return t.save(ctx, task)
}
