package readmodel_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

func encode(t *testing.T, k *events.Commit) []byte {
	t.Helper()
	raw, err := k.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestCommits(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	a, b := newAuthor(1, "anna", "c"), newAuthor(2, "bert", "c")
	var raws [][]byte
	for range 12 {
		k := a.next()
		raws = append(raws, encode(t, k))
		w.write(ctx, k, b.next())
	}
	r := ref(t, "anna", "c")
	for _, test := range []struct{ after, before, from, to uint64 }{
		{0, 13, 0, 12}, {0, 1 << 63, 0, 12}, {0, ^uint64(0), 0, 12}, {3, 7, 3, 6}, {0, 1, 0, 0}, {12, 13, 12, 12}, {5, 6, 5, 5}, {4, 6, 4, 5},
	} {
		got, err := store.Commits(ctx, r, test.after, test.before)
		if err != nil {
			t.Fatal(err)
		}
		want := raws[test.from:test.to]
		if len(got) != len(want) {
			t.Errorf("%d < n < %d: %d commits, want %d", test.after, test.before, len(got), len(want))
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%d < n < %d: the %dth is %s, want %s", test.after, test.before, i, got[i], want[i])
			}
		}
	}
	if got, err := store.Commits(ctx, ref(t, "cora", "c"), 0, 99); err != nil || len(got) != 0 {
		t.Errorf("another person's commits: %d, %v", len(got), err)
	}
}

// The archive can be added to and nothing else, neither by the role that serves
// people nor by the owner of its tables.
func TestArchiveIsInsertOnly(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t)
	store := open(t, db)
	ctx := testkit.Context(t)
	newScribe(t, store).write(ctx, newAuthor(1, "anna", "c").next())
	owner := db.Owner(t)
	for _, sql := range []string{
		`UPDATE archive SET cause = 'x'`, `DELETE FROM archive`, `TRUNCATE archive`,
		`UPDATE archive_payload SET payload = 'x'`, `TRUNCATE archive_payload`,
	} {
		for name, exec := range map[string]func() error{
			"app":   func() error { _, err := store.Pool().Exec(ctx, sql); return err },
			"owner": func() error { _, err := owner.Exec(ctx, sql); return err },
		} {
			var pg *pgconn.PgError
			if err := exec(); !errors.As(err, &pg) || pg.Code != "42501" {
				t.Errorf("%s as %s: %v, want insufficient privilege", sql, name, err)
			}
		}
	}
	for _, sql := range []string{`DELETE FROM archive_payload`, `DELETE FROM archive_rejected`} {
		if _, err := store.Pool().Exec(ctx, sql); err == nil {
			t.Errorf("%s as app succeeded", sql)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t)
	store := open(t, db)
	ctx := testkit.Context(t)
	a, b := newAuthor(1, "anna", "c"), newAuthor(2, "bert", "c")
	first, second, others := a.next(), a.next(), b.next()
	newScribe(t, store).write(ctx, first, second, others)
	altered := *second
	altered.Cause = "other" // the same commit id
	renamed := *second
	renamed.CommitID = "other"
	foreign := *others
	foreign.UserID = "anna"
	missing := *second
	missing.N = 3
	record := func(k *events.Commit) readmodel.Record { return readmodel.Record{Commit: k, Raw: encode(t, k)} }
	list := []readmodel.Record{record(second), record(&altered), record(&renamed), record(first), record(&foreign), record(&missing), record(others)}
	check := func(want ...bool) {
		t.Helper()
		got, err := store.Same(ctx, list)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("record %d: same is %v, want %v", i, got[i], want[i])
			}
		}
	}
	check(true, false, false, true, false, false, true)
	// Without payload and salt only the id can be compared.
	if _, err := db.Owner(t).Exec(ctx, `DELETE FROM archive_payload WHERE user_id = 'anna' AND n = 2`); err != nil {
		t.Fatal(err)
	}
	check(true, true, false, true, false, false, true)
}

