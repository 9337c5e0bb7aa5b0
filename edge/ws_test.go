package edge

import (
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func TestSocketCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, other := w.connect("ana"), w.connect("ana")
	begin := make(chan struct{})
	w.agent.hold = func(string) <-chan struct{} { return begin }
	id := c.say("", "tool for milk")
	accepted := c.until("accepted")
	conv := accepted.ConversationID
	if accepted.ID != id || conv != events.ConversationIDFor("ana", events.MessageID(id)) {
		t.Fatalf("accepted %s", accepted.raw)
	}
	c.conv = events.NewConversation(ref("ana", conv))
	c.untilFrame("second step", func(serverFrame) bool { return c.conv.N == 3 })
	close(begin)
	c.untilEnd(accepted.RunID)
	text := ""
	for _, f := range c.frames {
		if f.Type == "delta" {
			text += f.Text
		}
	}
	if text != "You said: tool for milk" {
		t.Errorf("deltas %q", text)
	}
	// The person's other socket hears of it without having asked.
	if f := other.until("task"); !strings.Contains(string(f.Task), `"milk"`) {
		t.Errorf("task %s", f.raw)
	}
	other.untilFrame("idle again", func(f serverFrame) bool {
		return f.Type == "conversation" && f.ConversationID == conv && f.Status == "idle" && f.N >= 3
	})

	done := func(v map[string]any) serverFrame {
		t.Helper()
		v["id"], v["conversation_id"] = newID(), conv
		c.send(v)
		return c.untilFrame("done", func(f serverFrame) bool { return f.Type == "done" && f.ID == v["id"] })
	}
	if f := done(map[string]any{"type": "rename", "title": "Groceries"}); f.N != c.conv.N || c.conv.Title != "Groceries" {
		t.Errorf("rename: %s, title %q at %d", f.raw, c.conv.Title, c.conv.N)
	}
	at := c.conv.N
	if f := done(map[string]any{"type": "rename", "title": "Groceries"}); f.N != at {
		t.Errorf("a name that it has already was committed: %s", f.raw)
	}
	done(map[string]any{"type": "pin", "pinned": true})
	done(map[string]any{"type": "archive", "archived": true})
	done(map[string]any{"type": "read", "read_n": 3})
	done(map[string]any{"type": "rate", "run_id": accepted.RunID, "rating": "up", "reason": "quick"})
	done(map[string]any{"type": "cancel", "run_id": accepted.RunID})
	done(map[string]any{"type": "delete"})
	if !c.conv.Pinned || !c.conv.Archived || c.conv.ReadN != 3 || !c.conv.Deleted || c.conv.Run(accepted.RunID).Rating == nil {
		t.Errorf("state %s", c.state())
	}
	c.say(conv, "into the void")
	if f := c.until("error"); f.Code != codeConflict {
		t.Errorf("message to a deleted conversation: %s", f.raw)
	}
	done(map[string]any{"type": "restore"})
	c.send(map[string]any{"type": "regenerate", "id": newID(), "conversation_id": conv, "run_id": accepted.RunID})
	again := c.until("accepted")
	c.untilEnd(again.RunID)
	if c.conv.Run(again.RunID).Message.Regenerates != accepted.RunID {
		t.Errorf("regenerated %s", c.state())
	}
	c.send(`{"type":"ping"}`)
	c.until("pong")
}

// Over the socket too a message, and a second try, says what it does to the answer
// that is being written.
func TestSocketWhenBusy(t *testing.T) {
	t.Parallel()
	for _, configured := range []bool{false, true} {
		w := newWorld(t, func(o *Options) { o.Interrupt = configured })
		first, _ := w.ask("ana", `{"message":"hello"}`)
		c := w.connect("ana")
		c.follow(first.ConversationID)
		next := w.commands()
		for _, kind := range []string{"message", "regenerate"} {
			say := func(word string) string {
				id := newID()
				v := map[string]any{"type": kind, "id": id, "conversation_id": first.ConversationID, "message": "again"}
				if kind == "regenerate" {
					v["run_id"] = first.RunID
				}
				if word != "" {
					v["when_busy"] = word
				}
				c.send(v)
				return id
			}
			for word, want := range map[string]bool{"": configured, "queue": false, "interrupt": true} {
				say(word)
				c.untilEnd(c.until("accepted").RunID)
				got := false
				switch cmd := next().(type) {
				case events.Message:
					got = cmd.Interrupt
				case events.Regenerate:
					got = cmd.Interrupt
				}
				if got != want {
					t.Errorf("configured %v, %s with %q: interrupts %v", configured, kind, word, got)
				}
			}
			before := w.written()
			for _, word := range []string{"Queue", "stop"} {
				id := say(word)
				if f := c.until("error"); f.ID != id || f.Code != codeBadRequest {
					t.Errorf("%s with %q: %s", kind, word, f.raw)
				}
			}
			if after := w.written(); after != before {
				t.Errorf("a refused %s was stored: %s, before %s", kind, after, before)
			}
		}
	}
}

func TestCancelRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	w.agent.hold = func(string) <-chan struct{} { return release }
	defer close(release)
	c := w.connect("ana")
	c.say("", "hold on")
	accepted := c.until("accepted")
	c.conv = events.NewConversation(ref("ana", accepted.ConversationID))
	c.untilFrame("started", func(serverFrame) bool { return c.conv.Active() != nil })
	id := newID()
	c.send(map[string]any{"type": "cancel", "id": id, "conversation_id": accepted.ConversationID, "run_id": accepted.RunID})
	done := c.untilFrame("done", func(f serverFrame) bool { return f.Type == "done" && f.ID == id })
	c.untilEnd(accepted.RunID)
	run := c.conv.Run(accepted.RunID)
	var receipt doneFrame
	if err := json.Unmarshal([]byte(done.raw), &receipt); err != nil || receipt.N != run.EndedN || receipt.Status != events.Cancelled {
		t.Errorf("the cancel's answer %s does not say that the run ended at %d: %v", done.raw, run.EndedN, err)
	}
	r := w.do("ana", "POST", "/api/ana/runs/"+string(accepted.RunID)+"/cancel", "")
	var s RunState
	if r.decode(t, &s); r.status != 200 || s.Status != events.Cancelled || s.EndedN != run.EndedN {
		t.Errorf("cancel again: %d %s", r.status, r.body)
	}
}

// Who cancels over the socket is told what came of it: where the run ended, the text
// that was kept, the calls that ran and those that never will.
func TestReceiptOfACancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	w.agent.hold = func(string) <-chan struct{} { return release }
	defer close(release)
	for text, want := range map[string]func(events.RunID) events.Receipt{
		"ask first": func(r events.RunID) events.Receipt {
			return events.Receipt{NotRun: []events.CallID{events.CallIDFor(r, 1, 0)}}
		},
		"tool for milk": func(r events.RunID) events.Receipt {
			return events.Receipt{Text: "You said: “tool", Ran: []events.CallID{events.CallIDFor(r, 1, 0)}}
		},
	} {
		c := w.connect("ana")
		c.say("", text)
		accepted := c.until("accepted")
		r := ref("ana", accepted.ConversationID)
		c.conv = events.NewConversation(r)
		c.untilFrame("the call", func(serverFrame) bool {
			run := c.conv.Run(accepted.RunID)
			return run != nil && (run.Status == events.RequiresAction || run.Step == 2)
		})
		expect := want(accepted.RunID)
		if expect.Text != "" {
			w.agent.delta(r, events.Delta{ConversationID: r.Conversation(), RunID: accepted.RunID, Step: 2, Attempt: 1, Text: expect.Text})
			c.until("delta")
		}
		// The second finds the run over, and is told the same.
		for range 2 {
			id := newID()
			c.send(map[string]any{"type": "cancel", "id": id, "conversation_id": accepted.ConversationID, "run_id": accepted.RunID})
			f := c.untilFrame("done", func(f serverFrame) bool { return f.Type == "done" && f.ID == id })
			var done doneFrame
			if err := json.Unmarshal([]byte(f.raw), &done); err != nil {
				t.Fatal(err)
			}
			c.untilEnd(accepted.RunID)
			run := c.conv.Run(accepted.RunID)
			if done.N == 0 || done.N != run.EndedN || done.Status != events.Cancelled || done.Receipt == nil || !reflect.DeepEqual(*done.Receipt, expect) {
				t.Errorf("%s: %s, the run ended at %d, want %+v", text, f.raw, run.EndedN, expect)
			}
		}
	}
}

