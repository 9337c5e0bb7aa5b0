package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Streams of JetStream, see docs/architecture.md.
const (
	StreamInbox = "INBOX"
	StreamLog   = "LOG"
	StreamWork  = "WORK"
	StreamTimer = "TIMER"
	StreamDLQ   = "DLQ"
)

// A Ref names one conversation of one person and is the only way to a subject:
// its ids are checked, and the person enters subjects as a hash. Refs are
// comparable. A subject of the zero Ref, or with a token that is no id, is "",
// which no NATS client publishes.
type Ref struct {
	user         UserID
	conversation ConversationID
	path         string // <sh>.<u>.<c>
}

// NewRef returns the Ref of conversation c of person u, or ErrInvalidID.
func NewRef(u UserID, c ConversationID) (Ref, error) {
	if !ValidID(u) {
		return Ref{}, fmt.Errorf("user id: %w", ErrInvalidID)
	}
	if !ValidID(c) {
		return Ref{}, fmt.Errorf("conversation id: %w", ErrInvalidID)
	}
	return Ref{user: u, conversation: c, path: shard(u, c) + "." + UserKey(u) + "." + string(c)}, nil
}

// UserKey returns the form in which a person's id appears in subjects and
// dedupe ids: 26 characters of a hash, because ids from outside may hold dots.
func UserKey(u UserID) string { return derive("user", string(u)) }

// shard is a virtual shard, fixed for ever, so that streams can be split later
// by a map from shards to streams.
func shard(u UserID, c ConversationID) string {
	sum := sha256.Sum256([]byte(string(u) + "\x00" + string(c)))
	return hex.EncodeToString(sum[:1])
}

// User returns the person.
func (r Ref) User() UserID { return r.user }

// Conversation returns the conversation.
func (r Ref) Conversation() ConversationID { return r.conversation }

// String returns the part that all subjects of this conversation share.
func (r Ref) String() string { return r.path }

func (r Ref) below(prefix string) string {
	if r.path == "" {
		return ""
	}
	return prefix + r.path
}

// Message is the subject of commands that may start or continue a run.
func (r Ref) Message() string { return r.below("in.msg.") }

// Control is the subject of commands that change or stop without a model call.
func (r Ref) Control() string { return r.below("in.ctl.") }

// Result is the subject of answers to tool calls.
func (r Ref) Result() string { return r.below("in.res.") }

// Log is the subject of the conversation's commits; literal, one per conversation.
func (r Ref) Log() string { return r.below("log.") }

// Live is where NATS republishes commits once they are stored.
func (r Ref) Live() string { return r.below("live.log.") }

// Delta carries the pieces of the answer that is being written.
func (r Ref) Delta() string { return r.below("delta.") }

// Signal asks whoever streams to look at the log now.
func (r Ref) Signal() string { return r.below("signal.") }

// Snapshot asks whoever streams for the text so far.
func (r Ref) Snapshot() string { return r.below("snapshot.") }

// Work is the subject of tool calls for one tool server.
func (r Ref) Work(server string) string {
	if !ValidID(server) {
		return ""
	}
	return r.below("work." + server + ".")
}

// TimerAt is the subject on which the timer id is scheduled; scheduling it
// again replaces it.
func (r Ref) TimerAt(id string) string {
	if r.path == "" || !ValidID(id) {
		return ""
	}
	return "timer.at." + r.path + "." + id
}

// TimerFired is where a due timer of the conversation arrives.
func (r Ref) TimerFired() string { return r.below("timer.fired.") }

// LiveOf matches the commits of all conversations of a person; for core
// subscriptions only, never for a read of the log.
func LiveOf(u UserID) string { return "live.log.*." + UserKey(u) + ".*" }

// ConversationOf returns the conversation id that ends a subject of this
// package, or "" if the last token is no id. Only [Ref.TimerAt] has more tokens.
func ConversationOf(subject string) ConversationID {
	c := ConversationID(subject[strings.LastIndexByte(subject, '.')+1:])
	if !ValidID(c) {
		return ""
	}
	return c
}

// PersonOf returns the person's token of a subject that ends with
// <sh>.<u>.<c>, or "" if there are fewer tokens.
func PersonOf(subject string) string {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 3 {
		return ""
	}
	return tokens[len(tokens)-2]
}
