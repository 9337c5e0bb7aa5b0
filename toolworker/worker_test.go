package toolworker_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/toolworker"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A bench is a work queue with a database behind it. Answers arrive on results.
type bench struct {
	t       *testing.T
	nc      *nats.Conn
	log     *eventlog.Log
	pool    *pgxpool.Pool
	results chan events.Result
}

func newBench(t *testing.T, pool *pgxpool.Pool, wait time.Duration) *bench {
	t.Helper()
	nc, ctx := testkit.NATS(t), testkit.Context(t)
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{AgentAckWait: 2 * time.Second, ToolAckWait: wait}); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(ctx, nc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, nc: nc, log: log, pool: pool, results: make(chan events.Result, 256)}
}

// run keeps f running until the test ends.
func (b *bench) run(f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
}

// answers plays the agent: it takes every result out of the inbox.
func (b *bench) answers() {
	b.run(func(ctx context.Context) error {
		return b.log.Serve(ctx, ctx, events.StreamInbox, eventlog.ConsumerResults, func(context.Context) (func(), error) { return func() {}, nil },
			func(_ context.Context, d *eventlog.Delivery) {
				in, err := events.DecodeInbox(d.Data())
				if err != nil {
					b.t.Error(err)
					return
				}
				if res, ok := in.Command.(events.Result); ok {
					b.results <- res
				}
				if err := d.Ack(); err != nil {
					b.t.Error(err)
				}
			})
	})
}

func (b *bench) worker(change ...func(*toolworker.Options)) {
	o := toolworker.Options{Log: b.log, Pool: b.pool, Grace: time.Second, Logger: slog.New(slog.NewTextHandler(b.t.Output(), nil))}
	for _, f := range change {
		f(&o)
	}
	w, err := toolworker.New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.run(w.Run)
}

func item(call, name, args string) events.WorkItem {
	return events.WorkItem{
		V: events.Version, UserID: "ana", ConversationID: "c1", RunID: "r1", CallID: events.CallID(call), Server: "tasks", Name: name,
		Arguments: jsontext.Value(args), By: events.ByModel, Deadline: time.Now().Add(time.Minute),
	}
}

func (b *bench) dispatch(list ...events.WorkItem) {
	b.t.Helper()
	for _, w := range list {
		if err := b.log.Dispatch(testkit.Context(b.t), &w); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) next() events.Result {
	b.t.Helper()
	select {
	case r := <-b.results:
		return r
	case <-testkit.Context(b.t).Done():
		b.t.Fatal("no answer came")
		return events.Result{}
	}
}

func TestCallsAreAnsweredInTheOrderAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 2*time.Second)
	for i := range 20 {
		b.dispatch(item(fmt.Sprint("call", i), "add_task", fmt.Sprintf(`{"title":"task %d"}`, i)))
	}
	b.answers()
	b.worker()
	for range 20 {
		r := b.next()
		i := strings.TrimPrefix(string(r.CallID), "call")
		want := fmt.Sprintf(`"title":"task %s"`, i)
		if !r.OK || r.RunID != "r1" || !strings.Contains(string(r.Result), want) {
			t.Errorf("%s: %+v", r.CallID, r)
		}
		var n int
		if _, err := fmt.Sscan(i, &n); err != nil || !strings.Contains(string(r.Result), fmt.Sprintf(`"task_id":%d,`, n+1)) {
			t.Errorf("%s got %s", r.CallID, r.Result)
		}
	}
}

func TestRefusalsAreAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 2*time.Second)
	late := item("late", "add_task", `{"title":"x"}`)
	late.Deadline = time.Now().Add(-time.Second)
	revoked := item("revoked", "add_task", `{"title":"x"}`)
	revoked.Revoke = true
	want := map[events.CallID]string{
		"unknown": events.ToolUnknown, "string": events.ToolBadArgs, "schema": events.ToolBadArgs,
		"late": events.ToolDeadline, "revoked": events.ToolRevoked, "missing": events.ToolFailed,
	}
	b.dispatch(item("unknown", "no_such_tool", `{}`), item("string", "add_task", `"not an object"`), item("schema", "add_task", `{"titel":"x"}`),
		late, revoked, item("missing", "delete_task", `{"task_id":7}`))
	b.answers()
	b.worker()
	for range len(want) {
		r := b.next()
		if r.OK || r.Error == nil || r.Error.Code != want[r.CallID] || r.Error.Message == "" {
			t.Errorf("%s: %+v %+v, want %s", r.CallID, r, r.Error, want[r.CallID])
		}
	}
	var tasks, rows int
	if err := b.pool.QueryRow(testkit.Context(t), `SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM tool_call WHERE NOT ok)`).Scan(&tasks, &rows); err != nil {
		t.Fatal(err)
	}
	if tasks != 0 || rows != len(want) {
		t.Errorf("%d tasks, %d ledger rows", tasks, rows)
	}
}

