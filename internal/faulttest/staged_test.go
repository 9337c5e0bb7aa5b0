//go:build faults

package faulttest

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// A staging tells the story of a death that something must precede.
type staging func(w *world, at fault.Point, pass int)

// staged are deaths of processes that others have died, stopped or forgotten before.
var staged = []struct {
	point fault.Point
	pass  int
	stage staging
}{
	{fault.FireBefore, 1, forgotten}, // the longest first
	{fault.FireAfter, 1, forgotten},
	{fault.RevokeBefore, 1, revoking},
	{fault.RevokeAfter, 1, revoking},
	{fault.AnswerBefore, 1, revoking},
	{fault.CommitAfter, 3, stopping},
	{fault.WorkBefore, 2, stopping},
	{fault.WorkAfter, 2, stopping},
	{fault.NakBefore, 1, answerGivenBack},
	{fault.NakAfter, 1, answerGivenBack},
	{fault.NakBefore, 1, callGivenBack},
	{fault.NakAfter, 1, callGivenBack},
}

// brief starts a role that is given no time to finish, and will die at a point.
func (w *world) brief(role string, at fault.Point, k int) *process {
	w.t.Helper()
	p := w.launch(role, []string{fmt.Sprintf("PARLEY_FAULT=%s:%d", at, k)}, "--grace", "100ms")
	p.mortal = true
	return p
}

// stopping has the only agentworker die when a run is stopped whose call is out,
// and nobody has taken the call up.
func stopping(w *world, at fault.Point, pass int) {
	w.start("edge")
	w.start("recorder")
	p := w.doom("agentworker", at, pass)
	r, c := calling(w)
	r.send("cancel", map[string]any{"conversation_id": c.conv, "run_id": c.run})
	p.died(at, pass)
	w.start("agentworker")
	w.start("toolworker")
}

// revoking has a toolworker die at the revoke of a call that is out: the one that
// has the call died before, and the call is not given to another until then.
func revoking(w *world, at fault.Point, pass int) {
	for _, role := range []string{"edge", "recorder", "agentworker"} {
		w.start(role)
	}
	w.toolWait(worldEnd)
	first := w.doom("toolworker", fault.LedgerBefore, 1)
	r, c := calling(w)
	first.died(fault.LedgerBefore, 1)
	r.send("cancel", map[string]any{"conversation_id": c.conv, "run_id": c.run})
	r.until("the stop", func() bool { return r.run(c).Stop != nil })
	w.doom("toolworker", at, pass).died(at, pass)
	w.toolWait(ackWait)
	w.start("toolworker")
}

// toolWait sets how long the death of a toolworker goes unnoticed.
func (w *world) toolWait(d time.Duration) {
	w.t.Helper()
	c, err := w.js.Consumer(w.ctx, events.StreamWork, eventlog.ToolConsumer("tasks"))
	if err != nil {
		w.t.Fatal(err)
	}
	config := c.CachedInfo().Config
	config.AckWait = d
	if _, err := w.js.UpdateConsumer(w.ctx, events.StreamWork, config); err != nil {
		w.t.Fatal(err)
	}
}

// answerGivenBack tells an agentworker to stop in the middle of an answer, and has
// it die when it gives the answer back.
func answerGivenBack(w *world, at fault.Point, pass int) {
	for _, role := range roles[:3] {
		w.start(role)
	}
	p := w.brief("agentworker", at, pass)
	r := w.reader("ana", 0)
	c := r.accepted("", "slowly please")
	w.let(1)
	r.until("text", func() bool { return r.shown(c) != "" })
	p.signal(syscall.SIGTERM)
	p.died(at, pass)
	w.start("agentworker")
	close(w.model.gate)
}

// callGivenBack tells a toolworker to stop in the middle of a call, and has it die
// when it gives the call back.
func callGivenBack(w *world, at fault.Point, pass int) {
	for _, role := range []string{"edge", "recorder", "agentworker"} {
		w.start(role)
	}
	tx, err := w.pool.Begin(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(w.ctx)) }() // what has ended is an error
	if _, err := tx.Exec(w.ctx, `LOCK TABLE task_owner IN EXCLUSIVE MODE`); err != nil {
		w.t.Fatal(err)
	}
	p := w.brief("toolworker", at, pass)
	calling(w)
	if !w.eventually(time.Minute, func() bool {
		var waits bool
		err := w.pool.QueryRow(w.ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'task_owner'::regclass AND NOT granted)`).Scan(&waits)
		return err == nil && waits
	}) {
		w.t.Fatal("no call waits for its turn")
	}
	p.signal(syscall.SIGTERM)
	p.died(at, pass)
	if err := tx.Rollback(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	w.start("toolworker")
}

// forgotten has a stopped run of which NATS has forgotten everything but the log:
// its timer, and the revoke of its call. Nothing but a recorder that looks brings
// it to its end, and that one dies.
func forgotten(w *world, at fault.Point, pass int) {
	run, call := w.orphan()
	archived := func() bool {
		var n int
		err := w.pool.QueryRow(w.ctx, `SELECT count(*) FROM run WHERE run_id = $1 AND status = 'cancelling'`, run).Scan(&n)
		return err == nil && n == 1
	}
	// The first recorder may look before or after it has recorded the run, and tells nobody.
	first := w.doom("recorder", fault.FireBefore, 1)
	if !w.eventually(time.Minute, archived) {
		w.t.Fatal("the run is not archived")
	}
	first.kill()
	w.doom("recorder", at, pass).died(at, pass)
	var rows int
	if err := w.pool.QueryRow(w.ctx, `SELECT count(*) FROM tool_call WHERE call_id = $1`, call).Scan(&rows); err != nil || rows > 0 {
		w.t.Fatalf("somebody has taken the call up: %d rows (%v)", rows, err)
	}
	for _, role := range roles {
		w.start(role)
	}
}

// orphan stores a run that is stopped, has a call out, and is an hour past its deadline.
func (w *world) orphan() (events.RunID, events.CallID) {
	w.t.Helper()
	log, err := eventlog.Open(w.ctx, w.nc, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	run := events.RunIDFor("ana", "c1", "m1")
	call := events.CallIDFor(run, 1, 0)
	args := jsontext.Value(`{"title":"milk"}`)
	then := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)
	var last uint64
	for i, list := range [][]events.Event{
		{
			events.MessageAccepted{MessageID: "m1", RunID: run, Text: "add milk"},
			events.RunStarted{RunID: run, MessageID: "m1", Model: "scripted", Deadline: then},
			events.StepStarted{RunID: run, Step: 1, Attempt: 1, Lease: events.Lease{Stream: events.StreamInbox, Sequence: 1, Delivery: 1}, Worker: "gone"},
		},
		{
			events.StepCompleted{
				RunID: run, Step: 1, Attempt: 1, FinishReason: "tool_calls",
				ToolCalls: []events.ToolCall{{CallID: call, Name: "add_task", Arguments: args}},
			},
			events.ToolCalled{CallID: call, RunID: run, Server: "tasks", Name: "add_task", Arguments: args, By: events.ByModel, Deadline: then},
		},
		{events.RunCancelRequested{RunID: run, By: events.ByUser, Why: events.WhyUser}},
	} {
		k := &events.Commit{
			V: events.Version, ConversationID: "c1", UserID: "ana", N: uint64(i + 1), CommitID: fmt.Sprintf("c1:%d", i+1),
			Cause: fmt.Sprintf("m%d", i+1), By: events.ByUser, Time: then.Add(-time.Hour), Events: list,
		}
		if last, err = log.Append(w.ctx, k, last); err != nil {
			w.t.Fatal(err)
		}
	}
	return run, call
}
