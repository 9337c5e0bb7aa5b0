package events

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Delta is a piece of the answer that is being written. It is never stored.
type Delta struct {
	ConversationID ConversationID `json:"conversation_id"`
	RunID          RunID          `json:"run_id"`
	Step           int            `json:"step"`
	Attempt        int            `json:"attempt"`
	// Offset is the number of bytes (UTF-8) of this attempt's text before Text.
	Offset int    `json:"offset"`
	Text   string `json:"text"`
}

// A Snapshot is the whole text of an attempt so far.
type Snapshot struct {
	ConversationID ConversationID `json:"conversation_id"`
	RunID          RunID          `json:"run_id"`
	Step           int            `json:"step"`
	Attempt        int            `json:"attempt"`
	Text           string         `json:"text"`
}

// Append appends the delta as a complete "delta" frame of the WebSocket: the
// edge forwards the bytes as they are. Written by hand, because it runs once
// per flush of every answer; ids need no quoting by [ValidID].
func (d *Delta) Append(dst []byte) []byte {
	dst = appendHead(dst, "delta", d.ConversationID, d.RunID, d.Step, d.Attempt)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, int64(d.Offset), 10)
	return appendText(dst, d.Text)
}

// Append appends the snapshot as a complete "snapshot" frame of the WebSocket.
func (s *Snapshot) Append(dst []byte) []byte {
	dst = appendHead(dst, "snapshot", s.ConversationID, s.RunID, s.Step, s.Attempt)
	return appendText(dst, s.Text)
}

func appendHead(dst []byte, name string, c ConversationID, r RunID, step, attempt int) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, name...)
	dst = append(dst, `","conversation_id":"`...)
	dst = append(dst, c...)
	dst = append(dst, `","run_id":"`...)
	dst = append(dst, r...)
	dst = append(dst, `","step":`...)
	dst = strconv.AppendInt(dst, int64(step), 10)
	dst = append(dst, `,"attempt":`...)
	return strconv.AppendInt(dst, int64(attempt), 10)
}

func appendText(dst []byte, text string) []byte {
	dst = append(dst, `,"text":`...)
	// The only error is invalid UTF-8, which is replaced in the output.
	dst, _ = jsontext.AppendQuote(dst, text)
	return append(dst, '}')
}

// DecodeDelta reads what [Delta.Append] wrote.
func DecodeDelta(b []byte) (Delta, error) {
	var f struct {
		Type string `json:"type"`
		Delta
	}
	if err := decodeFrame(b, &f, &f.Type, "delta"); err != nil {
		return Delta{}, err
	}
	return f.Delta, nil
}

// DecodeSnapshot reads what [Snapshot.Append] wrote.
func DecodeSnapshot(b []byte) (Snapshot, error) {
	var f struct {
		Type string `json:"type"`
		Snapshot
	}
	if err := decodeFrame(b, &f, &f.Type, "snapshot"); err != nil {
		return Snapshot{}, err
	}
	return f.Snapshot, nil
}

// decodeFrame refuses other frames: a snapshot read as a delta would be one at offset 0.
func decodeFrame(b []byte, frame any, got *string, want string) error {
	if err := json.Unmarshal(b, frame); err != nil {
		return fmt.Errorf("decode %s: %w: %w", want, ErrMalformed, err)
	}
	if *got != want {
		return fmt.Errorf("decode %s: %w: type %q", want, ErrMalformed, *got)
	}
	return nil
}

// A Draft assembles the text of a streaming attempt from deltas and snapshots.
// The zero Draft is empty. It cannot tell an older run from a newer one: give it
// only what belongs to the active run.
type Draft struct {
	RunID   RunID
	Step    int
	Attempt int
	Text    []byte
}

// A Fit says how a delta relates to a [Draft].
type Fit int

// Results of [Draft.Add].
const (
	Stale    Fit = iota // of an older attempt, or text already there: ignore it
	Appended            // the draft grew
	Hole                // bytes are missing before it: ask for a snapshot
)

// Add applies d by the reader's rule: a higher attempt (or another run or a
// later step) starts over, a lower one is stale; then offset = length appends,
// less is ignored, more is a hole.
func (t *Draft) Add(d Delta) Fit {
	if t.RunID != d.RunID || d.Step > t.Step || d.Step == t.Step && d.Attempt > t.Attempt {
		t.RunID, t.Step, t.Attempt, t.Text = d.RunID, d.Step, d.Attempt, t.Text[:0]
	} else if d.Step < t.Step || d.Attempt < t.Attempt {
		return Stale
	}
	switch {
	case d.Offset < len(t.Text):
		return Stale
	case d.Offset > len(t.Text):
		return Hole
	}
	t.Text = append(t.Text, d.Text...)
	return Appended
}

// Set replaces the draft by a snapshot unless the draft is of a later attempt
// or longer already, and reports whether it did.
func (t *Draft) Set(s Snapshot) bool {
	if t.RunID == s.RunID {
		if s.Step < t.Step || s.Step == t.Step && s.Attempt < t.Attempt {
			return false
		}
		if s.Step == t.Step && s.Attempt == t.Attempt && len(s.Text) < len(t.Text) {
			return false
		}
	}
	t.RunID, t.Step, t.Attempt = s.RunID, s.Step, s.Attempt
	t.Text = append(t.Text[:0], s.Text...)
	return true
}
