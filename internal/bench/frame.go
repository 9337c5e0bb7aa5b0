package bench

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// A serverFrame is what a server says, as far as a bench looks at it.
type serverFrame struct {
	Type           string         `json:"type"`
	ID             string         `json:"id"`
	ConversationID string         `json:"conversation_id"`
	RunID          string         `json:"run_id"`
	N              uint64         `json:"n"`
	Step           int            `json:"step"`
	Attempt        int            `json:"attempt"`
	Offset         int            `json:"offset"`
	Text           string         `json:"text"`
	Commit         jsontext.Value `json:"commit"`
	Code           string         `json:"code"`
	Message        string         `json:"message"`

	commit *events.Commit
}

// decodeFrame reads a frame. Deltas are most of them and are read by hand: what
// a client spends on them is taken from the server that it measures.
func decodeFrame(b []byte) (serverFrame, error) {
	if f, ok := scanDelta(b); ok {
		return f, nil
	}
	var f serverFrame
	err := json.Unmarshal(b, &f, jsontext.AllowInvalidUTF8(true))
	if err == nil && f.Type == "commit" {
		f.commit, err = events.DecodeCommit(f.Commit)
	}
	if err != nil {
		return f, fmt.Errorf("frame: %w", err)
	}
	return f, nil
}

// scanDelta reads a delta whose text needs no unquoting.
func scanDelta(b []byte) (f serverFrame, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"type":"delta",`))
	if !ok || bytes.IndexByte(rest, '\\') >= 0 {
		return f, false
	}
	f.Type = "delta"
	field := func(name string) []byte {
		_, v, found := bytes.Cut(rest, []byte(name))
		ok = ok && found
		return v
	}
	number := func(v []byte) int {
		i := 0
		for i < len(v) && '0' <= v[i] && v[i] <= '9' {
			i++
		}
		n, err := strconv.Atoi(string(v[:i]))
		ok = ok && err == nil
		return n
	}
	word := func(v []byte) string {
		s, _, found := bytes.Cut(v, []byte{'"'})
		ok = ok && found
		return string(s)
	}
	f.ConversationID = word(field(`"conversation_id":"`))
	f.RunID = word(field(`"run_id":"`))
	f.Step, f.Attempt, f.Offset = number(field(`"step":`)), number(field(`"attempt":`)), number(field(`"offset":`))
	f.Text = word(field(`"text":"`))
	return f, ok
}
