// Package readmodel is Parley's side of Postgres: the archive of all commits,
// the tables projected from them, and the queries over both.
//
// [Open] gives a [Store]. Readers ask it for lists, pages and single rows, and
// use it as the archive behind the log ([Store.Commits]). The recorder writes
// through it: [Store.Load] gives a conversation's [Fold], [Fold.Apply] adds
// commits, and [Store.Write] stores archive, rows and checkpoint of a [Batch]
// in one transaction.
//
// [Store.Snapshot] gives one state of everything to somebody who checks it, with
// [Fold.Compare] to tell what should stand in the rows; [Store.Rebuild] writes
// rows again.
//
// # Invariants
//
// Every query is bound to one person by its first parameter and by a
// transaction-local setting for row level security. Rows are derived by the same
// fold as everything else, events.Conversation, and are never a source: they
// can be dropped and written again from the archive. A page that [Store.Base]
// gives is one reading of one state, not two glued together.
//
// No session state outlives a transaction, so a transaction-mode pooler may
// stand between. A database that restarts or sleeps costs a wait: reads and
// writes are tried again until the context or [Options.Wait] ends.
package readmodel
