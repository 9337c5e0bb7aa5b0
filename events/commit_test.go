package events_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

func TestCommitID(t *testing.T) {
	t.Parallel()
	ref := func(u events.UserID, c events.ConversationID) events.Ref {
		r, err := events.NewRef(u, c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	lease := events.Lease{Stream: "INBOX", Sequence: 1042, Delivery: 1}
	list := []events.Event{events.RunCompleted{RunID: "r"}, events.ConversationPinned{Pinned: true}}
	id := func(r events.Ref, n uint64, worker string, l events.Lease, e []events.Event) string {
		t.Helper()
		s, err := events.CommitID(r, n, worker, l, e)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := id(ref("ada", "c1"), 7, "agent-1", lease, list)
	if again := id(ref("ada", "c1"), 7, "agent-1", lease, append([]events.Event{}, list...)); again != one {
		t.Errorf("a retry has id %q, first %q", again, one)
	}
	want := regexp.MustCompile(`^` + events.UserKey("ada") + `:c1:7:agent-1:INBOX-1042\.1:[0-9a-f]{8}$`)
	if !want.MatchString(one) {
		t.Errorf("id = %q, want %s", one, want)
	}
	twin, later := lease, lease
	twin.Sequence++
	later.Delivery++
	timer := lease
	timer.Stream = "TIMER"
	seen := map[string]string{one: "the first"}
	for name, other := range map[string]string{
		"another person":       id(ref("bob", "c1"), 7, "agent-1", lease, list),
		"another conversation": id(ref("ada", "c2"), 7, "agent-1", lease, list),
		"another n":            id(ref("ada", "c1"), 8, "agent-1", lease, list),
		"another worker":       id(ref("ada", "c1"), 7, "agent-2", lease, list),
		"another message":      id(ref("ada", "c1"), 7, "agent-1", twin, list),
		"another delivery":     id(ref("ada", "c1"), 7, "agent-1", later, list),
		"another stream":       id(ref("ada", "c1"), 7, "agent-1", timer, list),
		"other events":         id(ref("ada", "c1"), 7, "agent-1", lease, list[:1]),
		"other fields":         id(ref("ada", "c1"), 7, "agent-1", lease, []events.Event{list[0], events.ConversationPinned{}}),
		"another order":        id(ref("ada", "c1"), 7, "agent-1", lease, []events.Event{list[1], list[0]}),
	} {
		if same, ok := seen[other]; ok {
			t.Errorf("%s has the commit id of %s: %q", name, same, other)
		}
		seen[other] = name
	}
	if _, err := events.CommitID(ref("ada", "c1"), 1, "w", lease, []events.Event{events.MessageAccepted{Text: "\xff"}}); err == nil {
		t.Error("events that cannot be stored have a commit id")
	}
}

func whole() *events.Commit {
	return &events.Commit{
		V: events.Version, ConversationID: "c1", UserID: "ada", N: 1, CommitID: "x", Cause: "m1", By: events.ByUser, Time: began,
		Events: []events.Event{events.ConversationDeleted{}},
	}
}

// What cannot be read must not be stored, and the other way round.
func TestEncodeAndDecodeAgreeOnTheEnvelope(t *testing.T) {
	t.Parallel()
	good, err := whole().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		change   func(*events.Commit)
		old, new string // the same change in the JSON
		want     error
	}{
		{"version 0", func(c *events.Commit) { c.V = 0 }, `"v":1`, `"v":0`, events.ErrVersion},
		{"version 2", func(c *events.Commit) { c.V = 2 }, `"v":1`, `"v":2`, events.ErrVersion},
		{"no person", func(c *events.Commit) { c.UserID = "" }, `"ada"`, `""`, events.ErrMalformed},
		{"a person with dots", func(c *events.Commit) { c.UserID = "a.b" }, `"ada"`, `"a.b"`, events.ErrMalformed},
		{"a wildcard", func(c *events.Commit) { c.ConversationID = ">" }, `"c1"`, `">"`, events.ErrMalformed},
		{"no n", func(c *events.Commit) { c.N = 0 }, `"n":1`, `"n":0`, events.ErrMalformed},
		{"no id", func(c *events.Commit) { c.CommitID = "" }, `"x"`, `""`, events.ErrMalformed},
		{"no time", func(c *events.Commit) { c.Time = time.Time{} }, `2026-03-14T09:26:53.589793238Z`, `0001-01-01T00:00:00Z`, events.ErrMalformed},
		{"no events", func(c *events.Commit) { c.Events = nil }, `[{"type":"conversation.deleted"}]`, `[]`, events.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := whole()
			tt.change(c)
			if _, err := c.Encode(); !errors.Is(err, tt.want) {
				t.Errorf("Encode: %v, want %v", err, tt.want)
			}
			bad := strings.Replace(string(good), tt.old, tt.new, 1)
			if bad == string(good) {
				t.Fatalf("%s has no %s", good, tt.old)
			}
			if _, err := events.DecodeCommit([]byte(bad)); !errors.Is(err, tt.want) {
				t.Errorf("DecodeCommit: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestDecodeCommitRefuses(t *testing.T) {
	t.Parallel()
	good, err := whole().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"a name twice", `"n":1`, `"n":1,"n":2`},
		{"a name in other case", `"user_id"`, `"User_ID"`},
		{"a type twice", `"type":"conversation.deleted"`, `"type":"conversation.deleted","type":"conversation.restored"`},
		{"no type", `{"type":"conversation.deleted"}`, `{}`},
		{"an empty type", `"conversation.deleted"`, `""`},
		{"a type that is no string", `"conversation.deleted"`, `7`},
		{"an event that is null", `{"type":"conversation.deleted"}`, `null`},
		{"an event that is a string", `{"type":"conversation.deleted"}`, `"conversation.deleted"`},
		{"a field of another type", `"conversation.deleted"`, `"conversation.pinned","pinned":"yes"`},
		{"invalid UTF-8", `"m1"`, "\"\xff\""},
		{"more after the end", `}]}`, `}]}{}`},
		{"no end", `}]}`, `}]`},
		{"a list", string(good), `[]`},
		{"nothing", string(good), ``},
	} {
		bad := strings.Replace(string(good), tt.old, tt.new, 1)
		if bad == string(good) {
			t.Fatalf("%s: %s has no %s", tt.name, good, tt.old)
		}
		if c, err := events.DecodeCommit([]byte(bad)); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("%s: %v, %v, want ErrMalformed", tt.name, c, err)
		}
	}
}

func TestMaxCommit(t *testing.T) {
	t.Parallel()
	c := whole()
	size := func() int {
		b, err := c.Encode()
		if err != nil {
			return -1
		}
		return len(b)
	}
	c.Events = []events.Event{events.ConversationRenamed{Title: "", By: events.ByUser}}
	room := events.MaxCommit - size()
	c.Events = []events.Event{events.ConversationRenamed{Title: strings.Repeat("x", room), By: events.ByUser}}
	if got := size(); got != events.MaxCommit {
		t.Errorf("the largest commit has %d bytes, want %d", got, events.MaxCommit)
	}
	c.Events = []events.Event{events.ConversationRenamed{Title: strings.Repeat("x", room+1), By: events.ByUser}}
	if got := size(); got != -1 {
		t.Errorf("a commit of %d bytes was encoded", got)
	}
}

// The largest parts that limits allow fit a commit together.
func TestLimitsFitACommit(t *testing.T) {
	t.Parallel()
	args := jsontext.Value(`"` + strings.Repeat("x", events.MaxArguments-2) + `"`)
	for name, list := range map[string][]events.Event{
		"the longest message": {events.MessageAccepted{Text: strings.Repeat("\U0001F642", events.MaxMessageRunes)}},
		"control characters":  {events.MessageAccepted{Text: strings.Repeat("\x01", events.MaxMessageRunes)}},
		"the largest result and the next call": {
			events.ToolReturned{CallID: "r-1-0", RunID: "r", OK: true, Result: args},
			events.ToolCalled{CallID: "r-1-1", RunID: "r", Server: "s", Name: "n", Arguments: args, By: events.ByModel},
		},
		"a call with the largest arguments": {
			events.StepCompleted{RunID: "r", ToolCalls: []events.ToolCall{{CallID: "r-1-0", Name: "n", Arguments: args}}},
			events.ToolCalled{CallID: "r-1-0", RunID: "r", Server: "s", Name: "n", Arguments: args, By: events.ByModel},
		},
	} {
		c := whole()
		c.Events = list
		if _, err := c.Encode(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEventCodec(t *testing.T) {
	t.Parallel()
	for _, e := range []events.Event{
		events.ConversationDeleted{},
		events.ApprovalAnswered{CallID: "c", RunID: "r", Decision: events.Allow, Arguments: jsontext.Value(`{}`), By: events.ByUser},
		events.ToolReturned{CallID: "c", OK: true, Result: jsontext.Value(`[]`)},
		events.ToolReturned{CallID: "c", OK: true, Result: jsontext.Value(`null`)},
		events.Unknown{Type: "x.y", Raw: jsontext.Value(`{"type":"x.y"}`)},
	} {
		b, err := events.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(b), `{"type":"`+e.EventType()+`"`) {
			t.Errorf("%s does not begin with its type", b)
		}
		got, err := events.DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := events.EncodeEvent(got)
		if err != nil || string(again) != string(b) {
			t.Errorf("%s became %s (%v)", b, again, err)
		}
	}
	// In a commit an unknown event is itself, not an object around itself.
	c := whole()
	c.Events = []events.Event{events.Unknown{Type: "x.y", Raw: jsontext.Value(`{"z":1,"type":"x.y"}`)}}
	if b, err := c.Encode(); err != nil || !strings.HasSuffix(string(b), `"events":[{"z":1,"type":"x.y"}]}`) {
		t.Errorf("unknown event in a commit: %s, %v", b, err)
	}
	for _, bad := range []string{``, `{}`, `null`, `[]`, `{"type":1}`, `{"type":"run.completed","usage":7}`, `{"type":"x"} x`} {
		if e, err := events.DecodeEvent([]byte(bad)); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("DecodeEvent(%s) = %v, %v", bad, e, err)
		}
	}
	for _, bad := range []string{``, `{}`, `{"type":"x"}`, `{"type":"pin","pinned":1}`} {
		if c, err := events.DecodeCommand([]byte(bad)); !errors.Is(err, events.ErrMalformed) {
			t.Errorf("DecodeCommand(%s) = %v, %v", bad, c, err)
		}
	}
}

func TestEveryTypeOfTheVocabularyDecodesToItself(t *testing.T) {
	t.Parallel()
	for _, name := range events.EventTypes() {
		if e, err := events.DecodeEvent([]byte(`{"type":"` + name + `"}`)); err != nil || e.EventType() != name {
			t.Errorf("%s decodes to %v, %v", name, e, err)
		}
		if !regexp.MustCompile(`^[a-z]+\.[a-z_]+$`).MatchString(name) {
			t.Errorf("%q is not noun.past_verb", name)
		}
	}
	for _, name := range events.CommandTypes() {
		if c, err := events.DecodeCommand([]byte(`{"type":"` + name + `"}`)); err != nil || c.CommandType() != name {
			t.Errorf("%s decodes to %v, %v", name, c, err)
		}
	}
	if n, m := len(events.EventTypes()), len(events.CommandTypes()); n != 20 || m != 15 {
		t.Errorf("%d event types and %d commands: a type that loses its entry is Unknown to readers", n, m)
	}
}
