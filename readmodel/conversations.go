package readmodel

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

const summaryColumns = `conversation_id, title, title_by, pinned, archived, read_n, n, status, created_at, active_at, last_text, deleted`

func scanSummary(r pgx.CollectableRow) (s Summary, err error) {
	var n, read int64
	err = r.Scan(&s.ConversationID, &s.Title, &s.TitleBy, &s.Pinned, &s.Archived, &read, &n, &s.Status, &s.CreatedAt, &s.UpdatedAt, &s.LastText, &s.Deleted)
	s.N, s.ReadN, s.CreatedAt, s.UpdatedAt = count(n), count(read), s.CreatedAt.UTC(), s.UpdatedAt.UTC()
	return s, err
}

// selectList selects a page of the list; a search adds a condition.
const selectList = `SELECT ` + summaryColumns + ` FROM conversation
	WHERE user_id = $1 AND archived = $2 AND NOT deleted AND conversation_id <> 'home' AND (pinned, active_at, conversation_id) < ($3, $4, $5) %s
	ORDER BY pinned DESC, active_at DESC, conversation_id DESC LIMIT $6`

var (
	listAll   = fmt.Sprintf(selectList, "")
	listFound = fmt.Sprintf(selectList, `AND conversation_id IN (SELECT conversation_id FROM (`+fmt.Sprintf(personWords, "$1, $7")+`) w WHERE user_id = $1)`)
)

// Conversations lists or searches a person's conversations, pinned ones first,
// then by newest activity. A page begins after the place of a cursor, not after a
// row: what moves to the top meanwhile neither repeats nor hides another.
func (s *Store) Conversations(ctx context.Context, u events.UserID, q ConversationsQuery) (Page[Summary], error) {
	pinned, at, id, err := parseListCursor(q.After)
	if err != nil {
		return Page[Summary]{}, fmt.Errorf("conversations: %w", err)
	}
	args := []any{u, q.Archived, pinned, at, id, q.Limit + 1}
	var list []Summary
	if wanted := words(q.Text); len(wanted) > 0 {
		list, err = rows(ctx, s, u, scanSummary, listFound, append(args, wanted)...)
	} else if strings.TrimSpace(q.Text) == "" {
		list, err = rows(ctx, s, u, scanSummary, listAll, args...)
	} // a search for nothing but punctuation finds nothing
	if err != nil {
		return Page[Summary]{}, fmt.Errorf("conversations: %w", err)
	}
	return page(list, q.Limit, listCursor), nil
}

// Summary returns one conversation's line, also of a deleted one.
func (s *Store) Summary(ctx context.Context, r events.Ref) (Summary, error) {
	c, err := row(ctx, s, r.User(), scanSummary, `SELECT `+summaryColumns+` FROM conversation
		WHERE user_id = $1 AND conversation_id = $2`, r.User(), r.Conversation())
	if err != nil {
		return Summary{}, fmt.Errorf("summary: %w", err)
	}
	return c, nil
}

// One statement, so that head and runs are of one state: a head of n beside a
// run of n + 1 would let a reader apply a commit twice. The walk from a run to
// its parents stops where the fold's does. Each step is a subquery behind
// OFFSET 0: without statistics the planner takes a conversation for one row,
// and would look through all of it at every step.
const selectBase = `
WITH RECURSIVE c AS (
	SELECT body, tip, open_runs FROM conversation WHERE user_id = $1 AND conversation_id = $2
), path AS (
	SELECT r.*, 1 AS depth FROM %s
	UNION ALL
	SELECT r.*, p.depth + 1 FROM path p CROSS JOIN LATERAL (
		SELECT run_id, parent_id, n FROM run WHERE user_id = $1 AND conversation_id = $2 AND run_id = p.parent_id AND n < p.n OFFSET 0
	) r WHERE p.depth <= $3
), kept AS (
	SELECT run_id FROM path WHERE depth <= $3 %s
)
SELECT c.body, EXISTS (SELECT FROM path WHERE depth > $3), (
	SELECT array_agg(r.body ORDER BY r.pos) FROM kept k CROSS JOIN LATERAL (
		SELECT pos, body FROM run WHERE user_id = $1 AND conversation_id = $2 AND run_id = k.run_id OFFSET 0
	) r
) FROM c`

var (
	selectTip = fmt.Sprintf(selectBase, `c CROSS JOIN LATERAL (
		SELECT run_id, parent_id, n FROM run WHERE user_id = $1 AND conversation_id = $2 AND run_id = c.tip OFFSET 0
	) r`, `UNION SELECT unnest(open_runs) FROM c`)
	selectBefore = fmt.Sprintf(selectBase, `(
		SELECT parent_id, n FROM run WHERE user_id = $1 AND conversation_id = $2 AND run_id = $4 OFFSET 0
	) b CROSS JOIN LATERAL (
		SELECT run_id, parent_id, n FROM run WHERE user_id = $1 AND conversation_id = $2 AND run_id = b.parent_id AND n < b.n OFFSET 0
	) r`, ``) + ` WHERE EXISTS (SELECT FROM run WHERE user_id = $1 AND conversation_id = $2 AND run_id = $4)`
)

