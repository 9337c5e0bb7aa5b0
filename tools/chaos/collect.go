package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
)

// queues are the streams that are empty when nothing is left to do.
var queues = []string{events.StreamInbox, events.StreamWork}

// quiet waits until every queue is empty and the recorder has reached the end
// of the log. It gives up when nothing has moved for as long as patience, or
// after ten times that, and then says what was left.
func (w *world) quiet(ctx context.Context, patience time.Duration) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, 10*patience)
	defer cancel()
	open, seen, moved := "nothing could be looked at", progress{}, time.Now()
	for still := 0; still < 3; {
		// A question or its answer may be lost while leaders change.
		actx, stop := context.WithTimeout(ctx, 3*time.Second)
		what, now, err := w.unfinished(actx)
		stop()
		switch {
		case err != nil:
			open, still = err.Error(), 0
		case what != "":
			open, still = what, 0
		default:
			still++
		}
		now.asked = w.model.busy()
		if err == nil && now != seen {
			seen, moved = now, time.Now()
		}
		if time.Since(moved) > patience || !pause(ctx, 300*time.Millisecond) {
			return false, open
		}
	}
	return true, ""
}

// progress is what moves while there is something to do.
type progress struct {
	seq      uint64 // of the newest commit
	recorded int64
	asked    int // pieces that the model has written
}

// unfinished names something that is still to be done, or "".
func (w *world) unfinished(ctx context.Context) (string, progress, error) {
	var now progress
	log, err := w.js.Stream(ctx, events.StreamLog)
	if err != nil {
		return "", now, fmt.Errorf("look at LOG: %w", err)
	}
	now.seq = log.CachedInfo().State.LastSeq
	pool, err := w.database(ctx)
	if err != nil {
		return "", now, err
	}
	if err := pool.QueryRow(ctx, `SELECT seq FROM checkpoint WHERE stream = $1`, events.StreamLog).Scan(&now.recorded); err != nil {
		return "", now, fmt.Errorf("look at the checkpoint: %w", err)
	}
	for _, name := range queues {
		n, _, err := w.open(ctx, name)
		if err != nil {
			return "", now, fmt.Errorf("look at %s: %w", name, err)
		}
		if n > 0 {
			return fmt.Sprintf("%s has %d messages that nobody has acknowledged", name, n), now, nil
		}
	}
	timers, err := w.js.Consumer(ctx, events.StreamTimer, eventlog.ConsumerTimers)
	if err != nil {
		return "", now, fmt.Errorf("look at the timers: %w", err)
	}
	if i := timers.CachedInfo(); i.NumPending+uint64(i.NumAckPending) > 0 {
		return "timers have fired and are not handled", now, nil
	}
	if uint64(now.recorded) < now.seq {
		return fmt.Sprintf("the recorder is at %d of %d", now.recorded, now.seq), now, nil
	}
	return "", now, nil
}

// open counts the messages of a work queue that nobody has acknowledged, and those
// that lie in it although they were. A server that is killed may bring whole blocks
// of the latter back (nats-server 2.15.2: the mark of a removal is lost with the
// file that it was written to); their consumers, which are past them, know better,
// and whether they were handled is told by the log, not by the queue.
func (w *world) open(ctx context.Context, name string) (open, returned uint64, err error) {
	s, err := w.js.Stream(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	consumers := s.ListConsumers(ctx)
	for i := range consumers.Info() {
		open += i.NumPending + uint64(i.NumAckPending)
	}
	if err := consumers.Err(); err != nil {
		return 0, 0, err
	}
	if all := s.CachedInfo().State.Msgs; all > open {
		returned = all - open
	}
	return open, returned, nil
}

// database connects as the owner, who sees everybody's rows.
func (w *world) database(ctx context.Context) (*pgxpool.Pool, error) {
	if w.pool != nil {
		return w.pool, nil
	}
	pool, err := pgxpool.New(context.WithoutCancel(ctx), w.pg.OwnerURL())
	if err != nil {
		return nil, fmt.Errorf("look into Postgres: %w", err)
	}
	w.pool = pool
	return pool, nil
}

// collect reads what NATS, Postgres and the model have.
func (w *world) collect(ctx context.Context) (*evidence, error) {
	e := &evidence{
		Log: map[place][]logged{}, Archive: map[place][]archived{}, Conversations: map[place]conversationRow{},
		RunBodies: map[runPlace]string{}, Queues: map[string]uint64{}, Model: w.model.log(), Canaries: map[events.UserID]string{},
	}
	if err := w.collectLog(ctx, e); err != nil {
		return nil, err
	}
	for _, name := range queues {
		n, returned, err := w.open(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("collect %s: %w", name, err)
		}
		e.Queues[name], e.Returned = n, e.Returned+returned
	}
	pool, err := w.database(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range []func(context.Context, *pgxpool.Pool, *evidence) error{
		collectArchive, collectReadModels, collectLedger, collectTasks,
	} {
		if err := f(ctx, pool, e); err != nil {
			return nil, fmt.Errorf("collect: %w", err)
		}
	}
	for _, p := range w.procs {
		line, err := p.panicked()
		if err != nil {
			return nil, err
		}
		if line != "" {
			e.Panics = append(e.Panics, p.name+": "+line)
		}
	}
	return e, nil
}

// all calls f for each message of a stream, in order.
func (w *world) all(ctx context.Context, stream string, f func(jetstream.Msg, *jetstream.MsgMetadata)) error {
	s, err := w.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("collect %s: %w", stream, err)
	}
	left := s.CachedInfo().State.Msgs
	if left == 0 {
		return nil
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return fmt.Errorf("collect %s: %w", stream, err)
	}
	it, err := c.Messages()
	if err != nil {
		return fmt.Errorf("collect %s: %w", stream, err)
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Stop)()
	for left > 0 {
		m, err := it.Next()
		if err != nil {
			return fmt.Errorf("collect %s: %w", stream, errors.Join(err, context.Cause(ctx)))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("collect %s: %w", stream, err)
		}
		f(m, meta)
		left = meta.NumPending
	}
	return nil
}

func (w *world) collectLog(ctx context.Context, e *evidence) error {
	err := w.all(ctx, events.StreamLog, func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		l := logged{Seq: meta.Sequence.Stream, Raw: string(m.Data()), Stored: meta.Timestamp}
		at := place{"", events.ConversationID(m.Subject())}
		if c, err := events.DecodeCommit(m.Data()); err == nil {
			l.Commit, at = c, place{c.UserID, c.ConversationID}
			if ref, err := c.Ref(); err != nil || ref.Log() != m.Subject() {
				l.Commit, at = nil, place{"", events.ConversationID(m.Subject())}
			}
		}
		e.Log[at] = append(e.Log[at], l)
	})
	if err != nil {
		return err
	}
	e.Timers = map[string]bool{}
	timers, err := w.js.Stream(ctx, events.StreamTimer)
	if err != nil {
		return fmt.Errorf("collect TIMER: %w", err)
	}
	info, err := timers.Info(ctx, jetstream.WithSubjectFilter("timer.at.>"))
	if err != nil {
		return fmt.Errorf("collect TIMER: %w", err)
	}
	e.TimersAt = time.Now() // what fired until now is not there, and need not be
	for subject := range info.State.Subjects {
		e.Timers[subject[strings.LastIndexByte(subject, '.')+1:]] = true
	}
	return w.all(ctx, events.StreamDLQ, func(m jetstream.Msg, _ *jetstream.MsgMetadata) {
		h := m.Headers()
		e.Dead = append(e.Dead, fmt.Sprintf("%s %s of %s: %s", h.Get(events.HeaderCommand), h.Get(events.HeaderID), h.Get(events.HeaderUser), h.Get("Parley-Reason")))
	})
}

