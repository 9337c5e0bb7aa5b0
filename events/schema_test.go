package events_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/parleychat/parley/events"
)

// A schema validates against definitions of schema.json.
type schema struct {
	root jsonschema.Schema
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	b, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(b, &s.root); err != nil {
		t.Fatal(err)
	}
	return &s
}

func (s *schema) of(t *testing.T, name string) *jsonschema.Resolved {
	t.Helper()
	if s.root.Defs[name] == nil {
		t.Fatalf("schema.json defines no %s", name)
	}
	defs := s.root.CloneSchemas()
	r, err := (&jsonschema.Schema{Ref: "#/$defs/" + name, Defs: defs.Defs}).Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func validate(r *jsonschema.Resolved, b []byte) error {
	var v any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber() // 1e400 is JSON
	if err := d.Decode(&v); err != nil {
		return err
	}
	return r.Validate(floats(v))
}

// floats turns numbers into what the validator knows; those out of range stay out of its sight.
func floats(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return nil
		}
		return f
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	}
	return v
}

func TestGoldensFitTheSchema(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	commit, event, unknown, state := s.of(t, "Commit"), s.of(t, "Event"), s.of(t, "UnknownEvent"), s.of(t, "Conversation")
	for _, g := range goldens {
		told := g.begin(t)
		for _, c := range told.commits {
			b, err := c.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(commit, b); err != nil {
				t.Errorf("%s: commit %d: %v", g.name, c.N, err)
			}
			for i, e := range c.Events {
				b, err := events.EncodeEvent(e)
				if err != nil {
					t.Fatal(err)
				}
				known := slices.Contains(events.EventTypes(), e.EventType())
				if err := validate(event, b); (err == nil) != known {
					t.Errorf("%s: commit %d: event %d: known = %t, but as Event: %v", g.name, c.N, i, known, err)
				}
				if err := validate(unknown, b); (err == nil) == known {
					t.Errorf("%s: commit %d: event %d: known = %t, but as UnknownEvent: %v", g.name, c.N, i, known, err)
				}
			}
		}
		for _, b := range append(told.bases, base{told.state.N, shown, told.state.Base(shown)}) {
			if err := validate(state, encode(t, b.state)); err != nil {
				t.Errorf("%s: base of %d at %d: %v", g.name, b.limit, b.n, err)
			}
		}
	}
}

func TestMessagesFitTheSchema(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	inbox, item, delta, snapshot := s.of(t, "Inbox"), s.of(t, "WorkItem"), s.of(t, "Delta"), s.of(t, "Snapshot")
	seen := map[string]bool{}
	for _, i := range inboxes() {
		seen[i.Command.CommandType()] = true
		b, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(inbox, b); err != nil {
			t.Errorf("inbox %s: %v", b, err)
		}
	}
	for _, name := range events.CommandTypes() {
		if !seen[name] {
			t.Errorf("no example of command %s", name)
		}
	}
	for _, w := range workItems() {
		b, err := w.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(item, b); err != nil {
			t.Errorf("work item %s: %v", b, err)
		}
	}
	d := events.Delta{ConversationID: "c", RunID: "r", Step: 1, Attempt: 1, Text: "\u2028 \"x\""}
	if b := d.Append(nil); validate(delta, b) != nil || validate(snapshot, b) == nil {
		t.Errorf("%s is a delta and no snapshot; the schema says %v, %v", b, validate(delta, b), validate(snapshot, b))
	}
	f := events.Snapshot{ConversationID: "c", RunID: "r", Step: 1, Attempt: 1}
	if b := f.Append(nil); validate(snapshot, b) != nil || validate(delta, b) == nil {
		t.Errorf("%s is a snapshot and no delta; the schema says %v, %v", b, validate(snapshot, b), validate(delta, b))
	}
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	const head = `"v":1,"conversation_id":"c","user_id":"u","n":1,"commit_id":"x","cause":"m","by":"user","time":"2026-03-14T09:26:53Z"`
	for _, tt := range []struct{ def, json string }{
		{"Commit", `{` + head + `}`},
		{"Commit", `{` + head + `,"events":null}`},
		{"Commit", `{` + head + `,"events":[{}]}`},
		{"Commit", `{` + head + `,"events":[{"type":"run.completed"}]}`},
		{"Commit", strings.Replace(`{`+head+`,"events":[]}`, `"v":1`, `"v":2`, 1)},
		{"Commit", strings.Replace(`{`+head+`,"events":[]}`, `"by":"user"`, `"by":"root"`, 1)},
		{"Commit", strings.Replace(`{`+head+`,"events":[]}`, `"c"`, `"a.b"`, 1)},
		{"Event", `{"type":"message.rated","run_id":"r","rating":"splendid"}`},
		{"Event", `{"type":"step.completed","run_id":"r","step":1,"attempt":1,"text":"","usage":{},"finish_reason":""}`},
		{"Command", `{"type":"answer","call_id":"c","decision":"maybe"}`},
		{"Command", `{"type":"rename"}`},
		{"Conversation", `{"user_id":"u","conversation_id":"c","n":0,"runs":null}`},
	} {
		if err := validate(s.of(t, tt.def), []byte(tt.json)); err == nil {
			t.Errorf("%s takes %s", tt.def, tt.json)
		}
	}
	if err := validate(s.of(t, "Commit"), []byte(`{`+head+`,"events":[{"type":"x.y","z":1}],"later":{}}`)); err != nil {
		t.Errorf("a later version's commit: %v", err)
	}
}

