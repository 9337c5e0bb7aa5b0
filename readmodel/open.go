package readmodel

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
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
		rows, err := s.pool.Query(ctx, `SELECT r.status, count(*)::int FROM conversation c CROSS JOIN LATERAL (
				SELECT status FROM run WHERE user_id = c.user_id AND conversation_id = c.conversation_id AND run_id = ANY (c.open_runs) OFFSET 0
			) r WHERE c.open_runs <> '{}' GROUP BY r.status`)
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
