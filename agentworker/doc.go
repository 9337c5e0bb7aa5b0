// Package agentworker answers messages: it takes commands, tool results and
// timers from the inbox, calls the model, and is the only writer of the log.
//
// [Rules.Decide] and [Rules.AfterModel] are pure: they say what a delivery
// means in a given state of the conversation. [Worker] performs: fold, decide,
// commit at the expected sequence, emit what [Rules.Due] finds in the new
// state, then acknowledge or call the model. A conflict, or a publish of
// unknown outcome, discards the decision; it is never moved to a new place.
//
// # Invariants
//
//   - The unacknowledged inbox message is the lease of the model call made under
//     it. A handler that lost its lease neither renews, acks nor naks.
//   - Emissions come from the state, not from the commit just made, so recovery
//     walks the path of every normal step.
//   - Whatever ends a run starts the next queued one in the same commit.
//
// What the model may do is configuration ([Options]); what a call does is the
// tool worker's business.
package agentworker