// Base returns the last limit runs of the current branch and all open runs, as
// [events.Conversation.Base] does. With before it returns the limit runs of the
// branch that lead up to that run, without it.
func (s *Store) Base(ctx context.Context, r events.Ref, limit int, before events.RunID) (*events.Conversation, error) {
	query, args := selectTip, []any{r.User(), r.Conversation(), limit}
	if before != "" {
		query, args = selectBefore, append(args, before)
	}
	c, err := row(ctx, s, r.User(), scanBase, query, args...)
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	return c, nil
}

func scanBase(r pgx.CollectableRow) (*events.Conversation, error) {
	b := struct {
		Head    jsontext.Value   `json:",embed"`
		Runs    []jsontext.Value `json:"runs"`
		HasMore bool             `json:"has_more,omitzero"`
	}{Runs: []jsontext.Value{}}
	var bodies [][]byte
	if err := r.Scan((*[]byte)(&b.Head), &b.HasMore, &bodies); err != nil {
		return nil, err
	}
	for _, body := range bodies {
		b.Runs = append(b.Runs, body)
	}
	joined, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return events.FromBase(joined)
}

// ConversationOfRun finds the conversation of a run.
func (s *Store) ConversationOfRun(ctx context.Context, u events.UserID, run events.RunID) (events.ConversationID, error) {
	c, err := row(ctx, s, u, pgx.RowTo[events.ConversationID], `SELECT conversation_id FROM run
		WHERE user_id = $1 AND run_id = $2 LIMIT 1`, u, run)
	if err != nil {
		return "", fmt.Errorf("conversation of run: %w", err)
	}
	return c, nil
}

// ConversationOfMessage finds the conversation that accepted a message id.
func (s *Store) ConversationOfMessage(ctx context.Context, u events.UserID, m events.MessageID) (events.ConversationID, error) {
	c, err := row(ctx, s, u, pgx.RowTo[events.ConversationID], `SELECT conversation_id FROM run
		WHERE user_id = $1 AND message_id = $2 ORDER BY accepted_at LIMIT 1`, u, m)
	if err != nil {
		return "", fmt.Errorf("conversation of message: %w", err)
	}
	return c, nil
}

// A UsageDay is what one model used on one day (UTC).
type UsageDay struct {
	Day          string `json:"day"` // YYYY-MM-DD
	Model        string `json:"model"`
	Runs         int    `json:"runs"`
	InputTokens  int64  `json:"input_tokens"`
	OutputTokens int64  `json:"output_tokens"`
	// Estimated is set if some of the numbers are estimates.
	Estimated bool `json:"estimated,omitzero"`
}

// Usage returns a person's usage since a time, by the day on which the message
// was accepted, newest first.
func (s *Store) Usage(ctx context.Context, u events.UserID, since time.Time) ([]UsageDay, error) {
	list, err := rows(ctx, s, u, pgx.RowToStructByPos[UsageDay], `
		SELECT to_char(accepted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, model, count(*)::int,
			sum(input_tokens)::bigint, sum(output_tokens)::bigint, bool_or(estimated)
		FROM run WHERE user_id = $1 AND accepted_at >= $2 AND model <> '' GROUP BY 1, 2 ORDER BY 1 DESC, 2`, u, since)
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	return list, nil
}

// page cuts a list that was read with one row more than limit.
func page[T any](list []T, limit int, after func(T) string) Page[T] {
	p := Page[T]{Data: list}
	if len(list) > limit {
		p.Data, p.HasMore = list[:limit], true
		p.After = after(list[limit-1])
	}
	if p.Data == nil {
		p.Data = []T{}
	}
	return p
}

// cursor names a place in a list by time and id. Postgres keeps microseconds.
func cursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.UnixMicro(), 36) + "." + id))
}

// parseCursor reads a cursor; the empty one is the beginning, after which
// everything is older.
func parseCursor(s string) (at time.Time, id string, err error) {
	if s == "" {
		return time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC), "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return at, "", ErrCursor
	}
	micros, id, ok := strings.Cut(string(b), ".")
	n, err := strconv.ParseInt(micros, 36, 64)
	// Beyond the year 9999 Postgres could not compare.
	if at = time.UnixMicro(n).UTC(); err != nil || !ok || !events.ValidID(id) || at.Year() > 9999 || at.Year() < -4000 {
		return at, "", ErrCursor
	}
	return at, id, nil
}

// pinnedMark begins the cursor of a place among the pinned conversations.
const pinnedMark = "!"

func listCursor(c Summary) string {
	after := cursor(c.UpdatedAt, string(c.ConversationID))
	if c.Pinned {
		after = pinnedMark + after
	}
	return after
}

func parseListCursor(s string) (pinned bool, at time.Time, id string, err error) {
	rest, pinned := strings.CutPrefix(s, pinnedMark)
	if pinned && rest == "" {
		return false, at, "", ErrCursor
	}
	at, id, err = parseCursor(rest)
	return pinned || s == "", at, id, err
}

// numberCursor is a cursor for lists that are ordered by one number.
func numberCursor(n int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(n, 36)))
}

func parseNumberCursor(s string) (int64, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, ErrCursor
	}
	n, err := strconv.ParseInt(string(b), 36, 64)
	if err != nil || n < 0 {
		return 0, ErrCursor
	}
	return n, nil
}
