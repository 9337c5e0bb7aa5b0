package events

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// MaxCommit bounds an encoded commit in bytes: the LOG stream takes 1 MiB with
// its headers.
const MaxCommit = 1<<20 - 8<<10

// ErrTooLarge reports a commit over [MaxCommit].
var ErrTooLarge = errors.New("too large for the log")

// A Commit is one atomic group of events of one conversation, and one message
// of the LOG stream.
type Commit struct {
	V              int            `json:"v"`
	ConversationID ConversationID `json:"conversation_id"`
	UserID         UserID         `json:"user_id"`
	// N counts this conversation's commits from 1; it is what a client resumes after.
	N uint64 `json:"n"`
	// CommitID is equal for a handler's own retries and different for every other handler and content, see [CommitID].
	CommitID string `json:"commit_id"`
	// Cause is the id of the inbox message that was handled.
	Cause string `json:"cause"`
	By    By     `json:"by"`
	// Time is for display only: order is N.
	Time   time.Time `json:"time"`
	Events []Event   `json:"events"`
}

// Ref returns the conversation that the commit belongs to.
func (c *Commit) Ref() (Ref, error) { return NewRef(c.UserID, c.ConversationID) }

// check returns an error unless the envelope is complete.
func (c *Commit) check() error {
	if c.V != Version {
		return fmt.Errorf("%w %d", ErrVersion, c.V)
	}
	if _, err := c.Ref(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if c.N == 0 || c.CommitID == "" || c.Time.IsZero() || len(c.Events) == 0 {
		return fmt.Errorf("%w: no n, commit id, time or events", ErrMalformed)
	}
	return nil
}

// Encode returns the commit's JSON, or an error if it is over [MaxCommit] or
// [DecodeCommit] would refuse it: what is stored once must be readable for ever.
func (c *Commit) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode commit: %w", err)
	}
	b, err := json.Marshal(c, codec)
	if err != nil {
		return nil, fmt.Errorf("encode commit: %w", err)
	}
	if len(b) > MaxCommit {
		return nil, fmt.Errorf("encode commit: %d bytes: %w, which takes %d", len(b), ErrTooLarge, MaxCommit)
	}
	return b, nil
}

// DecodeCommit reads a commit and checks its envelope.
func DecodeCommit(b []byte) (*Commit, error) {
	var c Commit
	if err := json.Unmarshal(b, &c, codec); err != nil {
		return nil, fmt.Errorf("decode commit: %w: %w", ErrMalformed, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("decode commit: %w", err)
	}
	return &c, nil
}

// CommitID returns <u>:<conversation>:<n>:<worker>:<delivery>:<hash of the events>.
// The delivery is the lease's, so it differs between two inbox messages as well
// as between two deliveries of one.
func CommitID(r Ref, n uint64, worker string, l Lease, list []Event) (string, error) {
	b, err := json.Marshal(list, codec)
	if err != nil {
		return "", fmt.Errorf("commit id: %w", err)
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%s:%s:%d:%s:%s-%d.%d:%s", UserKey(r.user), r.conversation, n, worker,
		l.Stream, l.Sequence, l.Delivery, hex.EncodeToString(sum[:4])), nil
}
