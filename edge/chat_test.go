package edge

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/parleychat/parley/events"
)

func TestChatJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, r := w.ask("ana", `{"message":"tool please"}`)
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if c.Status != events.Completed || c.Response != "You said: tool please" || c.Usage.OutputTokens != 4 {
		t.Errorf("answer %+v", c)
	}
	if len(c.ToolCalls) != 1 || c.ToolCalls[0].OK == nil || !*c.ToolCalls[0].OK || c.ToolCalls[0].DurationMS != 3 || !strings.Contains(string(c.ToolCalls[0].Result), "milk") {
		t.Errorf("tool calls %s", r.body)
	}
	next, r := w.ask("ana", fmt.Sprintf(`{"message":"more","conversation_id":%q}`, c.ConversationID))
	if r.status != 200 || next.ConversationID != c.ConversationID || next.RunID == c.RunID {
		t.Errorf("second message: %d %s", r.status, r.body)
	}
	if got := w.do("ana", "GET", "/api/ana/runs/"+string(next.RunID)+"?conversation_id="+string(c.ConversationID), ""); got.status != 200 || !strings.Contains(string(got.body), "You said: more") {
		t.Errorf("run: %d %s", got.status, got.body)
	}
}

func TestChatRequiresAction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, r := w.ask("ana", `{"message":"ask first"}`)
	if r.status != 200 || c.Status != events.RequiresAction || len(c.ToolCalls) != 1 || c.ToolCalls[0].Status != events.CallAsking || c.ToolCalls[0].OK != nil {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// What a message does to the answer that is being written is what it says, else
// what is configured. A word that means neither is refused, and nothing is stored.
func TestWhenBusy(t *testing.T) {
	t.Parallel()
	for _, configured := range []bool{false, true} {
		w := newWorld(t, func(o *Options) { o.Interrupt = configured })
		next := w.commands()
		for word, want := range map[string]bool{"": configured, `,"when_busy":""`: configured, `,"when_busy":"queue"`: false, `,"when_busy":"interrupt"`: true} {
			if _, r := w.ask("ana", `{"message":"hello"`+word+`}`); r.status != 200 {
				t.Fatalf("%s: %d %s", word, r.status, r.body)
			}
			if m, ok := next().(events.Message); !ok || m.Interrupt != want {
				t.Errorf("configured %v, message with %q: stored %+v", configured, word, m)
			}
		}
		before := w.written()
		for _, word := range []string{"Interrupt", "interrupt ", "stop", "true"} {
			if _, r := w.ask("ana", fmt.Sprintf(`{"message":"hello","when_busy":%q}`, word)); r.status != 400 || r.code(t) != codeBadRequest {
				t.Errorf("%q: %d %s", word, r.status, r.body)
			}
		}
		if _, r := w.ask("ana", `{"message":"hello","when_busy":true}`); r.status != 400 {
			t.Errorf("no word: %d %s", r.status, r.body)
		}
		if after := w.written(); after != before {
			t.Errorf("refused messages were stored: %s, before %s", after, before)
		}
	}
}

func TestChatAsync(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, r := w.ask("ana", `{"message":"later"}`, "Prefer", "respond-async, wait=10")
	var a Accepted
	r.decode(t, &a)
	if r.status != 202 || r.header.Get("Preference-Applied") != "respond-async" || r.header.Get("Location") == "" {
		t.Fatalf("%d %v %s", r.status, r.header, r.body)
	}
	// The run may not be committed yet: the reading waits for it.
	if got := w.do("ana", "GET", r.header.Get("Location"), ""); got.status != 200 {
		t.Errorf("location: %d %s", got.status, got.body)
	}
}

func TestSameKeyFiftyTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, key := range []string{newID(), "order 66, please"} {
		answers := make([]ChatResponse, 50)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				c, r := w.ask("ana", `{"message":"once"}`, "Idempotency-Key", key)
				if r.status != 200 {
					t.Errorf("%d %s", r.status, r.body)
				}
				answers[i] = c
			})
		}
		wg.Wait()
		for _, a := range answers {
			if a.RunID != answers[0].RunID || a.Response != answers[0].Response || a.RunID == "" {
				t.Fatalf("key %q: %+v and %+v", key, a, answers[0])
			}
		}
		if got := w.do("ana", "GET", "/api/ana/conversations/"+string(answers[0].ConversationID)+"/events", ""); strings.Count(string(got.body), `"message.accepted"`) != 1 {
			t.Errorf("key %q: %s", key, got.body)
		}
	}
}

