package recorder

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// value returns what a counter stands at.
func value(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

var discard = slog.New(slog.DiscardHandler)

func TestRecordsWhatTheLogHolds(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*Options, *Recorder){
		"with folds at hand":    func(*Options, *Recorder) {},
		"with a cache for one":  func(o *Options, _ *Recorder) { o.CacheBytes = 1 },
		"as fast as they come":  func(o *Options, _ *Recorder) { o.Pace = time.Nanosecond },
		"many in a transaction": func(o *Options, _ *Recorder) { o.Pace = 100 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.talk(w.ref("anna", "before"), "what was said before the recorder came")
			r := w.start(configure)
			for i := range 40 {
				w.talk(w.ref([]events.UserID{"anna", "bert"}[i%2], events.ConversationID(fmt.Sprintf("c%d", i%5))), fmt.Sprintf("hello %d\x00", i))
			}
			r.wait(w.seq)
			w.check()
			if err := r.Ready(); err != nil {
				t.Error(err)
			}
			if r.Position() != w.seq {
				t.Errorf("position %d, want %d", r.Position(), w.seq)
			}
		})
	}
}

func TestMoreThanOneBatchHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range loadsPerBatch + 6 { // more conversations than one batch loads, with more bytes than one takes
		r := w.ref("anna", events.ConversationID(fmt.Sprintf("c%d", i)))
		w.talk(r, "hello")
		w.talk(r, long(13_500))
	}
	first := w.start()
	first.wait(w.seq)
	first.stop()
	for r := range w.folds {
		w.append(r, events.ConversationPinned{Pinned: true})
	}
	w.start().wait(w.seq)
	w.check()
}

func TestARestartGoesOnAtTheCheckpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ref("anna", "c")
	for i := range 5 {
		first := w.start()
		w.talk(c, fmt.Sprintf("round %d", i))
		first.wait(w.seq)
		first.stop()
		if first.err != nil {
			t.Fatal(first.err)
		}
		if got := value(t, first.metrics.duplicates); got != 0 {
			t.Errorf("round %d: %v messages were read again", i, got)
		}
	}
	w.check()
}

// A second recorder waits, and takes over when the first is gone.
func TestTwoRecorders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ref("anna", "c")
	first := w.start()
	w.talk(c, "one")
	first.wait(w.seq)
	second := w.start()
	w.talk(c, "two")
	first.wait(w.seq)
	if err := second.Ready(); err != nil {
		t.Errorf("a spare recorder is not ready: %v", err)
	}
	first.stop()
	w.talk(c, "three")
	second.wait(w.seq)
	w.check()
}

// A recorder that was paused in the middle of a batch wakes after another took
// over: it writes nothing, and steps aside.
func TestAPausedRecorderWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ref("anna", "c")
	paused, wake := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := w.start(func(_ *Options, r *Recorder) {
		if r != nil {
			r.point = func(name string) {
				if name == "batch" {
					once.Do(func() { close(paused); <-wake })
				}
			}
		}
	})
	w.talk(c, "one")
	<-paused
	w.exec(`DELETE FROM recorder_lease`) // as if its time had run out
	second := w.start()
	w.talk(c, "two")
	second.wait(w.seq)
	close(wake)
	w.talk(c, "three")
	second.wait(w.seq)
	second.stop()
	w.talk(c, "four")
	first.wait(w.seq)
	w.check()
	if got := value(t, first.metrics.commits) + value(t, second.metrics.commits); got != 8 {
		t.Errorf("%v commits were written, want each of 8 once", got)
	}
}

// Two who both believe to be the active one cannot both write.
func TestAStolenLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ref("anna", "c")
	one, two := w.start(), w.start()
	for i := range 30 {
		w.talk(c, fmt.Sprint(i))
		if i%5 == 0 {
			w.exec(`DELETE FROM recorder_lease`)
		}
	}
	for one.Position() < w.seq && two.Position() < w.seq {
		one.mu.Lock()
		a := one.moved
		one.mu.Unlock()
		two.mu.Lock()
		b := two.moved
		two.mu.Unlock()
		if one.Position() >= w.seq || two.Position() >= w.seq {
			break
		}
		select {
		case <-a:
		case <-b:
		case <-w.ctx.Done():
			t.Fatalf("recorded up to %d and %d, want %d", one.Position(), two.Position(), w.seq)
		}
	}
	one.stop()
	two.stop()
	w.check()
}

// A recorder that is killed before or after the commit of its batch leaves
// nothing undone and nothing done twice.
func TestKilledAtEachPoint(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"batch", "recorded"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.ref("anna", "c")
			for round := range 3 {
				dead := make(chan struct{})
				var once sync.Once
				kill := w.start(func(_ *Options, r *Recorder) {
					if r != nil {
						r.point = func(name string) {
							if name == point {
								// The process is gone: this goroutine never comes back.
								once.Do(func() { close(dead) })
								<-w.ctx.Done()
							}
						}
					}
				})
				_ = kill
				w.talk(c, fmt.Sprint(round))
				<-dead
				w.exec(`DELETE FROM recorder_lease`)
				next := w.start()
				next.wait(w.seq)
				next.stop()
			}
			w.check()
		})
	}
}

