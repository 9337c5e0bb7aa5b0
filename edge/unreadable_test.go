package edge

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A conversation with a commit that this edge cannot read is told from one that
// cannot be reached: to every reader and writer, by every door. Everything else
// is served.
func TestUnreadableConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := testkit.Context(t)
	js := must(jetstream.New(w.nc))
	good, _ := w.ask("ana", `{"message":"hello"}`)
	foreign := must((&events.Commit{
		V: events.Version, UserID: "bob", ConversationID: "his", N: 1, CommitID: "x", Time: testkit.Epoch, Events: []events.Event{events.ConversationPinned{Pinned: true}},
	}).Encode())
	seventh := bytes.Replace(bytes.Replace(foreign, []byte(`"his"`), []byte(`"seventh"`), 1), []byte(`"bob"`), []byte(`"ana"`), 1)
	seventh = bytes.Replace(seventh, []byte(`"n":1`), []byte(`"n":7`), 1)
	if k, err := events.DecodeCommit(seventh); err != nil || k.N != 7 || must(k.Ref()) != ref("ana", "seventh") {
		t.Fatalf("a commit in the wrong place: %s %v", seventh, err)
	}
	for name, raw := range map[string][]byte{
		"nonsense": []byte("nonsense"),
		"another":  foreign,
		"seventh":  seventh,
		"newer":    bytes.Replace(foreign, []byte(`"v":1`), []byte(`"v":2`), 1),
		"large":    bytes.Repeat([]byte("x"), 1<<20-1<<10),
	} {
		r := ref("ana", events.ConversationID(name))
		if _, err := js.Publish(ctx, r.Log(), raw); err != nil {
			t.Fatal(err)
		}
		path := "/api/ana/conversations/" + name
		for _, call := range []struct{ method, path, body string }{
			{"GET", path, ""},
			{"GET", path + "/messages", ""},
			{"GET", path + "/events", ""},
			{"GET", path + "/export", ""},
			{"PATCH", path, `{"pinned":true}`},
			{"POST", "/api/ana/chat", fmt.Sprintf(`{"message":"hi","conversation_id":%q}`, name)},
		} {
			if r := w.do("ana", call.method, call.path, call.body); r.status != http.StatusInternalServerError || r.code(t) != codeUnreadable {
				t.Errorf("%s: %s %s: %d %s", name, call.method, call.path, r.status, r.body)
			} else if bytes.Contains(r.body, []byte("bob")) {
				t.Errorf("%s: %s %s tells what is bob's: %s", name, call.method, call.path, r.body)
			}
		}
		if r := w.do("ana", "GET", path+"/events", "", "Accept", "text/event-stream"); r.status != http.StatusInternalServerError || r.code(t) != codeUnreadable {
			t.Errorf("%s: as a stream: %d %s", name, r.status, r.body)
		}
		c := w.connect("ana")
		c.send(fmt.Sprintf(`{"type":"subscribe","conversation_id":%q,"after":0}`, name))
		if f := c.untilFrame("an error", func(f serverFrame) bool { return f.Type == "error" }); f.Code != codeUnreadable {
			t.Errorf("%s: subscribe: %s", name, f.raw)
		}
		info, err := must(js.Stream(ctx, events.StreamLog)).Info(ctx, jetstream.WithSubjectFilter(r.Log()))
		if err != nil || info.State.Subjects[r.Log()] != 1 {
			t.Errorf("%s: %d messages where only the bad one was: %v", name, info.State.Subjects[r.Log()], err)
		}
	}
	if again, r := w.ask("ana", fmt.Sprintf(`{"message":"still here?","conversation_id":%q}`, good.ConversationID)); r.status != 200 || again.Status != events.Completed {
		t.Errorf("another conversation: %d %s", r.status, r.body)
	}
	if logs := w.logs.String(); !strings.Contains(logs, codeUnreadable) || !strings.Contains(logs, "unknown version 2") {
		t.Error("the log does not say what cannot be read")
	} else if !strings.Contains(logs, "of another conversation") || !strings.Contains(logs, "gap in the") {
		t.Error("the log does not say what is in the wrong place")
	}
}
