// Package eventlog stores conversations as streams of commits in JetStream and
// carries the commands, tool calls and timers that lead to them.
//
// [Log.Append] adds a commit after a sequence that the caller has seen and
// fails with [ErrConflict] if someone was faster or nobody can tell.
// [Log.Read] and [Log.History] give commits again, in order; a gap is an
// error, never a shorter history. [Log.Serve] hands out the messages of a work
// queue, at least once, each as a [Delivery] that holds its lease until it is
// acknowledged.
//
// # Invariants
//
// Every publish to the log carries the expected last sequence of its literal
// subject: there is no other way into it. A timed-out publish is unknown, never
// failed. Nothing here reads or writes Postgres; the archive is an interface.
package eventlog