func TestPostgresIsKilled(t *testing.T) {
	t.Parallel()
	server := testkit.StartPostgres(t)
	w := newWorldOn(t, server.Database(t))
	r := w.start()
	for round := range 3 {
		for i := range 20 {
			w.talk(w.ref("anna", events.ConversationID(fmt.Sprintf("c%d", i%3))), fmt.Sprintf("%d %d", round, i))
		}
		if round == 1 {
			r.wait(w.seq)
		}
		server.Kill(t) // takes what was committed but not flushed
		w.talk(w.ref("anna", "c0"), "while it is down")
		server.Start(t)
	}
	w.talk(w.ref("anna", "c0"), "at last")
	r.wait(w.seq)
	w.check()
}

func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.start()
	for i := range 40 {
		w.talk(w.ref("anna", events.ConversationID(fmt.Sprintf("c%d", i%3))), fmt.Sprint(i))
		if i%8 == 7 {
			w.cutConnections()
		}
	}
	r.wait(w.seq)
	w.check()
}

// cutConnections ends the sessions of the app role, as that role may.
func (w *world) cutConnections() {
	w.t.Helper()
	_, err := w.db.App(w.t).Exec(w.ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestNATSRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.start()
	c := w.ref("anna", "c")
	for i := range 3 {
		w.talk(c, fmt.Sprint(i))
		r.wait(w.seq)
		connected := w.nc.StatusChanged(nats.CONNECTED)
		w.nats.Restart(t)
		select {
		case <-connected:
		case <-w.ctx.Done():
			t.Fatal("no reconnect")
		}
		w.nc.RemoveStatusListener(connected)
	}
	w.talk(c, "after")
	r.wait(w.seq)
	w.check()
}

// What cannot be archived is kept, told, and does not stop what can.
func TestRejections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, hole, bert := w.ref("anna", "good"), w.ref("anna", "hole"), w.ref("bert", "good")
	encode := func(k *events.Commit) []byte {
		raw, err := k.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	w.talk(good, "one")
	w.talk(hole, "one")
	registry := prometheus.NewRegistry()
	r := w.start(func(o *Options, _ *Recorder) { o.Registerer = registry })
	r.wait(w.seq)
	want := map[uint64]string{}
	want[w.publish(good.Log(), "a", []byte("no json"))] = reasonMalformed
	want[w.publish(good.Log(), "b", []byte(`{"v":2}`))] = reasonMalformed
	want[w.publish(good.Log(), "k", []byte(long(1<<20/5-1<<8)))] = reasonMalformed // as large as the stream takes
	want[w.publish(bert.Log(), "c", encode(w.commit(good, events.ConversationPinned{})))] = reasonForeign
	want[w.publish("log.xx.yy.zz", "d", encode(w.commit(good, events.ConversationPinned{})))] = reasonForeign
	skipped := w.commit(hole, events.ConversationPinned{Pinned: true})
	skipped.N += 2
	want[w.publish(hole.Log(), "e", encode(skipped))] = reasonGap
	w.publish(good.Log(), "f", w.raws[good][0]) // just once more
	w.publish(good.Log(), "g", w.raws[good][1])
	other := w.commit(good, events.ConversationPinned{Pinned: true})
	other.N = 1
	want[w.publish(good.Log(), "h", encode(other))] = reasonAltered
	w.last[good] = w.seq
	for seq, reason := range want {
		if reason == reasonForeign {
			w.last[bert] = max(w.last[bert], seq)
		}
	}
	w.last[bert]-- // the later one went to a subject of nobody
	w.talk(bert, "bert goes on")
	w.append(good, events.ConversationRenamed{Title: "still here", By: events.ByUser})
	w.append(good, events.Unknown{Type: "weather.changed", Raw: jsontext.Value(`{"type":"weather.changed"}`)}, events.ConversationPinned{})
	w.talk(good, long(events.MaxCommit/5-1<<9)) // a commit as large as they come
	r.wait(w.seq)
	// In one batch with its original as well.
	r.stop()
	fresh := w.commit(good, events.ConversationPinned{Pinned: true})
	w.append(good, events.ConversationPinned{Pinned: true})
	fresh.Cause = "another"
	want[w.publish(good.Log(), "i", encode(fresh))] = reasonAltered
	w.publish(good.Log(), "j", w.raws[good][len(w.raws[good])-1])
	r = w.start(func(o *Options, _ *Recorder) { o.Registerer = prometheus.NewRegistry() })
	r.wait(w.seq)
	w.check()
	if diff := cmp.Diff(want, w.rejected()); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	// The alarm outlives the recorder that raised it.
	r.stop()
	r = w.start()
	w.talk(bert, "once more")
	r.wait(w.seq)
	ready := r.Ready()
	for _, want := range []string{"3 messages of the log rejected: malformed", "2 messages of the log rejected: foreign", "1 messages of the log rejected: gap", "2 messages of the log rejected: altered"} {
		if ready == nil || !strings.Contains(ready.Error(), want) {
			t.Errorf("ready: %v, want %q", ready, want)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range families {
		if f.GetName() == "parley_recorder_rejected" {
			series = len(f.GetMetric())
		}
	}
	if series != len(reasons) {
		t.Errorf("%d alarm series, want %d", series, len(reasons))
	}
}

// Content that Postgres refuses takes no other commit with it.
func TestUnstorable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`ALTER TABLE archive ADD CHECK (cause <> 'cause-3')`)
	bad, good := w.ref("anna", "bad"), w.ref("anna", "good")
	w.talk(bad, "one")
	w.talk(good, "one")
	w.append(good, events.ConversationPinned{Pinned: true}) // cause-3 as well
	w.append(bad, events.ConversationPinned{Pinned: true})
	w.talk(w.ref("bert", "c"), "one")
	r := w.start()
	r.wait(w.seq)
	if got := w.rejected(); len(got) != 2 || got[5] != reasonUnstorable || got[6] != reasonUnstorable {
		t.Errorf("rejected %v", got)
	}
	for ref, n := range map[events.Ref]int{bad: 2, good: 2, w.ref("bert", "c"): 2} {
		if list, err := w.store.Commits(w.ctx, ref, 0, 99); err != nil || len(list) != n {
			t.Errorf("%s: %d commits archived, want %d; %v", ref, len(list), n, err)
		}
	}
}

// A log that was lost and made anew is told, before anything is written.
func TestAnotherLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.ref("anna", "c")
	w.talk(c, "one")
	r := w.start()
	r.wait(w.seq)
	replace := func() {
		t.Helper()
		if err := w.js().DeleteStream(w.ctx, events.StreamLog); err != nil {
			t.Fatal(err)
		}
		w.open()
	}
	replace()
	select {
	case <-r.ended:
	case <-w.ctx.Done():
		t.Fatal("a running recorder did not notice")
	}
	if !errors.Is(r.err, ErrOtherStream) {
		t.Fatalf("a running recorder: %v, want ErrOtherStream", r.err)
	}
	again := w.start()
	<-again.ended
	if !errors.Is(again.err, ErrOtherStream) {
		t.Fatalf("a new recorder: %v, want ErrOtherStream", again.err)
	}
	adopt := w.start(func(o *Options, _ *Recorder) { o.AdoptNewLog = true })
	w.last = map[events.Ref]uint64{}
	w.talk(w.ref("anna", "new"), "one")
	clash, err := w.commit(w.ref("anna", "other"), events.ConversationPinned{Pinned: true}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	clash = []byte(strings.ReplaceAll(string(clash), `"other"`, `"c"`))
	seq := w.publish(c.Log(), "x", clash)
	adopt.wait(w.seq)
	delete(w.folds, w.ref("anna", "other"))
	w.check()
	if got := w.rejected(); len(got) != 1 || got[seq] != reasonAltered {
		t.Errorf("rejected %v, want the commit at %d", got, seq)
	}
	// A database that never recorded anything takes any log.
	adopt.stop()
	w.exec(`UPDATE checkpoint SET seq = 0`)
	replace()
	w.last = map[events.Ref]uint64{}
	fresh := w.start()
	w.talk(w.ref("anna", "newer"), "one")
	fresh.wait(w.seq)
	w.check()
}

// A log that lost its newest messages, or was restored from an older copy, is
// read again: what it says now is recorded, what it said before is kept.
func TestALogThatWentBack(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"it ends before the checkpoint": `UPDATE checkpoint SET seq = seq + 10`,
		"another message is there":      `UPDATE checkpoint SET commit_id = 'what was there before'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i := range 5 {
				w.talk(w.ref("anna", events.ConversationID(fmt.Sprintf("c%d", i))), "one")
			}
			first := w.start()
			first.wait(w.seq)
			first.stop()
			w.exec(sql)
			w.talk(w.ref("anna", "c0"), "two")
			r := w.start()
			r.wait(w.seq)
			w.check()
			if got := w.rejected(); len(got) != 0 {
				t.Errorf("rejected %v", got)
			}
			if n := value(t, r.metrics.rewinds); n != 1 {
				t.Errorf("%v rewinds, want 1", n)
			}
			if n := value(t, r.metrics.duplicates); n != 10 {
				t.Errorf("%v duplicates, want 10", n)
			}
		})
	}
}
