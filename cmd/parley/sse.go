package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parleychat/parley/events"
)

// maxFrame bounds one server-sent event: a commit is at most 1 MiB.
const maxFrame = 2 << 20

// A frame is one server-sent event of a conversation.
type frame struct {
	Type           string                `json:"type"`
	ConversationID events.ConversationID `json:"conversation_id"`
	RunID          events.RunID          `json:"run_id"`
	Commit         json.RawMessage       `json:"commit"`
	Code           string                `json:"code"`
	Message        string                `json:"message"`
	raw            []byte
}

// frames calls f for each frame of a stream until it ends or f returns false. A
// stream that breaks is an awayError.
func frames(r io.Reader, f func(frame) (more bool, err error)) error {
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 64<<10), maxFrame)
	for scan.Scan() {
		data, ok := strings.CutPrefix(scan.Text(), "data:")
		if !ok {
			continue
		}
		fr := frame{raw: []byte(strings.TrimSpace(data))}
		if err := json.Unmarshal(fr.raw, &fr); err != nil {
			return fmt.Errorf("frame: %w", err)
		}
		if more, err := f(fr); err != nil || !more {
			return err
		}
	}
	err := scan.Err()
	if err == nil || errors.Is(err, bufio.ErrTooLong) {
		return err
	}
	return awayError{fmt.Errorf("the connection broke: %w", err)}
}
