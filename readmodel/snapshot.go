package readmodel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

// A Snapshot is one state of the whole database, for somebody who checks all of
// it. Each table is read in the order of its keys, on a connection of its own,
// and all connections see the same state, while others go on writing.
type Snapshot struct {
	// Positions are how far each stream was recorded in this state.
	Positions []Position
	// Rejected counts what is kept in archive_rejected, by reason.
	Rejected map[string]int

	config *pgx.ConnConfig
	lead   *pgx.Conn // its transaction keeps the state alive
	tx     pgx.Tx
	id     string
}

// snapshotTx begins a transaction that sees one state. A walk may take longer
// than a query of a page is allowed to.
const snapshotTx = `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`

// Snapshot takes a snapshot. The caller must close it. Its connections are apart
// from the pool, ten while [Snapshot.Walk] runs: a pooler that has fewer for us
// would let them wait for each other.
func (s *Store) Snapshot(ctx context.Context) (_ *Snapshot, err error) {
	x := &Snapshot{config: s.pool.Config().ConnConfig, Rejected: map[string]int{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("snapshot: %w", err)
			x.Close(ctx)
		}
	}()
	if x.lead, x.tx, err = x.begin(ctx); err != nil {
		return nil, err
	}
	if err := x.tx.QueryRow(ctx, `SELECT pg_export_snapshot()`).Scan(&x.id); err != nil {
		return nil, err
	}
	rows, err := x.tx.Query(ctx, `SELECT stream, incarnation, seq, commit_id, trimmed FROM checkpoint ORDER BY stream`)
	if err != nil {
		return nil, err
	}
	x.Positions, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (p Position, err error) {
		var seq, trimmed int64
		err = r.Scan(&p.Stream, &p.Incarnation, &seq, &p.CommitID, &trimmed)
		p.Incarnation, p.Seq, p.Trimmed = p.Incarnation.UTC(), count(seq), count(trimmed)
		return p, err
	})
	if err != nil {
		return nil, err
	}
	rows, err = x.tx.Query(ctx, `SELECT reason, count(*)::int FROM archive_rejected GROUP BY reason`)
	if err != nil {
		return nil, err
	}
	var reason string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error { x.Rejected[reason] = n; return nil })
	return x, err
}

func (x *Snapshot) begin(ctx context.Context) (*pgx.Conn, pgx.Tx, error) {
	conn, err := pgx.ConnectConfig(ctx, x.config)
	if err != nil {
		return nil, nil, err
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil && x.id != "" {
		_, err = tx.Exec(ctx, `SET TRANSACTION SNAPSHOT '`+x.id+`'`) // the server's own word: digits and dashes
	}
	if err == nil {
		_, err = tx.Exec(ctx, snapshotTx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, hangUp(ctx, conn))
	}
	return conn, tx, nil
}

// hangUp closes a connection, and with it whatever it was about to send.
func hangUp(ctx context.Context, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return c.Close(ctx)
}

// Close gives the snapshot up.
func (x *Snapshot) Close(ctx context.Context) {
	if x.lead != nil {
		_ = hangUp(ctx, x.lead) // nothing was written
	}
}

// A Part is what a snapshot holds of one conversation: some of its commits in
// the order of n, and with the last of them the rows that were made of it. Ids
// are as they stand in the keys. All of it is valid until [Part.Free].
type Part struct {
	UserID, ConversationID string
	Commits                []Archived
	Last                   bool
	Rows                   Rows
	Calls                  []LedgerRow

	buf []byte
}

// An Archived is a commit as the archive has it.
type Archived struct {
	N int64
	// Enveloped is false for a payload without its row in archive.
	Enveloped           bool
	CommitID, Cause, By []byte
	Types               [][]byte
	Time                time.Time
	Seq                 int64
	Size                int32
	Hash                []byte
	// Payload is nil if it was erased.
	Payload, Salt []byte
}

// Intact reports whether the payload is the one that was archived.
func (a *Archived) Intact() bool { return bytes.Equal(a.Hash, hashOf(a.Salt, a.Payload)) }

// Rows are the read models of a conversation, column by column as Postgres
// sends them.
type Rows struct {
	conversation [][]byte
	runs, words  [][][]byte // run_id first
}

// Count returns how many rows there are.
func (r *Rows) Count() int {
	n := len(r.runs) + len(r.words)
	if r.conversation != nil {
		n++
	}
	return n
}

// A LedgerRow is what the ledger says about a tool call.
type LedgerRow struct {
	CallID, Server, Name, By, State string
	ArgsHash                        []byte // nil: any
	OK                              bool
	Result                          []byte
	ErrorCode, ErrorMessage         string
	DurationMS                      int64
	RunID                           string
}

// A Person is what a snapshot holds of one person's tasks.
type Person struct {
	UserID string
	// Owned is false if task_owner has no row.
	Owned      bool
	NextTaskID int32
	TaskRev    int64
	Tasks      []Task
	History    []HistoryRow // by rev
}

// A HistoryRow is a change of a task, with the number in its own column.
type HistoryRow struct {
	TaskChange

	TaskID int64
}

// Bounds of a part.
const (
	partCommits = 512
	partBytes   = 1 << 20
)

var parts = sync.Pool{New: func() any { return new(Part) }}

// Free lets another walk use the part's memory.
func (p *Part) Free() {
	clear(p.Commits)
	*p = Part{Commits: p.Commits[:0], buf: p.buf[:0]}
	parts.Put(p)
}

// keep copies what the connection will overwrite.
func (p *Part) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	n := len(p.buf)
	p.buf = append(p.buf, b...)
	return p.buf[n:len(p.buf):len(p.buf)]
}

