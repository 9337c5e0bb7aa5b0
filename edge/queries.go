package edge

import (
	"context"
	"time"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// Queries is what the edge reads from Postgres; readmodel.Store implements it.
// Every method takes the person or a Ref, and a row of somebody else is
// [readmodel.ErrNotFound] like one that does not exist. A cursor that the
// implementation did not make is [readmodel.ErrCursor]. Any other error means
// that Postgres is away: the edge then answers from the log what the log can
// answer, and 503 for the rest. Limits are at least 1 and checked by the edge.
type Queries interface {
	// Commits gives archived commits, for histories that the stream no longer holds.
	eventlog.Archive
	// Conversations lists or searches a person's conversations.
	Conversations(ctx context.Context, u events.UserID, q readmodel.ConversationsQuery) (readmodel.Page[readmodel.Summary], error)
	// Search finds a person's conversations by what was said in them.
	Search(ctx context.Context, u events.UserID, q readmodel.SearchQuery) (readmodel.Page[readmodel.Found], error)
	// Summary returns one conversation's line, also of a deleted conversation.
	Summary(ctx context.Context, r events.Ref) (readmodel.Summary, error)
	// Base returns the last limit runs of the current branch and all open runs,
	// as [events.Conversation.Base] does. With before it returns the limit runs
	// of the branch that lead up to that run, without it; a run that the
	// conversation does not have is ErrNotFound.
	Base(ctx context.Context, r events.Ref, limit int, before events.RunID) (*events.Conversation, error)
	// ConversationOfRun finds the conversation of a run.
	ConversationOfRun(ctx context.Context, u events.UserID, run events.RunID) (events.ConversationID, error)
	// ConversationOfMessage finds the conversation that accepted a message id.
	ConversationOfMessage(ctx context.Context, u events.UserID, m events.MessageID) (events.ConversationID, error)
	// Tasks lists a person's tasks.
	Tasks(ctx context.Context, u events.UserID, q readmodel.TasksQuery) (readmodel.TaskPage, error)
	// TaskHistory lists the changes of one task, newest first; a task that never
	// existed is ErrNotFound.
	TaskHistory(ctx context.Context, u events.UserID, task int64, limit int, after string) (readmodel.Page[readmodel.TaskChange], error)
	// TaskChanges lists the changes of all tasks, oldest first.
	TaskChanges(ctx context.Context, u events.UserID, q readmodel.TaskChangesQuery) (readmodel.TaskChanges, error)
	// Ping says why Postgres cannot be asked, or nil.
	Ping(ctx context.Context) error
}

// queryPatience is how long the edge asks Postgres for what the log can answer
// as well: an implementation may wait out an outage for much longer.
const queryPatience = time.Second

func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, queryPatience)
}