// Idempotency does not rest on Postgres, nor on the broker's memory alone.
func TestKeyReuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := "018f0000-0000-7000-8000-000000000001" // a UUIDv7 of 2024: looked up before it is used
	other, _ := w.ask("ana", `{"message":"elsewhere"}`)
	for _, key := range []string{newID(), old, "a key with spaces"} {
		first, r := w.ask("ana", `{"message":"first","timezone":"Europe/Berlin"}`, "Idempotency-Key", key)
		if r.status != 200 {
			t.Fatalf("%s: %d %s", key, r.status, r.body)
		}
		for _, down := range []bool{false, true} {
			w.memory.setDown(down)
			again, r := w.ask("ana", `{"message":"first","timezone":"Europe/Berlin"}`, "Idempotency-Key", key)
			if r.status != 200 || again.RunID != first.RunID || again.Response != first.Response {
				t.Errorf("%s, down %v: %d %s", key, down, r.status, r.body)
			}
			for name, body := range map[string]string{
				"other text":         `{"message":"second","timezone":"Europe/Berlin"}`,
				"other timezone":     `{"message":"first"}`,
				"other conversation": fmt.Sprintf(`{"message":"first","timezone":"Europe/Berlin","conversation_id":%q}`, other.ConversationID),
			} {
				if _, r := w.ask("ana", body, "Idempotency-Key", key); r.status != 422 || r.code(t) != codeKeyReused {
					t.Errorf("%s, %s, down %v: %d %s", key, name, down, r.status, r.body)
				}
			}
		}
		w.memory.setDown(false)
	}
}

// A key used inside one conversation cannot start another.
func TestKeyOfAnotherConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.ask("ana", `{"message":"hello"}`)
	key := newID()
	if _, r := w.ask("ana", fmt.Sprintf(`{"message":"again","conversation_id":%q}`, c.ConversationID), "Idempotency-Key", key); r.status != 200 {
		t.Fatal(r.status)
	}
	if _, r := w.ask("ana", `{"message":"again"}`, "Idempotency-Key", key); r.status != 422 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestTwoPersonsShareIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := newID()
	a, _ := w.ask("ana", `{"message":"secret of ana"}`, "Idempotency-Key", key)
	b, r := w.ask("bob", `{"message":"mine"}`, "Idempotency-Key", key)
	if r.status != 200 || a.RunID == b.RunID || a.ConversationID == b.ConversationID || b.Response != "You said: mine" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	id := string(a.ConversationID)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/api/bob/conversations/" + id, ""},
		{"GET", "/api/bob/conversations/" + id + "/messages", ""},
		{"GET", "/api/bob/conversations/" + id + "/events", ""},
		{"PATCH", "/api/bob/conversations/" + id, `{"title":"taken"}`},
		{"DELETE", "/api/bob/conversations/" + id, ""},
		{"POST", "/api/bob/conversations/" + id + "/restore", ""},
		{"GET", "/api/bob/runs/" + string(a.RunID), ""},
		{"GET", "/api/bob/runs/" + string(a.RunID) + "?conversation_id=" + id, ""},
		{"POST", "/api/bob/runs/" + string(a.RunID) + "/cancel", ""},
		{"POST", "/api/bob/runs/" + string(a.RunID) + "/cancel?conversation_id=" + id, ""},
		{"POST", "/api/bob/chat", `{"message":"x","conversation_id":"` + id + `"}`},
	} {
		foreign := w.do("bob", c.method, c.path, c.body)
		missing := w.do("bob", c.method, strings.ReplaceAll(strings.ReplaceAll(c.path, id, "nosuchthing"), string(a.RunID), "nosuchrun"), strings.ReplaceAll(c.body, id, "nosuchthing"))
		if foreign.status != 404 || missing.status != 404 || foreign.code(t) != missing.code(t) {
			t.Errorf("%s %s: foreign %d, missing %d", c.method, c.path, foreign.status, missing.status)
		}
		if strings.Contains(string(foreign.body), "ana") || strings.Contains(string(foreign.body), "secret") {
			t.Errorf("%s %s tells: %s", c.method, c.path, foreign.body)
		}
		if r := w.do("bob", c.method, strings.Replace(c.path, "/bob/", "/ana/", 1), c.body); r.status != 403 {
			t.Errorf("as bob %s under ana: %d", c.method, r.status)
		}
	}
	list := w.do("bob", "GET", "/api/bob/conversations", "")
	if strings.Contains(string(list.body), "secret") || !strings.Contains(string(list.body), "mine") {
		t.Errorf("list of bob: %s", list.body)
	}
	socket := w.connect("bob")
	socket.send(map[string]any{"type": "subscribe", "conversation_id": id, "after": 0})
	if f := socket.until("error"); f.Code != codeNotFound {
		t.Errorf("subscribe: %s", f.raw)
	}
	w.ask("ana", fmt.Sprintf(`{"message":"more of ana","conversation_id":%q}`, id))
	w.ask("bob", `{"message":"the end"}`)
	socket.untilFrame("own conversation", func(f serverFrame) bool { return f.Type == "conversation" })
	for _, f := range socket.frames {
		if strings.Contains(f.raw, id) && f.Type != "error" || strings.Contains(f.raw, "ana") {
			t.Errorf("bob's socket heard %s", f.raw)
		}
	}
}

