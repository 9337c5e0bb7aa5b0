package readmodel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

// ErrRebuilding reports a rebuild that somebody else goes on with.
var ErrRebuilding = errors.New("another rebuild is under way")

// A Progress is how far a rebuild of the read models has got.
type Progress struct {
	// User and Conversation are the last key that is done.
	User          string
	Conversation  string
	Conversations int
	StartedAt     time.Time
}

// A ConversationKey is a conversation as some table names it.
type ConversationKey struct {
	User, Conversation string
}

// BeginRebuild returns the place of the rebuild that is under way, or begins one.
func (s *Store) BeginRebuild(ctx context.Context, restart bool) (Progress, error) {
	var p Progress
	err := s.inTx(ctx, "on", func(tx pgx.Tx) error {
		if restart {
			if _, err := tx.Exec(ctx, `DELETE FROM rebuild`); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO rebuild DEFAULT VALUES ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT user_id, conversation_id, conversations, started_at FROM rebuild`).
			Scan(&p.User, &p.Conversation, &p.Conversations, &p.StartedAt)
	})
	if err != nil {
		return p, fmt.Errorf("begin rebuild: %w", err)
	}
	return p, nil
}

// EndRebuild notes that the rebuild that stands at p is done.
func (s *Store) EndRebuild(ctx context.Context, p Progress) error {
	return s.inTx(ctx, "on", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM rebuild WHERE user_id = $1 AND conversation_id = $2 AND started_at = $3`, p.User, p.Conversation, p.StartedAt)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrRebuilding
		}
		if err != nil {
			return fmt.Errorf("end rebuild: %w", err)
		}
		return nil
	})
}

// KeysAfter returns the next conversations that the archive or a read model has.
func (s *Store) KeysAfter(ctx context.Context, p Progress, limit int) ([]ConversationKey, error) {
	var list []ConversationKey
	err := s.retry(ctx, func(ctx context.Context) error {
		const from = `(SELECT DISTINCT user_id, conversation_id FROM %s WHERE (user_id, conversation_id) > ($1, $2) ORDER BY 1, 2 LIMIT $3)`
		rows, err := s.pool.Query(ctx, fmt.Sprintf(`SELECT user_id, conversation_id FROM (`+from+` UNION `+from+` UNION `+from+` UNION `+from+`) k
			ORDER BY 1, 2 LIMIT $3`, "archive", "conversation", "run", "conversation_words"), p.User, p.Conversation, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ConversationKey])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("conversations: %w", err)
	}
	return list, nil
}

// Rebuild replaces the rows of the next conversations by those that their folds
// are projected to, in one transaction: a reader sees the old rows or the new
// ones. The folds may be older than the archive; they are brought up to it here,
// while the transaction holds the checkpoints, so that no recorder writes
// between reading and writing. It returns the new place.
//
// The rows of a conversation that was erased go. Those of one whose archive
// cannot be folded stay as they are: there is nothing better to show.
func (s *Store) Rebuild(ctx context.Context, p Progress, keys []ConversationKey, folds []*Fold) (Progress, error) {
	next := p
	next.User, next.Conversation = keys[len(keys)-1].User, keys[len(keys)-1].Conversation
	next.Conversations += len(keys)
	err := s.inTx(ctx, "on", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT stream FROM checkpoint ORDER BY stream FOR NO KEY UPDATE`); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE rebuild SET user_id = $4, conversation_id = $5, conversations = $6
			WHERE user_id = $1 AND conversation_id = $2 AND started_at = $3`, p.User, p.Conversation, p.StartedAt, next.User, next.Conversation, next.Conversations)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrRebuilding
		}
		if err != nil {
			return err
		}
		if err := catchUp(ctx, tx, folds); err != nil {
			return err
		}
		var q pgx.Batch
		if err := queueRebuild(&q, keys, folds); err != nil {
			return err
		}
		return tx.SendBatch(ctx, &q).Close()
	})
	if err != nil {
		return p, fmt.Errorf("rebuild: %w", err)
	}
	return next, nil
}

func queueRebuild(q *pgx.Batch, keys []ConversationKey, folds []*Fold) error {
	stay := map[ConversationKey]bool{}
	var write []*Fold
	for _, f := range folds {
		switch {
		case f.Broken == nil && f.N > 0:
			write = append(write, f)
		case f.Broken != nil && !errors.Is(f.Broken, ErrErased):
			stay[ConversationKey{string(f.UserID), string(f.ConversationID)}] = true
		}
	}
	var users, conversations []string
	for _, k := range keys {
		if !stay[k] {
			users, conversations = append(users, k.User), append(conversations, k.Conversation)
		}
	}
	for _, table := range []string{"conversation", "run", "conversation_words"} {
		q.Queue(`DELETE FROM `+table+` t USING unnest($1::text[], $2::text[]) AS k(u, c) WHERE t.user_id = k.u AND t.conversation_id = k.c`, users, conversations)
	}
	return queueRows(q, write)
}

// catchUp applies what was archived after the folds.
func catchUp(ctx context.Context, tx pgx.Tx, folds []*Fold) error {
	users, conversations, ns := make([]string, len(folds)), make([]string, len(folds)), make([]int64, len(folds))
	for i, f := range folds {
		users[i], conversations[i], ns[i] = string(f.UserID), string(f.ConversationID), bigint(f.N)
	}
	return readArchive(ctx, tx, folds, users, conversations, ns)
}

// A querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readArchive applies the archived commits with greater numbers to each fold.
func readArchive(ctx context.Context, from querier, folds []*Fold, users, conversations []string, ns []int64) error {
	// Subqueries behind OFFSET 0, here and elsewhere, are looked up by their whole
	// key, whatever the planner believes about tables it has no statistics of.
	rows, err := from.Query(ctx, `SELECT k.i, x.n, x.payload FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS k(u, c, n, i)
		CROSS JOIN LATERAL (
			SELECT n, (SELECT payload FROM archive_payload p WHERE p.user_id = k.u AND p.conversation_id = k.c AND p.n = a.n) AS payload
			FROM archive a WHERE a.user_id = k.u AND a.conversation_id = k.c AND a.n > k.n ORDER BY n OFFSET 0
		) x ORDER BY k.i, x.n`, users, conversations, ns)
	if err != nil {
		return err
	}
	var i, n int64
	var payload []byte
	_, err = pgx.ForEachRow(rows, []any{&i, &n, &payload}, func() error {
		if f := folds[i-1]; f.Broken == nil {
			f.Broken = f.archived(count(n), payload)
		}
		return nil
	})
	return err
}

// Unsaved returns the folds of conversations as [Store.Load] does, but with
// every row still to be written.
func (s *Store) Unsaved(ctx context.Context, refs []events.Ref) ([]*Fold, error) {
	var folds []*Fold
	err := s.retry(ctx, func(ctx context.Context) error {
		folds = make([]*Fold, len(refs))
		users, conversations := make([]string, len(refs)), make([]string, len(refs))
		for i, r := range refs {
			folds[i] = NewFold(r)
			users[i], conversations[i] = string(r.User()), string(r.Conversation())
		}
		return readArchive(ctx, s.pool, folds, users, conversations, make([]int64, len(refs)))
	})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return folds, nil
}
