package readmodel_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// Rows of two people with the same ids: lines are what Summarize says, pages of
// any size give the same list, and neither person sees the other's.
func TestConversations(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	want := map[events.UserID][]readmodel.Summary{}
	for i := range uint64(14) {
		for j, u := range []events.UserID{"anna", "bert"} {
			c := events.ConversationID(fmt.Sprintf("c-%d", i))
			if i == 13 {
				c = events.Home
			}
			a := newAuthor(i*10+uint64(j), u, c)
			if i%3 == 0 {
				a.time = testkit.Epoch.Add(time.Hour) // several at the same time
				w.write(ctx, &events.Commit{
					V: 1, ConversationID: c, UserID: u, N: 1, CommitID: "x", Cause: "x", By: events.ByUser, Time: a.time,
					Events: []events.Event{events.ConversationPinned{Pinned: true}},
				})
			} else {
				for range 6 {
					w.write(ctx, a.next())
				}
			}
			f := w.folds[ref(t, u, c)]
			if i == 5 {
				k := a.commit(events.ConversationDeleted{})
				w.write(ctx, k)
			}
			s := readmodel.Summarize(f.Conversation)
			got, err := store.Summary(ctx, ref(t, u, c))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, got); diff != "" {
				t.Errorf("summary of %s %s (-fold +postgres):\n%s", u, c, diff)
			}
			if c != events.Home && !s.Deleted && !s.Archived {
				want[u] = append(want[u], s)
			}
		}
	}
	for u, list := range want {
		slices.SortFunc(list, func(a, b readmodel.Summary) int {
			if a.Pinned != b.Pinned {
				if a.Pinned {
					return -1
				}
				return 1
			}
			if n := b.UpdatedAt.Compare(a.UpdatedAt); n != 0 {
				return n
			}
			return strings.Compare(string(b.ConversationID), string(a.ConversationID))
		})
		for _, size := range []int{1, 2, 5, 12, 100} {
			var got []readmodel.Summary
			q := readmodel.ConversationsQuery{Limit: size}
			for {
				p, err := store.Conversations(ctx, u, q)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p.Data...)
				if !p.HasMore {
					break
				}
				if len(p.Data) != size || p.After == "" {
					t.Fatalf("a page of %d with %d rows and cursor %q", size, len(p.Data), p.After)
				}
				q.After = p.After
			}
			if diff := cmp.Diff(list, got); diff != "" {
				t.Errorf("list of %s by %d (-want +got):\n%s", u, size, diff)
			}
		}
	}
}

// What happens between two pages neither repeats a row nor hides one.
func TestPagesStayStable(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	authors := map[events.ConversationID]*author{}
	for i := range 6 {
		c := events.ConversationID(fmt.Sprintf("c%d", i))
		a := newAuthor(1, "anna", c)
		a.time = testkit.Epoch.Add(time.Duration(i) * time.Hour)
		authors[c] = a
		w.write(ctx, a.commit(events.MessageAccepted{MessageID: "m", RunID: "r", Text: "hi"}))
	}
	first, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Limit: 2})
	if err != nil || len(first.Data) != 2 || first.Data[1].ConversationID != "c4" {
		t.Fatalf("first page %+v, %v", first, err)
	}
	// The row of the cursor moves to the top, one below is deleted, one is read.
	authors["c4"].time = testkit.Epoch.Add(100 * time.Hour)
	w.write(ctx, authors["c4"].commit(events.MessageAccepted{MessageID: "m2", RunID: "r2", Text: "again"}),
		authors["c2"].commit(events.ConversationDeleted{}), authors["c0"].commit(events.ConversationRead{ReadN: 1}))
	second, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Limit: 10, After: first.After})
	if err != nil {
		t.Fatal(err)
	}
	var ids []events.ConversationID
	for _, s := range second.Data {
		ids = append(ids, s.ConversationID)
	}
	if diff := cmp.Diff([]events.ConversationID{"c3", "c1", "c0"}, ids); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
}