func each(ctx context.Context, pool *pgxpool.Pool, query string, dest []any, row func()) error {
	rows, err := pool.Query(ctx, query)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, dest, func() error { row(); return nil })
	return err
}

func collectArchive(ctx context.Context, pool *pgxpool.Pool, e *evidence) error {
	var at place
	var n int64
	var hash, payload, salt []byte
	err := each(ctx, pool, `SELECT a.user_id, a.conversation_id, a.n, a.hash, p.payload, p.salt
		FROM archive a LEFT JOIN archive_payload p USING (user_id, conversation_id, n) ORDER BY 1, 2, 3`,
		[]any{&at.User, &at.Conversation, &n, &hash, &payload, &salt}, func() {
			sum := sha256.Sum256(append(append([]byte(nil), salt...), payload...))
			e.Archive[at] = append(e.Archive[at], archived{uint64(n), string(payload), string(sum[:]) == string(hash), payload != nil})
		})
	if err != nil {
		return err
	}
	return pool.QueryRow(ctx, `SELECT count(*) FROM archive_rejected`).Scan(&e.Rejected)
}

func collectReadModels(ctx context.Context, pool *pgxpool.Pool, e *evidence) error {
	var at place
	var n int64
	var body []byte
	err := each(ctx, pool, `SELECT user_id, conversation_id, n, body FROM conversation`, []any{&at.User, &at.Conversation, &n, &body}, func() {
		e.Conversations[at] = conversationRow{uint64(n), string(body)}
	})
	if err != nil {
		return err
	}
	var run events.RunID
	return each(ctx, pool, `SELECT user_id, conversation_id, run_id, body FROM run`, []any{&at.User, &at.Conversation, &run, &body}, func() {
		e.RunBodies[runPlace{at, run}] = string(body)
	})
}

func collectLedger(ctx context.Context, pool *pgxpool.Pool, e *evidence) error {
	var l ledgerRow
	var result []byte
	return each(ctx, pool, `SELECT user_id, call_id, conversation_id, coalesce(run_id, ''), name, state, coalesce(ok, false), result, coalesce(error_code, '') FROM tool_call`,
		[]any{&l.User, &l.Call, &l.Conversation, &l.Run, &l.Name, &l.State, &l.OK, &result, &l.ErrorCode}, func() {
			l.Result = string(result)
			e.Ledger = append(e.Ledger, l)
		})
}

func collectTasks(ctx context.Context, pool *pgxpool.Pool, e *evidence) error {
	var h historyRow
	err := each(ctx, pool, `SELECT user_id, task_rev, task_id, tool, call_id, coalesce(run_id, ''), at, row::text FROM task_history ORDER BY 1, 2`,
		[]any{&h.User, &h.Rev, &h.TaskID, &h.Tool, &h.Call, &h.Run, &h.At, &h.Row}, func() { e.History = append(e.History, h) })
	if err != nil {
		return err
	}
	var t taskRow
	return each(ctx, pool, `SELECT user_id, task_id, task_rev, title, status, deleted FROM task ORDER BY 1, 2`,
		[]any{&t.User, &t.TaskID, &t.Rev, &t.Title, &t.Status, &t.Deleted}, func() { e.Tasks = append(e.Tasks, t) })
}
