package readmodel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

// taskLine is a task and the person's newest rev, of one reading; without a
// task it is the rev alone.
type taskLine struct {
	task *Task
	rev  int64
}

func scanTask(r pgx.CollectableRow) (l taskLine, err error) {
	var id *int64
	var title, description, status *string
	var t Task
	var deleted *bool
	var created, updated *time.Time
	var completed *time.Time
	var rev *int64
	if err := r.Scan(&l.rev, &id, &title, &description, &t.DueOn, &status, &deleted, &created, &updated, &completed, &rev); err != nil || id == nil {
		return l, err
	}
	t.TaskID, t.Title, t.Description, t.Status, t.Deleted, t.TaskRev = *id, *title, *description, *status, *deleted, *rev
	t.CreatedAt, t.UpdatedAt = created.UTC(), updated.UTC()
	if completed != nil {
		at := completed.UTC()
		t.CompletedAt = &at
	}
	l.task = &t
	return l, nil
}

// Tasks lists a person's tasks in the order of their numbers.
func (s *Store) Tasks(ctx context.Context, u events.UserID, q TasksQuery) (TaskPage, error) {
	var after int64
	if q.After != "" {
		var err error
		if after, err = parseNumberCursor(q.After); err != nil {
			return TaskPage{}, fmt.Errorf("tasks: %w", err)
		}
	}
	if q.AsOf != nil {
		return s.tasksAsOf(ctx, u, q, after)
	}
	// One statement for rows and rev: a reader that has the rev has all rows up to it.
	lines, err := rows(ctx, s, u, scanTask, `
		SELECT coalesce(o.task_rev, 0), t.* FROM (SELECT $1::text AS user_id) p
		LEFT JOIN task_owner o ON o.user_id = p.user_id
		LEFT JOIN LATERAL (
			SELECT task_id::bigint, title, description, to_char(due_on, 'YYYY-MM-DD'), status, deleted,
				created_at, updated_at, completed_at, task_rev
			FROM task WHERE user_id = p.user_id AND NOT deleted AND task_id > $2::bigint
				AND ($3 = 'all' OR status = $3) AND ($4 = '' OR strpos(lower(title || ' ' || description), lower($4)) > 0)
			ORDER BY task_id LIMIT $5
		) t ON true ORDER BY t.task_id`, u, after, q.Status, storable(q.Text), q.Limit+1)
	if err != nil {
		return TaskPage{}, fmt.Errorf("tasks: %w", err)
	}
	var list []Task
	var rev int64
	for _, l := range lines {
		rev = l.rev
		if l.task != nil {
			list = append(list, *l.task)
		}
	}
	p := page(list, q.Limit, func(t Task) string { return numberCursor(t.TaskID) })
	return TaskPage{Data: p.Data, HasMore: p.HasMore, After: p.After, TaskRev: rev}, nil
}

// tasksAsOf is Tasks as they were after a task_rev. A task that has been deleted
// since is among them: its row stays, and the history says how it was.
func (s *Store) tasksAsOf(ctx context.Context, u events.UserID, q TasksQuery, after int64) (TaskPage, error) {
	list, err := rows(ctx, s, u, scanThen, `
		SELECT h.row::text FROM task t CROSS JOIN LATERAL (
			SELECT row FROM task_history WHERE user_id = t.user_id AND task_id = t.task_id AND task_rev <= $3 ORDER BY task_rev DESC LIMIT 1
		) h
		WHERE t.user_id = $1 AND t.task_id > $2::bigint AND NOT (h.row->>'deleted')::boolean AND ($4 = 'all' OR h.row->>'status' = $4)
			AND ($5 = '' OR strpos(lower((h.row->>'title') || ' ' || (h.row->>'description')), lower($5)) > 0)
		ORDER BY t.task_id LIMIT $6`, u, after, *q.AsOf, q.Status, storable(q.Text), q.Limit+1)
	if err != nil {
		return TaskPage{}, fmt.Errorf("tasks as of %d: %w", *q.AsOf, err)
	}
	p := page(list, q.Limit, func(t Task) string { return numberCursor(t.TaskID) })
	return TaskPage{Data: p.Data, HasMore: p.HasMore, After: p.After, TaskRev: *q.AsOf}, nil
}

func scanThen(r pgx.CollectableRow) (t Task, err error) {
	var row string
	if err := r.Scan(&row); err != nil {
		return t, err
	}
	return t, json.Unmarshal([]byte(row), &t)
}

// TaskChanges lists the changes of all of a person's tasks, oldest first.
func (s *Store) TaskChanges(ctx context.Context, u events.UserID, q TaskChangesQuery) (TaskChanges, error) {
	after := q.After
	if !q.Since.IsZero() {
		// The index is read from its end, to the last change that is too old.
		last, err := row(ctx, s, u, pgx.RowTo[int64], `SELECT task_rev FROM task_history WHERE user_id = $1 AND at < $2 ORDER BY task_rev DESC LIMIT 1`, u, q.Since)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return TaskChanges{}, fmt.Errorf("task changes: %w", err)
		}
		after = max(after, last)
	}
	list, err := rows(ctx, s, u, scanChange, `SELECT `+change+` FROM task_history
		WHERE user_id = $1 AND task_rev > $2 ORDER BY task_rev LIMIT $3`, u, after, q.Limit+1)
	if err != nil {
		return TaskChanges{}, fmt.Errorf("task changes: %w", err)
	}
	p := TaskChanges{Data: list, After: after}
	if len(list) > q.Limit {
		p.Data, p.HasMore = list[:q.Limit], true
	}
	if n := len(p.Data); n > 0 {
		p.After = p.Data[n-1].TaskRev
	}
	return p, nil
}

// TaskHistory lists the changes of one task, newest first; a task that never
// existed is ErrNotFound.
func (s *Store) TaskHistory(ctx context.Context, u events.UserID, task int64, limit int, after string) (Page[TaskChange], error) {
	before := int64(1<<63 - 1)
	if after != "" {
		var err error
		if before, err = parseNumberCursor(after); err != nil {
			return Page[TaskChange]{}, fmt.Errorf("task history: %w", err)
		}
	}
	list, err := rows(ctx, s, u, scanChange, `SELECT `+change+` FROM task_history
		WHERE user_id = $1 AND task_id = $2::bigint AND task_rev < $3 ORDER BY task_rev DESC LIMIT $4`, u, task, before, limit+1)
	if err == nil && len(list) == 0 && after == "" {
		err = ErrNotFound
	}
	if err != nil {
		return Page[TaskChange]{}, fmt.Errorf("task history: %w", err)
	}
	return page(list, limit, func(c TaskChange) string { return numberCursor(c.TaskRev) }), nil
}

const change = `task_rev, tool, by, call_id, conversation_id, coalesce(run_id, ''), at, row::text`

func scanChange(r pgx.CollectableRow) (c TaskChange, err error) {
	var task string
	err = r.Scan(&c.TaskRev, &c.Tool, &c.By, &c.CallID, &c.ConversationID, &c.RunID, &c.At, &task)
	// jsonb's own text has spaces, which would make equal rows look different.
	c.At, c.Task = c.At.UTC(), jsontext.Value(task)
	return c, errors.Join(err, c.Task.Compact())
}