// [48] What is pinned stands first on the first page, however old; what is archived
// has a list of its own, and comes back with the next message.
func TestPinnedAndArchived(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	authors := map[events.ConversationID]*author{}
	for i := range 6 {
		c := events.ConversationID(fmt.Sprintf("c%d", i))
		a := newAuthor(1, "anna", c)
		a.time = testkit.Epoch.Add(time.Duration(i) * time.Hour)
		authors[c] = a
		w.says(a, "m", "hello", "hi")
	}
	w.write(ctx, authors["c0"].commit(events.ConversationPinned{Pinned: true}), authors["c1"].commit(events.ConversationPinned{Pinned: true}),
		authors["c3"].commit(events.ConversationArchived{Archived: true}), authors["c5"].commit(events.ConversationArchived{Archived: true}))
	check := func(q readmodel.ConversationsQuery, want ...events.ConversationID) {
		t.Helper()
		for _, q.Limit = range []int{1, 2, 3, 10} {
			var got []events.ConversationID
			for q.After = ""; ; {
				p, err := store.Conversations(ctx, "anna", q)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range p.Data {
					got = append(got, s.ConversationID)
				}
				if q.After = p.After; !p.HasMore {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", q, diff)
			}
		}
	}
	check(readmodel.ConversationsQuery{}, "c1", "c0", "c4", "c2")
	check(readmodel.ConversationsQuery{Archived: true}, "c5", "c3")
	check(readmodel.ConversationsQuery{Text: "hello"}, "c1", "c0", "c4", "c2")
	check(readmodel.ConversationsQuery{Text: "hello", Archived: true}, "c5", "c3")
	if p, err := store.Search(ctx, "anna", readmodel.SearchQuery{Text: "hello", Limit: 10}); err != nil || len(p.Data) != 6 || !p.Data[0].Archived || p.Data[1].Archived {
		t.Errorf("a search finds what is archived too and says so: %+v, %v", p, err)
	}
	authors["c3"].time = testkit.Epoch.Add(10 * time.Hour)
	w.says(authors["c3"], "m2", "hello again", "hi")
	check(readmodel.ConversationsQuery{Archived: true}, "c5")
	check(readmodel.ConversationsQuery{}, "c1", "c0", "c3", "c4", "c2")
}

func TestCursorsOfOthers(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	for _, after := range []string{"x", "!!", "!", "!x", "LjA", strings.Repeat("A", 4000), "enp6enp6enp6enp6enp6LmE", "\x00"} {
		if _, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Limit: 1, After: after}); !errors.Is(err, readmodel.ErrCursor) {
			t.Errorf("conversations after %q: %v, want ErrCursor", after, err)
		}
		if _, err := store.Tasks(ctx, "anna", readmodel.TasksQuery{Status: "all", Limit: 1, After: after + "!"}); !errors.Is(err, readmodel.ErrCursor) {
			t.Errorf("tasks after %q: %v, want ErrCursor", after, err)
		}
		if _, err := store.TaskHistory(ctx, "anna", 1, 1, after+"!"); !errors.Is(err, readmodel.ErrCursor) {
			t.Errorf("history after %q: %v, want ErrCursor", after, err)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	say := func(u events.UserID, c events.ConversationID, title, text, answer string) {
		a := newAuthor(1, u, c)
		run := events.RunIDFor(u, c, "m")
		w.write(ctx, a.commit(events.MessageAccepted{MessageID: "m", RunID: run, Text: text}, events.RunStarted{RunID: run},
			events.StepStarted{RunID: run, Step: 1, Attempt: 1}))
		w.write(ctx, a.commit(events.StepCompleted{RunID: run, Step: 1, Attempt: 1, Text: answer}, events.RunCompleted{RunID: run}))
		if title != "" {
			w.write(ctx, a.commit(events.ConversationRenamed{Title: title, By: events.ByUser}))
		}
	}
	say("anna", "food", "Shopping list", "Buy milk, bread\x00 and Käse", "Added **three** tasks: milk, bread, cheese.")
	say("anna", "work", "", "Send report v3.30 to user@example.com", "Done — it's sent.")
	say("anna", "asia", "旅行", "牛乳を買う", "はい")
	say("anna", "long", "", strings.Repeat("é", 5000)+strings.Repeat(" word", 100_000), strings.Repeat("y", 900_000)+" tail")
	say("bert", "food", "Secret milk", "milk bread cheese report", "milk")
	for q, want := range map[string][]events.ConversationID{
		"milk": {"food"}, "MIL": {"food"}, "milk bread": {"food"}, "milk report": nil, "kase": {"food"}, "KÄS": {"food"}, "cheese": {"food"},
		"shopping": {"food"}, "list": {"food"}, "secret": nil, "ilk": nil, "3.30": {"work"}, "example": {"work"}, "user@example.com": {"work"},
		"牛乳": {"asia"}, "旅": {"asia"}, "はい": {"asia"}, "word": {"long"}, "'": nil, "!": nil, "' | 'milk": {"food"}, "milk:* & !x": {"food"}, "\\": nil,
		"it's": {"work"}, "\x00": nil, "milk\x00": {"food"}, strings.Repeat("é", 100): {"long"}, "  ": {"asia", "food", "long", "work"},
	} {
		p, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Text: q, Limit: 10})
		if err != nil {
			t.Errorf("search %q: %v", q, err)
			continue
		}
		var got []events.ConversationID
		for _, s := range p.Data {
			got = append(got, s.ConversationID)
		}
		slices.Sort(got)
		if strings.Contains(q, "!x") { // punctuation is no operator: x is a word
			want = nil
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("search %.40q (-want +got):\n%s", q, diff)
		}
	}
	// A new title replaces the old one's words.
	a := newAuthor(1, "anna", "food")
	a.n = 3
	w.write(ctx, a.commit(events.ConversationRenamed{Title: "Groceries", By: events.ByUser}))
	for q, want := range map[string]int{"shopping": 0, "groceries": 1} {
		if p, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Text: q, Limit: 10}); err != nil || len(p.Data) != want {
			t.Errorf("after the renaming %q finds %d, %v", q, len(p.Data), err)
		}
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	for _, u := range []events.UserID{"anna", "bert"} {
		a := newAuthor(1, u, events.ConversationID("of-"+u))
		w.write(ctx, a.commit(events.MessageAccepted{MessageID: "m", RunID: "r", Text: "hi"}, events.RunStarted{RunID: "r", Model: "gpt"}),
			a.commit(events.RunCompleted{RunID: "r", Usage: events.Usage{InputTokens: 10, OutputTokens: 3, Estimated: u == "bert"}}),
			a.commit(events.MessageAccepted{MessageID: "only-" + events.MessageID(u), RunID: "only-" + events.RunID(u), Text: "hi"}))
	}
	for _, u := range []events.UserID{"anna", "bert"} {
		if c, err := store.ConversationOfRun(ctx, u, "r"); err != nil || c != events.ConversationID("of-"+u) {
			t.Errorf("run r of %s: %q, %v", u, c, err)
		}
		if c, err := store.ConversationOfMessage(ctx, u, "m"); err != nil || c != events.ConversationID("of-"+u) {
			t.Errorf("message m of %s: %q, %v", u, c, err)
		}
		days, err := store.Usage(ctx, u, testkit.Epoch.Add(-time.Hour))
		want := []readmodel.UsageDay{{Day: "2026-01-05", Model: "gpt", Runs: 1, InputTokens: 10, OutputTokens: 3, Estimated: u == "bert"}}
		if diff := cmp.Diff(want, days); err != nil || diff != "" {
			t.Errorf("usage of %s: %v (-want +got):\n%s", u, err, diff)
		}
	}
	if _, err := store.ConversationOfRun(ctx, "anna", "only-bert"); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("bert's run for anna: %v, want ErrNotFound", err)
	}
	if _, err := store.ConversationOfMessage(ctx, "anna", "only-bert"); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("bert's message for anna: %v, want ErrNotFound", err)
	}
	if _, err := store.Summary(ctx, ref(t, "anna", "of-bert")); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("bert's conversation for anna: %v, want ErrNotFound", err)
	}
	if days, err := store.Usage(ctx, "anna", testkit.Epoch.Add(24*time.Hour)); err != nil || len(days) != 0 {
		t.Errorf("usage since tomorrow: %v, %v", days, err)
	}
}