// inboxes has an example of every command.
func inboxes() []*events.Inbox {
	run := events.RunIDFor(ada, "c1", "m1")
	call := events.CallIDFor(run, 1, 0)
	commands := []events.Command{
		events.Message{Text: "Hello"},
		events.Message{ParentID: events.Root, Text: "", Model: "large", Timezone: "Europe/Vienna"},
		events.Regenerate{RunID: run, Model: "large", Timezone: "UTC"},
		events.CallTool{Server: "tasks", Name: "add_task", Arguments: jsontext.Value(`{"title":"x"}`)},
		events.Answer{CallID: call, Decision: events.Allow, Arguments: jsontext.Value(`{}`)},
		events.Answer{CallID: call, Decision: events.Deny, Reason: "no"},
		events.Cancel{RunID: run},
		events.Rename{Title: "A title"},
		events.Pin{Pinned: true},
		events.Archive{Archived: true},
		events.Read{ReadN: 1<<64 - 1},
		events.Delete{},
		events.Restore{},
		events.Rate{RunID: run, Rating: events.RatedUp, Reason: "good"},
		events.Result{CallID: call, RunID: run, OK: true, Result: jsontext.Value(`[]`), DurationMS: 3, Truncated: true},
		events.Result{CallID: call, Error: &events.ToolError{Code: events.ToolFailed, Message: "no"}},
		events.RunDeadline{RunID: run, At: began},
		events.ApprovalExpiry{CallID: call},
	}
	list := make([]*events.Inbox, len(commands))
	for i, c := range commands {
		list[i] = &events.Inbox{V: events.Version, ID: fmt.Sprintf("i%d", i), UserID: ada, ConversationID: "c1", Time: began, Command: c}
	}
	return list
}

func workItems() []*events.WorkItem {
	run := events.RunIDFor(ada, "c1", "m1")
	return []*events.WorkItem{
		{
			V: events.Version, UserID: ada, ConversationID: "c1", RunID: run, CallID: events.CallIDFor(run, 1, 0), Server: "tasks",
			Name: "add_task", Arguments: jsontext.Value(`{"title":"x"}`), By: events.ByModel, Deadline: began.Add(time.Minute),
		},
		{
			V: events.Version, UserID: ada, ConversationID: events.Home, CallID: events.HandCallID(ada, "k"), Server: "tasks",
			Name: "x", Arguments: jsontext.Value(`"no object"`), By: events.ByUser, Deadline: began, Revoke: true,
		},
	}
}
