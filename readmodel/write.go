package readmodel

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// ErrMoved reports a checkpoint that is not where the writer believed: somebody
// else has written, or the database lost its newest transactions.
var ErrMoved = errors.New("the checkpoint has moved")

// ErrUnprojectable reports a state that cannot be written as rows.
var ErrUnprojectable = errors.New("no rows for a conversation")

// A Position is how far a stream is recorded.
type Position struct {
	Stream string `json:"stream"`
	// Incarnation is when the stream was made: another time is another stream.
	Incarnation time.Time `json:"incarnation"`
	Seq         uint64    `json:"seq"`
	// CommitID is that of the message at Seq, "" if it had none.
	CommitID string `json:"commit_id"`
	// Trimmed is the place up to which the stream was looked at for trimming.
	Trimmed uint64 `json:"trimmed"`
}

// Checkpoint returns the position of a stream; one that was never recorded gets
// its row, at the beginning of the given incarnation.
func (s *Store) Checkpoint(ctx context.Context, stream string, incarnation time.Time) (Position, error) {
	p := Position{Stream: stream}
	err := s.retry(ctx, func(ctx context.Context) error {
		var b pgx.Batch
		b.Queue(`INSERT INTO checkpoint (stream, incarnation, seq) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING`, stream, incarnation)
		b.Queue(`SELECT incarnation, seq, commit_id, trimmed FROM checkpoint WHERE stream = $1`, stream)
		results := s.pool.SendBatch(ctx, &b)
		_, err := results.Exec()
		if err == nil {
			var seq, trimmed int64
			err = results.QueryRow().Scan(&p.Incarnation, &seq, &p.CommitID, &trimmed)
			p.Seq, p.Trimmed = count(seq), count(trimmed)
		}
		return errors.Join(err, results.Close())
	})
	if err != nil {
		return p, fmt.Errorf("checkpoint: %w", err)
	}
	p.Incarnation = p.Incarnation.UTC()
	return p, nil
}

// Rewind lets the recording of a stream begin again, if it still stands at p.
// What is archived stays.
func (s *Store) Rewind(ctx context.Context, p Position, incarnation time.Time) error {
	tag, err := s.pool.Exec(ctx, `UPDATE checkpoint SET incarnation = $4, seq = 0, commit_id = '', trimmed = 0
		WHERE stream = $1 AND incarnation = $2 AND seq = $3`, p.Stream, p.Incarnation, bigint(p.Seq), incarnation)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrMoved
	}
	if err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	return nil
}

// Lease makes holder the recorder of stream for ttl, or extends that, and says
// whether it is. The transaction is flushed to disk, and with it all before it.
func (s *Store) Lease(ctx context.Context, stream, holder string, ttl time.Duration) (bool, error) {
	var mine bool
	err := s.retry(ctx, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, `INSERT INTO recorder_lease AS l (stream, holder, expires_at) VALUES ($1, $2, now() + $3)
			ON CONFLICT (stream) DO UPDATE SET holder = $2, expires_at = excluded.expires_at
			WHERE l.holder = $2 OR l.expires_at < now()`, stream, holder, ttl)
		mine = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("lease: %w", err)
	}
	return mine, nil
}

// Release gives the lease back, so that another recorder need not wait.
func (s *Store) Release(ctx context.Context, stream, holder string) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM recorder_lease WHERE stream = $1 AND holder = $2`, stream, holder); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// Settle waits until everything committed so far is on disk, and then notes how
// far the stream was trimmed. What is trimmed must be in the archive for good.
func (s *Store) Settle(ctx context.Context, stream string, trimmed uint64) error {
	return s.inTx(ctx, "on", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE checkpoint SET trimmed = greatest(trimmed, $2) WHERE stream = $1`, stream, bigint(trimmed))
		return err
	})
}

// A Batch is what one transaction records.
type Batch struct {
	// From is the position before, To the one after; they differ in Seq and CommitID.
	From, To Position
	// Records are new in the archive; Folds have all of them applied.
	Records  []Record
	Rejected []Rejection
	Folds    []*Fold
}

// Write stores the batch and moves the checkpoint, or does neither. ErrMoved
// says that the checkpoint was not at b.From. After any error it is unknown
// whether the batch was stored; the checkpoint tells.
//
// The commit does not wait for the disk. A crash of Postgres can take the
// newest transactions, each whole and in order, so that the checkpoint goes back
// with the rows, and the log still has what follows it: nothing leaves the log
// before [Store.Settle].
func (s *Store) Write(ctx context.Context, b *Batch) error {
	const move = `UPDATE checkpoint SET seq = $4, commit_id = $5 WHERE stream = $1 AND incarnation = $2 AND seq = $3`
	from := b.From
	if fault.Planted(fault.CheckpointFirst) {
		if _, err := s.pool.Exec(ctx, move, from.Stream, from.Incarnation, bigint(from.Seq), bigint(b.To.Seq), storable(b.To.CommitID)); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		from = b.To
	}
	var q pgx.Batch
	q.Queue(move, from.Stream, from.Incarnation, bigint(from.Seq), bigint(b.To.Seq), storable(b.To.CommitID))
	if len(b.Records) > 0 {
		queueArchive(&q, b.Records)
	}
	if len(b.Rejected) > 0 {
		queueRejected(&q, b.From, b.Rejected)
	}
	if err := queueRows(&q, b.Folds); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	err := s.inTx(ctx, "off", func(tx pgx.Tx) error {
		results := tx.SendBatch(ctx, &q)
		tag, err := results.Exec()
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrMoved
		}
		err = errors.Join(err, results.Close())
		fault.At(fault.BatchCommitBefore)
		return err
	})
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	for _, f := range b.Folds {
		f.saved()
	}
	return nil
}

