package readmodel_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// A replay starts from the tasks as they were after some rev and adds the changes
// after it: whichever rev that is, it must end with the tasks of today, and meet
// on the way what a reader of each rev sees.
func TestTasksAtEveryRev(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t)
	store := open(t, db)
	ctx := testkit.Context(t)
	rnd := rand.New(rand.NewPCG(4, 2))
	const revs = 40
	then := []map[int64]readmodel.Task{{}} // by rev
	at := func(rev int64) time.Time { return testkit.Epoch.Add(time.Duration(rev) * time.Minute) }
	for rev := int64(1); rev <= revs; rev++ {
		now := maps.Clone(then[rev-1])
		task := readmodel.Task{TaskID: int64(len(now) + 1), Title: fmt.Sprint("Task of rev ", rev), Status: "open", CreatedAt: at(rev)}
		if rev > 3 && rnd.IntN(3) > 0 {
			task = now[1+rnd.Int64N(int64(len(now)))]
			switch rnd.IntN(4) {
			case 0:
				task.Deleted = !task.Deleted
			case 1:
				task.Title = fmt.Sprint("100% other in rev ", rev)
			default:
				task.Status = map[string]string{"open": "completed", "completed": "open"}[task.Status]
			}
		}
		task.TaskRev, task.UpdatedAt = rev, at(rev)
		now[task.TaskID] = task
		then = append(then, now)
		row, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range []string{"anna", "bert"} { // the same ids; bert's rows are all deleted
			_, err = store.Pool().Exec(ctx, `
				WITH t AS (INSERT INTO task (user_id, task_id, title, status, deleted, created_at, updated_at, task_rev)
					VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (user_id, task_id)
					DO UPDATE SET title = $3, status = $4, deleted = $5, updated_at = $7, task_rev = $8),
				o AS (INSERT INTO task_owner (user_id, task_rev) VALUES ($1, $8) ON CONFLICT (user_id) DO UPDATE SET task_rev = $8)
				INSERT INTO task_history (user_id, task_rev, task_id, tool, by, call_id, conversation_id, at, row)
					VALUES ($1, $8, $2, 'update_task', 'user', 'k', 'home', $7, $9::text::jsonb || CASE WHEN $1 = 'bert' THEN '{"deleted":true}'::jsonb ELSE '{}' END)`,
				user, task.TaskID, task.Title, task.Status, task.Deleted || user == "bert", task.CreatedAt, task.UpdatedAt, task.TaskRev, string(row))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func(rev int64, status string) map[int64]readmodel.Task {
		t.Helper()
		got := make(map[int64]readmodel.Task)
		q := readmodel.TasksQuery{Status: status, Limit: 3, AsOf: &rev}
		for more := true; more; {
			p, err := store.Tasks(ctx, "anna", q)
			if err != nil || p.TaskRev != rev {
				t.Fatalf("tasks as of %d: rev %d, %v", rev, p.TaskRev, err)
			}
			for _, task := range p.Data {
				got[task.TaskID] = task
			}
			q.After, more = p.After, p.HasMore
		}
		return got
	}
	living := func(all map[int64]readmodel.Task, status string) map[int64]readmodel.Task {
		some := make(map[int64]readmodel.Task)
		for id, task := range all {
			if !task.Deleted && (status == "all" || task.Status == status) {
				some[id] = task
			}
		}
		return some
	}
	for rev := range int64(revs + 1) {
		for _, status := range []string{"all", "open", "completed"} {
			if diff := cmp.Diff(living(then[rev], status), list(rev, status)); diff != "" {
				t.Fatalf("%s tasks as of %d (-want +got):\n%s", status, rev, diff)
			}
		}
		state := list(rev, "all")
		for after := rev; ; {
			p, err := store.TaskChanges(ctx, "anna", readmodel.TaskChangesQuery{After: after, Limit: 7})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Data {
				var task readmodel.Task
				if err := json.Unmarshal(c.Task, &task); err != nil || c.TaskRev != after+1 {
					t.Fatalf("change %d after %d: %v", c.TaskRev, after, err)
				}
				after = c.TaskRev
				state[task.TaskID] = task
				if diff := cmp.Diff(living(then[after], "all"), living(state, "all")); diff != "" {
					t.Fatalf("from %d to %d (-want +got):\n%s", rev, after, diff)
				}
			}
			if p.After != after || p.HasMore != (after < revs) {
				t.Fatalf("page up to %d of %d: after %d, more %v", after, revs, p.After, p.HasMore)
			}
			if !p.HasMore {
				break
			}
		}
	}

	for _, test := range []struct {
		user  events.UserID
		since time.Time
		first int64 // 0: none
		after int64
	}{
		{"anna", testkit.Epoch.Add(-time.Hour), 1, revs},
		{"anna", at(1), 1, revs},
		{"anna", at(17).Add(time.Nanosecond), 17, revs}, // Postgres keeps microseconds
		{"anna", at(17).Add(time.Millisecond), 18, revs},
		{"anna", at(revs).Add(time.Second), 0, revs},
		{"cora", at(1), 0, 0},
	} {
		p, err := store.TaskChanges(ctx, test.user, readmodel.TaskChangesQuery{Since: test.since, Limit: 100})
		first := int64(0)
		if len(p.Data) > 0 {
			first = p.Data[0].TaskRev
		}
		if err != nil || first != test.first || p.After != test.after || p.HasMore {
			t.Errorf("%s since %v: first %d, after %d, %v", test.user, test.since, first, p.After, err)
		}
	}
	rev := int64(revs)
	p, err := store.Tasks(ctx, "anna", readmodel.TasksQuery{Status: "all", Text: "100% OTHER", Limit: 100, AsOf: &rev})
	if err != nil || len(p.Data) == 0 || slices.ContainsFunc(p.Data, func(task readmodel.Task) bool { return task.Title[:4] != "100%" }) {
		t.Errorf("tasks by words: %+v, %v", p.Data, err)
	}
	if p, err = store.Tasks(ctx, "bert", readmodel.TasksQuery{Status: "all", Limit: 100, AsOf: &rev}); err != nil || len(p.Data) != 0 {
		t.Errorf("tasks of bert: %+v, %v", p.Data, err)
	}
}
