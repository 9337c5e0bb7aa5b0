package edge

import (
	"runtime"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
)

// What an idle socket costs: the connected budget is 12 KiB.
func TestIdleSocketIsSmall(t *testing.T) {
	w := newWorld(t)
	const n = 400
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	conv, _ := w.ask("u0", `{"message":"hi"}`)
	w.connect("u0").follow(conv.ConversationID)
	before := heap()
	var sockets []*rawSocket
	for i := range n {
		user := "u" + string(rune('a'+i%20)) + string(rune('a'+i/20))
		s, status, err := dialRaw(w.edge.Addr().String(), "GET", "/api/"+user+"/ws", append(upgrade(), [2]string{"Authorization", "Bearer " + w.token(user)}))
		if err != nil || status != 101 {
			t.Fatal(status, err)
		}
		s.watch(10*time.Second, func(v verdict) bool { return len(v.frames) > 0 })
		s.in = nil // the client's side is not the edge's
		sockets = append(sockets, s)
	}
	each := (heap() - before) / n
	t.Logf("%d bytes per socket, each of a person of its own, with the test's end of it", each)
	for _, s := range sockets {
		_ = s.conn.Close()
	}
	if each > 20<<10 {
		t.Errorf("an idle socket costs %d bytes", each)
	}
}

// BenchmarkDelta measures from the worker's publish to the client's frame.
func BenchmarkDelta(b *testing.B) {
	w := newWorld(b)
	r := ref("ana", "conversation")
	s := newScript(b, w, r)
	s.steps[0]()
	c := w.connect("ana")
	c.follow(r.Conversation())
	d := events.Delta{ConversationID: r.Conversation(), RunID: s.run, Step: 1, Attempt: 1, Text: "a word "}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.agent.log.Publish(r.Delta(), d.Append(nil)); err != nil {
			b.Fatal(err)
		}
		d.Offset += len(d.Text)
		if _, _, err := c.ws.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChat measures a message to a new conversation up to its answer, with
// an agent that takes no time to think.
func BenchmarkChat(b *testing.B) {
	w := newWorld(b)
	c := w.connect("ana")
	var first time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		c.say("", "hi")
		acc := c.until("accepted")
		c.conv = events.NewConversation(ref("ana", acc.ConversationID))
		// An answer that is complete before the socket is live comes as a commit alone.
		c.untilFrame("text", func(f serverFrame) bool { return f.Type == "delta" || f.N == 2 })
		first += time.Since(start)
		n++
		c.untilEnd(acc.RunID)
		c.frames = nil
		c.send(map[string]any{"type": "unsubscribe", "conversation_id": acc.ConversationID})
	}
	b.ReportMetric(float64(first.Microseconds())/float64(n), "µs/first-text")
}
