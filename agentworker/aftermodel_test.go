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
		o := Outcome{Completion: openai.Completion{FinishReason: "tool_calls", InputTokens: 10, OutputTokens: 3}}
		for _, n := range names {
			o.ToolCalls = append(o.ToolCalls, openai.ToolCall{Name: n, Arguments: `{}`})
		}
		return o
	}
	many := make([]string, 12)
	for i := range many {
		many[i] = "add_task"
	}
	text := Outcome{Completion: openai.Completion{Text: "hello", FinishReason: "stop", InputTokens: 10, OutputTokens: 3}}
	failed := Outcome{Completion: openai.Completion{Text: "hel", InputTokens: 10, OutputTokens: 3, Estimated: true}, Err: &openai.Error{Code: events.FailModelBusy, Message: "busy"}}
	cut := Outcome{Completion: openai.Completion{Text: "hel", InputTokens: 10, OutputTokens: 3, Estimated: true}, Err: &openai.Error{Code: events.FailModel, Cut: true}}
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
			for _, e := range d.Events {
				if u, ok := usageIn(e); ok && u != tt.out.usage() {
					t.Errorf("%s has the usage %+v, and the model used %+v", e.EventType(), u, tt.out.usage())
				}
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

// usageIn returns what e says was used, if it does.
func usageIn(e events.Event) (u events.Usage, ok bool) {
	switch e := e.(type) {
	case events.StepCompleted:
		return e.Usage, true
	case events.RunCompleted:
		return e.Usage, true
	case events.RunFailed:
		return e.Usage, true
	case events.RunCancelled:
		return e.Usage, true
	}
	return u, false
}

// However a run ends, its usage is that of its steps and of the call that was
// open, each once.
func TestUsageIsRecordedOnce(t *testing.T) {
	t.Parallel()
	first := events.Usage{InputTokens: 100, OutputTokens: 20}
	both := events.Usage{InputTokens: 110, OutputTokens: 23, Estimated: true}
	asked := events.StepCompleted{RunID: run1, Step: 1, Attempt: 1, Usage: first, FinishReason: "tool_calls", ToolCalls: []events.ToolCall{{CallID: callA, Name: "add_task", Arguments: []byte(`{}`)}}}
	calls := states()["model"].then("m1", asked, called(callA))
	model := calls.then("a.res", returned(callA), step(run1, 2, 1, lease(30, 1)))
	stop, late := stopped(run1, events.WhyUser), stopped(run1, events.WhyDeadline)
	answer := command(events.ResultID(callA), lease(30, 1), events.Result{CallID: callA, RunID: run1, OK: true})
	again := answer
	again.Lease.Delivery = 2
	call := func(text string, err *openai.Error) *Outcome {
		return &Outcome{Completion: openai.Completion{Text: text, FinishReason: "stop", InputTokens: 10, OutputTokens: 3, Estimated: true}, Err: err}
	}
	for name, tt := range map[string]struct {
		history
		in   Input
		out  *Outcome // nil where no model call ends
		want events.Usage
	}{
		"completed":                         {model, answer, call("done", nil), both},
		"failed":                            {model, answer, call("do", &openai.Error{Code: events.FailModel}), both},
		"nothing more to say":               {model, answer, call("", nil), both},
		"cancelled while the model wrote":   {model.then("x", stop), answer, call("do", nil), both},
		"too late while the model wrote":    {model.then("x", late), answer, call("do", nil), both},
		"cancelled while a tool ran":        {calls.then("x", stop), answer, nil, first},
		"too late while a tool ran":         {calls.then("x", late), answer, nil, first},
		"cancelled, and its worker is dead": {model.then("x", stop), again, nil, first},
	} {
		s := tt.fold(t, conv)
		d := testRules().Decide(s, tt.in)
		if tt.out != nil {
			d = testRules().AfterModel(s, claimOf(s.Active()), *tt.out, tt.in)
		}
		run := tt.then("end", d.Events...).fold(t, conv).Run(run1)
		if !run.Status.Over() || run.Usage != tt.want {
			t.Errorf("%s: %s with %+v, want %+v", name, run.Status, run.Usage, tt.want)
		}
		sum := events.Usage{}
		for _, step := range run.Steps {
			sum = sum.Add(step.Usage)
		}
		if run.Status == events.Completed && sum != run.Usage {
			t.Errorf("%s: its steps used %+v, and it %+v", name, sum, run.Usage)
		}
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
