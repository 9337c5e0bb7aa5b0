package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

// Both find their conversations by an index of those in which a run is not over.
const (
	countOpen = `SELECT r.status, count(*)::int FROM conversation c CROSS JOIN LATERAL (
			SELECT status FROM run WHERE user_id = c.user_id AND conversation_id = c.conversation_id AND run_id = ANY (c.open_runs) OFFSET 0
		) r WHERE c.open_runs <> '{}' GROUP BY r.status`
	selectLate = `SELECT c.user_id, c.conversation_id, r.body FROM (
			SELECT user_id, conversation_id, open_runs FROM conversation
			WHERE open_runs <> '{}' AND status IN ('in_progress', 'cancelling') AND active_at < $1 ORDER BY active_at LIMIT $2
		) c CROSS JOIN LATERAL (
			SELECT body FROM run WHERE user_id = c.user_id AND conversation_id = c.conversation_id AND run_id = ANY (c.open_runs)
			AND status IN ('in_progress', 'cancelling') OFFSET 0
		) r`
)

// OpenRuns counts everybody's runs that are not over, by status. It costs what
// those are, however many are over.
func (s *Store) OpenRuns(ctx context.Context) (map[events.Status]int, error) {
	type line struct {
		Status events.Status
		Count  int
	}
	counts := map[events.Status]int{}
	err := s.retry(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, countOpen)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[line])
		for _, l := range list {
			counts[l.Status] = l.Count
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open runs: %w", err)
	}
	return counts, nil
}

// A Working is a run that is at work, and whose it is.
type Working struct {
	User         events.UserID
	Conversation events.ConversationID
	Run          events.Run
}

// Late returns up to limit runs that are at work although their deadline passed
// before the given time, those of the longest silent conversations first. A run
// that waits for a person has no deadline, and one that is queued none yet.
func (s *Store) Late(ctx context.Context, before time.Time, limit int) ([]Working, error) {
	var list []Working
	err := s.retry(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectLate, before, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (w Working, err error) {
			var body []byte
			if err = r.Scan(&w.User, &w.Conversation, &body); err == nil {
				err = json.Unmarshal(body, &w.Run)
			}
			return w, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("late runs: %w", err)
	}
	late := list[:0]
	for _, w := range list {
		if w.Run.Deadline.Before(before) {
			late = append(late, w)
		}
	}
	return late, nil
}
