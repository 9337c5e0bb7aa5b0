package recorder

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func (w *world) js() jetstream.JetStream {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	return js
}

// held returns how many messages the log holds.
func (w *world) held() uint64 {
	w.t.Helper()
	info, err := w.stream().Info(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return info.State.Msgs
}

// checkHistory compares log and archive together with what was said.
func (w *world) checkHistory() {
	w.t.Helper()
	for r, raws := range w.raws {
		for after := range uint64(len(raws)) {
			got, err := w.log.History(w.ctx, w.store, r, after)
			if err != nil {
				w.t.Fatalf("history of %s after %d: %v", r, after, err)
			}
			if len(got) != len(raws)-int(after) {
				w.t.Fatalf("history of %s after %d: %d commits, want %d", r, after, len(got), len(raws)-int(after))
			}
			for i, s := range got {
				if string(s.Raw) != string(raws[int(after)+i]) {
					w.t.Fatalf("history of %s: commit %d differs", r, s.N)
				}
			}
		}
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const conversations = 4
	refs := make([]events.Ref, conversations)
	for i := range refs {
		refs[i] = w.ref("anna", events.ConversationID(fmt.Sprintf("c%d", i)))
		for range 3 {
			w.talk(refs[i], "hello") // commits at 1, 2, … 6 minutes past the epoch
		}
	}
	once := w.ref("bert", "once")
	w.append(once, events.ConversationPinned{Pinned: true})
	clock := testkit.NewClock()
	r := w.start(func(o *Options, _ *Recorder) { o.Now, o.Keep = clock.Now, time.Hour })
	r.wait(w.seq)
	trim := func(mark uint64) (uint64, int) {
		t.Helper()
		mark, n, err := r.trim(w.ctx, w.stream(), mark)
		if err != nil {
			t.Fatal(err)
		}
		return mark, n
	}
	all := w.held()
	if mark, n := trim(0); n != 0 || mark != 0 {
		t.Errorf("trimmed %d up to %d before its time", n, mark)
	}
	// Commits 1 to 3 are old: what came before them goes, 1 and 2.
	clock.Set(testkit.Epoch.Add(time.Hour + 3*time.Minute + time.Second))
	if _, n := trim(0); n != 2*conversations || w.held() != all-2*conversations {
		t.Errorf("trimmed %d, %d of %d left", n, w.held(), all)
	}
	w.checkHistory()
	// All are old: the last of each conversation stays.
	clock.Advance(100 * time.Hour)
	mark, n := trim(0)
	if n != 3*conversations || w.held() != conversations+1 {
		t.Errorf("trimmed %d, %d left", n, w.held())
	}
	w.checkHistory()
	if _, n = trim(mark); n != 0 {
		t.Errorf("trimmed %d of nothing", n)
	}
	// The fence holds: the next commit of a trimmed conversation goes in at its
	// place, and an outdated writer's does not.
	stale := w.commit(refs[0], events.ConversationPinned{})
	if _, err := w.log.Append(w.ctx, stale, 0); err == nil {
		t.Error("a writer that knows nothing got in")
	}
	for _, ref := range append(refs, once) {
		w.talk(ref, "again")
	}
	r.wait(w.seq)
	clock.Advance(100 * time.Hour)
	if mark, n = trim(mark); n != 2*(conversations+1) || w.held() != conversations+1 {
		t.Errorf("trimmed %d after the second round, %d left", n, w.held())
	}
	w.checkHistory()
	w.check()
	// The mark is remembered.
	r.stop()
	at, err := w.store.Checkpoint(w.ctx, events.StreamLog, testkit.Epoch)
	if err != nil || at.Trimmed != mark {
		t.Errorf("the mark is %d, want %d; %v", at.Trimmed, mark, err)
	}
}

// Run trims by itself, at its start and then as often as it is told.
func TestRunTrims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ref("anna", "c")
	w.talk(c, "one")
	first := w.start()
	first.wait(w.seq)
	first.stop()
	advice, err := w.nc.SubscribeSync("$JS.API.STREAM.MSG.DELETE." + events.StreamLog)
	if err != nil {
		t.Fatal(err)
	}
	r := w.start(func(o *Options, _ *Recorder) { o.Keep = time.Nanosecond; o.TrimEvery = 20 * time.Millisecond })
	if _, err := advice.NextMsgWithContext(w.ctx); err != nil {
		t.Fatalf("the first of two was not deleted: %v", err)
	}
	w.talk(c, "two")
	r.wait(w.seq)
	for range 2 {
		if _, err := advice.NextMsgWithContext(w.ctx); err != nil {
			t.Fatalf("what was recorded since was not trimmed: %v", err)
		}
	}
	r.stop()
	w.checkHistory()
}

// What is not in the archive, or another message than the archive means, is
// never removed.
func TestTrimRemovesOnlyWhatItMeans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ref("anna", "c")
	w.talk(c, "one")
	seq := w.last[c]
	r := w.start(func(o *Options, _ *Recorder) { o.Keep = time.Nanosecond })
	r.wait(w.seq)
	for _, tt := range []struct {
		id   string
		want bool
	}{{"another", false}, {fmt.Sprintf("%s:2", c), true}} { // in this order: the second removes it
		id, want := tt.id, tt.want
		if gone, err := remove(w.ctx, w.stream(), seq, id); err != nil || gone != want {
			t.Errorf("message %d as %q: removed is %v, %v", seq, id, gone, err)
		}
		if _, err := w.stream().GetMsg(w.ctx, seq); want != errors.Is(err, jetstream.ErrMsgNotFound) {
			t.Errorf("message %d as %q: %v", seq, id, err)
		}
	}
	if gone, err := remove(w.ctx, w.stream(), seq, "x"); err != nil || gone {
		t.Errorf("a message that is gone: %v, %v", gone, err)
	}
}
