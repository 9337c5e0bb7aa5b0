package agentworker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
)

// told builds a conversation of n answered messages, each with a tool call whose
// result is a KiB long, and one that is open; it returns what the model is told.
func told(t *testing.T, n int, last string) []openai.Message {
	t.Helper()
	r, err := events.NewRef("ana", "c")
	if err != nil {
		t.Fatal(err)
	}
	c := events.NewConversation(r)
	parent := events.RunID("")
	for i := range n + 1 {
		id, call := events.RunID(fmt.Sprintf("r%d", i)), events.CallID(fmt.Sprintf("r%d-1-0", i))
		text := fmt.Sprintf("question %d", i)
		if i == n {
			text = last
		}
		list := []events.Event{
			events.MessageAccepted{MessageID: events.MessageID(fmt.Sprintf("m%d", i)), RunID: id, ParentID: parent, Text: text},
			events.RunStarted{RunID: id, Model: "m"},
			events.StepStarted{RunID: id, Step: 1, Attempt: 1},
		}
		if i < n {
			list = append(
				list,
				events.StepCompleted{RunID: id, Step: 1, Attempt: 1, ToolCalls: []events.ToolCall{{CallID: call, Name: "look", Arguments: jsontext.Value(`{}`)}}},
				events.ToolCalled{CallID: call, RunID: id, Server: "tasks", Name: "look", Arguments: jsontext.Value(`{}`)},
				events.ToolReturned{CallID: call, RunID: id, OK: true, Result: jsontext.Value(`"` + strings.Repeat("x", 1024) + `"`)},
				events.StepStarted{RunID: id, Step: 2, Attempt: 1},
				events.StepCompleted{RunID: id, Step: 2, Attempt: 1, Text: fmt.Sprintf("answer %d", i)}, events.RunCompleted{RunID: id},
			)
		}
		k := events.Commit{
			V: events.Version, ConversationID: "c", UserID: "ana", N: uint64(i + 1), CommitID: string(id), Cause: string(id), By: events.ByUser,
			Time: time.Unix(1, 0).UTC(), Events: list,
		}
		if err := c.Apply(&k); err != nil {
			t.Fatal(err)
		}
		parent = id
	}
	p, err := ParsePrompt("be kind")
	if err != nil {
		t.Fatal(err)
	}
	req, err := p.request(c, c.Active(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return req.Messages
}

func TestModelIsToldTheNewestRunsThatFitEachWhole(t *testing.T) {
	t.Parallel()
	const n = 300
	list := told(t, n, "the last question")
	if list[0].Role != openai.System || list[0].Text != "be kind" {
		t.Errorf("begins with %+v", list[0])
	}
	if last := list[len(list)-1]; last.Role != openai.User || last.Text != "the last question" {
		t.Errorf("ends with %+v", last)
	}
	runs := list[1 : len(list)-1]
	if len(runs)%4 != 0 || len(runs) < 4*45 {
		t.Fatalf("%d messages of earlier runs", len(runs))
	}
	size, first := 0, n-len(runs)/4
	for i := 0; i < len(runs); i += 4 {
		k := first + i/4
		question, call, result, answer := runs[i], runs[i+1], runs[i+2], runs[i+3]
		if question.Text != fmt.Sprintf("question %d", k) || len(call.ToolCalls) != 1 || result.CallID != call.ToolCalls[0].CallID || answer.Text != fmt.Sprintf("answer %d", k) {
			t.Fatalf("run %d is told as %+v", k, runs[i:i+4])
		}
		size += len(question.Text) + len(result.Text) + len(answer.Text)
	}
	if size > historyBytes || size < historyBytes/3 {
		t.Errorf("%d bytes of earlier runs, the bound is %d", size, historyBytes)
	}
}

// Providers keep what a prompt begins with: from one message to the next the
// beginning of a long history is the same, nearly always.
func TestLongHistoryKeepsItsBeginning(t *testing.T) {
	t.Parallel()
	const from, to = 200, 400
	var before string
	moved := 0
	for n := from; n < to; n++ {
		list := told(t, n, "the last question")
		if first := list[1].Text; first != before {
			moved++
			before = first
		}
	}
	if moved < 2 || moved > (to-from)/20 {
		t.Errorf("the beginning moved %d times in %d messages", moved, to-from)
	}
}

func TestModelIsToldALongMessageWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", historyBytes/4)
	list := told(t, 3, long)
	if len(list) != 2 || list[1].Text != long {
		t.Errorf("%d messages, the last has %d bytes", len(list), len(list[len(list)-1].Text))
	}
}
