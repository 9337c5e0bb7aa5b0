package readmodel_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// says records a message and its answer.
func (w *scribe) says(a *author, m events.MessageID, text, answer string) events.RunID {
	w.t.Helper()
	run := events.RunIDFor(a.user, a.conversation, m)
	w.write(testkit.Context(w.t), a.commit(events.MessageAccepted{MessageID: m, RunID: run, Text: text}, events.RunStarted{RunID: run},
		events.StepStarted{RunID: run, Step: 1, Attempt: 1}),
		a.commit(events.StepCompleted{RunID: run, Step: 1, Attempt: 1, Text: answer}, events.RunCompleted{RunID: run}))
	return run
}

// bracketed is a text with its hits in brackets.
func bracketed(list []readmodel.Piece) string {
	var b strings.Builder
	for _, p := range list {
		if p.Hit {
			b.WriteString("[" + p.Text + "]")
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// What is found, conversation by conversation: the title, then each hit as who
// said it and its excerpt.
func found(p readmodel.Page[readmodel.Found]) []string {
	var list []string
	for _, f := range p.Data {
		list = append(list, fmt.Sprintf("%s %d: %s", f.ConversationID, f.Total, bracketed(f.Title)))
		for _, h := range f.Hits {
			list = append(list, fmt.Sprintf("  %s %s: %s", h.MessageID, h.By, bracketed(h.Excerpt)))
		}
	}
	return list
}

// [45] What was said is found with its words marked, and only the person's own.
func TestSearchFindsMessagesAndShowsThem(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	begin := func(u events.UserID, c events.ConversationID, hours int, title string) *author {
		a := newAuthor(1, u, c)
		a.time = testkit.Epoch.Add(time.Duration(hours) * time.Hour)
		if title != "" {
			w.write(ctx, a.commit(events.ConversationRenamed{Title: title, By: events.ByUser}))
		}
		return a
	}
	food := begin("anna", "food", 1, "Shopping for the Café")
	for i := range 5 {
		w.says(food, events.MessageID(fmt.Sprintf("f%d", i)), fmt.Sprintf("Buy milk, part %d", i), "Added.")
	}
	run := w.says(food, "f5", "And the other one?", strings.Repeat("Nothing of note here. ", 30)+"Then comes **Crème\n\nfraîche** "+strings.Repeat("and more words ", 30))
	trip := begin("anna", "trip", 2, "")
	w.says(trip, "t0", "Where to in May?", "The milky way\x00 is far; 牛乳を買う; Zoë")
	gone := begin("anna", "gone", 3, "Milk of old")
	w.write(ctx, gone.commit(events.ConversationDeleted{}))
	w.says(begin("bert", "food", 4, "Secret milk"), "f0", "milk milk", "milk")

	for q, want := range map[string][]string{
		"milk": {
			"trip 1: ", "  t0 model: The [milky] way is far; 牛乳を買う; Zoë",
			"food 5: Shopping for the Café", "  f4 user: Buy [milk], part 4", "  f3 user: Buy [milk], part 3", "  f2 user: Buy [milk], part 2",
		},
		"cafe":         {"food 0: Shopping for the [Café]"},
		"CREME":        {"food 1: Shopping for the Café", "  f5 model: …Nothing of note here. Then comes **[Crème] fraîche** and more words and more words and more words and more words and more words and more words and more words…"},
		"crème fraich": {"food 1: Shopping for the Café", "  f5 model: …Nothing of note here. Then comes **[Crème] [fraîche]** and more words and more words and more words and more words and more words and more words and more words…"},
		"milk part 3":  {"food 1: Shopping for the Café", "  f3 user: Buy [milk], [part] [3]"},
		"part added":   {"food 5: Shopping for the Café", "  f4 user: Buy milk, [part] 4", "  f3 user: Buy milk, [part] 3", "  f2 user: Buy milk, [part] 2"},
		"牛乳":           {"trip 1: ", "  t0 model: The milky way is far; [牛乳]を買う; Zoë"},
		"zoe":          {"trip 1: ", "  t0 model: The milky way is far; 牛乳を買う; [Zoë]"},
		"secret":       nil, "old": nil, "ilk": nil, "!?": nil, "": nil, "' | 'x": nil, "\x00": nil, "\xff": nil,
	} {
		p, err := store.Search(ctx, "anna", readmodel.SearchQuery{Text: q, Limit: 10})
		if err != nil || p.HasMore {
			t.Errorf("search %q: more %v, %v", q, p.HasMore, err)
		}
		if diff := cmp.Diff(want, found(p), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("search %q (-want +got):\n%s", q, diff)
		}
	}

	p, err := store.Search(ctx, "anna", readmodel.SearchQuery{Text: "fraîche", Limit: 10})
	if err != nil || len(p.Data) != 1 || p.Data[0].Hits[0].RunID != run || p.Data[0].Hits[0].Time.IsZero() {
		t.Errorf("the hit says %+v, %v; want run %s and its time", p, err, run)
	}
	// Of one conversation a search gives more.
	p, err = store.Search(ctx, "anna", readmodel.SearchQuery{Text: "milk", Conversation: "food", Limit: 4})
	want := []string{"food 5: Shopping for the Café", "  f4 user: Buy [milk], part 4", "  f3 user: Buy [milk], part 3", "  f2 user: Buy [milk], part 2", "  f1 user: Buy [milk], part 1"}
	if diff := cmp.Diff(want, found(p)); err != nil || diff != "" {
		t.Errorf("search in one conversation: %v (-want +got):\n%s", err, diff)
	}
	for _, c := range []events.ConversationID{"gone", "nothing"} {
		if p, err := store.Search(ctx, "anna", readmodel.SearchQuery{Text: "milk", Conversation: c, Limit: 4}); err != nil || len(p.Data) != 0 {
			t.Errorf("search in %s: %v, %v", c, found(p), err)
		}
	}
}

// [45] Pages of any size give the same list; a cursor of somebody else is refused.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	for i := range 7 {
		a := newAuthor(1, "anna", events.ConversationID(fmt.Sprintf("c%d", i)))
		a.time = testkit.Epoch.Add(time.Duration(i/2) * time.Hour) // some at the same time
		w.says(a, "m", "hello world", "hi")
	}
	var whole []events.ConversationID
	for _, size := range []int{7, 1, 2, 3, 100} {
		var got []events.ConversationID
		q := readmodel.SearchQuery{Text: "hello", Limit: size}
		for {
			p, err := store.Search(ctx, "anna", q)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range p.Data {
				got = append(got, f.ConversationID)
			}
			if !p.HasMore {
				break
			}
			if len(p.Data) != size || p.After == "" {
				t.Fatalf("a page of %d with %d rows and cursor %q", size, len(p.Data), p.After)
			}
			q.After = p.After
		}
		if whole == nil {
			whole = got
		}
		if diff := cmp.Diff(whole, got); diff != "" || len(got) != 7 {
			t.Errorf("by %d: %v (-first +this):\n%s", size, got, diff)
		}
	}
	for _, after := range []string{"x", "!!", "LjA", strings.Repeat("A", 4000)} {
		if _, err := store.Search(ctx, "anna", readmodel.SearchQuery{Text: "hello", Limit: 1, After: after}); !errors.Is(err, readmodel.ErrCursor) {
			t.Errorf("after %q: %v, want ErrCursor", after, err)
		}
	}
}

// fillWords gives a person rows, of which some have the word "needle", in
// conversations of fifty.
func fillWords(t testing.TB, store *readmodel.Store, u events.UserID, rows, hits int) {
	t.Helper()
	_, err := store.Pool().Exec(testkit.Context(t), fmt.Sprintf(`
		INSERT INTO conversation (user_id, conversation_id, n, title, title_by, pinned, deleted, read_n, status, last_text, created_at, active_at, runs, tip, open_runs, body)
		SELECT '%[1]s', 'c' || c, 1, '', '', false, false, 0, 'idle', '', now(), now() - c * interval '1 minute', 50, '', '{}', '{}' FROM generate_series(0, %[2]d / 50) c;
		INSERT INTO run (user_id, conversation_id, run_id, pos, n, parent_id, message_id, status, model, input_tokens, output_tokens, estimated, accepted_at, body)
		SELECT '%[1]s', 'c' || i / 50, 'r' || i, i %% 50, i, '', 'm' || i, 'completed', '', 0, 0, false, now(), convert_to('{"run_id":"r' || i || '","status":"completed","message":{"message_id":"m","text":"a needle"}}', 'UTF8')
		FROM generate_series(1, %[2]d) i;
		INSERT INTO conversation_words (user_id, conversation_id, run_id, words)
		SELECT '%[1]s', 'c' || i / 50, 'r' || i, array_to_tsvector(ARRAY['common', 'w' || i, 'v' || i %% 97] || CASE WHEN i %% (%[2]d / %[3]d) = 0 THEN ARRAY['needle'] ELSE ARRAY[]::text[] END)
		FROM generate_series(1, %[2]d) i`, u, rows, hits))
	if err != nil {
		t.Fatal(err)
	}
}

// [45] The plan reads the person's part of the index, also on a server that has never
// gathered statistics and among people who use the same words.
func TestSearchReadsTheIndexOfThePerson(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	fillWords(t, store, "anna", 2000, 20)
	fillWords(t, store, "bert", 2000, 2000)
	rows, err := store.Pool().Query(ctx, `EXPLAIN (ANALYZE, COSTS off, TIMING off) `+readmodel.PersonWords("'anna', ARRAY['needle']"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if s := plan.String(); !strings.Contains(s, "conversation_words_person") || !strings.Contains(s, "rows=20") || strings.Contains(s, "rows=2000") {
		t.Errorf("the search reads more than it finds:\n%s", s)
	}
	p, err := store.Search(ctx, "anna", readmodel.SearchQuery{Text: "needle", Limit: 50})
	if err != nil || len(p.Data) != 20 {
		t.Errorf("%d conversations, %v; want 20", len(p.Data), err)
	}
}

// BenchmarkSearch finds as much in ten times as many rows, and ten times as much
// in as many.
func BenchmarkSearch(b *testing.B) {
	for _, c := range []struct{ rows, hits int }{{2_000, 20}, {20_000, 20}, {200_000, 20}, {20_000, 200}, {20_000, 2_000}} {
		b.Run(fmt.Sprintf("rows=%d/hits=%d", c.rows, c.hits), func(b *testing.B) {
			store := open(b, testkit.Postgres(b))
			fillWords(b, store, "anna", c.rows, c.hits)
			fillWords(b, store, "bert", c.rows, c.rows)
			if _, err := store.Pool().Exec(testkit.Context(b), `ANALYZE`); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				p, err := store.Search(testkit.Context(b), "anna", readmodel.SearchQuery{Text: "needle", Limit: 20})
				if err != nil || len(p.Data) == 0 {
					b.Fatal(p, err)
				}
			}
		})
	}
}