// Who unsubscribes gets nothing more of the conversation but its line in the list,
// and may come back to it later.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, elsewhere := ref("ana", "conversation"), ref("ana", "elsewhere")
	s, e := newScript(t, w, r), newScript(t, w, elsewhere)
	s.steps[0]()
	e.steps[0]()
	c, witness := w.connect("ana"), w.connect("ana")
	c.follow(r.Conversation())
	witness.follow(r.Conversation())
	s.steps[1]()
	c.until("delta")
	witness.until("delta")
	c.send(map[string]any{"type": "unsubscribe", "conversation_id": r.Conversation()})
	c.send(map[string]any{"type": "unsubscribe", "conversation_id": "nosuch"}) // not followed, no error
	c.send(`{"type":"ping"}`)
	c.until("pong")
	heard := len(c.frames)
	state := c.conv
	for _, step := range s.steps[2:] {
		step()
	}
	witness.untilEnd(s.run)
	// To subscribe takes the lock under which the others were told.
	c.follow(elsewhere.Conversation())
	for _, f := range c.frames[heard:] {
		if f.ConversationID == r.Conversation() && f.Type != "conversation" {
			t.Errorf("after it had unsubscribed it got %s", f.raw)
		}
	}
	c.followFrom(state)
	if c.conv.N != witness.conv.N {
		t.Errorf("back at %d of %d", c.conv.N, witness.conv.N)
	}
}

// What is refused for want of room has no effect: nothing of it is stored.
func TestCommandsWithoutRoomAreNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	w.agent.hold = func(string) <-chan struct{} { return release }
	c := w.connect("ana")
	refused := ""
	// The agent is held, so none of these is done before all are sent.
	for range pendingPerSocket + 1 {
		refused = newID()
		c.send(map[string]any{"type": "call_tool", "id": refused, "name": "add_task", "arguments": map[string]string{"title": "x"}})
	}
	f := c.untilFrame("error", func(f serverFrame) bool { return f.Type == "error" })
	if f.ID != refused || f.Code != codeTooMany {
		t.Errorf("refused %s, want the last, %s", f.raw, refused)
	}
	close(release)
	for range pendingPerSocket {
		c.until("call_result")
	}
	home, err := w.log.History(testkit.Context(t), noArchive{}, ref("ana", events.Home), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range home {
		if s.Cause == refused {
			t.Errorf("the refused call is in the log at n = %d", s.N)
		}
	}
}

func TestCallByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("ana")
	id := newID()
	call := map[string]any{"type": "call_tool", "id": id, "name": "add_task", "arguments": map[string]any{"title": "x"}}
	c.send(call)
	if f := c.until("call"); f.ID != id || f.CallID != events.HandCallID("ana", id) {
		t.Errorf("call %s", f.raw)
	}
	first := c.until("call_result")
	if !first.OK || first.ID != id || !strings.Contains(string(first.Result), "by hand") {
		t.Errorf("result %s", first.raw)
	}
	c.send(call)
	if f := c.until("call_result"); string(f.Result) != string(first.Result) {
		t.Errorf("repeated: %s", f.raw)
	}
	call["arguments"] = map[string]any{"title": "y"}
	c.send(call)
	if f := c.until("error"); f.Code != codeKeyReused || f.ID != id {
		t.Errorf("other arguments: %s", f.raw)
	}
	c.send(map[string]any{"type": "call_tool", "id": newID(), "name": "restore_task", "arguments": map[string]any{}})
	if f := c.until("call_result"); f.OK || f.Error == nil || f.Error.Code != events.ToolFailed {
		t.Errorf("refused by the tool: %s", f.raw)
	}
	c.send(map[string]any{"type": "call_tool", "id": newID(), "name": "format_disk", "arguments": map[string]any{}})
	if f := c.until("error"); f.Code != codeUnknownTool {
		t.Errorf("unknown tool: %s", f.raw)
	}
	r := w.do("ana", "POST", "/api/ana/tool_calls", `{"name":"add_task","arguments":{"title":"z"}}`, "Idempotency-Key", "one two")
	var res CallResult
	if r.decode(t, &res); r.status != 200 || !res.OK || res.Name != "add_task" {
		t.Errorf("over HTTP: %d %s", r.status, r.body)
	}
	if again := w.do("ana", "POST", "/api/ana/tool_calls", `{"arguments":{"title":"z"},"name":"add_task"}`, "Idempotency-Key", "one two"); string(again.body) != string(r.body) {
		t.Errorf("repeated over HTTP: %s, first %s", again.body, r.body)
	}
	if list := w.do("ana", "GET", "/api/ana/conversations", ""); strings.Contains(string(list.body), string(events.Home)) {
		t.Errorf("home is listed: %s", list.body)
	}
}

