package main

import (
	"crypto/sha256"
	"time"

	"github.com/parleychat/parley/events"
)

// Evidence is everything that the checks may look at.
type evidence struct {
	// Log holds the commits of each conversation as LOG has them, in the
	// order of the stream.
	Log map[place][]logged
	// Archive holds what Postgres has of the same.
	Archive map[place][]archived
	// Rejected counts what the recorder put aside.
	Rejected int
	// Conversations and RunBodies are the read models' rows.
	Conversations map[place]conversationRow
	RunBodies     map[runPlace]string
	// Verified is what parley verify said if it found differences.
	Verified string
	Ledger   []ledgerRow
	History  []historyRow
	Tasks    []taskRow
	// Queues are the messages of each work queue that nobody acknowledged, Returned
	// those that came back after they were, and Dead the headers of the DLQ's messages.
	Queues   map[string]uint64
	Returned uint64
	Dead     []string
	// Quiet says that all queues were empty before the evidence was taken.
	Quiet bool

	Model    []modelRequest
	Requests []request
	Devices  []deviceRecord
	// Faults are what the nemesis did, each until the process was whole again.
	Faults []span
	// Timers are the ids of the schedules that TIMER holds, and TimersAt when it was asked.
	Timers   map[string]bool
	TimersAt time.Time
	// Forgotten counts the schedules that are gone although they were acknowledged:
	// NATS was killed a moment later. The checks find them.
	Forgotten int
	// Panics are lines of processes' logs that only a broken program writes.
	Panics []string
	// Canaries are the persons' secrets.
	Canaries map[events.UserID]string
}

// A place is one conversation of one person.
type place struct {
	User         events.UserID
	Conversation events.ConversationID
}

type runPlace struct {
	place
	Run events.RunID
}

// A callPlace is one tool call of one person.
type callPlace struct {
	User events.UserID
	Call events.CallID
}

type logged struct {
	Seq    uint64
	Raw    string
	Commit *events.Commit // nil if it cannot be decoded
	Stored time.Time
}

type archived struct {
	N       uint64
	Raw     string
	HashOK  bool
	Present bool // the payload is there
}

type conversationRow struct {
	N    uint64
	Body string
}

type ledgerRow struct {
	callPlace
	Conversation events.ConversationID
	Run          events.RunID
	Name         string
	State        string
	OK           bool
	Result       string
	ErrorCode    string
}

type historyRow struct {
	User   events.UserID
	Rev    int64
	TaskID int64
	Tool   string
	Call   events.CallID
	Run    events.RunID
	At     time.Time
	Row    string
}

type taskRow struct {
	User    events.UserID
	TaskID  int64
	Rev     int64
	Title   string
	Status  string
	Deleted bool
}

type span struct {
	Kind, Role string
	From, To   time.Time
}

// What a client knows of a request in the end.
const (
	accepted = "accepted" // it was told so
	refused  = "refused"  // every try was, for certain
	unknown  = "unknown"  // no answer, or one that says nothing
)

// A request is one command under one id, however often it was sent.
type request struct {
	User events.UserID
	ID   string
	Kind string
	// Conversation is where it was sent, or what its id makes of "a new one".
	Conversation events.ConversationID
	// Text is the message's, and a mark that nothing else of this world has.
	Text  string
	Tries []try
	// Foreign marks an attempt to see another person's data: it must be refused.
	Foreign bool
}

// Kinds of requests that are told apart by the checks.
const (
	kindMessage    = "message"
	kindRegenerate = "regenerate"
	kindCall       = "call"
	kindCancel     = "cancel"
	kindOther      = "control"
	kindBad        = "bad"
	kindForeign    = "foreign"
)

// A try is one time that a request was sent.
type try struct {
	Begun, Ended time.Time
	Edge         int
	Via          string
	Verdict      string
	// Status and Code are HTTP's and the error body's; Code also of an error frame.
	Status int
	Code   string
	// Answer is the run as the response showed it, if it did.
	Answer *answered
}

// An answered run is what an HTTP response said about it.
type answered struct {
	Conversation events.ConversationID
	Run          events.RunID
	Status       events.Status
	Text         string
	Calls        map[events.CallID]string // status word
	Receipt      *events.Receipt
	EndedN       uint64
}

// verdict is what the client knows after all tries.
func (r *request) verdict() string {
	v := refused
	for _, t := range r.Tries {
		switch t.Verdict {
		case accepted:
			return accepted
		case unknown:
			v = unknown
		}
	}
	if len(r.Tries) == 0 {
		return unknown
	}
	return v
}

// acceptedAt is when the client was first told so.
func (r *request) acceptedAt() (at time.Time) {
	for _, t := range r.Tries {
		if t.Verdict == accepted && (at.IsZero() || t.Ended.Before(at)) {
			at = t.Ended
		}
	}
	return at
}

// begun is when it was first sent.
func (r *request) begun() time.Time {
	if len(r.Tries) == 0 {
		return time.Time{}
	}
	at := r.Tries[0].Begun
	for _, t := range r.Tries[1:] {
		if t.Begun.Before(at) {
			at = t.Begun
		}
	}
	return at
}

// A deviceRecord is what one reader saw.
type deviceRecord struct {
	Name  string
	User  events.UserID
	Views map[events.ConversationID]*viewRecord
	// Foreign are frames or rows that hold another person's canary.
	Foreign []string
	Resumes int
}

// A viewRecord is one conversation as a reader assembled it.
type viewRecord struct {
	Hashes []commitHash // of the commits 1, 2, 3 …
	// Texts are the answers that the reader's own fold shows in the end.
	Texts map[events.RunID]string
	// Disorder lists commits that did not follow the one before.
	Disorder []string
	// Drafts are the streamed texts at the moment at which their commit came.
	Drafts []draftRecord
	Holes  int
}

type commitHash [8]byte

func hashOf[T ~string | ~[]byte](raw T) commitHash {
	sum := sha256.Sum256([]byte(raw))
	return commitHash(sum[:8])
}

type draftRecord struct {
	Run     events.RunID
	Step    int
	Attempt int
	Text    string
	// Watched is how long the reader had been live, on one connection, while the
	// attempt was written.
	Watched time.Duration
	// HoleFor is how long bytes were missing at last, 0 if none were.
	HoleFor time.Duration
}
