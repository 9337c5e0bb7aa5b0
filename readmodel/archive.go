package readmodel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

// ErrErased reports commits whose content was taken from the archive.
var ErrErased = errors.New("erased from the archive")

// Commits returns the encoded commits of r with after < n < before, by n. It
// makes a Store the archive behind the log.
func (s *Store) Commits(ctx context.Context, r events.Ref, after, before uint64) ([][]byte, error) {
	list, err := rows(ctx, s, r.User(), pgx.RowTo[[]byte], `SELECT payload FROM archive_payload
		WHERE user_id = $1 AND conversation_id = $2 AND n > $3 AND n < $4 ORDER BY n`,
		r.User(), r.Conversation(), bigint(after), bigint(before))
	if err != nil {
		return nil, fmt.Errorf("commits: %w", err)
	}
	return list, nil
}

// hashOf is the archive's hash of a payload. The salt goes with the payload
// when it is erased, so that short texts cannot be guessed from the hash.
func hashOf(salt, payload []byte) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(payload)
	return h.Sum(nil)
}

// Load folds the archived commits of each conversation, empty ones included, in
// the order of refs.
func (s *Store) Load(ctx context.Context, refs []events.Ref) ([]*Fold, error) {
	folds, err := s.Unsaved(ctx, refs)
	for _, f := range folds {
		f.saved()
	}
	return folds, err
}

// archived applies a commit of the archive.
func (f *Fold) archived(n uint64, payload []byte) error {
	if payload == nil {
		return fmt.Errorf("commit %d: %w", n, ErrErased)
	}
	k, err := events.DecodeCommit(payload)
	if err != nil {
		return fmt.Errorf("commit %d: %w", n, err)
	}
	if k.N != n {
		return fmt.Errorf("commit %d in the place of %d: %w", k.N, n, events.ErrGap)
	}
	return f.Apply(k, len(payload))
}

// A Record is a commit with its bytes as they stand in the log, and its place there.
type Record struct {
	*events.Commit
	Raw []byte
	Seq uint64
}

// Same tells for each record whether the archive holds just that at its place:
// a commit that the log gives once more, and not another one.
func (s *Store) Same(ctx context.Context, list []Record) ([]bool, error) {
	users, conversations, ns := make([]string, len(list)), make([]string, len(list)), make([]int64, len(list))
	for i, r := range list {
		users[i], conversations[i], ns[i] = string(r.UserID), string(r.ConversationID), bigint(r.N)
	}
	type archived struct {
		I        int64
		CommitID string
		Hash     []byte
		Salt     []byte
	}
	same := make([]bool, len(list))
	err := s.retry(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT k.i, a.commit_id, a.hash, p.salt
			FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS k(u, c, n, i)
			CROSS JOIN LATERAL (SELECT commit_id, hash FROM archive WHERE user_id = k.u AND conversation_id = k.c AND n = k.n OFFSET 0) a
			LEFT JOIN LATERAL (SELECT salt FROM archive_payload WHERE user_id = k.u AND conversation_id = k.c AND n = k.n OFFSET 0) p ON true`, users, conversations, ns)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[archived])
		for _, a := range found {
			r := list[a.I-1]
			same[a.I-1] = a.CommitID == storable(r.CommitID) && (a.Salt == nil || bytes.Equal(a.Hash, hashOf(a.Salt, r.Raw)))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare with the archive: %w", err)
	}
	return same, nil
}

// A Rejection is a message of the log that the archive cannot take.
type Rejection struct {
	Seq     uint64
	Subject string
	Reason  string
	Payload []byte
}

// Rejections counts what is kept in archive_rejected for a stream, by reason.
func (s *Store) Rejections(ctx context.Context, stream string) (map[string]int, error) {
	type line struct {
		Reason string
		Count  int
	}
	counts := map[string]int{}
	err := s.retry(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT reason, count(*)::int FROM archive_rejected WHERE stream = $1 GROUP BY reason`, stream)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[line])
		for _, l := range list {
			counts[l.Reason] = l.Count
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rejections: %w", err)
	}
	return counts, nil
}

// A Spent is a message of the log that may leave it: archived, and not the
// newest of its conversation.
type Spent struct {
	Seq      uint64
	CommitID string
	// Next is the place of the conversation's next commit, by which the walk is
	// continued.
	Next uint64
}

// Spent returns what may leave the stream: the predecessors of commits that
// stand after the trim mark in the log, are archived up to seq, and are older
// than the time. So a commit goes once its successor is old enough, and the last
// one never.
func (s *Store) Spent(ctx context.Context, after, seq uint64, older time.Time, limit int) ([]Spent, error) {
	var list []Spent
	err := s.retry(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT coalesce(p.stream_seq, 0), coalesce(p.commit_id, ''), a.stream_seq FROM (
				SELECT user_id, conversation_id, n, stream_seq, time FROM archive
				WHERE stream_seq > $1 AND stream_seq <= $2 ORDER BY stream_seq LIMIT $3
			) a LEFT JOIN LATERAL (SELECT stream_seq, commit_id FROM archive
				WHERE user_id = a.user_id AND conversation_id = a.conversation_id AND n = a.n - 1 OFFSET 0) p ON true
			WHERE a.time < $4 ORDER BY a.stream_seq`, bigint(after), bigint(seq), limit, older)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (p Spent, err error) {
			var seq, next int64
			err = r.Scan(&seq, &p.CommitID, &next)
			p.Seq, p.Next = count(seq), count(next)
			return p, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("spent: %w", err)
	}
	return list, nil
}