// readSSE returns the events of a stream: id and data.
func readSSE(t *testing.T, res *http.Response, enough func(id, data string) bool) (ids, datas []string) {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type %q, status %d", got, res.StatusCode)
	}
	var id, data string
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "" && data != "":
			ids, datas = append(ids, id), append(datas, data)
			if enough(id, data) {
				return ids, datas
			}
			id, data = "", ""
		case strings.HasPrefix(line, "id: "):
			id = line[4:]
		case strings.HasPrefix(line, "data: "):
			data += line[6:]
		case line == "", strings.HasPrefix(line, ":"):
		default:
			t.Errorf("unexpected line %q", line)
		}
	}
	return ids, datas
}

func TestChatStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	w.agent.hold = func(string) <-chan struct{} { return release }
	res := w.send(bounded(t), "ana", "POST", "/api/ana/chat", `{"message":"stream to me"}`, "Accept", "text/event-stream")
	defer res.Body.Close()
	ids, datas := []string{}, []string{}
	var once sync.Once
	i, d := readSSE(t, res, func(_, data string) bool {
		if strings.Contains(data, `"step.started"`) {
			once.Do(func() { close(release) })
		}
		return false // the server ends it
	})
	ids, datas = append(ids, i...), append(datas, d...)
	if !strings.HasPrefix(datas[0], `{"type":"accepted"`) {
		t.Errorf("first event %s", datas[0])
	}
	text, commits := "", 0
	for i, d := range datas {
		switch {
		case strings.HasPrefix(d, `{"type":"delta"`):
			delta := must(events.DecodeDelta([]byte(d)))
			if delta.Offset != len(text) || ids[i] != "" {
				t.Errorf("delta %s with id %q after %q", d, ids[i], text)
			}
			text += delta.Text
		case strings.HasPrefix(d, `{"type":"commit"`):
			commits++
			conv, n, _ := strings.Cut(ids[i], ":")
			if n != fmt.Sprint(commits) || !strings.Contains(d, `"conversation_id":"`+conv+`"`) {
				t.Errorf("commit %d has id %q", commits, ids[i])
			}
		}
	}
	if text != "You said: stream to me" || commits != 2 || !strings.Contains(datas[len(datas)-1], "run.completed") {
		t.Errorf("text %q, %d commits, last %s", text, commits, datas[len(datas)-1])
	}
	// The tail goes on after any of these ids.
	conv, _, _ := strings.Cut(ids[len(ids)-1], ":")
	tail := w.send(bounded(t), "ana", "GET", "/api/ana/conversations/"+conv+"/events", "", "Accept", "text/event-stream", "Last-Event-ID", conv+":1")
	defer tail.Body.Close()
	ids, _ = readSSE(t, tail, func(_, d string) bool { return strings.HasPrefix(d, `{"type":"live"`) })
	if len(ids) != 2 || ids[0] != "2" {
		t.Errorf("tail ids %q", ids)
	}
}

func TestStreamOfUnknownConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.do("ana", "GET", "/api/ana/conversations/nosuch/events", "", "Accept", "text/event-stream")
	if r.status != 404 || r.code(t) != codeNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	c, _ := w.ask("ana", `{"message":"hi"}`)
	for _, id := range []string{"../../x", "-1", "1e3", "99999999999999999999", "other:1", "+1"} {
		r := w.do("ana", "GET", "/api/ana/conversations/"+string(c.ConversationID)+"/events", "", "Accept", "text/event-stream", "Last-Event-ID", id)
		if r.status != 400 {
			t.Errorf("Last-Event-ID %q: %d %s", id, r.status, r.body)
		}
	}
	r = w.do("ana", "GET", "/api/ana/conversations/"+string(c.ConversationID)+"/events", "", "Accept", "text/event-stream", "Last-Event-ID", "77")
	if r.status != 409 {
		t.Errorf("ahead of the log: %d %s", r.status, r.body)
	}
}
