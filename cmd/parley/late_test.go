package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
	"github.com/parleychat/parley/recorder"
	"github.com/parleychat/parley/toolworker"
	"github.com/parleychat/parley/toolworker/tasks"
)

// A lateWorld has roles in one process, with deadlines of seconds.
type lateWorld struct {
	t     *testing.T
	nats  *testkit.NATSServer
	log   *eventlog.Log
	js    jetstream.JetStream
	store *readmodel.Store
	model string
}

// run runs a role until the test ends or stop is called.
func (w *lateWorld) run(r role) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(stop)
	return stop
}

// agent runs an agentworker on a connection of its own.
func (w *lateWorld) agent() (nc *nats.Conn, stop func()) {
	w.t.Helper()
	nc = w.nats.Connect(w.t)
	log, err := eventlog.Open(testkit.Context(w.t), nc, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := openai.New(openai.Options{BaseURL: w.model, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := agentworker.New(agentworker.Options{
		Log: log, Archive: w.store, Model: client, NoTitles: true, Grace: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Rules: agentworker.Rules{Model: "scripted", Tools: tasks.Tools(), Limits: agentworker.Limits{WorkingTime: 3 * time.Second, Late: 300 * time.Millisecond}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return nc, w.run(a)
}

func (w *lateWorld) send(r events.Ref, id, text string) {
	w.t.Helper()
	err := w.log.Enqueue(testkit.Context(w.t), &events.Inbox{
		V: events.Version, ID: id, UserID: r.User(), ConversationID: r.Conversation(), Time: time.Now().UTC(), Command: events.Message{Text: text},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// until waits for a conversation to be so, and returns it.
func (w *lateWorld) until(ctx context.Context, r events.Ref, so func(*events.Conversation) bool) (c *events.Conversation) {
	w.t.Helper()
	eventually(ctx, w.t, func(ctx context.Context) error {
		list, err := w.log.History(ctx, w.store, r, 0)
		if err != nil {
			return err
		}
		c = events.NewConversation(r)
		for _, s := range list {
			if err := c.Apply(s.Commit); err != nil {
				return err
			}
		}
		if !so(c) {
			return fmt.Errorf("%s is not so after %d commits", r.Conversation(), c.N)
		}
		return nil
	})
	return c
}

// What NATS forgets, the recorder remembers: a run whose timer is gone, and with it
// the message that is the lease of its model call, or its tool call and the answer
// that would bring it up, ends after its deadline, with a receipt, and the message
// that waits behind it is answered. Nobody cancels anything.
func TestForgottenRunsEndAtTheirDeadline(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	w := &lateWorld{t: t, nats: testkit.StartNATS(t)}
	db := testkit.Postgres(t)
	w.model = testkit.NewModel(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		switch text, _ := said(req); {
		case strings.HasPrefix(text, "long"):
			return testkit.ModelReply{Text: []string{"never"}, Gate: make(chan struct{})}
		case strings.HasPrefix(text, "task"):
			return testkit.ModelReply{Calls: [][2]string{{"add_task", `{"title":"milk"}`}}}
		}
		return testkit.ModelReply{Text: []string{"hello"}}
	}).URL
	nc := w.nats.Connect(t)
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{AgentAckWait: time.Second, ToolAckWait: time.Second}); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.log, err = eventlog.Open(ctx, nc, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if w.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	if w.store, err = readmodel.Open(ctx, db.AppURL, readmodel.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.store.Close)
	rec, err := recorder.New(recorder.Options{Log: w.log, Store: w.store, Late: 500 * time.Millisecond, LookEvery: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w.run(rec)

	refs := map[string]events.Ref{}
	for _, c := range []events.ConversationID{"model", "call"} {
		if refs[string(c)], err = events.NewRef("ana", c); err != nil {
			t.Fatal(err)
		}
	}
	dying, stop := w.agent()
	w.send(refs["model"], "m1", "long")
	w.send(refs["call"], "m3", "task")
	w.until(ctx, refs["model"], func(c *events.Conversation) bool { return c.Active() != nil && c.Active().Streaming })
	w.send(refs["model"], "m2", "and then")
	w.until(ctx, refs["model"], func(c *events.Conversation) bool { return len(c.Runs) == 2 })
	w.until(ctx, refs["call"], func(c *events.Conversation) bool {
		return c.Active() != nil && c.Active().Count(events.CallRunning) == 1
	})
	dying.Close() // it can neither hand over nor give back
	stop()
	for _, name := range []string{events.StreamInbox, events.StreamTimer, events.StreamWork} {
		s, err := w.js.Stream(ctx, name)
		if err == nil {
			err = s.Purge(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.agent()
	tool, err := toolworker.New(toolworker.Options{Log: w.log, Pool: w.store.Pool(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.run(tool)

	for name, r := range refs {
		c := w.until(ctx, r, func(c *events.Conversation) bool { return c.Active() == nil })
		run := c.Runs[0]
		if run.Status != events.Failed || run.Error.Code != string(events.WhyDeadline) || run.Receipt == nil {
			t.Errorf("%s: %s, %+v, receipt %+v", name, run.Status, run.Error, run.Receipt)
		}
		switch name {
		case "model":
			if next := c.Runs[1]; next.Status != events.Completed || next.Answer() != "hello" {
				t.Errorf("the next message: %s with %q", next.Status, next.Answer())
			}
		case "call":
			if rec := run.Receipt; len(rec.NotRun) != 1 || len(rec.Ran) != 0 {
				t.Errorf("receipt %+v", rec)
			}
		}
	}
	var rows int
	if err := db.Owner(t).QueryRow(ctx, `SELECT count(*) FROM task`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d tasks of a call that never ran: %v", rows, err)
	}
}