func TestTasks(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t)
	store := open(t, db)
	ctx := testkit.Context(t)
	// As the tasks server leaves them: anna has 1 to 5, 2 completed, 3 deleted.
	_, err := store.Pool().Exec(ctx, `
		INSERT INTO task_owner (user_id, next_task_id, task_rev) VALUES ('anna', 6, 8), ('bert', 3, 2);
		INSERT INTO task (user_id, task_id, title, description, due_on, status, deleted, created_at, updated_at, completed_at, task_rev) VALUES
			('anna', 1, 'Buy milk', 'at the Café', '2026-03-01', 'open', false, '2026-01-05 09:00Z', '2026-01-05 09:00Z', NULL, 1),
			('anna', 2, 'Call mum', '', NULL, 'completed', false, '2026-01-05 09:00Z', '2026-01-05 10:00Z', '2026-01-05 10:00Z', 6),
			('anna', 3, 'Old', '', NULL, 'open', true, '2026-01-05 09:00Z', '2026-01-05 09:00Z', NULL, 7),
			('anna', 4, 'Read 50% of it', '', NULL, 'open', false, '2026-01-05 09:00Z', '2026-01-05 09:00Z', NULL, 4),
			('anna', 5, 'Write', '', NULL, 'open', false, '2026-01-05 09:00Z', '2026-01-05 09:00Z', NULL, 8),
			('bert', 1, 'Secret milk', '', NULL, 'open', false, '2026-01-05 09:00Z', '2026-01-05 09:00Z', NULL, 1),
			('bert', 2, 'Other', '', NULL, 'open', false, '2026-01-05 09:00Z', '2026-01-05 09:00Z', NULL, 2);
		INSERT INTO task_history (user_id, task_rev, task_id, tool, by, call_id, conversation_id, run_id, at, row) VALUES
			('anna', 2, 2, 'add_task', 'model', 'k1', 'c', 'r', '2026-01-05 09:00Z', '{"task_id": 2, "title": "Call mum"}'),
			('anna', 5, 2, 'complete_task', 'user', 'k2', 'home', NULL, '2026-01-05 10:00Z', '{"task_id": 2, "status": "completed"}'),
			('anna', 6, 2, 'complete_task', 'user', 'k3', 'home', NULL, '2026-01-05 10:00Z', '{"task_id": 2, "status": "completed"}'),
			('bert', 2, 2, 'add_task', 'model', 'k1', 'c', 'r', '2026-01-05 09:00Z', '{"task_id": 2, "title": "Secret"}')`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		user    events.UserID
		q       readmodel.TasksQuery
		want    []int64
		rev     int64
		hasMore bool
	}{
		{"anna", readmodel.TasksQuery{Status: "all", Limit: 10}, []int64{1, 2, 4, 5}, 8, false},
		{"anna", readmodel.TasksQuery{Status: "open", Limit: 10}, []int64{1, 4, 5}, 8, false},
		{"anna", readmodel.TasksQuery{Status: "completed", Limit: 10}, []int64{2}, 8, false},
		{"anna", readmodel.TasksQuery{Status: "all", Limit: 2}, []int64{1, 2}, 8, true},
		{"anna", readmodel.TasksQuery{Status: "all", Text: "MILK", Limit: 10}, []int64{1}, 8, false},
		{"anna", readmodel.TasksQuery{Status: "all", Text: "CAFÉ", Limit: 10}, []int64{1}, 8, false},
		{"anna", readmodel.TasksQuery{Status: "all", Text: "50%", Limit: 10}, []int64{4}, 8, false},
		{"anna", readmodel.TasksQuery{Status: "all", Text: "%", Limit: 10}, []int64{4}, 8, false},
		{"anna", readmodel.TasksQuery{Status: "all", Text: "secret", Limit: 10}, nil, 8, false},
		{"anna", readmodel.TasksQuery{Status: "all", Text: "milk\x00", Limit: 10}, []int64{1}, 8, false},
		{"bert", readmodel.TasksQuery{Status: "all", Limit: 10}, []int64{1, 2}, 2, false},
		{"cora", readmodel.TasksQuery{Status: "all", Limit: 10}, nil, 0, false},
	} {
		p, err := store.Tasks(ctx, test.user, test.q)
		if err != nil {
			t.Errorf("%s %+v: %v", test.user, test.q, err)
			continue
		}
		var got []int64
		for _, task := range p.Data {
			got = append(got, task.TaskID)
		}
		if !slices.Equal(got, test.want) || p.TaskRev != test.rev || p.HasMore != test.hasMore {
			t.Errorf("%s %+v: %v, rev %d, more %v", test.user, test.q, got, p.TaskRev, p.HasMore)
		}
		if test.hasMore {
			q := test.q
			q.After = p.After
			if p, err = store.Tasks(ctx, test.user, q); err != nil || len(p.Data) != 2 || p.Data[0].TaskID != 4 || p.HasMore {
				t.Errorf("second page: %+v, %v", p, err)
			}
		}
	}
	due := "2026-03-01"
	p, err := store.Tasks(ctx, "anna", readmodel.TasksQuery{Status: "all", Limit: 1})
	want := readmodel.Task{TaskID: 1, Title: "Buy milk", Description: "at the Café", DueOn: &due, Status: "open", CreatedAt: testkit.Epoch, UpdatedAt: testkit.Epoch, TaskRev: 1}
	if diff := cmp.Diff([]readmodel.Task{want}, p.Data); err != nil || diff != "" {
		t.Errorf("task: %v (-want +got):\n%s", err, diff)
	}

	h, err := store.TaskHistory(ctx, "anna", 2, 2, "")
	if err != nil || len(h.Data) != 2 || h.Data[0].TaskRev != 6 || !h.HasMore || h.Data[0].RunID != "" || string(h.Data[0].Task) != `{"status":"completed","task_id":2}` {
		t.Errorf("history: %+v, %v", h, err)
	}
	h, err = store.TaskHistory(ctx, "anna", 2, 2, h.After)
	wantChange := readmodel.TaskChange{
		TaskRev: 2, Tool: "add_task", By: events.ByModel, CallID: "k1", ConversationID: "c", RunID: "r", At: testkit.Epoch, Task: []byte(`{"title":"Call mum","task_id":2}`),
	}
	if diff := cmp.Diff([]readmodel.TaskChange{wantChange}, h.Data); err != nil || diff != "" || h.HasMore {
		t.Errorf("second page of the history: %v (-want +got):\n%s", err, diff)
	}
	for _, id := range []int64{99, 0, -1, 1 << 40} {
		if _, err := store.TaskHistory(ctx, "anna", id, 5, ""); !errors.Is(err, readmodel.ErrNotFound) {
			t.Errorf("history of task %d: %v, want ErrNotFound", id, err)
		}
	}
	if _, err := store.TaskHistory(ctx, "cora", 2, 5, ""); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("history of another person's task: %v, want ErrNotFound", err)
	}
}