func TestLoadReportsWhatItCannotFold(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t)
	store := open(t, db)
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	for _, c := range []events.ConversationID{"erased", "hole", "garbage", "sound"} {
		a := newAuthor(1, "anna", c)
		w.write(ctx, a.next(), a.next(), a.next())
	}
	// Only somebody who may disable triggers can do this.
	if _, err := db.Owner(t).Exec(ctx, `
		DELETE FROM archive_payload WHERE conversation_id = 'erased';
		ALTER TABLE archive DISABLE TRIGGER insert_only;
		DELETE FROM archive WHERE conversation_id = 'hole' AND n = 2;
		ALTER TABLE archive_payload DISABLE TRIGGER insert_only;
		UPDATE archive_payload SET payload = 'x' WHERE conversation_id = 'garbage' AND n = 2`); err != nil {
		t.Fatal(err)
	}
	refs := []events.Ref{ref(t, "anna", "hole"), ref(t, "anna", "sound"), ref(t, "anna", "erased"), ref(t, "anna", "garbage"), ref(t, "anna", "none")}
	folds, err := store.Load(ctx, refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{events.ErrGap, nil, readmodel.ErrErased, events.ErrMalformed, nil} {
		if !errors.Is(folds[i].Broken, want) || folds[i].Ref() != refs[i] {
			t.Errorf("%s: %v, want %v", refs[i].Conversation(), folds[i].Broken, want)
		}
	}
	if folds[1].N != 3 || folds[4].N != 0 {
		t.Errorf("n is %d and %d, want 3 and 0", folds[1].N, folds[4].N)
	}
}

// A batch whose writer does not know the checkpoint is refused whole.
func TestWriteFromAnotherPlace(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	at, err := store.Checkpoint(ctx, events.StreamLog, testkit.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	w := newScribe(t, store)
	a := newAuthor(1, "anna", "c")
	k := a.commit(events.ConversationPinned{Pinned: true})
	w.write(ctx, k)
	f := readmodel.NewFold(ref(t, "anna", "d"))
	other := newAuthor(1, "anna", "d").commit(events.ConversationPinned{Pinned: true})
	if err := f.Apply(other, 1); err != nil {
		t.Fatal(err)
	}
	to := at
	to.Seq = 5
	for name, from := range map[string]readmodel.Position{
		"sequence":    at,
		"incarnation": {Stream: at.Stream, Incarnation: testkit.Epoch.Add(time.Second), Seq: 1},
		"stream":      {Stream: "OTHER", Incarnation: at.Incarnation, Seq: 1},
	} {
		err := store.Write(ctx, &readmodel.Batch{From: from, To: to, Folds: []*readmodel.Fold{f}, Records: []readmodel.Record{{Commit: other, Raw: encode(t, other), Seq: 5}}})
		if !errors.Is(err, readmodel.ErrMoved) {
			t.Errorf("from another %s: %v, want ErrMoved", name, err)
		}
	}
	// The very batch again, as after a commit whose answer was lost: the archive
	// has its rows already, and still it is the checkpoint that says no.
	g := readmodel.NewFold(ref(t, "anna", "c"))
	if err := g.Apply(k, 1); err != nil {
		t.Fatal(err)
	}
	err = store.Write(ctx, &readmodel.Batch{From: at, To: w.at, Folds: []*readmodel.Fold{g}, Records: []readmodel.Record{{Commit: k, Raw: encode(t, k), Seq: 1}}})
	if !errors.Is(err, readmodel.ErrMoved) {
		t.Errorf("the same batch again: %v, want ErrMoved", err)
	}
	if list, err := store.Commits(ctx, ref(t, "anna", "d"), 0, 9); err != nil || len(list) != 0 {
		t.Errorf("%d commits were written, %v", len(list), err)
	}
	if _, err := store.Summary(ctx, ref(t, "anna", "d")); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("rows were written: %v", err)
	}
	if now, err := store.Checkpoint(ctx, events.StreamLog, testkit.Epoch); err != nil || now.Seq != 1 || now.CommitID != k.CommitID {
		t.Errorf("checkpoint %+v, %v", now, err)
	}
}

func TestRejectionsAreKept(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	at, err := store.Checkpoint(ctx, events.StreamLog, testkit.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	to := at
	to.Seq = 3
	bad := strings.Repeat("\x00\xff", 10)
	if err := store.Write(ctx, &readmodel.Batch{From: at, To: to, Rejected: []readmodel.Rejection{
		{Seq: 1, Subject: "log." + bad, Reason: "malformed", Payload: []byte(bad)}, {Seq: 2, Reason: "gap", Payload: []byte{}}, {Seq: 3, Reason: "gap", Payload: []byte("{}")},
	}}); err != nil {
		t.Fatal(err)
	}
	counts, err := store.Rejections(ctx, events.StreamLog)
	if err != nil || counts["malformed"] != 1 || counts["gap"] != 2 || len(counts) != 2 {
		t.Errorf("counts %v, %v", counts, err)
	}
	var payload []byte
	if err := store.Pool().QueryRow(ctx, `SELECT payload FROM archive_rejected WHERE stream_seq = 1`).Scan(&payload); err != nil || string(payload) != bad {
		t.Errorf("payload %q, %v", payload, err)
	}
}