func (p *Part) keepAll(list [][]byte) [][]byte {
	out := make([][]byte, len(list))
	for i, b := range list {
		out[i] = p.keep(b)
	}
	return out
}

// A source is one table, read in the order of its keys.
type source struct {
	conn   *pgx.Conn
	rows   pgx.Rows
	ok     bool
	values [][]byte // of the current row; user first
}

func (x *Snapshot) source(ctx context.Context, sql string) (*source, error) {
	conn, tx, err := x.begin(ctx)
	if err != nil {
		return nil, err
	}
	s := &source{conn: conn}
	// All columns in binary: what is compared is compared as it is sent.
	if s.rows, err = tx.Query(ctx, sql, pgx.QueryResultFormats{pgx.BinaryFormatCode}); err == nil {
		err = s.next()
	}
	if err != nil {
		return nil, errors.Join(err, hangUp(ctx, conn))
	}
	return s, nil
}

func (s *source) next() error {
	if s.ok = s.rows.Next(); !s.ok {
		return s.rows.Err()
	}
	s.values = s.rows.RawValues()
	return nil
}

// at reports whether the current row has this key.
func (s *source) at(user, conversation []byte) bool {
	return s.ok && bytes.Equal(s.values[0], user) && bytes.Equal(s.values[1], conversation)
}

// The order of a walk. The ledger is sorted by the server: its key does not
// begin with the conversation.
const (
	selectArchive  = `SELECT user_id, conversation_id, n, commit_id, cause, by, types, time, stream_seq, size, hash FROM archive ORDER BY user_id, conversation_id, n`
	selectPayload  = `SELECT user_id, conversation_id, n, payload, salt FROM archive_payload ORDER BY user_id, conversation_id, n`
	selectHeads    = `SELECT user_id, conversation_id, ` + headColumns + ` FROM conversation ORDER BY user_id, conversation_id`
	selectRuns     = `SELECT user_id, conversation_id, run_id, ` + runColumns + ` FROM run ORDER BY user_id, conversation_id, run_id`
	selectWords    = `SELECT user_id, conversation_id, run_id, words FROM conversation_words ORDER BY user_id, conversation_id, run_id`
	selectCalls    = `SELECT user_id, conversation_id, call_id, server, name, by, state, args_hash, ok, result, error_code, error_message, duration_ms, run_id FROM tool_call ORDER BY user_id, conversation_id, call_id`
	selectOwners   = `SELECT user_id, next_task_id, task_rev FROM task_owner ORDER BY user_id`
	selectAllTasks = `SELECT user_id, task_id::bigint, title, description, to_char(due_on, 'YYYY-MM-DD'), status, deleted, created_at, updated_at, completed_at, task_rev FROM task ORDER BY user_id, task_id`
	selectHistory  = `SELECT user_id, task_rev, tool, by, call_id, conversation_id, run_id, at, row::text, task_id::bigint FROM task_history ORDER BY user_id, task_rev`
)

