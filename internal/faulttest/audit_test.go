//go:build faults

package faulttest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

// A violation is one way in which a world broke its promise.
type violation struct{ invariant, what string }

// A history is a conversation as the log has it.
type history struct {
	fold    *events.Conversation
	commits []*events.Commit
	raw     [][]byte
}

// An auditor collects what is wrong.
type auditor struct {
	w     *world
	logs  map[events.Ref]*history
	wrong []violation
}

func (a *auditor) blame(invariant, format string, args ...any) {
	a.wrong = append(a.wrong, violation{invariant, fmt.Sprintf(format, args...)})
}

// blame adds what a story itself has found.
func (w *world) blame(invariant, format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, violation{invariant, fmt.Sprintf(format, a...)})
}

// look returns what is wrong at the moment.
func (w *world) look() []violation {
	a := &auditor{w: w, logs: map[events.Ref]*history{}}
	a.audit()
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(a.wrong, w.found...)
}

// settled waits until nothing is under way and nothing is wrong.
func (w *world) settled() {
	w.t.Helper()
	var wrong []violation
	if w.eventually(time.Minute, func() bool {
		wrong = w.look()
		return len(wrong) == 0
	}) {
		return
	}
	for _, v := range wrong {
		w.t.Errorf("%s: %s", v.invariant, v.what)
	}
}

// broken returns what is wrong when everybody has had the time to recover. What
// no recovery mends need not be waited for.
func (w *world) broken(invariant string) (wrong []violation) {
	w.t.Helper()
	patience, looks := 3*ackWait, 0
	switch invariant {
	case "I2", "I4", "I5", "I7", "I8":
		looks = 5 // and not one, for the log goes on while it is read
	case "I6":
		patience = 8 * ackWait // a recorder's lease takes longer
	}
	seen := 0
	w.eventually(patience, func() bool {
		wrong = w.look()
		if !slices.ContainsFunc(wrong, func(v violation) bool { return v.invariant == invariant }) {
			seen = 0
			return false
		}
		seen++
		return seen == looks
	})
	if err := context.Cause(w.ctx); err != nil {
		w.t.Fatalf("%v; so far: %v", err, wrong)
	}
	return wrong
}

func (a *auditor) audit() {
	a.readLog()
	a.runs()
	a.calls()
	a.archive()
	a.queues()
	a.people()
}

// readLog folds every conversation: its numbers must have no gap and no twin.
func (a *auditor) readLog() {
	list, err := a.w.messages(events.StreamLog)
	if err != nil {
		a.blame("I4", "the log cannot be read: %v", err)
	}
	for _, m := range list {
		k, err := events.DecodeCommit(m.Data)
		if err != nil {
			a.blame("I4", "%v", err)
			continue
		}
		ref, err := k.Ref()
		if err != nil || ref.Log() != m.Subject {
			a.blame("I4", "commit of %s on %s (%v)", k.ConversationID, m.Subject, err)
			continue
		}
		h := a.logs[ref]
		if h == nil {
			h = &history{fold: events.NewConversation(ref)}
			a.logs[ref] = h
		}
		if err := h.fold.Apply(k); err != nil {
			a.blame("I4", "%s: %d after %d: %v", k.ConversationID, k.N, h.fold.N, err)
			continue
		}
		h.commits, h.raw = append(h.commits, k), append(h.raw, m.Data)
	}
}

// runs demands one end for each message, nothing after it, and texts that the
// model has said.
func (a *auditor) runs() {
	for _, h := range a.logs {
		ends := map[events.RunID]int{}
		end := func(id events.RunID) {
			if ends[id]++; ends[id] > 1 {
				a.blame("I1", "run %s ended twice", id)
			}
		}
		alive := func(id events.RunID, what string) {
			if ends[id] > 0 {
				a.blame("I5", "%s of run %s after its end", what, id)
			}
		}
		for _, k := range h.commits {
			for _, e := range k.Events {
				switch e := e.(type) {
				case events.RunCompleted:
					end(e.RunID)
				case events.RunFailed:
					end(e.RunID)
					a.blame("I1", "run %s failed, though the model answers: %s", e.RunID, e.Code)
				case events.RunCancelled:
					end(e.RunID)
					if !a.w.model.said(e.Receipt.Text, true) {
						a.blame("I3", "the receipt of %s has a text that nobody said", e.RunID)
					}
				case events.StepStarted:
					alive(e.RunID, "a step")
				case events.StepCompleted:
					alive(e.RunID, "an answer")
					if len(e.ToolCalls) == 0 && !a.w.model.said(e.Text, false) {
						a.blame("I3", "step %d of %s has a text that the model did not say: %q", e.Step, e.RunID, e.Text)
					}
				case events.ToolCalled:
					if e.RunID != "" {
						alive(e.RunID, "a call")
					}
				}
			}
		}
		for _, run := range h.fold.Runs {
			if !run.Status.Over() {
				a.blame("I1", "run %s is %s and will stay so", run.RunID, run.Status)
			}
		}
	}
}

