package agentworker_test

import (
	"fmt"
	"testing"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// Workers that take the messages of one conversation in turn ask the model once
// for each, and tell it all that came before, whoever answered that.
func TestWorkersInTurnAskOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply { return textReply("ok") })
	for range 3 {
		b.start()
	}
	r := ref(t, "ana", "c1")
	const n = 12
	for i := range n {
		b.send(r, fmt.Sprint("m", i), events.Message{Text: fmt.Sprint("question ", i)})
		b.wait(r, func(c *events.Conversation) bool { return len(c.Runs) == i+1 && ended(c) })
	}
	list := b.model.Requests()
	if len(list) != n {
		t.Errorf("the model was asked %d times for %d messages", len(list), n)
	}
	for i, q := range list {
		// The system prompt, a question and an answer for each run before, and the question.
		last := q.Messages[len(q.Messages)-1].Content
		if want := fmt.Sprint("question ", i); last != want || len(q.Messages) != 2*(i+1) {
			t.Errorf("request %d ends with %q and has %d messages", i, last, len(q.Messages))
		}
	}
}
