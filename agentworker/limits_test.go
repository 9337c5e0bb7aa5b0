package agentworker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// What a model says is bounded by what streams can hold, or its run would
// never end: a commit or work item that is refused is refused for ever.
func TestEveryAnswerOfAModelFitsIntoTheStreams(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reply testkit.ModelReply
		code  string // of the run
		call  string // of its call
	}{
		"control characters": {reply: testkit.ModelReply{Text: slices.Repeat([]string{strings.Repeat("\x01", 10<<10)}, 25)}, code: events.FailModel},
		"long arguments": {
			reply: testkit.ModelReply{Calls: [][2]string{{"add_task", `{"title":"` + strings.Repeat("x", 262_000) + `"}`}}}, call: events.ToolBadArgs,
		},
		"arguments that are quoted": {
			reply: testkit.ModelReply{Calls: [][2]string{{"add_task", strings.Repeat(`"`, 127<<10)}}}, call: events.ToolBadArgs,
		},
		"arguments of control characters": {
			reply: testkit.ModelReply{Calls: [][2]string{{"add_task", strings.Repeat("\x01", 120<<10)}}}, code: events.FailModel,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(n int, _ testkit.ModelRequest) testkit.ModelReply {
				if n == 0 {
					return tt.reply
				}
				return textReply("done")
			})
			b.start()
			b.tools(func(w *events.WorkItem) events.Result {
				return events.Result{CallID: w.CallID, RunID: w.RunID, OK: true, Result: jsontext.Value(`{}`)}
			})
			r := ref(t, "ana", "c1")
			b.send(r, "m1", events.Message{Text: "hi"})
			run := b.wait(r, ended).Tip()
			switch {
			case tt.code != "" && (run.Error == nil || run.Error.Code != tt.code):
				t.Errorf("run %s, error %+v", run.Status, run.Error)
			case tt.call != "" && (run.Status != events.Completed || run.Calls[0].Error == nil || run.Calls[0].Error.Code != tt.call):
				t.Errorf("run %s, error %+v, call error %+v", run.Status, run.Error, run.Calls[0].Error)
			}
		})
	}
}

// A tool may be gone from the configuration when its call's turn comes: a work
// item without a server could never be stored.
func TestToolThatIsGoneIsAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(n int, req testkit.ModelRequest) testkit.ModelReply {
		if n == 0 {
			return testkit.ModelReply{Calls: [][2]string{{"add_task", `{}`}}}
		}
		return textReply(req.Messages[len(req.Messages)-1].Content)
	})
	stop := b.start(func(o *agentworker.Options) { o.Rules.Policy = func(string) string { return "ask" } })
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	c := b.wait(r, func(c *events.Conversation) bool {
		return c.Active() != nil && c.Active().Status == events.RequiresAction
	})
	stop()
	b.start(func(o *agentworker.Options) { o.Rules.Tools = nil })
	b.send(r, "p1", events.Answer{CallID: c.Active().Calls[0].CallID, Decision: events.Allow})
	run := b.wait(r, ended).Tip()
	if run.Status != events.Completed || run.Calls[0].Error == nil || run.Calls[0].Error.Code != events.ToolUnknown {
		t.Errorf("run %s, call %+v", run.Status, run.Calls[0])
	}
}