// calls compares the log with ledger and tasks: one row for each answer, one
// effect for each success, none for a refusal, and receipts that say the truth.
func (a *auditor) calls() {
	type key struct {
		user events.UserID
		call events.CallID
	}
	type row struct {
		UserID events.UserID
		CallID events.CallID
		State  string
		OK     bool
		Effect int
	}
	rows, err := a.w.pool.Query(a.w.ctx, `SELECT c.user_id, c.call_id, c.state, coalesce(c.ok, false) AS ok,
			(SELECT count(*)::int FROM task_history h WHERE h.user_id = c.user_id AND h.call_id = c.call_id) AS effect
		FROM tool_call c UNION ALL
		SELECT user_id, call_id, 'none', false, count(*)::int FROM task_history h
		WHERE NOT EXISTS (SELECT FROM tool_call c WHERE c.user_id = h.user_id AND c.call_id = h.call_id) GROUP BY 1, 2`)
	var list []row
	if err == nil {
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	}
	if err != nil {
		a.blame("I2", "the ledger cannot be read: %v", err)
		return
	}
	ledger := map[key]row{}
	for _, r := range list {
		ledger[key{r.UserID, r.CallID}] = r
	}
	said, returned := map[key]bool{}, map[key]bool{}
	for ref, h := range a.logs {
		for _, k := range h.commits {
			for _, e := range k.Events {
				switch e := e.(type) {
				case events.ToolCalled:
					said[key{ref.User(), e.CallID}] = true
				case events.ToolReturned:
					if returned[key{ref.User(), e.CallID}] {
						a.blame("I2", "call %s returned twice", e.CallID)
					}
					returned[key{ref.User(), e.CallID}] = true
					r := ledger[key{ref.User(), e.CallID}]
					switch {
					case r.State != "done" && r.State != "revoked" || r.OK != e.OK:
						a.blame("I2", "call %s returned ok = %v, the ledger has %q, ok = %v", e.CallID, e.OK, r.State, r.OK)
					case e.OK && r.Effect != 1, !e.OK && r.Effect != 0:
						a.blame("I2", "call %s returned ok = %v and has %d effects", e.CallID, e.OK, r.Effect)
					}
				case events.RunCancelled:
					for _, id := range e.Receipt.Ran {
						if ledger[key{ref.User(), id}].Effect != 1 {
							a.blame("I5", "the receipt of %s says that %s ran", e.RunID, id)
						}
					}
					for _, id := range e.Receipt.NotRun {
						if ledger[key{ref.User(), id}].Effect != 0 {
							a.blame("I5", "the receipt of %s says that %s did not run", e.RunID, id)
						}
					}
				}
			}
		}
		for _, run := range h.fold.Runs {
			for _, c := range run.Calls {
				if run.Status.Over() && c.ReturnedAt.IsZero() && (run.Receipt == nil || !slices.Contains(run.Receipt.NotRun, c.CallID)) {
					a.blame("I5", "call %s of run %s never returned", c.CallID, run.RunID)
				}
			}
		}
	}
	for k, r := range ledger {
		if r.Effect > 0 && !said[k] {
			a.blame("I2", "%d effects of call %s, which nobody made", r.Effect, k.call)
		}
	}
}

