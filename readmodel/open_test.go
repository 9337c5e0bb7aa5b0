package readmodel_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// Of everybody's runs, those that are not over are counted, and those at work
// long past their deadline are named; both without looking at the others.
func TestOpenAndLateRuns(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t)
	store := open(t, db)
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	deadline := testkit.Epoch.Add(5 * time.Minute)
	begin := func(u events.UserID, more ...events.Event) {
		a := newAuthor(1, u, "c")
		run := events.RunIDFor(u, "c", "m")
		w.write(ctx, a.commit(append([]events.Event{
			events.MessageAccepted{MessageID: "m", RunID: run, Text: "x"},
			events.RunStarted{RunID: run, MessageID: "m", Deadline: deadline},
			events.StepStarted{RunID: run, Step: 1, Attempt: 1},
		}, more...)...))
	}
	run := func(u events.UserID) events.RunID { return events.RunIDFor(u, "c", "m") }
	call := events.CallIDFor(run("asked"), 1, 0)
	begin("anna")
	begin("bert", events.RunCancelRequested{RunID: run("bert")})
	begin("over", events.StepCompleted{RunID: run("over"), Step: 1, Attempt: 1, Text: "x"}, events.RunCompleted{RunID: run("over")})
	begin("queue", events.MessageAccepted{MessageID: "m2", RunID: events.RunIDFor("queue", "c", "m2"), ParentID: run("queue")})
	begin("asked", events.StepCompleted{RunID: run("asked"), Step: 1, Attempt: 1, ToolCalls: []events.ToolCall{{CallID: call, Name: "t"}}},
		events.ApprovalRequested{CallID: call, RunID: run("asked"), ExpiresAt: deadline.Add(24 * time.Hour)})
	counts, err := store.OpenRuns(ctx)
	want := map[events.Status]int{events.InProgress: 2, events.Cancelling: 1, events.Queued: 1, events.RequiresAction: 1}
	if err != nil || !maps.Equal(counts, want) {
		t.Errorf("open runs %v, want %v: %v", counts, want, err)
	}
	names := func(before time.Time, limit int) string {
		t.Helper()
		late, err := store.Late(ctx, before, limit)
		if err != nil {
			t.Fatal(err)
		}
		found := map[events.UserID]bool{}
		for _, r := range late {
			found[r.User] = true
			if r.Conversation != "c" || r.Run.RunID != run(r.User) || !r.Run.Deadline.Equal(deadline) || r.Run.Status.Over() {
				t.Errorf("late: %+v", r)
			}
		}
		var list []string
		for _, u := range []events.UserID{"anna", "bert", "over", "queue", "asked"} {
			if found[u] {
				list = append(list, string(u))
			}
		}
		return strings.Join(list, " ")
	}
	for before, want := range map[time.Time]string{deadline: "", deadline.Add(time.Second): "anna bert queue"} {
		if got := names(before, 10); got != want {
			t.Errorf("late at %v: %q, want %q", before, got, want)
		}
	}
	if late, err := store.Late(ctx, deadline.Add(time.Second), 2); err != nil || len(late) != 2 {
		t.Errorf("at most two late runs: %d, %v", len(late), err)
	}

	tx, err := db.Owner(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing was written
	if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
		t.Fatal(err)
	}
	for sql, args := range map[string][]any{readmodel.CountOpen: nil, readmodel.SelectLate: {deadline, 10}} {
		rows, err := tx.Query(ctx, "EXPLAIN "+sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || !strings.Contains(strings.Join(plan, "\n"), "conversation_open") {
			t.Errorf("%s\nis answered by %s\n%v", sql, strings.Join(plan, "\n"), err)
		}
	}
}
