package readmodel_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// The page that Postgres gives is the page that the fold gives, to the byte and
// at every n, however the commits were batched and whether or not the writer had
// the fold at hand; and another person with the same ids changes nothing.
func TestBaseIsTheFoldsAtEveryN(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	for seed := range uint64(6) {
		c := events.ConversationID(fmt.Sprintf("c-%d", seed))
		people := []*author{newAuthor(seed, "anna", c), newAuthor(seed+1000, "bert", c)}
		folds := map[events.UserID]*events.Conversation{}
		for _, a := range people {
			folds[a.user] = events.NewConversation(ref(t, a.user, c))
		}
		for range 40 {
			a := people[people[0].IntN(2)]
			var batch []*events.Commit
			for range 1 + a.IntN(3) {
				batch = append(batch, a.next())
			}
			if a.IntN(4) == 0 {
				clear(w.folds) // the next commit folds the archive first
			}
			w.write(ctx, batch...)
			for _, k := range batch {
				raw, err := k.Encode()
				if err != nil {
					t.Fatal(err)
				}
				if k, err = events.DecodeCommit(raw); err != nil {
					t.Fatal(err)
				}
				if err := folds[a.user].Apply(k); err != nil {
					t.Fatal(err)
				}
			}
			for _, limit := range []int{1, 3, 60} {
				got, err := store.Base(ctx, ref(t, a.user, c), limit, "")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(indented(t, folds[a.user].Base(limit)), indented(t, got)); diff != "" {
					t.Fatalf("seed %d, n %d, limit %d (-fold +postgres):\n%s", seed, a.n, limit, diff)
				}
			}
			checkPages(t, store, folds[a.user])
		}
	}
}

// checkPages walks back page by page and expects the whole branch.
func checkPages(t *testing.T, store *readmodel.Store, c *events.Conversation) {
	t.Helper()
	if c.Tip() == nil {
		return
	}
	ctx := testkit.Context(t)
	var got []events.RunID
	before, more := c.Tip().RunID, true
	for pages := 0; more; pages++ {
		if pages > len(c.Runs) {
			t.Fatal("the pages do not end")
		}
		p, err := store.Base(ctx, c.Ref(), 2, before)
		if err != nil {
			t.Fatal(err)
		}
		var ids []events.RunID
		for _, r := range p.Runs {
			ids = append(ids, r.RunID)
		}
		got, more = append(ids, got...), p.HasMore
		if len(ids) > 0 {
			before = ids[0]
		}
	}
	var want []events.RunID
	for _, r := range c.Path(c.Tip()) {
		want = append(want, r.RunID)
	}
	want = want[:len(want)-1]
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("branch before the tip (-fold +pages):\n%s", diff)
	}
}

func indented(t *testing.T, c *events.Conversation) string {
	t.Helper()
	b, err := json.Marshal(c, jsontext.WithIndent(" "))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBaseOfNothing(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	a := newAuthor(1, "anna", "c")
	w.write(ctx, a.commit(events.MessageAccepted{MessageID: "m", RunID: "r", Text: "hello"}))
	for name, test := range map[string]struct {
		user         events.UserID
		conversation events.ConversationID
		before       events.RunID
	}{
		"unknown conversation": {"anna", "d", ""},
		"another person's":     {"bert", "c", ""},
		"unknown run":          {"anna", "c", "x"},
		"another person's run": {"bert", "c", "r"},
	} {
		if _, err := store.Base(ctx, ref(t, test.user, test.conversation), 5, test.before); !errors.Is(err, readmodel.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	if c, err := store.Base(ctx, ref(t, "anna", "c"), 5, "r"); err != nil || len(c.Runs) != 0 || c.HasMore {
		t.Errorf("before the first run: %v runs, more %v, %v", len(c.Runs), c.HasMore, err)
	}
}

// Ids are checked where they enter, but a log is not to stop the recorder, and
// the archive must have what the log has.
func TestIDsThatAreNone(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	a := newAuthor(1, "anna", "c")
	long := events.RunID(make([]byte, 5000))
	k := a.commit(
		events.MessageAccepted{MessageID: "m\x00", RunID: "r\x00", ParentID: "p\x00", Text: "\x00"},
		events.MessageAccepted{MessageID: "m2", RunID: long, Text: "x"},
		events.MessageAccepted{MessageID: "m3", RunID: "r3", ParentID: long, Text: "x"},
		events.ConversationRenamed{Title: "a\x00b", By: "x\x00"},
		events.Unknown{Type: "odd\x00\x1f.type", Raw: jsontext.Value(`{"type":"odd\u0000\u001f.type"}`)})
	k.CommitID, k.Cause, k.By = "id\x00", "cause\x00", "by\x00"
	w.write(ctx, k)
	c, err := store.Base(ctx, ref(t, "anna", "c"), 10, "")
	if err != nil || len(c.Runs) != 1 || c.Runs[0].RunID != "r3" || c.Title != "a\x00b" {
		t.Errorf("base: %+v, %v", c, err)
	}
	raws, err := store.Commits(ctx, ref(t, "anna", "c"), 0, 2)
	if err != nil || len(raws) != 1 {
		t.Fatalf("%d commits, %v", len(raws), err)
	}
	if want, err := k.Encode(); err != nil || string(raws[0]) != string(want) {
		t.Errorf("archived %q, want %q", raws[0], want)
	}
}

// The logs that guard the fold guard the rows as well.
func TestGoldenLogs(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	names, err := filepath.Glob("../events/testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d golden logs, %v", len(names), err)
	}
	for i, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name != "commits.jsonl" {
				continue
			}
			var fold *events.Conversation
			for line := range strings.Lines(string(file.Data)) {
				k, err := events.DecodeCommit([]byte(strings.TrimSpace(line)))
				if err != nil {
					t.Fatal(err)
				}
				// All in one database: a person each, as several are one Ada.
				k.UserID = events.UserID(fmt.Sprintf("ada-%d", i))
				if fold == nil {
					fold = events.NewConversation(ref(t, k.UserID, k.ConversationID))
				}
				if err := fold.Apply(k); err != nil {
					t.Fatal(err)
				}
				w.write(ctx, k)
				for _, limit := range []int{1, 60} {
					got, err := store.Base(ctx, fold.Ref(), limit, "")
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(indented(t, fold.Base(limit)), indented(t, got)); diff != "" {
						t.Fatalf("%s, n %d, limit %d (-fold +postgres):\n%s", name, k.N, limit, diff)
					}
				}
			}
			got, err := store.Summary(ctx, fold.Ref())
			if diff := cmp.Diff(readmodel.Summarize(fold), got); err != nil || diff != "" {
				t.Errorf("%s: summary: %v (-fold +postgres):\n%s", name, err, diff)
			}
		}
	}
}
