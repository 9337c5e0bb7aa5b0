package agentworker

import (
	"strings"
	"testing"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
)

func TestAfterModel(t *testing.T) {
	t.Parallel()
	calls := func(names ...string) Outcome {
		o := Outcome{Completion: openai.Completion{FinishReason: "tool_calls"}}
		for _, n := range names {
			o.ToolCalls = append(o.ToolCalls, openai.ToolCall{Name: n, Arguments: `{}`})
		}
		return o
	}
	many := make([]string, 12)
	for i := range many {
		many[i] = "add_task"
	}
	text := Outcome{Completion: openai.Completion{Text: "hello", FinishReason: "stop"}}
	failed := Outcome{Completion: openai.Completion{Text: "hel"}, Err: &openai.Error{Code: events.FailModelBusy, Message: "busy"}}
	cut := Outcome{Completion: openai.Completion{Text: "hel"}, Err: &openai.Error{Code: events.FailModel, Cut: true}}
	tests := []struct {
		state string
		what  string
		out   Outcome
		want  string
	}{
		{"model", "text", text, "step.completed run.completed ack"},
		{"model+queue", "text", text, "step.completed run.completed run.started step.started(1.1) model"},
		{"model", "one call", calls("add_task"), "step.completed tool.called ack"},
		{"model", "two calls", calls("add_task", "add_task"), "step.completed tool.called tool.called ack"},
		{"model", "more calls than may be in flight", calls(many...), "step.completed" + strings.Repeat(" tool.called", 8) + " ack"},
		{"model", "an unknown tool", calls("nothing"), "step.completed tool.returned(unknown_tool) step.started(2.1) model"},
		{"model", "a tool for people", calls("restore_task"), "step.completed tool.returned(unknown_tool) step.started(2.1) model"},
		{"model", "a denied tool", calls("never"), "step.completed tool.returned(denied) step.started(2.1) model"},
		{"model", "a tool to ask about", calls("ask_first"), "step.completed approval.requested ack"},
		{"model", "one of each", calls("add_task", "ask_first", "never"), "step.completed tool.called approval.requested tool.returned(denied) ack"},
		{"model", "an empty answer", Outcome{Completion: openai.Completion{FinishReason: "stop"}}, "run.failed(model_error) ack"},
		{"model", "an error", failed, "run.failed(model_busy) ack"},
		{"model+queue", "an error", failed, "run.failed(model_busy) run.started step.started(1.1) model"},
		{"model", "a cut stream", cut, "step.started(1.2) model"},
		{"third try", "a cut stream", cut, "run.failed(model_error) ack"},
		{"stop model", "text", text, "run.cancelled ack"},
		{"stop model", "calls", calls("add_task"), "run.cancelled ack"},
		{"stop model", "an error", failed, "run.cancelled ack"},
		{"late model", "text", text, "run.failed(deadline) ack"},
		{"stop model+queue", "text", text, "run.cancelled run.started step.started(1.1) model"},
		{"over", "text", text, "drop"},
		{"calls", "text", text, "drop"},
		{"inherited", "text", text, "drop"},
	}
	for _, tt := range tests {
		t.Run(tt.state+"/"+tt.what, func(t *testing.T) {
			t.Parallel()
			s := states()[tt.state].fold(t, conv)
			claim := Claim{RunID: run1, Step: 1, Attempt: 1, Lease: lease(10, 1)}
			in := command("m1", lease(10, 1), events.Message{})
			if tt.state == "third try" {
				claim.Attempt, claim.Lease, in.Lease = 3, lease(10, 3), lease(10, 3)
			}
			d := testRules().AfterModel(s, claim, tt.out, in)
			if got := say(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if len(d.Events) > 0 {
				settled(t, s, in, d)
			}
			for _, other := range []Claim{
				{"another", 1, claim.Attempt, claim.Lease},
				{run1, 2, claim.Attempt, claim.Lease},
				{run1, 1, claim.Attempt + 1, claim.Lease},
				{run1, 1, claim.Attempt, lease(10, 99)},
			} {
				if got := say(testRules().AfterModel(s, other, tt.out, in)); got != "drop" {
					t.Errorf("a superseded claim %+v commits: %s", other, got)
				}
			}
		})
	}
}

func TestLimitsEndARun(t *testing.T) {
	t.Parallel()
	s := states()["last"].fold(t, conv)
	in := command(events.ResultID(callB), lease(30, 1), events.Result{CallID: callB, RunID: run1, OK: true})
	for _, tt := range []struct {
		change func(*Rules)
		want   string
	}{
		{func(r *Rules) { r.Limits.Steps = 1 }, "tool.returned run.failed(step_limit) ack"},
		{func(r *Rules) { r.Limits.Tokens = -1 }, "tool.returned run.failed(token_limit) ack"},
	} {
		r := testRules()
		tt.change(r)
		if got := say(r.Decide(s, in)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	r := testRules()
	r.Limits.Calls = 1
	out := Outcome{Completion: openai.Completion{ToolCalls: []openai.ToolCall{{Name: "add_task"}, {Name: "add_task"}}, FinishReason: "tool_calls"}}
	d := r.AfterModel(states()["model"].fold(t, conv), Claim{run1, 1, 1, lease(10, 1)}, out, command("m1", lease(10, 1), events.Message{}))
	if got := say(d); got != "step.completed run.failed(call_limit) ack" {
		t.Errorf("too many calls: %s", got)
	}
}

// Waiting calls are released one by one, as answers come in.
func TestCallsBeyondTheLimitWaitTheirTurn(t *testing.T) {
	t.Parallel()
	r := testRules()
	r.Limits.InFlight = 1
	h := states()["model"]
	out := Outcome{Completion: openai.Completion{FinishReason: "tool_calls", ToolCalls: []openai.ToolCall{{Name: "add_task", Arguments: `{}`}, {Name: "add_task", Arguments: `{}`}}}}
	d := r.AfterModel(h.fold(t, conv), Claim{run1, 1, 1, lease(10, 1)}, out, command("m1", lease(10, 1), events.Message{}))
	if got := say(d); got != "step.completed tool.called ack" {
		t.Fatalf("first decision: %s", got)
	}
	h = h.then("m1", d.Events...)
	in := command(events.ResultID(callA), lease(30, 1), events.Result{CallID: callA, RunID: run1, OK: true})
	d = r.Decide(h.fold(t, conv), in)
	if got := say(d); got != "tool.returned tool.called ack" {
		t.Fatalf("after the first answer: %s", got)
	}
	without := testRules()
	without.Limits, without.Tools = r.Limits, nil
	if got := say(without.Decide(h.fold(t, conv), in)); got != "tool.returned tool.returned(unknown_tool) step.started(2.1) model" {
		t.Errorf("the turn of a call whose tool is gone: %s", got)
	}
	h = h.then(in.ID, d.Events...)
	in = command(events.ResultID(callB), lease(31, 1), events.Result{CallID: callB, RunID: run1, OK: true})
	if got := say(r.Decide(h.fold(t, conv), in)); got != "tool.returned step.started(2.1) model" {
		t.Errorf("after the last answer: %s", got)
	}
}

func TestArgumentsStayWhatTheModelSaid(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``: `{}`, `{"a":1}`: `{"a":1}`, ` { "a" : 1 } `: `{"a":1}`, `[1]`: `"[1]"`, `{"a":`: `"{\"a\":"`, `{"a":1,"a":2}`: `"{\"a\":1,\"a\":2}"`, `null`: `"null"`,
	} {
		if got := string(arguments(in)); got != want {
			t.Errorf("arguments(%s) = %s, want %s", in, got, want)
		}
	}
}