// deafSocket connects with a receive buffer so small
// that a reader who does not read is noticed.
func (w *world) deafSocket(user string) *client {
	w.t.Helper()
	d := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return c, err
	}}
	ws, res, err := d.Dial("ws"+strings.TrimPrefix(w.url, "http")+"/api/"+user+"/ws", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	w.t.Cleanup(func() { _ = ws.Close() })
	c := &client{t: w.t, ws: ws, user: user}
	c.send(map[string]any{"type": "connect", "token": w.token(user)})
	c.until("connected")
	return c
}

// A reader who pauses misses deltas, not text: when it reads again it is given
// a snapshot and goes on. Others are not slowed.
func TestSlowReaderGetsASnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := ref("ana", "conversation")
	s := newScript(t, w, r)
	s.steps[0]()
	quick, slow := w.connect("ana"), w.deafSocket("ana")
	quick.follow(r.Conversation())
	slow.follow(r.Conversation())
	// More than the kernel's buffers and the outbox hold together.
	piece := strings.Repeat("All work and no play. ", 200)
	offset := 0
	for offset < 3<<20 {
		w.agent.delta(r, events.Delta{ConversationID: r.Conversation(), RunID: s.run, Step: 1, Attempt: 1, Offset: offset, Text: piece})
		offset += len(piece)
		if f := quick.until("delta"); f.Offset+len(f.Text) != offset {
			t.Fatalf("quick reader at %d of %d", f.Offset, offset)
		}
	}
	if quick.holes != 0 {
		t.Error("the quick reader missed something")
	}
	// The snapshot is 3 MiB here, larger than any outbox: it waits for an empty one.
	slow.untilFrame("all of the text", func(serverFrame) bool { return len(slow.draft.Text) == offset })
	if f := slow.frames[len(slow.frames)-1]; f.Type != "snapshot" {
		t.Errorf("the slow reader was not slow: it ended with a %s", f.Type)
	}
	if slow.holes != 0 {
		t.Errorf("the slow reader saw %d holes", slow.holes)
	}
	w.agent.delta(r, events.Delta{ConversationID: r.Conversation(), RunID: s.run, Step: 1, Attempt: 1, Offset: offset, Text: "!"})
	if f := slow.until("delta"); f.Text != "!" {
		t.Errorf("after the snapshot: %s", f.raw[:60])
	}
}

// Commits are never dropped: a reader who does not take them is closed, and told
// to resume.
func TestHopelessReaderIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := ref("ana", "conversation")
	s := newScript(t, w, r)
	s.steps[0]()
	slow := w.deafSocket("ana")
	slow.follow(r.Conversation())
	title := strings.Repeat("Ω", 200_000)
	for range 24 {
		if !s.h.commit(bounded(t), events.ConversationRenamed{Title: title, By: events.ByUser}) {
			t.Fatal("commit")
		}
	}
	quick := w.connect("ana")
	quick.follow(r.Conversation()) // waits until all 25 have passed the topic
	if quick.conv.N != 25 {
		t.Fatalf("quick reader at %d", quick.conv.N)
	}
	if code := slow.untilClosed(); code != closeTooSlow && code != websocket.CloseAbnormalClosure {
		t.Errorf("closed with %d", code)
	}
	if slow.conv.N == 25 {
		t.Error("the reader was not behind at all: the test proves nothing")
	}
	back := w.connect("ana")
	back.followFrom(slow.conv)
	if back.conv.N != 25 {
		t.Errorf("resumed to %d", back.conv.N)
	}
}

func TestSocketMustConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expired := func() string {
		w.setClock(time.Now().Add(-time.Hour))
		defer w.now.Store(nil)
		return w.token("ana")
	}()
	for _, c := range []struct {
		name, frame string
		want        int
	}{
		{"expired", fmt.Sprintf(`{"type":"connect","token":%q}`, expired), closeUnauth},
		{"garbage", `{"type":"connect","token":"x"}`, closeUnauth},
		{"nothing", `{"type":"connect"}`, closeUnauth},
		{"another person", fmt.Sprintf(`{"type":"connect","token":%q}`, w.token("bob")), closeForbidden},
		{"no connect", `{"type":"ping"}`, closeUnauth},
		{"no JSON", `{"type":`, closeBadMessage},
		{"too long", `{"type":"connect","token":"` + strings.Repeat("a", 5000) + `"}`, websocket.CloseMessageTooBig},
	} {
		ws, res, err := w.dial("/api/ana/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		k := &client{t: t, ws: ws, user: "ana"}
		k.send(c.frame)
		if got := k.untilClosed(); got != c.want {
			t.Errorf("%s: closed with %d", c.name, got)
		}
		if len(k.frames) > 0 {
			t.Errorf("%s: was told %v", c.name, tailOf(k.frames))
		}
		ws.Close()
	}
}

func TestSocketByHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ws, res, err := w.dial("/api/ana/ws", http.Header{"Authorization": {"Bearer " + w.token("ana")}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer ws.Close()
	if ws.Subprotocol() != subprotocol {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	(&client{t: t, ws: ws, user: "ana"}).until("connected")
	for user, want := range map[string]int{"bob": 403, "dev": 404, "a.b": 404} {
		_, res, err := w.dial("/api/"+user+"/ws", http.Header{"Authorization": {"Bearer " + w.token("ana")}})
		if err == nil || res == nil || res.StatusCode != want {
			t.Errorf("path of %s: %v", user, err)
		}
		if res != nil {
			res.Body.Close()
		}
	}
	r := w.do("ana", "GET", "/api/ana/ws", "")
	if r.status != http.StatusUpgradeRequired || r.header.Get("Upgrade") != "websocket" {
		t.Errorf("plain GET: %d", r.status)
	}
}

// Tokens run out: a refreshed one of the same sign-in keeps the socket open.
func TestExpiryAndRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.setClock(now)
	c := w.connect("ana")
	sweep := func(after time.Duration) {
		t.Helper()
		w.setClock(now.Add(after))
		w.edge.hub.sweep(time.Now())
	}
	sweep(10*time.Minute + expiryGrace - time.Second)
	id := newID()
	c.send(map[string]any{"type": "refresh", "id": id, "token": w.token("ana")})
	c.untilFrame("done", func(f serverFrame) bool { return f.ID == id })
	sweep(20 * time.Minute)
	c.send(map[string]any{"type": "refresh", "id": newID(), "token": "nonsense"})
	if f := c.until("error"); f.Code != codeUnauth {
		t.Errorf("bad refresh: %s", f.raw)
	}
	sweep(20*time.Minute + 2*expiryGrace)
	if code := c.untilClosed(); code != closeUnauth {
		t.Errorf("expired: %d", code)
	}
	c = w.connect("ana")
	c.send(map[string]any{"type": "refresh", "token": w.token("bob")})
	if code := c.untilClosed(); code != closeForbidden {
		t.Errorf("somebody else's token: %d", code)
	}
}

func TestLobbyIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var open []*websocket.Conn
	for range lobbyPerAddress {
		ws, res, err := w.dial("/api/ana/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		open = append(open, ws)
	}
	_, res, err := w.dial("/api/ana/ws", nil)
	if err == nil || res == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Fatalf("one too many: %v", err)
	}
	res.Body.Close()
	// Who says who they are makes room; who never does is closed.
	k := &client{t: t, ws: open[0], user: "ana"}
	k.send(map[string]any{"type": "connect", "token": w.token("ana")})
	k.until("connected")
	w.connect("ana")
	if code := (&client{t: t, ws: open[1], user: "ana"}).untilClosed(); code != closeTooSlow {
		t.Errorf("never connected: %d", code)
	}
	for _, ws := range open {
		ws.Close()
	}
}

func TestFloodIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect("ana")
	go func() {
		for range 5000 {
			if c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`)) != nil {
				return
			}
		}
	}()
	if code := c.untilClosed(); code != closeTooMuch {
		t.Errorf("closed with %d", code)
	}
}
