// Package ledger is the book of tool calls: one row per call id, written in the
// transaction of the call's effect.
//
// Every answer about a call is first a row here, refusals too. Whoever inserts
// the row decides what becomes of the call: the tool ([Take], then [Tx.Finish])
// or a revocation ([Refuse]). Whoever comes second gets the first one's answer,
// byte for byte. So a call has at most one effect, and a stop learns the truth
// from one row.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// stuck bounds each statement, and each pause between two, below the AckWait of
// tool workers: a stuck transaction, also one whose process was stopped in its
// middle, gives its rows back before its call is delivered again.
const stuck = "10s"

// ErrArguments reports a call id that was used with another tool or other arguments.
var ErrArguments = errors.New("call id was used with other arguments")

// A Call names a tool call as the ledger knows it.
type Call struct {
	UserID         events.UserID
	CallID         events.CallID
	Server         string
	Name           string
	Arguments      jsontext.Value
	By             events.By
	ConversationID events.ConversationID
	RunID          events.RunID // empty for a call made by hand
	// Deadline is the time after which the call must not take effect; zero means none.
	Deadline time.Time
}

// An Answer is what became of a call.
type Answer struct {
	OK         bool
	Result     jsontext.Value
	Error      *events.ToolError
	DurationMS int64
}

// A Tx is a transaction that holds a call's row.
type Tx struct {
	pgx.Tx
	call  Call
	begun time.Time
}

// Take inserts the row of c in a new transaction. If the row is there already,
// it returns its answer instead of a transaction, or ErrArguments. A concurrent
// holder of the row is waited for. The caller must end the transaction with
// [Tx.Finish] or [Tx.Rollback].
func Take(ctx context.Context, pool *pgxpool.Pool, c Call) (*Tx, *Answer, error) {
	fault.At(fault.LedgerBefore)
	tx, err := pool.Begin(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("take call: %w", err)
	}
	won, err := insert(ctx, tx, c, "intent", events.CallHash(c.Server, c.Name, c.Arguments), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("take call: %w", errors.Join(err, rollback(ctx, tx)))
	}
	if won {
		fault.At(fault.EffectBefore)
		return &Tx{Tx: tx, call: c, begun: time.Now()}, nil, nil
	}
	a, err := read(ctx, tx, c, true)
	if err := errors.Join(err, rollback(ctx, tx)); err != nil {
		return nil, nil, fmt.Errorf("take call: %w", err)
	}
	return nil, a, nil
}

