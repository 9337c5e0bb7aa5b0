package fault

// A Bug is a mistake that can be planted. [Bug.Breaks] says what it breaks.
type Bug string

// The bugs of the log and the agentworker.
const (
	AckBeforeCommit     Bug = "ack_before_commit"     // a message is acknowledged before its decision is stored; a crash between loses it
	AckBeforeEmit       Bug = "ack_before_emit"       // a message is acknowledged before what it makes due is out; a crash between leaves a call nobody carries out
	NoExpectedSequence  Bug = "no_expected_sequence"  // commits are published without the expected sequence; racing handlers both get n + 1
	RebaseOnConflict    Bug = "rebase_on_conflict"    // after a conflict the old decision is stored at the new n; a message queued meanwhile is never started
	OwnCommitBlind      Bug = "own_commit_blind"      // a commit found stored by an earlier try counts as the lease, though another took over since
	TakeoverAnyDelivery Bug = "takeover_any_delivery" // a delivery that is not newer takes the lease over; healthy answers lose their attempts
	LostLeaseAcks       Bug = "lost_lease_acks"       // a handler that lost its lease acknowledges the message; when its successor dies, nobody is left
	EmitFromDecision    Bug = "emit_from_decision"    // a redelivery emits what its own decision brings, which is nothing, and not what is due
	TakeoverNoTimer     Bug = "takeover_no_timer"     // a takeover does not emit what is due; a deadline lost in the crash never comes
	EndStartsNothing    Bug = "end_starts_nothing"    // only run.completed starts the next run; a message queued behind a cancelled one waits for ever
	CancelEndsRun       Bug = "cancel_ends_run"       // a cancel ends the run though calls are out; they run afterwards and the receipt is wrong
	DrainCompletes      Bug = "drain_completes"       // an answer cut by a shutdown is stored as if it were whole
	StopDropsText       Bug = "stop_drops_text"       // the receipt of a stopped run leaves out the text that people have seen
	DeltaAttemptFixed   Bug = "delta_attempt_fixed"   // deltas of every attempt say attempt 1, and the edge lets them pass; readers append a second try to the first
	DeltaOffsetRunes    Bug = "delta_offset_runes"    // offsets count characters and not bytes; readers drop or miss text
	DedupeWithoutPerson Bug = "dedupe_without_person" // dedupe ids leave the person out; one person's id swallows another's message
	NoRenewal           Bug = "no_renewal"            // leases are not renewed; a long answer is taken over until it fails, though nobody died
)

// The bugs of the toolworker.
const (
	EffectOutside    Bug = "effect_outside"     // a tool's effect is committed before its ledger row; a crash between doubles it
	LedgerPerTry     Bug = "ledger_per_try"     // each delivery of a call has a ledger row of its own, and so an effect
	RevokeWithoutRow Bug = "revoke_without_row" // a revoke is answered without taking the ledger row; the call still runs
	AckBeforeAnswer  Bug = "ack_before_answer"  // a work item is acknowledged before its answer is stored; a crash between loses the answer
)

// The bugs of the recorder and the edge.
const (
	CheckpointFirst    Bug = "checkpoint_first"     // the checkpoint is committed before the rows; a crash between leaves a hole
	CheckpointIgnored  Bug = "checkpoint_ignored"   // a recorder begins at the newest commit; what came while none ran is never archived
	LiveWithoutRead    Bug = "live_without_read"    // a reader goes live without what it missed; commits between are never shown
	SnapshotIgnored    Bug = "snapshot_ignored"     // the text so far is asked for and thrown away; whoever joins in the middle of an answer sees nothing until it ends
	StoreBeforeRefusal Bug = "store_before_refusal" // a message to a conversation that is deleted or unknown is refused, and stored all the same
	TellEveryone       Bug = "tell_everyone"        // news of one person's tasks and conversations go to every socket of the edge
)

// A ruin is a bug and the invariants of docs/architecture.md that it breaks. A
// proof has noticed the bug when it finds one of them broken: whatever else it
// finds at the same time shows something else.
type ruin struct {
	bug    Bug
	breaks []string
}

func ruins() []ruin {
	return []ruin{
		{AckBeforeCommit, []string{"I1"}},
		{AckBeforeEmit, []string{"I1"}},
		{NoExpectedSequence, []string{"I4"}},
		{RebaseOnConflict, []string{"I1", "I2", "I4"}},
		{OwnCommitBlind, []string{"I3", "I4"}},
		{TakeoverAnyDelivery, []string{"I1"}},
		{LostLeaseAcks, []string{"I1"}},
		{EmitFromDecision, []string{"I1"}},
		{TakeoverNoTimer, []string{"I1"}},
		{EndStartsNothing, []string{"I1"}},
		{CancelEndsRun, []string{"I5"}},
		{DrainCompletes, []string{"I3"}},
		{StopDropsText, []string{"I3", "I5"}},
		{DeltaAttemptFixed, []string{"I3"}},
		{DeltaOffsetRunes, []string{"I3"}},
		{DedupeWithoutPerson, []string{"I1", "I7"}},
		{NoRenewal, []string{"I1"}},
		{EffectOutside, []string{"I2"}},
		{LedgerPerTry, []string{"I2"}},
		{RevokeWithoutRow, []string{"I2", "I5"}},
		{AckBeforeAnswer, []string{"I1"}},
		{CheckpointFirst, []string{"I6"}},
		{CheckpointIgnored, []string{"I6"}},
		{LiveWithoutRead, []string{"I3", "I4"}},
		{SnapshotIgnored, []string{"I3"}},
		{StoreBeforeRefusal, []string{"I8"}},
		{TellEveryone, []string{"I7"}},
	}
}

// Bugs lists every bug.
func Bugs() []Bug {
	var list []Bug
	for _, r := range ruins() {
		list = append(list, r.bug)
	}
	return list
}

// Breaks lists the invariants that b breaks, "I1" to "I8", at least one.
func (b Bug) Breaks() []string {
	for _, r := range ruins() {
		if r.bug == b {
			return r.breaks
		}
	}
	return nil
}
