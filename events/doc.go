// Package events is Parley's vocabulary: the facts a conversation is made of,
// the commands that ask for them, and the fold that turns facts into state.
//
// Start with [Commit], the atomic unit of a conversation's history, and
// [Conversation], the state that [Conversation.Apply] derives from commits.
// Everything that crosses a process boundary is defined here: events, the
// commands and results of the inbox ([Inbox]), the tool calls of the work queue
// ([WorkItem]), the pieces of a streamed answer ([Delta]), and the subjects that
// carry them ([Ref]).
//
// # Invariants
//
// A conversation is one total order: its commits count n = 1, 2, 3 … without a
// gap, and Apply refuses any other n. The fold is pure: it reads no clock, does
// no I/O, and never panics, whatever bytes a commit was decoded from. Fields and
// event types are only ever added; an unknown event is kept ([Unknown]), shown
// generically and skipped by the fold, so that old code reads new logs.
//
// Every derived id contains the person ([RunIDFor], [ConversationIDFor],
// [HandCallID]): one person's ids can never meet another's.
//
// The package does not know JetStream, Postgres or HTTP.
package events

//go:generate go run ./internal/schemagen . schema.json
