package agentworker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// noArchive is the archive of a log that nobody trims.
type noArchive struct{}

func (noArchive) Commits(context.Context, events.Ref, uint64, uint64) ([][]byte, error) {
	return nil, nil
}

// A bench is a log with workers on it.
type bench struct {
	t     *testing.T
	nc    *nats.Conn
	log   *eventlog.Log
	model *testkit.Model
}

// agentWait is short, so that a lease that runs out costs a test little.
const agentWait = 2 * time.Second

func newBench(t *testing.T, answer func(int, testkit.ModelRequest) testkit.ModelReply) *bench {
	t.Helper()
	nc := testkit.NATS(t)
	if err := eventlog.Provision(testkit.Context(t), nc, eventlog.Layout{AgentAckWait: agentWait, ToolAckWait: agentWait}); err != nil {
		t.Fatal(err)
	}
	return newBenchOn(t, nc, answer)
}

// newBenchOn is newBench on streams that are there already.
func newBenchOn(t *testing.T, nc *nats.Conn, answer func(int, testkit.ModelRequest) testkit.ModelReply) *bench {
	t.Helper()
	log, err := eventlog.Open(testkit.Context(t), nc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, nc: nc, log: log, model: testkit.NewModel(t, answer)}
}

// start runs a worker until the test ends or the returned function is called.
func (b *bench) start(change ...func(*agentworker.Options)) (stop func()) {
	b.t.Helper()
	client, err := openai.New(openai.Options{BaseURL: b.model.URL, Backoff: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	o := agentworker.Options{
		Log: b.log, Archive: noArchive{}, Model: client, NoTitles: true, Grace: time.Second,
		Rules:  agentworker.Rules{Model: "scripted", Tools: []events.Tool{{Server: "tasks", Name: "add_task", Schema: jsontext.Value(`{"type":"object"}`)}}},
		Logger: slog.New(slog.NewTextHandler(b.t.Output(), nil)),
	}
	for _, f := range change {
		f(&o)
	}
	w, err := agentworker.New(o)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var stopped bool
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("worker: %v", err)
		}
	}
	b.t.Cleanup(stop)
	return stop
}

func ref(t *testing.T, u events.UserID, c events.ConversationID) events.Ref {
	t.Helper()
	r, err := events.NewRef(u, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *bench) send(r events.Ref, id string, cmd events.Command) {
	b.t.Helper()
	err := b.log.Enqueue(testkit.Context(b.t), &events.Inbox{
		V: events.Version, ID: id, UserID: r.User(), ConversationID: r.Conversation(), Time: time.Now().UTC(), Command: cmd,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// wait returns the conversation once it satisfies ok.
func (b *bench) wait(r events.Ref, ok func(*events.Conversation) bool) *events.Conversation {
	b.t.Helper()
	ctx := testkit.Context(b.t)
	news := make(chan struct{}, 1)
	unsubscribe, err := b.log.Subscribe(r.Live(), func(*nats.Msg) {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	defer unsubscribe()
	if err := b.nc.Flush(); err != nil {
		b.t.Fatal(err)
	}
	for {
		list, err := b.log.History(ctx, noArchive{}, r, 0)
		if err != nil {
			b.t.Fatal(err)
		}
		c := events.NewConversation(r)
		for _, s := range list {
			if err := c.Apply(s.Commit); err != nil {
				b.t.Fatal(err)
			}
		}
		if ok(c) {
			return c
		}
		select {
		case <-news:
		case <-ctx.Done():
			b.t.Fatalf("the conversation stands at n = %d: %+v", c.N, c.Tip())
		}
	}
}

func ended(c *events.Conversation) bool { return c.Tip() != nil && c.Tip().Status.Over() }

func TestAnswerIsStreamedAndCommitted(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"Hel", "lo ", "there"}, Usage: [2]int{10, 3}}
	})
	b.start()
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	run := b.wait(r, ended).Tip()
	if run.Status != events.Completed || run.Answer() != "Hello there" || run.Usage.InputTokens != 10 {
		t.Errorf("run = %+v", run)
	}
}

func TestToolCallGoesOutAndComesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(n int, req testkit.ModelRequest) testkit.ModelReply {
		if n == 0 {
			return testkit.ModelReply{Calls: [][2]string{{"add_task", `{"title":"milk"}`}, {"no_such", `{}`}}}
		}
		last := req.Messages[len(req.Messages)-2:]
		return testkit.ModelReply{Text: []string{last[0].Content + last[1].Content}}
	})
	b.start()
	b.tools(func(w *events.WorkItem) events.Result {
		return events.Result{CallID: w.CallID, RunID: w.RunID, OK: true, Result: jsontext.Value(`{"task":1}`)}
	})
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "add milk"})
	run := b.wait(r, ended).Tip()
	if want := `{"task":1}{"error":"There is no tool \"no_such\"."}`; run.Status != events.Completed || run.Answer() != want {
		t.Errorf("run = %+v, answer %q", run, run.Answer())
	}
}

// tools answers every work item until the test ends.
func (b *bench) tools(answer func(*events.WorkItem) events.Result) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	free := func(context.Context) (func(), error) { return func() {}, nil }
	go func() {
		defer close(done)
		err := b.log.Serve(ctx, ctx, events.StreamWork, eventlog.ToolConsumer("tasks"), free, func(ctx context.Context, d *eventlog.Delivery) {
			w, err := events.DecodeWorkItem(d.Data())
			if err != nil {
				b.t.Error(err)
				return
			}
			res := answer(w)
			err = b.log.Enqueue(ctx, &events.Inbox{
				V: events.Version, ID: events.ResultID(w.CallID), UserID: w.UserID,
				ConversationID: w.ConversationID, Time: time.Now().UTC(), Command: res,
			})
			if err != nil {
				b.t.Error(err)
			}
			if err := d.Ack(); err != nil {
				b.t.Error(err)
			}
		})
		if err != nil {
			b.t.Error(err)
		}
	}()
	b.t.Cleanup(func() { cancel(); <-done })
}

func TestCancelCutsTheModelAndKeepsTheText(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"one ", "two"}, Gate: gate}
	})
	b.start()
	r := ref(t, "ana", "c1")
	deltas := make(chan struct{}, 8)
	unsubscribe, err := b.log.Subscribe(r.Delta(), func(*nats.Msg) { deltas <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	b.send(r, "m1", events.Message{Text: "count"})
	<-deltas
	run := events.RunIDFor("ana", "c1", "m1")
	begun := time.Now()
	b.send(r, "x1", events.Cancel{RunID: run})
	c := b.wait(r, ended)
	if got := c.Run(run); got.Status != events.Cancelled || got.Receipt.Text != "one " || got.Answer() != "one " {
		t.Errorf("run = %+v", got)
	}
	// What was cut is paid for, too: nobody sent its numbers.
	if u := c.Run(run).Usage; u.InputTokens == 0 || u.OutputTokens != 1 || !u.Estimated {
		t.Errorf("usage %+v", u)
	}
	<-b.model.Cut()
	if d := time.Since(begun); d > agentWait/4 {
		t.Errorf("the stop took %v: it came by renewal, not by signal", d)
	}
}
