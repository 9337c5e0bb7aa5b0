package recorder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

func (w *world) rebuild(configure ...func(*RebuildOptions)) *Rebuilt {
	w.t.Helper()
	o := RebuildOptions{Store: w.store}
	for _, f := range configure {
		f(&o)
	}
	r, err := Rebuild(w.ctx, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// clean expects that verify finds nothing at all.
func (w *world) clean() {
	w.t.Helper()
	r := w.verify(withLog(w))
	if r.Differences.Count+r.Unverifiable.Count+r.Pending.Count > 0 {
		w.t.Errorf("differences %s\nunverifiable %s\npending %s", strings.Join(found(r.Differences), "\n"), found(r.Unverifiable), found(r.Pending))
	}
}

func TestRebuildMakesEveryRowAnew(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	w.exec(`UPDATE run SET body = 'x', status = 'x', pos = 9 WHERE user_id = 'anna'; DELETE FROM run WHERE user_id = 'bert' AND conversation_id = 'c1';
		UPDATE conversation SET title = 'x', body = '' WHERE conversation_id = 'c2'; DELETE FROM conversation WHERE conversation_id = 'c1'; DELETE FROM conversation_words;
		INSERT INTO run SELECT user_id, 'nowhere', run_id, pos, n, parent_id, message_id, status, model, input_tokens, output_tokens, estimated, accepted_at, body FROM run;
		INSERT INTO conversation_words VALUES ('zoe', 'not an id', '', '')`)
	if n := w.verify().Differences.Count; n < 10 {
		t.Fatalf("%d differences before the rebuild", n)
	}
	r := w.rebuild()
	if r.Resumed || r.Conversations != 9 || len(r.Kept) != 0 {
		t.Errorf("rebuilt %+v, want 9 conversations", r)
	}
	w.clean()
	w.check()
}

// What cannot be folded keeps its rows; what was erased loses them.
func TestRebuildOfWhatCannotBeFolded(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	w.exec(unlocked + `DELETE FROM archive_payload WHERE user_id = 'anna' AND conversation_id = 'c1'; DELETE FROM archive WHERE user_id = 'anna' AND conversation_id = 'c2' AND n = 2`)
	count := func(c string) (n int) {
		if err := w.store.Pool().QueryRow(w.ctx, `SELECT (SELECT count(*) FROM conversation WHERE user_id = 'anna' AND conversation_id = $1)
			+ (SELECT count(*) FROM run WHERE user_id = 'anna' AND conversation_id = $1) + (SELECT count(*) FROM conversation_words WHERE user_id = 'anna' AND conversation_id = $1)`, c).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count("c2")
	r := w.rebuild()
	if n := count("c1"); n != 0 {
		t.Errorf("%d rows of an erased conversation, want none", n)
	}
	if n := count("c2"); n != before || before == 0 {
		t.Errorf("%d rows of a conversation that cannot be folded, want %d as before", n, before)
	}
	if len(r.Kept) != 1 || r.Kept[0].ConversationID != "c2" {
		t.Errorf("kept %+v, want c2", r.Kept)
	}
}

// A rebuild that dies goes on where it was.
func TestRebuildGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.start()
	for i := range 3 * rebuildConversations {
		w.talk(w.ref("anna", events.ConversationID(fmt.Sprintf("c%d", i))), "hello")
	}
	rec.wait(w.seq)
	w.exec(`UPDATE conversation SET title = 'x'`)
	crash := errors.New("crash")
	batches := 0
	_, err := Rebuild(w.ctx, RebuildOptions{Store: w.store, batch: func(readmodel.Progress) error {
		if batches++; batches == 2 {
			return crash
		}
		return nil
	}})
	if !errors.Is(err, crash) {
		t.Fatal(err)
	}
	if n := w.verify().Differences.Count; n != 2*rebuildConversations {
		t.Errorf("%d differences in the middle, want %d", n, 2*rebuildConversations)
	}
	batches = 0
	r := w.rebuild(func(o *RebuildOptions) {
		o.batch = func(readmodel.Progress) error { batches++; return nil }
	})
	if !r.Resumed || batches != 2 || r.Conversations != 3*rebuildConversations {
		t.Errorf("%+v in %d batches, want resumed and 2", r, batches)
	}
	w.clean()
	if r := w.rebuild(); r.Resumed {
		t.Error("a finished rebuild was resumed")
	}
}

// A rebuild that another has overtaken is told so.
func TestTwoRebuildsAtOnce(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	_, err := Rebuild(w.ctx, RebuildOptions{Store: w.store, batch: func(readmodel.Progress) error {
		w.rebuild(func(o *RebuildOptions) { o.Restart = true })
		return nil
	}})
	if !errors.Is(err, readmodel.ErrRebuilding) {
		t.Errorf("the one that was overtaken: %v, want %v", err, readmodel.ErrRebuilding)
	}
	w.clean()
}

// Rebuilds follow each other while a recorder records and a reader reads: no
// reader ever sees less than before, and in the end everything fits.
func TestRebuildUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.start()
	const conversations = 20
	refs := make([]events.Ref, conversations)
	for i := range refs {
		refs[i] = w.ref([]events.UserID{"anna", "bert"}[i%2], events.ConversationID(fmt.Sprintf("c%d", i)))
		w.talk(refs[i], "hello")
	}
	rec.wait(w.seq)
	ctx, stop := context.WithCancel(w.ctx)
	var g errgroup.Group
	rebuilds, readings := 0, 0
	g.Go(func() error {
		for ; ctx.Err() == nil; rebuilds++ {
			if _, err := Rebuild(w.ctx, RebuildOptions{Store: w.store}); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		seen := map[events.Ref]*events.Conversation{}
		for ; ctx.Err() == nil; readings++ {
			for _, r := range refs {
				c, err := w.store.Base(w.ctx, r, 1000, "")
				if err != nil {
					return fmt.Errorf("%s: %w", r, err)
				}
				if old := seen[r]; old != nil && (c.N < old.N || len(c.Runs) < len(old.Runs)) {
					return fmt.Errorf("%s: n %d with %d runs after n %d with %d", r, c.N, len(c.Runs), old.N, len(old.Runs))
				}
				seen[r] = c
			}
			list, err := w.store.Conversations(w.ctx, "anna", readmodel.ConversationsQuery{Text: "hello", Limit: 100})
			if err != nil || len(list.Data) != conversations/2 {
				return fmt.Errorf("%d conversations found, want %d (%w)", len(list.Data), conversations/2, err)
			}
		}
		return nil
	})
	for i := range 30 {
		for _, r := range refs {
			w.talk(r, fmt.Sprintf("more %d", i))
		}
	}
	rec.wait(w.seq)
	stop()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if rebuilds < 3 || readings < 3 {
		t.Errorf("%d rebuilds and %d readings", rebuilds, readings)
	}
	w.clean()
	w.check()
}
