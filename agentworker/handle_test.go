package agentworker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// newWorker returns a worker that is not running, on a log of its own.
func newWorker(t *testing.T) *Worker {
	t.Helper()
	nc, ctx := testkit.NATS(t), testkit.Context(t)
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{}); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(ctx, nc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client, err := openai.New(openai.Options{BaseURL: "http://127.0.0.1:9/v1"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{
		Log: log, Archive: noCommits{}, Model: client, Rules: *testRules(),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

type noCommits struct{}

func (noCommits) Commits(context.Context, events.Ref, uint64, uint64) ([][]byte, error) {
	return nil, nil
}

// handler returns the handler of a delivery that nobody has pulled.
func (w *Worker) handler(t *testing.T, in Input) *handler {
	t.Helper()
	ref, err := in.Ref()
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{w: w, every: time.Minute, in: in, entry: w.cache.get(ref), slotted: true}
	t.Cleanup(h.close)
	return h
}

func (h *handler) decide(s *events.Conversation, in Input) Decision { return h.w.rules.Decide(s, in) }

// streaming returns a handler that holds a model call of run1, and the call.
func streaming(t *testing.T, w *Worker) (*handler, *stream, context.Context) {
	t.Helper()
	h := w.handler(t, command("m1", lease(10, 1), events.Message{Text: "hi"}))
	p, err := h.commit(testkit.Context(t), h.decide)
	if err != nil || p.Then != CallModel {
		t.Fatalf("%+v, %v", p, err)
	}
	ctx, cut := context.WithCancelCause(testkit.Context(t))
	t.Cleanup(func() { cut(nil) })
	return h, &stream{claim: p.claim, ref: h.entry.ref, ctx: ctx, cut: cut, publish: w.log.Publish}, ctx
}

func (h *handler) must(t *testing.T) {
	t.Helper()
	if _, err := h.commit(testkit.Context(t), h.decide); err != nil {
		t.Fatal(err)
	}
}

// A stop may come between the commit of step.started and the model call.
func TestSignalBeforeTheModelCallIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	h, s, ctx := streaming(t, w)
	w.handler(t, command("x1", lease(11, 1), events.Cancel{RunID: run1})).must(t)
	h.signal()
	h.open(s)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, errStopped) {
		t.Errorf("the call ended with %v", err)
	}
}

// A handler of the same conversation may hold the entry over an outage: neither
// a renewal nor a shutdown waits for it.
func TestNobodyWaitsForAConversationLongerThanItsContext(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	h, s, ctx := streaming(t, w)
	h.every = 10 * time.Millisecond
	if err := h.entry.lock(ctx); err != nil {
		t.Fatal(err)
	}
	h.open(s)
	if !h.check() || h.lostLease() {
		t.Error("a lease is lost although nobody could look")
	}
	gone, cancel := context.WithCancelCause(ctx)
	cancel(errShutdown)
	if _, err := w.handler(t, command("x1", lease(11, 1), events.Cancel{RunID: run1})).commit(gone, h.decide); !errors.Is(err, errShutdown) {
		t.Errorf("a commit during a shutdown: %v", err)
	}
	h.entry.unlock()
}

// Who lost the lease renews no more and leaves the message alone; who ended the
// call itself has not lost it.
func TestLostLeaseIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	h, s, ctx := streaming(t, w)
	h.open(s)
	if !h.check() {
		t.Fatal("the lease is lost from the start")
	}
	w.handler(t, command("m1", lease(10, 2), events.Message{Text: "hi"})).must(t)
	if h.check() || !h.lostLease() || !errors.Is(context.Cause(ctx), errLost) {
		t.Errorf("after a takeover: lost %t, cause %v", h.lostLease(), context.Cause(ctx))
	}

	other := newWorker(t)
	h, s, _ = streaming(t, other)
	h.open(s)
	s.cut(nil) // as callModel does when it returns
	if _, err := h.commit(testkit.Context(t), func(c *events.Conversation, in Input) Decision {
		return other.rules.AfterModel(c, s.claim, Outcome{Completion: openai.Completion{Text: "done"}}, in)
	}); err != nil {
		t.Fatal(err)
	}
	if !h.check() || h.lostLease() {
		t.Error("the end of one's own call is taken for a lost lease")
	}
}

// A worker that is told to stop gives back what it holds, and leaves alone what
// another delivery has taken over meanwhile: a nak would take that from it.
func TestWhatIsLostIsNotGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	h, s, ctx := streaming(t, w)
	w.handler(t, command("m1", lease(10, 2), events.Message{Text: "hi"})).must(t)
	h.handOver(ctx, s.claim)
	if run := h.entry.state.Active(); !h.lostLease() || run.Interruptions != 0 {
		t.Errorf("taken over: lost %t, %d interruptions", h.lostLease(), run.Interruptions)
	}

	other := newWorker(t)
	h, s, ctx = streaming(t, other)
	h.handOver(ctx, s.claim)
	if run := h.entry.state.Active(); h.lostLease() || run.Interruptions != 1 {
		t.Errorf("its own: lost %t, %d interruptions", h.lostLease(), run.Interruptions)
	}
}

// The cache counts what it holds, also what this worker wrote itself.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	const each, room = 2 * 20 << 10, 10
	w.cache.limit = room * (each + entryBytes)
	for i := range 3 * room {
		in := command("m1", lease(10, 1), events.Rename{Title: strings.Repeat("x", each/2)})
		in.ConversationID = events.ConversationID(fmt.Sprint("c", i))
		h := w.handler(t, in)
		h.must(t)
		h.entry.emitted.add("of a call that is over")
		in.ID = "m2"
		w.handler(t, in).must(t)
		if h.entry.emitted.has("of a call that is over") {
			t.Fatal("what is not due any more is remembered")
		}
	}
	if n := len(w.cache.byRef); n > room || n < room-2 || w.cache.bytes > w.cache.limit || w.cache.lru.Len() != n {
		t.Errorf("%d conversations of %d KiB are kept, counted as %d of %d bytes", n, each>>10, w.cache.bytes, w.cache.limit)
	}
}
