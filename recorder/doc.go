// Package recorder copies the log into Postgres, in order: the archive, the read
// models, and how far it got, in one transaction per batch.
//
// [New] makes a [Recorder], [Recorder.Run] records until its context ends. Any
// number may run; one at a time is active.
//
// # Invariants
//
// The checkpoint moves in the transaction that writes what it stands for, and
// only from where its writer knew it. So a recorder that was paused, lost its
// lease, or does not know whether its last commit went through cannot write
// twice or out of order; it begins again at the checkpoint. That is the one path
// of recovery: starting is the same as going on after any error.
//
// Nothing is overwritten and nothing is lost. What the archive cannot take is
// kept beside it with a reason and raises an alarm, which [Recorder.Ready] and
// the metrics show until somebody has looked at it; the recorder goes on.
//
// # Audit
//
// [Verify] folds the whole archive again and names every row of the database
// that is not what the archive says. [Rebuild] writes the read models again from
// the archive while everything goes on. Neither calls a model or a tool.
//
// # Trimming
//
// The log is trimmed of what is safely archived and older than [Options.Keep],
// never of a conversation's last commit: its sequence is the fence against
// writers that were left behind.
package recorder
