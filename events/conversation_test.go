package events_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/parleychat/parley/events"
)

func goldenStory(t *testing.T, name string) *story {
	t.Helper()
	for _, g := range goldens {
		if g.name == name {
			return g.begin(t)
		}
	}
	t.Fatalf("no golden log named %s", name)
	return nil
}

// A call that the end of its run stopped has no answer in the log: if one
// comes, it must not be taken for a repeat.
func TestCallAnswered(t *testing.T) {
	t.Parallel()
	s := goldenStory(t, "late")
	call := events.CallIDFor(s.run("m1"), 1, 0)
	c := events.NewConversation(s.ref)
	for _, k := range s.commits { // accepted, released, run over, answered, answered again
		apply(t, c, k)
		if got, want := c.CallAnswered(call), k.N >= 4; got != want {
			t.Errorf("after commit %d answered = %t, want %t", k.N, got, want)
		}
	}
	k, r := c.Call(call)
	if k == nil || r == nil || !k.Late || k.Status != events.CallDone || r.Status != events.Failed || string(k.Result) != `{"weather":"sunny"}` {
		t.Errorf("the late answer gives call %+v of run %+v", k, r)
	}
}

func TestHandCallsLeaveButAreRemembered(t *testing.T) {
	t.Parallel()
	s := goldenStory(t, "home")
	if n := len(s.state.Calls); n != 100 {
		t.Errorf("%d calls are kept, want 100", n)
	}
	first := events.HandCallID(ada, "tick-1")
	if k, _ := s.state.Call(first); k != nil {
		t.Errorf("the oldest answered call is kept: %+v", k)
	}
	if !s.state.CallAnswered(first) || s.state.CallAnswered("never-called") {
		t.Error("a call that has left is not known as answered, or one that never was is")
	}
	before := string(encode(t, s.state))
	s.control("tick-1-again", events.ToolCalled{CallID: first, Server: "tasks", Name: "x", Arguments: jsontext.Value(`{}`), By: events.ByUser})
	if len(s.state.Calls) != 100 {
		t.Errorf("a call that has left was called again:\n%s", cmp.Diff(before, string(encode(t, s.state))))
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	s := tell(t, ada, "c1")
	if s.state.NextQueued() != nil || s.state.Active() != nil || s.state.Tip() != nil {
		t.Error("an empty conversation has a run")
	}
	one, two := s.say("m1", "One"), s.say("m2", "Two")
	three := s.say("m3", "Three")
	for _, want := range []events.RunID{one, two, three} {
		if got := s.state.Active(); got == nil || got.RunID != want {
			t.Fatalf("active = %+v, want %s", got, want)
		}
		s.answer("Done.")
	}
	if s.state.NextQueued() != nil || s.state.Active() != nil || s.state.Tip().RunID != three {
		t.Error("something is left after the last answer")
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	s := goldenStory(t, "branches")
	for _, tt := range []struct {
		tip  string
		want []string
	}{
		{"m1", []string{"m1"}},
		{"m2", []string{"m1", "m2"}},
		{"m3", []string{"m1", "m3"}},
		{"m5", []string{"m4", "m5"}},
		{"m6", []string{"m1", "m2", "m6"}},
	} {
		var got []string
		for _, r := range s.state.Path(s.state.Run(s.run(tt.tip))) {
			got = append(got, string(r.Message.MessageID))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("path to %s = %v, want %v", tt.tip, got, tt.want)
		}
	}
	if got := s.state.Path(nil); len(got) != 0 {
		t.Errorf("path to nothing = %v", got)
	}
	if tip := s.state.Tip(); tip.RunID != s.run("m6") {
		t.Errorf("tip = %s", tip.RunID)
	}
}

func TestRunAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		texts []string
		want  string
	}{
		{nil, ""}, {[]string{""}, ""}, {[]string{"a"}, "a"}, {[]string{"", "a", "", "b"}, "a\n\nb"},
	} {
		var r events.Run
		for _, text := range tt.texts {
			r.Steps = append(r.Steps, events.Step{Text: text})
		}
		if got := r.Answer(); got != tt.want {
			t.Errorf("answer of %q = %q, want %q", tt.texts, got, tt.want)
		}
	}
}

func TestUsageAdd(t *testing.T) {
	t.Parallel()
	got := events.Usage{InputTokens: 1, OutputTokens: 2}.Add(events.Usage{InputTokens: 3, OutputTokens: 4, Estimated: true})
	if want := (events.Usage{InputTokens: 4, OutputTokens: 6, Estimated: true}); got != want {
		t.Errorf("sum = %+v, want %+v", got, want)
	}
}

func TestLeaseSame(t *testing.T) {
	t.Parallel()
	a := events.Lease{Stream: "INBOX", Sequence: 7, Delivery: 1}
	for _, tt := range []struct {
		b    events.Lease
		want bool
	}{
		{events.Lease{Stream: "INBOX", Sequence: 7, Delivery: 3}, true},
		{events.Lease{Stream: "TIMER", Sequence: 7, Delivery: 1}, false},
		{events.Lease{Stream: "INBOX", Sequence: 8, Delivery: 1}, false},
	} {
		if got := a.Same(tt.b); got != tt.want {
			t.Errorf("%+v same as %+v = %t", a, tt.b, got)
		}
	}
}

// A base that lost its shape on the way is refused or folds; it never panics.
func TestFromBase(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{``, `null`, `[]`, `{}`, `{"user_id":"ada"}`, `{"user_id":"a.b","conversation_id":"c"}`, `{"user_id":"ada","conversation_id":"c","runs":7}`} {
		if c, err := events.FromBase([]byte(bad)); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("FromBase(%s) = %v, %v", bad, c, err)
		}
	}
	c, err := events.FromBase([]byte(`{"user_id":"ada","conversation_id":"c","n":3,"runs":[null,{"run_id":"r","status":"in_progress","calls":[null]}],"calls":[null]}`))
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Active(); r == nil || r.RunID != "r" || len(c.Runs) != 1 || len(r.Calls) != 0 || len(c.Calls) != 0 {
		t.Errorf("nulls in a base: %s", encode(t, c))
	}
	if c.Ref().Conversation() != "c" || (&events.Conversation{}).Ref() != (events.Ref{}) {
		t.Error("the ref is not the conversation's")
	}
}
