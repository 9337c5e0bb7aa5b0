package events

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// The ids of Parley's nouns. Each is an opaque string that satisfies [ValidID].
type (
	// UserID names a person, as the issuer's "sub" claim does.
	UserID string
	// ConversationID names a conversation of one person.
	ConversationID string
	// MessageID names a person's message; the client makes it, so that a retry meets itself.
	MessageID string
	// RunID names the answer to one message, see [RunIDFor].
	RunID string
	// CallID names one tool call, see [CallIDFor] and [HandCallID].
	CallID string
)

// Home is the hidden conversation that records what a person does outside any
// conversation: ticks and edits in the task panel, calls through MCP, erasure.
const Home ConversationID = "home"

// Root is what a command gives as parent to say "before the first message".
// An absent parent means the tip of the current branch.
const Root RunID = "root"

// MaxIDLength bounds every id. A subject with a 5,000-character id closes the
// whole process's NATS connection for good, and Publish still returns nil.
const MaxIDLength = 64

// derivedLength is 26 base32 characters: 130 bits of a SHA-256.
const derivedLength = 26

// ErrInvalidID reports an id that is empty, too long, or has a character
// outside A–Z, a–z, 0–9, "_" and "-".
var ErrInvalidID = errors.New("invalid id")

// ValidID reports whether s matches ^[A-Za-z0-9_-]{1,64}$.
func ValidID[T ~string](s T) bool {
	if len(s) == 0 || len(s) > MaxIDLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// reservedUsers are the route words below /api; a person with such an id would
// shadow a route or be shadowed by it.
var reservedUsers = map[UserID]bool{"auth": true, "dev": true, "config": true, "internal": true}

// ParseUserID returns s as a UserID, or ErrInvalidID if it is no id or a word
// that the HTTP routes have taken.
func ParseUserID(s string) (UserID, error) {
	if !ValidID(s) || reservedUsers[UserID(s)] {
		return "", fmt.Errorf("user id: %w", ErrInvalidID)
	}
	return UserID(s), nil
}

// derive hashes parts into an id. The separator cannot occur in an id, so
// different parts never give the same input.
func derive(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:derivedLength]
}

// ConversationIDFor returns the conversation that a message without a
// conversation starts: a retry of the message meets the same conversation.
func ConversationIDFor(u UserID, m MessageID) ConversationID {
	return ConversationID(derive("conversation", string(u), string(m)))
}

// RunIDFor returns the run that answers message m.
func RunIDFor(u UserID, c ConversationID, m MessageID) RunID {
	return RunID(derive("run", string(u), string(c), string(m)))
}

// CallIDFor returns the id of a step's index-th tool call: steps count from 1,
// calls from 0. The model's own call ids are data and never used.
func CallIDFor(r RunID, step, index int) CallID {
	return CallID(fmt.Sprintf("%s-%d-%d", r, step, index))
}

// RunOf returns the run that a call id of [CallIDFor] names, or "" for any other id.
func RunOf(c CallID) RunID {
	s := string(c)
	for range 2 {
		i := strings.LastIndexByte(s, '-')
		if i < 0 {
			return ""
		}
		s = s[:i]
	}
	return RunID(s)
}

// HandCallID returns the id of a call that a person made by hand with the
// command id. It has no run.
func HandCallID(u UserID, command string) CallID {
	return CallID(derive("hand", string(u), command))
}

// KeyID turns an Idempotency-Key that is no id by our rule into one.
func KeyID(u UserID, key string) MessageID {
	return MessageID(derive("key", string(u), key))
}

// ResultID returns the inbox id of the answer to a call.
func ResultID(c CallID) string { return string(c) + ".res" }
