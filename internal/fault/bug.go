package fault

// A Bug is a mistake that can be planted. Its comment begins with the invariants
// of docs/architecture.md that it breaks.
type Bug string

// The bugs of the log and the agentworker.
const (
	AckBeforeCommit     Bug = "ack_before_commit"     // I1: a message is acknowledged before its decision is stored; a crash between loses it
	AckBeforeEmit       Bug = "ack_before_emit"       // I1: a message is acknowledged before what it makes due is out; a crash between leaves a call nobody carries out
	NoExpectedSequence  Bug = "no_expected_sequence"  // I4: commits are published without the expected sequence; racing handlers both get n + 1
	RebaseOnConflict    Bug = "rebase_on_conflict"    // I1, I2, I4: after a conflict the old decision is stored at the new n; a message queued meanwhile is never started
	OwnCommitBlind      Bug = "own_commit_blind"      // I3, I4: a commit found stored by an earlier try counts as the lease, though another took over since
	TakeoverAnyDelivery Bug = "takeover_any_delivery" // I1: a delivery that is not newer takes the lease over; healthy answers lose their attempts
	LostLeaseAcks       Bug = "lost_lease_acks"       // I1: a handler that lost its lease acknowledges the message; when its successor dies, nobody is left
	EmitFromDecision    Bug = "emit_from_decision"    // I1: a redelivery emits what its own decision brings, which is nothing, and not what is due
	TakeoverNoTimer     Bug = "takeover_no_timer"     // I1: a takeover does not emit what is due; a deadline lost in the crash never comes
	EndStartsNothing    Bug = "end_starts_nothing"    // I1: only run.completed starts the next run; a message queued behind a cancelled one waits for ever
	CancelEndsRun       Bug = "cancel_ends_run"       // I5: a cancel ends the run though calls are out; they run afterwards and the receipt is wrong
	DrainCompletes      Bug = "drain_completes"       // I3: an answer cut by a shutdown is stored as if it were whole
	StopDropsText       Bug = "stop_drops_text"       // I3, I5: the receipt of a stopped run leaves out the text that people have seen
	DeltaAttemptFixed   Bug = "delta_attempt_fixed"   // I3: deltas of every attempt say attempt 1, and the edge lets them pass; readers append a second try to the first
	DeltaOffsetRunes    Bug = "delta_offset_runes"    // I3: offsets count characters and not bytes; readers drop or miss text
	DedupeWithoutPerson Bug = "dedupe_without_person" // I1, I7: dedupe ids leave the person out; one person's id swallows another's message
	NoRenewal           Bug = "no_renewal"            // I1: leases are not renewed; a long answer is taken over until it fails, though nobody died
)

// The bugs of the toolworker.
const (
	EffectOutside    Bug = "effect_outside"     // I2: a tool's effect is committed before its ledger row; a crash between doubles it
	LedgerPerTry     Bug = "ledger_per_try"     // I2: each delivery of a call has a ledger row of its own, and so an effect
	RevokeWithoutRow Bug = "revoke_without_row" // I2, I5: a revoke is answered without taking the ledger row; the call still runs
	AckBeforeAnswer  Bug = "ack_before_answer"  // I1: a work item is acknowledged before its answer is stored; a crash between loses the answer
)

// The bugs of the recorder and the edge.
const (
	CheckpointFirst    Bug = "checkpoint_first"     // I6: the checkpoint is committed before the rows; a crash between leaves a hole
	CheckpointIgnored  Bug = "checkpoint_ignored"   // I6: a recorder begins at the newest commit; what came while none ran is never archived
	LiveWithoutRead    Bug = "live_without_read"    // I3, I4: a reader goes live without what it missed; commits between are never shown
	SnapshotIgnored    Bug = "snapshot_ignored"     // I3: the text so far is asked for and thrown away; whoever joins in the middle of an answer sees nothing until it ends
	StoreBeforeRefusal Bug = "store_before_refusal" // I8: a message to a conversation that is deleted or unknown is refused, and stored all the same
	TellEveryone       Bug = "tell_everyone"        // I7: news of one person's tasks and conversations go to every socket of the edge
)

// Bugs lists every bug.
func Bugs() []Bug {
	return []Bug{
		AckBeforeCommit, AckBeforeEmit, NoExpectedSequence, RebaseOnConflict, OwnCommitBlind, TakeoverAnyDelivery, LostLeaseAcks,
		EmitFromDecision, TakeoverNoTimer, EndStartsNothing, CancelEndsRun, DrainCompletes, StopDropsText, DeltaAttemptFixed,
		DeltaOffsetRunes, DedupeWithoutPerson, NoRenewal,
		EffectOutside, LedgerPerTry, RevokeWithoutRow, AckBeforeAnswer,
		CheckpointFirst, CheckpointIgnored, LiveWithoutRead, SnapshotIgnored, StoreBeforeRefusal, TellEveryone,
	}
}