// Walk reads all of the snapshot: each conversation in parts, and after the
// conversations of a person that person's tasks. It goes on as fast as the two
// functions return; part must see to it that the part is freed.
func (x *Snapshot) Walk(ctx context.Context, part func(*Part) error, person func(*Person) error) (err error) {
	w := &walk{part: part}
	for _, s := range []struct {
		to  **source
		sql string
	}{
		{&w.archive, selectArchive},
		{&w.payload, selectPayload},
		{&w.heads, selectHeads},
		{&w.runs, selectRuns},
		{&w.words, selectWords},
		{&w.calls, selectCalls},
		{&w.owners, selectOwners},
		{&w.tasks, selectAllTasks},
		{&w.history, selectHistory},
	} {
		src, err := x.source(ctx, s.sql)
		if err != nil {
			return fmt.Errorf("walk: %w", err)
		}
		defer func() { _ = hangUp(ctx, src.conn) }() // nothing was written
		*s.to = src
		w.all = append(w.all, src)
	}
	for {
		user, ok := w.firstUser()
		if !ok {
			return nil
		}
		if err := w.conversations(user); err != nil {
			return fmt.Errorf("walk: %w", err)
		}
		p, err := w.person(user)
		if err == nil && p != nil {
			err = person(p)
		}
		if err != nil {
			return fmt.Errorf("walk: %w", err)
		}
	}
}

// A walk merges the tables.
type walk struct {
	archive, payload, heads, runs, words, calls, owners, tasks, history *source
	all                                                                 []*source

	part func(*Part) error
}

// firstUser returns the person who comes next in any table.
func (w *walk) firstUser() (user []byte, ok bool) {
	for _, s := range w.all {
		if s.ok && (!ok || bytes.Compare(s.values[0], user) < 0) {
			user, ok = s.values[0], true
		}
	}
	return bytes.Clone(user), ok
}

// conversations hands out all that the person has of conversations.
func (w *walk) conversations(user []byte) error {
	for {
		var conversation []byte
		found := false
		for _, s := range w.all[:6] { // those with a conversation in their key
			if s.ok && bytes.Equal(s.values[0], user) && (!found || bytes.Compare(s.values[1], conversation) < 0) {
				conversation, found = s.values[1], true
			}
		}
		if !found {
			return nil
		}
		if err := w.conversation(user, bytes.Clone(conversation)); err != nil {
			return err
		}
	}
}

func (w *walk) conversation(user, id []byte) error {
	p := newPart(user, id)
	for w.archive.at(user, id) || w.payload.at(user, id) {
		if len(p.Commits) >= partCommits || len(p.buf) >= partBytes {
			if err := w.part(p); err != nil {
				return err
			}
			p = newPart(user, id)
		}
		if err := w.commit(p, user, id); err != nil {
			return err
		}
	}
	p.Last = true
	if w.heads.at(user, id) {
		p.Rows.conversation = p.keepAll(w.heads.values[2:])
		if err := w.heads.next(); err != nil {
			return err
		}
	}
	for _, t := range []struct {
		from *source
		to   *[][][]byte
	}{{w.runs, &p.Rows.runs}, {w.words, &p.Rows.words}} {
		for t.from.at(user, id) {
			*t.to = append(*t.to, p.keepAll(t.from.values[2:]))
			if err := t.from.next(); err != nil {
				return err
			}
		}
	}
	for w.calls.at(user, id) {
		v := w.calls.values[2:]
		p.Calls = append(p.Calls, LedgerRow{
			CallID: string(v[0]), Server: string(v[1]), Name: string(v[2]), By: string(v[3]), State: string(v[4]), ArgsHash: p.keep(v[5]),
			OK: boolean(v[6]), Result: p.keep(v[7]), ErrorCode: string(v[8]), ErrorMessage: string(v[9]), DurationMS: int8of(v[10]), RunID: string(v[11]),
		})
		if err := w.calls.next(); err != nil {
			return err
		}
	}
	return w.part(p)
}