// Finish stores the answer and commits. If the deadline has passed meanwhile,
// effect and answer are undone and the call is refused instead.
func (t *Tx) Finish(ctx context.Context, pool *pgxpool.Pool, a Answer, now time.Time) (*Answer, error) {
	if late(t.call, now) {
		if err := rollback(ctx, t.Tx); err != nil {
			return nil, err
		}
		return Refuse(ctx, pool, t.call, DeadlinePassed())
	}
	a.DurationMS = time.Since(t.begun).Milliseconds()
	var code, message *string
	if a.Error != nil {
		code, message = &a.Error.Code, &a.Error.Message
	}
	if fault.Planted(fault.EffectOutside) {
		if err := t.commitEffect(ctx, pool); err != nil {
			return nil, err
		}
	}
	_, err := t.Exec(ctx, `UPDATE tool_call SET state = 'done', ok = $3, result = $4, error_code = $5, error_message = $6, duration_ms = $7
		WHERE user_id = $1 AND call_id = $2`, t.call.UserID, t.call.CallID, a.OK, []byte(a.Result), code, message, a.DurationMS)
	if err == nil {
		fault.At(fault.ToolCommitBefore)
		err = t.Commit(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("finish call: %w", errors.Join(err, rollback(ctx, t.Tx)))
	}
	fault.At(fault.ToolCommitAfter)
	return &a, nil
}

// commitEffect commits what t holds without its row, which goes into a
// transaction of its own: a planted bug.
func (t *Tx) commitEffect(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := t.Exec(ctx, `DELETE FROM tool_call WHERE user_id = $1 AND call_id = $2`, t.call.UserID, t.call.CallID)
	if err == nil {
		err = t.Commit(ctx)
	}
	if err == nil {
		t.Tx, err = pool.Begin(ctx)
	}
	if err == nil {
		_, err = insert(ctx, t.Tx, t.call, "intent", events.CallHash(t.call.Server, t.call.Name, t.call.Arguments), nil)
	}
	return err
}

// late reports whether c's deadline has passed.
func late(c Call, now time.Time) bool { return !c.Deadline.IsZero() && !now.Before(c.Deadline) }

// DeadlinePassed is the refusal of a call that comes too late.
func DeadlinePassed() events.ToolError {
	return events.ToolError{Code: events.ToolDeadline, Message: "The time for this call was over before it ran. It had no effect."}
}

// Revoked is the refusal of a call whose run was stopped.
func Revoked() events.ToolError {
	return events.ToolError{Code: events.ToolRevoked, Message: "The answer was stopped before this call ran. It had no effect."}
}

// Refuse takes the call's row so that the call can never run, with why as its
// answer. If the call was there first, its real answer is returned. A refusal
// matches any arguments: the call that it overtook may still arrive.
func Refuse(ctx context.Context, pool *pgxpool.Pool, c Call, why events.ToolError) (*Answer, error) {
	var a *Answer
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		won, err := insert(ctx, tx, c, "revoked", nil, &why)
		if err != nil {
			return err
		}
		if won {
			fault.At(fault.RevokeBefore)
			a = &Answer{Error: &why}
			return nil
		}
		a, err = read(ctx, tx, c, false)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("refuse call: %w", err)
	}
	fault.At(fault.RevokeAfter)
	return a, nil
}

// insert adds c's row, or waits for and leaves the one that is there.
func insert(ctx context.Context, tx pgx.Tx, c Call, state string, hash []byte, refusal *events.ToolError) (won bool, err error) {
	_, err = tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true)`, stuck)
	if err != nil {
		return false, err
	}
	var run, code, message *string
	if c.RunID != "" {
		s := string(c.RunID)
		run = &s
	}
	var ok *bool
	if refusal != nil {
		code, message, ok = &refusal.Code, &refusal.Message, new(bool)
	}
	tag, err := tx.Exec(ctx, `INSERT INTO tool_call
		(user_id, call_id, server, name, args_hash, by, state, ok, error_code, error_message, conversation_id, run_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
		c.UserID, c.CallID, c.Server, c.Name, hash, c.By, state, ok, code, message, c.ConversationID, run)
	return tag.RowsAffected() == 1, err
}

// read returns the answer that c's row holds.
func read(ctx context.Context, tx pgx.Tx, c Call, compare bool) (*Answer, error) {
	var (
		a             Answer
		ok            *bool
		hash, result  []byte
		code, message *string
	)
	err := tx.QueryRow(ctx, `SELECT args_hash, ok, result, error_code, error_message, duration_ms FROM tool_call
		WHERE user_id = $1 AND call_id = $2`, c.UserID, c.CallID).Scan(&hash, &ok, &result, &code, &message, &a.DurationMS)
	if err != nil {
		return nil, err
	}
	if compare && hash != nil && string(hash) != string(events.CallHash(c.Server, c.Name, c.Arguments)) {
		return nil, ErrArguments
	}
	if ok == nil {
		// An intent that was committed: a foreign tool was called and did not tell.
		a.Error = &events.ToolError{Code: events.ToolOutcomeLost, Message: "The tool was called, but its answer was lost; it may have acted."}
		return &a, nil
	}
	a.OK, a.Result = *ok, result
	if code != nil && message != nil {
		a.Error = &events.ToolError{Code: *code, Message: *message}
	}
	return &a, nil
}

// rollback ends tx whatever became of ctx.
func rollback(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		return err
	}
	return nil
}
