package agentworker

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
)

// The model is told what became of each call: the tool's own result, that it was
// longer and has been cut, why it was refused, or that it never ran.
func TestModelIsToldWhatBecameOfEachCall(t *testing.T) {
	t.Parallel()
	r, err := events.NewRef("ana", "c")
	if err != nil {
		t.Fatal(err)
	}
	const run = events.RunID("r")
	cut := `"` + strings.Repeat("x", events.MaxResult/2) + `"`
	returned := []events.ToolReturned{
		{OK: true, Result: jsontext.Value(`{"task_id":7}`)},
		{OK: true, Result: jsontext.Value(cut), Truncated: true},
		{OK: true},
		{Error: &events.ToolError{Code: events.ToolFailed, Message: `There is no task "7".`}},
		{Error: &events.ToolError{Code: events.ToolRevoked, Message: "Stopped."}},
	}
	want := []string{
		`{"task_id":7}`,
		cut + "\n(The result was longer and has been cut.)",
		`{}`,
		`{"error":"There is no task \"7\"."}`,
		`{"error":"Stopped."}`,
	}
	step := events.StepCompleted{RunID: run, Step: 1, Attempt: 1}
	list := []events.Event{
		events.MessageAccepted{MessageID: "m", RunID: run, Text: "look"},
		events.RunStarted{RunID: run, Model: "m"},
		events.StepStarted{RunID: run, Step: 1, Attempt: 1},
	}
	var calls []events.Event
	for i, e := range returned {
		e.CallID, e.RunID = events.CallIDFor(run, 1, i), run
		step.ToolCalls = append(step.ToolCalls, events.ToolCall{CallID: e.CallID, Name: "look", Arguments: jsontext.Value(`{}`)})
		calls = append(calls, events.ToolCalled{CallID: e.CallID, RunID: run, Server: "tasks", Name: "look", Arguments: jsontext.Value(`{}`)}, e)
	}
	list = append(append(append(list, step), calls...), events.StepStarted{RunID: run, Step: 2, Attempt: 1})
	c := events.NewConversation(r)
	k := events.Commit{
		V: events.Version, ConversationID: "c", UserID: "ana", N: 1, CommitID: "k", Cause: "m", By: events.ByUser,
		Time: time.Unix(1, 0).UTC(), Events: list,
	}
	if err := c.Apply(&k); err != nil {
		t.Fatal(err)
	}
	p, err := ParsePrompt("be kind")
	if err != nil {
		t.Fatal(err)
	}
	req, err := p.request(c, c.Active(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var told []openai.Message
	for _, m := range req.Messages {
		if m.Role == openai.ToolReply {
			told = append(told, m)
		}
	}
	if len(told) != len(want) {
		t.Fatalf("the model is told of %d calls, want %d", len(told), len(want))
	}
	for i, m := range told {
		if m.CallID != string(events.CallIDFor(run, 1, i)) || m.Text != want[i] {
			t.Errorf("of call %d the model is told %.80q, want %.80q", i, m.Text, want[i])
		}
	}
}