func newPart(user, conversation []byte) *Part {
	p := parts.Get().(*Part)
	p.UserID, p.ConversationID = string(user), string(conversation)
	return p
}

// commit joins the next row of archive with its payload.
func (w *walk) commit(p *Part, user, id []byte) error {
	var a Archived
	envelope, payload := w.archive.at(user, id), w.payload.at(user, id)
	switch {
	case envelope && payload:
		n, m := int8of(w.archive.values[2]), int8of(w.payload.values[2])
		a.N = min(n, m)
		envelope, payload = n == a.N, m == a.N
	case envelope:
		a.N = int8of(w.archive.values[2])
	default:
		a.N = int8of(w.payload.values[2])
	}
	if envelope {
		v := w.archive.values
		a.Enveloped = true
		a.CommitID, a.Cause, a.By, a.Types = p.keep(v[3]), p.keep(v[4]), p.keep(v[5]), p.texts(v[6])
		a.Time, a.Seq, a.Size, a.Hash = timeOf(v[7]), int8of(v[8]), int4of(v[9]), p.keep(v[10])
		if err := w.archive.next(); err != nil {
			return err
		}
	}
	if payload {
		a.Payload, a.Salt = p.keep(w.payload.values[3]), p.keep(w.payload.values[4])
		if err := w.payload.next(); err != nil {
			return err
		}
	}
	p.Commits = append(p.Commits, a)
	return nil
}

// person reads the person's tasks; nil if there is nothing about them.
func (w *walk) person(user []byte) (*Person, error) {
	p := &Person{UserID: string(user)}
	of := func(s *source) bool { return s.ok && bytes.Equal(s.values[0], user) }
	if of(w.owners) {
		p.Owned, p.NextTaskID, p.TaskRev = true, int4of(w.owners.values[1]), int8of(w.owners.values[2])
		if err := w.owners.next(); err != nil {
			return nil, err
		}
	}
	for of(w.tasks) {
		v := w.tasks.values
		t := Task{
			TaskID: int8of(v[1]), Title: string(v[2]), Description: string(v[3]), Status: string(v[5]), Deleted: boolean(v[6]),
			CreatedAt: timeOf(v[7]), UpdatedAt: timeOf(v[8]), TaskRev: int8of(v[10]),
		}
		if v[4] != nil {
			due := string(v[4])
			t.DueOn = &due
		}
		if v[9] != nil {
			at := timeOf(v[9])
			t.CompletedAt = &at
		}
		p.Tasks = append(p.Tasks, t)
		if err := w.tasks.next(); err != nil {
			return nil, err
		}
	}
	for of(w.history) {
		v := w.history.values
		p.History = append(p.History, HistoryRow{TaskChange{
			TaskRev: int8of(v[1]), Tool: string(v[2]), By: events.By(v[3]), CallID: events.CallID(v[4]),
			ConversationID: events.ConversationID(v[5]), RunID: events.RunID(v[6]), At: timeOf(v[7]), Task: bytes.Clone(v[8]),
		}, int8of(v[9])})
		if err := w.history.next(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// What follows reads Postgres's binary formats.

func int8of(b []byte) int64 {
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func int4of(b []byte) int32 {
	if len(b) != 4 {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

func boolean(b []byte) bool { return len(b) == 1 && b[0] == 1 }

// postgresEpoch is from where Postgres counts microseconds.
var postgresEpoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

func timeOf(b []byte) time.Time {
	return time.UnixMicro(postgresEpoch.UnixMicro() + int8of(b)).UTC()
}

// texts reads a text[].
func (p *Part) texts(b []byte) [][]byte {
	const head, dimension = 12, 8
	if len(b) < head+dimension {
		return nil
	}
	list := make([][]byte, 0, min(int4of(b[head:head+4]), 16))
	for b = b[head+dimension:]; len(b) >= 4; {
		n := int(max(int4of(b[:4]), 0))
		if b = b[4:]; len(b) < n {
			return nil
		}
		list = append(list, p.keep(b[:n]))
		b = b[n:]
	}
	return list
}
