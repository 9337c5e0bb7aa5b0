package recorder

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A world is a log and a database with writers of conversations.
type world struct {
	t     testing.TB
	ctx   context.Context
	nats  *testkit.NATSServer
	nc    *nats.Conn
	log   *eventlog.Log
	db    testkit.Database
	store *readmodel.Store

	last  map[events.Ref]uint64 // sequence of the newest commit
	folds map[events.Ref]*events.Conversation
	raws  map[events.Ref][][]byte
	seq   uint64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, testkit.Postgres(t))
}

func newWorldOn(t testing.TB, db testkit.Database) *world {
	t.Helper()
	w := &world{
		t: t, ctx: testkit.Context(t), nats: testkit.StartNATS(t), db: db,
		last: map[events.Ref]uint64{}, folds: map[events.Ref]*events.Conversation{}, raws: map[events.Ref][][]byte{},
	}
	w.nc = w.nats.Connect(t)
	w.open()
	store, err := readmodel.Open(w.ctx, w.db.AppURL, readmodel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w.store = store
	return w
}

func (w *world) open() {
	w.t.Helper()
	if err := eventlog.Provision(w.ctx, w.nc, eventlog.Layout{}); err != nil {
		w.t.Fatal(err)
	}
	log, err := eventlog.Open(w.ctx, w.nc, discard)
	if err != nil {
		w.t.Fatal(err)
	}
	w.log = log
}

func (w *world) ref(u events.UserID, c events.ConversationID) events.Ref {
	w.t.Helper()
	r, err := events.NewRef(u, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// commit returns the conversation's next commit, not yet in the log.
func (w *world) commit(r events.Ref, list ...events.Event) *events.Commit {
	f := w.fold(r)
	n := f.N + 1
	return &events.Commit{
		V: events.Version, ConversationID: r.Conversation(), UserID: r.User(), N: n, CommitID: fmt.Sprintf("%s:%d", r, n),
		Cause: fmt.Sprintf("cause-%d", n), By: events.ByUser, Time: testkit.Epoch.Add(time.Duration(n) * time.Minute), Events: list,
	}
}

func (w *world) fold(r events.Ref) *events.Conversation {
	f := w.folds[r]
	if f == nil {
		f = events.NewConversation(r)
		w.folds[r] = f
	}
	return f
}

// append adds a commit to the log and to what is expected.
func (w *world) append(r events.Ref, list ...events.Event) {
	w.t.Helper()
	k := w.commit(r, list...)
	seq, err := w.log.Append(w.ctx, k, w.last[r])
	if err != nil {
		w.t.Fatal(err)
	}
	w.last[r], w.seq = seq, seq
	raw, err := k.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.raws[r] = append(w.raws[r], raw)
	if k, err = events.DecodeCommit(raw); err != nil {
		w.t.Fatal(err)
	}
	if err := w.fold(r).Apply(k); err != nil {
		w.t.Fatal(err)
	}
}

// talk adds the two commits of a message and its answer.
func (w *world) talk(r events.Ref, text string) {
	w.t.Helper()
	n := w.fold(r).N
	m := events.MessageID(fmt.Sprintf("m-%d", n))
	run := events.RunIDFor(r.User(), r.Conversation(), m)
	var parent events.RunID
	if tip := w.fold(r).Tip(); tip != nil {
		parent = tip.RunID
	}
	w.append(r, events.MessageAccepted{MessageID: m, RunID: run, ParentID: parent, Text: text}, events.RunStarted{RunID: run, MessageID: m, Model: "m"},
		events.StepStarted{RunID: run, Step: 1, Attempt: 1})
	w.append(r, events.StepCompleted{RunID: run, Step: 1, Attempt: 1, Text: "about " + text, FinishReason: "stop"}, events.RunCompleted{RunID: run})
}

// publish puts anything at all into the log.
func (w *world) publish(subject, id string, data []byte) uint64 {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	ack, err := js.PublishMsg(w.ctx, &nats.Msg{Subject: subject, Data: data, Header: nats.Header{jetstream.MsgIDHeader: {id}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.seq = ack.Sequence
	return ack.Sequence
}

func (w *world) stream() jetstream.Stream {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := js.Stream(w.ctx, events.StreamLog)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// A running recorder.
type running struct {
	*Recorder
	w      *world
	cancel context.CancelFunc
	ended  chan struct{}
	err    error

	mu      sync.Mutex
	seq     uint64
	moved   chan struct{} // closed and replaced with each batch
	batches int
}

// start runs a recorder; configure may change options and hooks before.
func (w *world) start(configure ...func(*Options, *Recorder)) *running {
	w.t.Helper()
	r := &running{w: w, ended: make(chan struct{}), moved: make(chan struct{})}
	o := Options{Log: w.log, Store: w.store, LeaseTTL: 300 * time.Millisecond, Recorded: r.recorded}
	for _, c := range configure {
		c(&o, nil)
	}
	rec, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range configure {
		c(&Options{}, rec)
	}
	r.Recorder = rec
	ctx, cancel := context.WithCancel(w.ctx)
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.err = rec.Run(ctx)
	}()
	w.t.Cleanup(r.stop)
	return r
}

func (r *running) recorded(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq = seq
	r.batches++
	close(r.moved)
	r.moved = make(chan struct{})
}

// wait waits until everything up to seq is recorded.
func (r *running) wait(seq uint64) {
	r.w.t.Helper()
	for {
		r.mu.Lock()
		at, moved := r.seq, r.moved
		r.mu.Unlock()
		if at >= seq {
			return
		}
		select {
		case <-moved:
		case <-r.ended:
			r.w.t.Fatalf("the recorder ended at %d: %v", at, r.err)
		case <-r.w.ctx.Done():
			r.w.t.Fatalf("recorded up to %d, want %d: %v", at, seq, r.Ready())
		}
	}
}

func (r *running) stop() {
	r.cancel()
	<-r.ended
}

// check compares archive and read models with the log, and counts their rows.
func (w *world) check() {
	w.t.Helper()
	total := 0
	for r, raws := range w.raws {
		total += len(raws)
		got, err := w.store.Commits(w.ctx, r, 0, ^uint64(0))
		if err != nil {
			w.t.Fatal(err)
		}
		if len(got) != len(raws) {
			w.t.Errorf("%s: %d commits archived, want %d", r, len(got), len(raws))
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], raws[i]) {
				w.t.Errorf("%s: commit %d is archived otherwise:\n%s\n%s", r, i+1, got[i], raws[i])
			}
		}
		base, err := w.store.Base(w.ctx, r, 1000, "")
		if err != nil {
			w.t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON(w.t, w.folds[r].Base(1000)), asJSON(w.t, base)); diff != "" {
			w.t.Errorf("%s (-fold +postgres):\n%s", r, diff)
		}
	}
	var rows, hashed int
	if err := w.store.Pool().QueryRow(w.ctx, `SELECT count(*), count(*) FILTER (WHERE hash = sha256(salt || payload) AND size = length(payload))
		FROM archive LEFT JOIN archive_payload USING (user_id, conversation_id, n)`).Scan(&rows, &hashed); err != nil {
		w.t.Fatal(err)
	}
	if rows != total || hashed != total {
		w.t.Errorf("%d rows in the archive, %d with the right hash, want %d", rows, hashed, total)
	}
}

func asJSON(t testing.TB, c *events.Conversation) string {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rejected returns the reasons in archive_rejected by place.
func (w *world) rejected() map[uint64]string {
	w.t.Helper()
	rows, err := w.store.Pool().Query(w.ctx, `SELECT stream_seq, reason FROM archive_rejected`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	got := map[uint64]string{}
	for rows.Next() {
		var seq int64
		var reason string
		if err := rows.Scan(&seq, &reason); err != nil {
			w.t.Fatal(err)
		}
		got[uint64(seq)] = reason
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) exec(sql string) {
	w.t.Helper()
	if _, err := w.db.Owner(w.t).Exec(w.ctx, sql); err != nil {
		w.t.Fatal(err)
	}
}

func long(n int) string { return strings.Repeat("word ", n) }
