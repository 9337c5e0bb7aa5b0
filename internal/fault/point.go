package fault

// A Point is a place in the code where a process may be killed.
type Point string

// The points of the edge.
const (
	EdgeEnqueueBefore Point = "edge.enqueue.before" // a command is checked and not stored
	EdgeEnqueueAfter  Point = "edge.enqueue.after"  // it is stored and its sender does not know
)

// The points of the agentworker.
const (
	CommitBefore   Point = "commit.before"    // a decision is made and not stored
	CommitAfter    Point = "commit.after"     // it is stored, and nothing that it makes due is out
	SignalBefore   Point = "signal.before"    // a stop is stored and whoever streams has not been told
	SignalAfter    Point = "signal.after"     // they are told, if the word got out
	TimerBefore    Point = "timer.before"     // a deadline is due and not scheduled
	TimerAfter     Point = "timer.after"      // it is scheduled
	WorkBefore     Point = "work.before"      // a tool call is due and not sent
	WorkAfter      Point = "work.after"       // it is sent, and the message that led to it is not acknowledged
	ModelBefore    Point = "model.before"     // the model is about to be asked; step.started is stored, or on its way (ADR 14)
	ModelFirstByte Point = "model.first_byte" // step.started is stored, the first piece of an answer has come, and nobody has seen it
	DeltaAfter     Point = "delta.after"      // it is sent, if it got out, and nothing of it is stored
	ModelAfter     Point = "model.after"      // the model has ended and the outcome is not stored
	AgentAckBefore Point = "agent.ack.before" // a message is handled and not acknowledged
	AgentAckAfter  Point = "agent.ack.after"  // it is acknowledged, if the word got out
	TitleBefore    Point = "title.before"     // a first answer is over and no title asked for
	TitleAfter     Point = "title.after"      // a title is made and not stored
)

// The points of whoever gives a message up, or back.
const (
	DeadLetterBefore Point = "dead_letter.before" // a message is given up and not in the DLQ
	DeadLetterAfter  Point = "dead_letter.after"  // it is in the DLQ and not closed
	NakBefore        Point = "nak.before"         // a stopping worker has not finished a message and nobody knows
	NakAfter         Point = "nak.after"          // it is given back, if the word got out
)

// The points of the toolworker.
const (
	LedgerBefore     Point = "ledger.before"      // a call is taken up and has no row
	EffectBefore     Point = "effect.before"      // its row is written in an open transaction
	ToolCommitBefore Point = "tool.commit.before" // its effect is, too
	ToolCommitAfter  Point = "tool.commit.after"  // row and effect are committed, and the result is only there
	RevokeBefore     Point = "revoke.before"      // a refusal's row is written in an open transaction
	RevokeAfter      Point = "revoke.after"       // it is committed, and the refusal is only there
	AnswerBefore     Point = "answer.before"      // an answer is known and not stored in the inbox
	AnswerAfter      Point = "answer.after"       // it is stored and the work item not acknowledged
	ToolAckAfter     Point = "tool.ack.after"     // the work item is acknowledged, if the word got out
)

// The points of the recorder.
const (
	BatchBefore       Point = "batch.before"        // commits are read and no transaction is open
	BatchCommitBefore Point = "batch.commit.before" // rows and checkpoint are written in an open transaction
	BatchAfter        Point = "batch.after"         // they are committed and the recorder has not moved on
	FireBefore        Point = "fire.before"         // a run is long past its deadline and has not been told again
	FireAfter         Point = "fire.after"          // it has, and the recorder has not moved on
)

// Points lists every point.
func Points() []Point {
	return []Point{
		EdgeEnqueueBefore, EdgeEnqueueAfter,
		CommitBefore, CommitAfter, SignalBefore, SignalAfter, TimerBefore, TimerAfter, WorkBefore, WorkAfter,
		ModelBefore, ModelFirstByte, DeltaAfter, ModelAfter,
		AgentAckBefore, AgentAckAfter, TitleBefore, TitleAfter,
		DeadLetterBefore, DeadLetterAfter, NakBefore, NakAfter,
		LedgerBefore, EffectBefore, ToolCommitBefore, ToolCommitAfter, RevokeBefore, RevokeAfter, AnswerBefore, AnswerAfter, ToolAckAfter,
		BatchBefore, BatchCommitBefore, BatchAfter, FireBefore, FireAfter,
	}
}
