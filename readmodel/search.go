package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
)

// hitsShown is how many hits of each conversation a search tells, until it is
// narrowed to that conversation.
const hitsShown = 3

// A SearchQuery asks where something was said.
type SearchQuery struct {
	// Text must have its words, or words that begin with them, in a title, or in a message and its answer.
	Text string
	// Conversation narrows the search to one: its newest Limit hits. Else
	// Limit counts conversations, each with its newest few hits.
	Conversation events.ConversationID
	Limit        int
	After        string
}

// A Found is a conversation with what was found in it.
type Found struct {
	ConversationID events.ConversationID `json:"conversation_id"`
	// Title is the whole title; it may hold a hit or not.
	Title     []Piece   `json:"title"`
	Archived  bool      `json:"archived,omitzero"`
	UpdatedAt time.Time `json:"updated_at"`
	// Hits are the newest ones, newest first, of Total.
	Hits  []Hit `json:"hits"`
	Total int   `json:"total"`
}

// A Hit is a message or an answer with the words that were searched for.
type Hit struct {
	RunID     events.RunID     `json:"run_id"`
	MessageID events.MessageID `json:"message_id"`
	// By tells the person's message from the model's answer.
	By   events.By `json:"by"`
	Time time.Time `json:"time"`
	// Excerpt is the text around the first hits, on one line.
	Excerpt []Piece `json:"excerpt"`
}

// personWords are the rows of a person with certain words, found by their index:
// without statistics a planner would rather look through all rows of the person,
// whom the index may have mixed up with another of the same hash.
const personWords = `SELECT user_id, conversation_id, run_id FROM conversation_words WHERE person_words(user_id, words) @@ person_query(%s) OFFSET 0`

// One statement: what was found, the conversations of the page, and of each the
// newest hits. Only the rows that were found are read.
var selectFound = `
SELECT l.conversation_id, l.title, l.archived, l.active_at, coalesce(cardinality(l.runs), 0), (
	SELECT array_agg(h.body ORDER BY h.pos DESC) FROM (
		SELECT r.pos, r.body FROM unnest(l.runs) AS k(id) CROSS JOIN LATERAL (
			SELECT pos, body FROM run WHERE user_id = $1 AND conversation_id = l.conversation_id AND run_id = k.id OFFSET 0
		) r ORDER BY r.pos DESC LIMIT $6
	) h
) FROM (
	SELECT c.conversation_id, c.title, c.archived, c.active_at, f.runs FROM (
		SELECT conversation_id, array_agg(run_id) FILTER (WHERE run_id <> '') AS runs
		FROM (` + fmt.Sprintf(personWords, "$1, $2") + `) w WHERE user_id = $1 %s GROUP BY conversation_id
	) f JOIN conversation c ON c.user_id = $1 AND c.conversation_id = f.conversation_id
	WHERE NOT c.deleted AND c.conversation_id <> 'home' AND (c.active_at, c.conversation_id) < ($3, $4)
	ORDER BY c.active_at DESC, c.conversation_id DESC LIMIT $5
) l ORDER BY l.active_at DESC, l.conversation_id DESC`

var (
	searchAll = fmt.Sprintf(selectFound, "")
	searchOne = fmt.Sprintf(selectFound, "AND conversation_id = $7")
)

// Search finds a person's conversations by what was said in them, newest
// activity first, archived ones among them. Pages are as those of [Store.Conversations].
func (s *Store) Search(ctx context.Context, u events.UserID, q SearchQuery) (Page[Found], error) {
	at, id, err := parseCursor(q.After)
	if err != nil {
		return Page[Found]{}, fmt.Errorf("search: %w", err)
	}
	wanted := words(q.Text)
	if len(wanted) == 0 { // nothing but punctuation is found nowhere
		return Page[Found]{Data: []Found{}}, nil
	}
	scan := func(r pgx.CollectableRow) (Found, error) { return scanFound(r, wanted) }
	query, args := searchAll, []any{u, wanted, at, id, q.Limit + 1, hitsShown}
	if q.Conversation != "" {
		query, args = searchOne, []any{u, wanted, at, id, 1, q.Limit, q.Conversation}
	}
	list, err := rows(ctx, s, u, scan, query, args...)
	if err != nil {
		return Page[Found]{}, fmt.Errorf("search: %w", err)
	}
	return page(list, q.Limit, func(f Found) string { return cursor(f.UpdatedAt, string(f.ConversationID)) }), nil
}

func scanFound(r pgx.CollectableRow, wanted []string) (Found, error) {
	f := Found{Hits: []Hit{}}
	var title string
	var bodies [][]byte
	if err := r.Scan(&f.ConversationID, &title, &f.Archived, &f.UpdatedAt, &f.Total, &bodies); err != nil {
		return f, err
	}
	f.Title, f.UpdatedAt = marked(title, wanted), f.UpdatedAt.UTC()
	for _, body := range bodies {
		var run events.Run
		if err := json.Unmarshal(body, &run); err != nil {
			return f, fmt.Errorf("run of %s: %w", f.ConversationID, err)
		}
		f.Hits = append(f.Hits, hitIn(&run, wanted))
	}
	return f, nil
}

// hitIn tells which side of a run has more of the wanted words, the message
// first, and shows it.
func hitIn(r *events.Run, wanted []string) Hit {
	h := Hit{RunID: r.RunID, MessageID: r.Message.MessageID, By: events.ByUser, Time: r.Message.Time}
	asked, n := excerpt(r.Message.Text, wanted)
	h.Excerpt = asked
	if r.Status.Over() {
		if answer, m := excerpt(r.Answer(), wanted); m > n {
			h.Excerpt, h.By, h.Time = answer, events.ByModel, r.EndedAt
		}
	}
	return h
}