// The same call is stored many times, beyond what the dedupe window catches, and
// handled by two workers: one effect, equal answers.
func TestDuplicatesHaveOneEffect(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 2*time.Second)
	w := item("call", "add_task", `{"title":"once"}`)
	data, err := w.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := w.Ref()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 { // without a Nats-Msg-Id nothing is recognised as a repeat
		if _, err := js.Publish(testkit.Context(t), ref.Work("tasks"), data); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(chan string, 64)
	unsubscribe, err := b.log.Subscribe(ref.Result(), func(m *nats.Msg) {
		in, err := events.DecodeInbox(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		if r, ok := in.Command.(events.Result); ok {
			seen <- string(r.Result)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	b.worker()
	b.worker()
	first := <-seen
	for range 49 {
		if got := <-seen; got != first {
			t.Errorf("answers differ: %s and %s", got, first)
		}
	}
	var tasks int
	if err := b.pool.QueryRow(testkit.Context(t), `SELECT count(*) FROM task`).Scan(&tasks); err != nil || tasks != 1 {
		t.Errorf("%d tasks, %v", tasks, err)
	}
}

// A call id that comes again with other arguments is refused, does nothing, and is
// an alarm that names the call and not what was asked.
func TestReusedCallIDIsAnAlarm(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 2*time.Second)
	registry, said := prometheus.NewPedanticRegistry(), &testkit.Output{}
	b.answers()
	b.worker(func(o *toolworker.Options) {
		o.Registerer, o.Logger = registry, slog.New(slog.NewTextHandler(said, nil))
	})
	alarms := func() float64 {
		t.Helper()
		list, err := registry.Gather()
		if err != nil || len(list) != 1 || list[0].GetName() != "parley_toolworker_call_id_reused_total" {
			t.Fatalf("metrics %v (%v)", list, err)
		}
		return list[0].GetMetric()[0].GetCounter().GetValue()
	}
	b.dispatch(item("call", "add_task", `{"title":"once"}`))
	if r := b.next(); !r.OK || alarms() != 0 {
		t.Fatalf("the first call: %+v, %v alarms", r, alarms())
	}
	other := item("call", "add_task", `{"title":"nobody may read this"}`)
	data, err := other.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := other.Ref()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan events.Result, 1)
	unsubscribe, err := b.log.Subscribe(ref.Result(), func(m *nats.Msg) {
		if in, err := events.DecodeInbox(m.Data); err == nil {
			told <- in.Command.(events.Result)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	// Without a Nats-Msg-Id, as from a stranger; INBOX knows the answer's id, so it is seen on its way.
	if _, err := js.Publish(testkit.Context(t), ref.Work("tasks"), data); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-told:
		if r.OK || r.Error == nil || r.Error.Code != events.ToolBadArgs {
			t.Errorf("the second call: %+v %+v", r, r.Error)
		}
	case <-testkit.Context(t).Done():
		t.Fatal("the second call is not answered")
	}
	if n := alarms(); n != 1 {
		t.Errorf("%v alarms, want 1", n)
	}
	log := said.String()
	if !strings.Contains(log, `level=ERROR msg="call id used with other arguments"`) || !strings.Contains(log, "call_id=call ") || strings.Contains(log, "nobody may") {
		t.Errorf("the log says %q", log)
	}
	var tasks int
	if err := b.pool.QueryRow(testkit.Context(t), `SELECT count(*) FROM task`).Scan(&tasks); err != nil || tasks != 1 {
		t.Errorf("%d tasks, %v", tasks, err)
	}
}

// While Postgres is away a call waits; nothing is answered, nothing is lost.
func TestPostgresAwayIsAWait(t *testing.T) {
	t.Parallel()
	pg := testkit.StartPostgres(t)
	b := newBench(t, pg.Database(t).App(t), 2*time.Second)
	b.answers()
	b.worker()
	b.dispatch(item("before", "add_task", `{"title":"before"}`))
	if r := b.next(); !r.OK {
		t.Fatalf("before: %+v", r)
	}
	pg.Kill(t)
	b.dispatch(item("during", "add_task", `{"title":"during"}`))
	pg.Start(t)
	if r := b.next(); !r.OK || r.CallID != "during" {
		t.Errorf("during: %+v", r)
	}
}

// A full inbox keeps the work item: its answer is stored once there is room.
func TestFullInboxIsAWait(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 2*time.Second)
	w := item("call", "add_task", `{"title":"x"}`)
	ref, err := w.Ref()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 64 {
		id := events.CallID(fmt.Sprint("other", i))
		err := b.log.Enqueue(testkit.Context(t), &events.Inbox{
			V: events.Version, ID: events.ResultID(id), UserID: "ana", ConversationID: "c1",
			Time: time.Now(), Command: events.Result{CallID: id},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tried := make(chan struct{}, 16)
	unsubscribe, err := b.log.Subscribe(ref.Result(), func(*nats.Msg) { tried <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	b.worker()
	b.dispatch(w)
	<-tried
	<-tried // refused once at least, and tried again
	b.answers()
	for {
		if r := b.next(); r.CallID == "call" {
			break
		}
	}
}

// An item that no build can read still names its call: the ledger has the last
// word on it, and the run that waits is told.
func TestUnreadableItemIsAnsweredFromItsHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 50*time.Millisecond)
	w := item("call", "add_task", `{"title":"x"}`)
	ref, err := w.Ref()
	if err != nil {
		t.Fatal(err)
	}
	msg := nats.NewMsg(ref.Work("tasks"))
	msg.Data = []byte(`{"v":99}`)
	for k, v := range map[string]string{events.HeaderID: "call", events.HeaderUser: "ana", events.HeaderConversation: "c1"} {
		msg.Header.Set(k, v)
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.PublishMsg(testkit.Context(t), msg); err != nil {
		t.Fatal(err)
	}
	b.answers()
	b.worker()
	if r := b.next(); r.CallID != "call" || r.OK || r.Error == nil || r.Error.Code != events.ToolPoison {
		t.Errorf("%+v %+v", r, r.Error)
	}
	// The call itself, should it turn up after all, finds its row taken.
	b.dispatch(w)
	var tasks int
	if err := b.pool.QueryRow(testkit.Context(t), `SELECT count(*) FROM task`).Scan(&tasks); err != nil || tasks != 0 {
		t.Errorf("%d tasks, %v", tasks, err)
	}
}

func TestShutdownLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 2*time.Second)
	b.answers()
	const total = 60
	for i := range total {
		b.dispatch(item(fmt.Sprint("call", i), "add_task", fmt.Sprintf(`{"title":"task %d"}`, i)))
	}
	var once sync.Once
	first := make(chan struct{})
	w, err := toolworker.New(toolworker.Options{Log: b.log, Pool: b.pool, Slots: 2, Grace: time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	got := map[events.CallID]bool{}
	for range total {
		got[b.next().CallID] = true
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			close(first)
			b.worker()
		})
	}
	<-first
	if len(got) != total {
		t.Errorf("%d of %d calls answered", len(got), total)
	}
}