// inTx runs f in a transaction. sync is synchronous_commit. A process that is
// stopped in the middle must not keep the checkpoint from all others.
func (s *Store) inTx(ctx context.Context, sync string, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true),
			set_config('synchronous_commit', $2, true)`, s.timeout, sync)
		if err != nil {
			return err
		}
		return f(tx)
	})
}

// unit separates the elements of a list that travels as one text: unnest
// flattens arrays of arrays. It is no character of an id or a word.
const unit = "\x1f"

func queueArchive(q *pgx.Batch, list []Record) {
	var c struct {
		users, conversations, ids, causes, by, types []string
		ns, seqs                                     []int64
		times                                        []time.Time
		sizes                                        []int32
		hashes, payloads, salts                      [][]byte
	}
	for _, r := range list {
		salt := make([]byte, 16)
		rand.Read(salt) // never fails
		types := make([]string, len(r.Events))
		for i, e := range r.Events {
			types[i] = archivedType(e)
		}
		c.users = append(c.users, string(r.UserID))
		c.conversations = append(c.conversations, string(r.ConversationID))
		c.ns = append(c.ns, bigint(r.N))
		c.ids = append(c.ids, storable(r.CommitID))
		c.causes = append(c.causes, storable(r.Cause))
		c.by = append(c.by, storable(string(r.By)))
		c.types = append(c.types, strings.Join(types, unit))
		c.times = append(c.times, r.Time)
		c.seqs = append(c.seqs, bigint(r.Seq))
		c.sizes = append(c.sizes, int32(len(r.Raw)))
		c.hashes = append(c.hashes, hashOf(salt, r.Raw))
		c.payloads = append(c.payloads, r.Raw)
		c.salts = append(c.salts, salt)
	}
	q.Queue(`INSERT INTO archive (user_id, conversation_id, n, commit_id, cause, by, types, time, stream_seq, size, hash)
		SELECT u, c, n, i, k, b, string_to_array(t, E'\x1f'), at, q, s, h
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::bigint[], $10::int[], $11::bytea[])
			AS x(u, c, n, i, k, b, t, at, q, s, h)`,
		c.users, c.conversations, c.ns, c.ids, c.causes, c.by, c.types, c.times, c.seqs, c.sizes, c.hashes)
	q.Queue(`INSERT INTO archive_payload (user_id, conversation_id, n, payload, salt)
		SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::bytea[])`,
		c.users, c.conversations, c.ns, c.payloads, c.salts)
}

// archivedType is an event's type as the archive has it.
func archivedType(e events.Event) string {
	return strings.ReplaceAll(storable(e.EventType()), unit, "")
}

func queueRejected(q *pgx.Batch, at Position, list []Rejection) {
	for _, r := range list {
		q.Queue(`INSERT INTO archive_rejected (stream, incarnation, stream_seq, subject, reason, payload)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			at.Stream, at.Incarnation, bigint(r.Seq), []byte(r.Subject), r.Reason, r.Payload)
	}
}

func queueRows(q *pgx.Batch, folds []*Fold) error {
	var conversations []conversationRow
	var runs []runRow
	var found []wordsRow
	for _, f := range folds {
		c, r, w, err := f.project()
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrUnprojectable, f.ConversationID, err)
		}
		conversations, runs, found = append(conversations, c), append(runs, r...), append(found, w...)
	}
	queueConversations(q, conversations)
	queueRuns(q, runs)
	queueWords(q, found)
	return nil
}

