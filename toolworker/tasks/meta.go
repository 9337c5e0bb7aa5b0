package tasks

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/toolworker/ledger"
)

// Keys of the _meta of a call. Only built-in servers are told more than the call id.
const (
	metaCall         = "parley/call_id"
	metaUser         = "parley/user_id"
	metaConversation = "parley/conversation_id"
	metaRun          = "parley/run_id"
	metaBy           = "parley/by"
	metaDeadline     = "parley/deadline"
)

// Meta returns the _meta of a tools/call request for c.
func Meta(c ledger.Call) mcp.Meta {
	m := mcp.Meta{
		metaCall: string(c.CallID), metaUser: string(c.UserID), metaConversation: string(c.ConversationID),
		metaRun: string(c.RunID), metaBy: string(c.By),
	}
	if !c.Deadline.IsZero() {
		m[metaDeadline] = c.Deadline.UTC().Format(time.RFC3339Nano)
	}
	return m
}

// callOf reads what [Meta] wrote.
func callOf(req *mcp.CallToolRequest) (ledger.Call, error) {
	text := func(key string) string {
		s, _ := req.Params.Meta[key].(string)
		return s
	}
	c := ledger.Call{
		UserID: events.UserID(text(metaUser)), CallID: events.CallID(text(metaCall)), Server: Server, Name: req.Params.Name,
		Arguments: jsontext.Value(req.Params.Arguments), By: events.By(text(metaBy)),
		ConversationID: events.ConversationID(text(metaConversation)), RunID: events.RunID(text(metaRun)),
	}
	if !events.ValidID(c.UserID) || !events.ValidID(c.CallID) || !events.ValidID(c.ConversationID) {
		return c, errors.New("a call needs the ids of person, call and conversation in its _meta")
	}
	if d := text(metaDeadline); d != "" {
		var err error
		if c.Deadline, err = time.Parse(time.RFC3339Nano, d); err != nil {
			return c, fmt.Errorf("deadline of a call: %w", err)
		}
	}
	return c, nil
}