// archive demands every commit in Postgres, byte for byte, and the rows that follow from them.
func (a *auditor) archive() {
	var rejected int
	if err := a.w.pool.QueryRow(a.w.ctx, `SELECT count(*) FROM archive_rejected`).Scan(&rejected); err != nil || rejected > 0 {
		a.blame("I6", "%d commits rejected (%v)", rejected, err)
	}
	for ref, h := range a.logs {
		list, err := a.w.store.Commits(a.w.ctx, ref, 0, h.fold.N+1)
		if err != nil || len(list) != len(h.raw) {
			a.blame("I6", "%s: %d commits in the log, %d in the archive (%v)", ref.Conversation(), len(h.raw), len(list), err)
			continue
		}
		for i := range list {
			if !bytes.Equal(list[i], h.raw[i]) {
				a.blame("I6", "%s: commit %d is another one in the archive", ref.Conversation(), i+1)
			}
		}
		base, err := a.w.store.Base(a.w.ctx, ref, 100, "")
		if err != nil || base.N != h.fold.N {
			a.blame("I6", "%s: no rows up to %d (%v)", ref.Conversation(), h.fold.N, err)
			continue
		}
		for _, run := range h.fold.Runs {
			if b := base.Run(run.RunID); b == nil || b.Status != run.Status || b.Answer() != run.Answer() {
				a.blame("I6", "run %s is another one in Postgres", run.RunID)
			}
		}
	}
}

// queues demands that everybody has finished.
func (a *auditor) queues() {
	for _, stream := range []string{events.StreamInbox, events.StreamWork} {
		if n, err := a.w.left(stream); err != nil || n > 0 {
			a.blame("I1", "%d messages left in %s (%v)", n, stream, err)
		}
	}
}

// people compares what was promised and shown with the log.
func (a *auditor) people() {
	for _, r := range a.w.readers {
		r.mu.Lock()
		a.wrong = append(a.wrong, r.wrong...)
		for id, c := range r.commands {
			a.command(r, id, c)
		}
		for conv, v := range r.views {
			ref, err := events.NewRef(r.user, conv)
			if err != nil {
				continue
			}
			h := a.logs[ref]
			if h == nil {
				a.blame("I1", "%s was promised conversation %s, which is not in the log", r.user, conv)
				continue
			}
			if v.fold.N != h.fold.N {
				a.blame("I3", "%s sees %s up to %d of %d", r.user, conv, v.fold.N, h.fold.N)
			}
		}
		for _, m := range r.news {
			a.news(r, m)
		}
		r.mu.Unlock()
	}
}

func (a *auditor) command(r *reader, id string, c *command) {
	uses := 0
	for ref, h := range a.logs {
		for _, k := range h.commits {
			if ref.User() == r.user && k.Cause == id {
				uses++
			}
			for _, e := range k.Events {
				if m, ok := e.(events.MessageAccepted); ok && ref.User() == r.user && string(m.MessageID) == id && k.Cause != id {
					uses++
				}
			}
		}
	}
	switch {
	case c.refused != "" && uses > 0:
		a.blame("I8", "%s: %v was refused (%s) and is in the log", r.user, c.frame["type"], c.refused)
	case c.refused != "" && !c.expected:
		a.blame("I1", "%s: %v was refused: %s", r.user, c.frame["type"], c.refused)
	case c.refused == "" && !c.settled():
		a.blame("I1", "%s: %v got no answer", r.user, c.frame["type"])
	case c.refused == "" && uses == 0 && c.frame["type"] != "cancel": // a run that is over needs no cancel
		a.blame("I1", "%s: %v was accepted and is not in the log", r.user, c.frame["type"])
	}
}

// news must be of what is one's own.
func (a *auditor) news(r *reader, m map[string]any) {
	if conv, ok := m["conversation_id"].(string); ok {
		ref, err := events.NewRef(r.user, events.ConversationID(conv))
		if err != nil || a.logs[ref] == nil {
			a.blame("I7", "%s was told of conversation %s of somebody else", r.user, conv)
		}
	}
	if task, ok := m["task"].(map[string]any); ok {
		mine := false
		err := a.w.pool.QueryRow(a.w.ctx, `SELECT EXISTS (SELECT FROM task WHERE user_id = $1 AND title = $2)`, r.user, task["title"]).Scan(&mine)
		if err != nil || !mine {
			a.blame("I7", "%s was told of a task of somebody else (%v)", r.user, err)
		}
	}
}