func queueConversations(q *pgx.Batch, list []conversationRow) {
	if len(list) == 0 {
		return
	}
	var c struct {
		users, ids, titles, titledBy, statuses, texts, tips, open []string
		ns, reads                                                 []int64
		pinned, archived, deleted                                 []bool
		created, active                                           []time.Time
		runs                                                      []int32
		bodies                                                    [][]byte
	}
	for _, r := range list {
		c.users = append(c.users, string(r.user))
		c.ids = append(c.ids, string(r.ConversationID))
		c.ns = append(c.ns, bigint(r.N))
		c.titles = append(c.titles, storable(r.Title))
		c.titledBy = append(c.titledBy, storable(string(r.TitleBy)))
		c.pinned = append(c.pinned, r.Pinned)
		c.archived = append(c.archived, r.Archived)
		c.deleted = append(c.deleted, r.Deleted)
		c.reads = append(c.reads, bigint(r.ReadN))
		c.statuses = append(c.statuses, r.Status)
		c.texts = append(c.texts, r.LastText)
		c.created = append(c.created, r.CreatedAt)
		c.active = append(c.active, r.activeAt)
		c.runs = append(c.runs, int32(r.runs))
		c.tips = append(c.tips, key(r.tip))
		c.open = append(c.open, strings.Join(r.open, unit))
		c.bodies = append(c.bodies, r.body)
	}
	q.Queue(`INSERT INTO conversation (user_id, conversation_id, n, title, title_by, pinned, archived, deleted, read_n, status, last_text,
			created_at, active_at, runs, tip, open_runs, body)
		SELECT u, c, n, t, tb, p, ar, d, r, s, l, ca, aa, rs, tip, string_to_array(o, E'\x1f'), b
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::bool[], $8::bool[], $9::bigint[], $10::text[], $11::text[],
			$12::timestamptz[], $13::timestamptz[], $14::int[], $15::text[], $16::text[], $17::bytea[])
			AS x(u, c, n, t, tb, p, ar, d, r, s, l, ca, aa, rs, tip, o, b)
		ON CONFLICT (user_id, conversation_id) DO UPDATE SET (n, title, title_by, pinned, archived, deleted, read_n, status, last_text,
			created_at, active_at, runs, tip, open_runs, body) = ROW (excluded.n, excluded.title, excluded.title_by, excluded.pinned,
			excluded.archived, excluded.deleted, excluded.read_n, excluded.status, excluded.last_text, excluded.created_at, excluded.active_at,
			excluded.runs, excluded.tip, excluded.open_runs, excluded.body)`,
		c.users, c.ids, c.ns, c.titles, c.titledBy, c.pinned, c.archived, c.deleted, c.reads, c.statuses, c.texts,
		c.created, c.active, c.runs, c.tips, c.open, c.bodies)
}

func queueRuns(q *pgx.Batch, list []runRow) {
	if len(list) == 0 {
		return
	}
	var c struct {
		users, conversations, ids, parents, messages, statuses, models []string
		pos                                                            []int32
		ns, input, output                                              []int64
		estimated                                                      []bool
		accepted                                                       []time.Time
		bodies                                                         [][]byte
	}
	for _, r := range list {
		c.users = append(c.users, string(r.user))
		c.conversations = append(c.conversations, string(r.conversation))
		c.ids = append(c.ids, string(r.RunID))
		c.pos = append(c.pos, int32(r.pos))
		c.ns = append(c.ns, bigint(r.N))
		c.parents = append(c.parents, key(r.ParentID))
		c.messages = append(c.messages, key(r.Message.MessageID))
		c.statuses = append(c.statuses, string(r.Status))
		c.models = append(c.models, storable(r.Model))
		c.input = append(c.input, int64(r.Usage.InputTokens))
		c.output = append(c.output, int64(r.Usage.OutputTokens))
		c.estimated = append(c.estimated, r.Usage.Estimated)
		c.accepted = append(c.accepted, r.Message.Time)
		c.bodies = append(c.bodies, r.body)
	}
	q.Queue(`INSERT INTO run (user_id, conversation_id, run_id, pos, n, parent_id, message_id, status, model,
			input_tokens, output_tokens, estimated, accepted_at, body)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[],
			$10::bigint[], $11::bigint[], $12::bool[], $13::timestamptz[], $14::bytea[])
		ON CONFLICT (user_id, conversation_id, run_id) DO UPDATE SET (status, model, input_tokens, output_tokens, estimated, body)
			= ROW (excluded.status, excluded.model, excluded.input_tokens, excluded.output_tokens, excluded.estimated, excluded.body)`,
		c.users, c.conversations, c.ids, c.pos, c.ns, c.parents, c.messages, c.statuses, c.models,
		c.input, c.output, c.estimated, c.accepted, c.bodies)
}

func queueWords(q *pgx.Batch, list []wordsRow) {
	if len(list) == 0 {
		return
	}
	var users, conversations, runs, found []string
	for _, r := range list {
		users = append(users, string(r.user))
		conversations = append(conversations, string(r.conversation))
		runs = append(runs, string(r.run))
		found = append(found, strings.Join(r.words, unit))
	}
	q.Queue(`INSERT INTO conversation_words (user_id, conversation_id, run_id, words)
		SELECT u, c, r, array_to_tsvector(string_to_array(w, E'\x1f')) FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS x(u, c, r, w)
		ON CONFLICT (user_id, conversation_id, run_id) DO UPDATE SET words = excluded.words`, users, conversations, runs, found)
}

// key returns an id as it stands in an indexed column, "" if it is none: see
// [Fold.project].
func key[T ~string](id T) string {
	if id != "" && !events.ValidID(id) {
		return ""
	}
	return string(id)
}
