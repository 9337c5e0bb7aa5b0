package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/internal/testkit"
)

// A tailing is a parley tail within this process.
type tailing struct {
	out, notes testkit.Output
	over       chan struct{} // closed at its end
	err        error         // to be read after it
	stop       context.CancelFunc
}

func startTail(ctx context.Context, t *testing.T, c *tailCmd, room int) *tailing {
	t.Helper()
	p := &tailing{over: make(chan struct{})}
	ctx, p.stop = context.WithCancel(ctx)
	go func() {
		defer close(p.over)
		p.err = c.tail(ctx, &env{lookup: os.LookupEnv, stdout: &p.out, stderr: &p.notes}, room)
	}()
	t.Cleanup(func() {
		p.stop()
		<-p.over
		if t.Failed() {
			t.Logf("a tail with room for %d said %q, %v", room, p.notes.String(), p.err)
		}
	})
	if !p.notes.Await(ctx, p.over, 0, "(following ana at ") {
		t.Fatal("the tail does not begin")
	}
	return p
}

// of are the lines about one conversation, in their order.
func (p *tailing) of(conversation string) []string {
	return linesOf(p.out.String(), conversation)
}

func linesOf(out, conversation string) []string {
	var list []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, `{"v":1,"conversation_id":"`+conversation+`"`) {
			list = append(list, line)
		}
	}
	return list
}

// say sends a message, waits for the end of its answer, and returns the conversation.
func say(ctx context.Context, t *testing.T, a *caller, id, conversation, text string) string {
	t.Helper()
	body := map[string]string{"id": id, "message": text}
	if conversation != "" {
		body["conversation_id"] = conversation
	}
	res, err := a.request(ctx, http.MethodPost, "/api/"+a.user+"/chat", body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	if err := frames(res.Body, func(f frame) (bool, error) {
		if f.Type == "accepted" {
			conversation = string(f.ConversationID)
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return conversation
}

// byHand adds a task as the panel does.
func byHand(ctx context.Context, t *testing.T, a *caller, title string) {
	t.Helper()
	var out struct{ OK bool }
	body := map[string]any{"name": "add_task", "arguments": map[string]string{"title": title}}
	if err := a.do(ctx, http.MethodPost, "/api/"+a.user+"/tool_calls", body, &out); err != nil || !out.OK {
		t.Fatalf("a call by hand: %v, ok %t", err, out.OK)
	}
}

func replayed(ctx context.Context, t *testing.T, dir, conversation string) []string {
	t.Helper()
	var out bytes.Buffer
	c := &replayCmd{Client: Client{DataDir: dir, User: "ana"}, Conversation: conversation, JSON: true}
	if err := c.Run(ctx, &env{lookup: os.LookupEnv, stdout: &out, stderr: io.Discard}); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(out.String()))
}

// A tail prints every commit from when it began, once and as it is stored: of
// messages, of calls made by hand, of several conversations at once with and
// without room for all, and over a restart of the server.
func TestTailPrintsWhatReplayPrints(t *testing.T) {
	t.Parallel()
	ctx, dir := testkit.Context(t), testkit.DataDir(t)
	p := parley(t, nil, devArgs(dir)...)
	p.expect(ctx, "Ctrl-C stops it")
	client := Client{DataDir: dir, User: "ana"}
	anew := func() *caller {
		a, err := client.caller(ctx, &env{lookup: os.LookupEnv})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := anew()
	old := say(ctx, t, a, "m1", "", "add buy milk")
	ep, err := embedded.ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(ctx, ep.DatabaseDirectURL)
	if err != nil {
		t.Fatal(err)
	}
	recorded(ctx, t, db)
	if err := db.Close(ctx); err != nil {
		t.Fatal(err)
	}
	before := len(replayed(ctx, t, dir, old))

	tails := []*tailing{
		startTail(ctx, t, &tailCmd{Client: client, JSON: true, Reconnect: time.Minute}, tailRoom),
		startTail(ctx, t, &tailCmd{Client: client, JSON: true, Reconnect: time.Minute}, 2), // home and another
	}
	one := startTail(ctx, t, &tailCmd{Client: client, JSON: true, Reconnect: time.Minute, Conversation: old}, tailRoom)

	conversations := []string{old}
	burst := func(id string) {
		byHand(ctx, t, a, "plants "+id)
		for _, n := range []string{"1", "2", "3"} {
			conversations = append(conversations, say(ctx, t, a, id+n, "", "add tea "+id+n))
		}
		say(ctx, t, a, id+"4", conversations[1], "what is left?")
		say(ctx, t, a, id+"5", old, "add bread "+id)
		byHand(ctx, t, a, "cat "+id)
	}
	burst("a")
	if code, _ := p.stop(ctx); code != exitDone {
		t.Fatalf("dev ended with %d", code)
	}
	p = parley(t, nil, devArgs(dir)...)
	p.expect(ctx, "Ctrl-C stops it")
	a = anew()
	burst("b") // whether the tails are back or not

	// What is told last is the title, some time after the answer.
	for _, c := range conversations {
		for _, tail := range tails {
			await(ctx, t, tail, func() bool {
				return c == old || strings.Contains(strings.Join(tail.of(c), ""), `"conversation.renamed"`)
			})
		}
	}
	for _, c := range append(conversations, string(events.Home)) {
		want := replayed(ctx, t, dir, c)
		if c == old {
			await(ctx, t, one, func() bool { return len(one.of(c)) >= len(want) })
			if got := one.of(c); !slices.Equal(got, want) {
				t.Errorf("the tail of one conversation printed\n%swant\n%s", strings.Join(got, ""), strings.Join(want, ""))
			}
			want = want[before:]
		}
		for _, tail := range tails {
			await(ctx, t, tail, func() bool { return len(tail.of(c)) >= len(want) })
			if got := tail.of(c); !slices.Equal(got, want) {
				t.Errorf("of %s was printed\n%swant\n%s", c, strings.Join(got, ""), strings.Join(want, ""))
			}
		}
	}
	for _, tail := range append(tails, one) {
		if n := strings.Count(tail.notes.String(), "(following "); n != 2 || !strings.Contains(tail.notes.String(), "reconnecting)") {
			t.Errorf("of the restart was said %q", tail.notes.String())
		}
	}
	one.stop()
	if <-one.over; one.err != nil {
		t.Errorf("a tail that was left ended with %v", one.err)
	}

	short := startTail(ctx, t, &tailCmd{Client: client, Reconnect: time.Millisecond}, tailRoom)
	p.stop(ctx)
	if <-short.over; short.err == nil || !strings.HasPrefix(short.err.Error(), "gave up after 1ms: ") {
		t.Errorf("without a server it ended with %v", short.err)
	}
}

// await waits until something is true of what a tail has printed.
func await(ctx context.Context, t *testing.T, p *tailing, ok func() bool) {
	t.Helper()
	for {
		n := len(p.out.String())
		if ok() {
			return
		}
		if !p.out.Await(ctx, p.over, n, "\n") {
			t.Fatalf("no more is printed than\n%s", p.out.String())
		}
	}
}

// What cannot be followed is said once, and ends only a tail of that alone.
func TestTailGoesOnWithoutOne(t *testing.T) {
	t.Parallel()
	refusal := []byte(`{"type":"error","conversation_id":"c1","code":"unreadable","message":"It cannot be read."}`)
	var out, notes bytes.Buffer
	e := &env{stdout: &out, stderr: &notes}
	all := &tailer{e: e, room: tailRoom, json: true, followed: map[events.ConversationID]*followed{"c1": {asked: true}, "c2": {asked: true}}, watched: 2}
	for range 2 {
		if err := all.frame(refusal); err != nil {
			t.Fatalf("one of many ended it: %v", err)
		}
	}
	k := events.Commit{V: 1, ConversationID: "c2", UserID: "ana", N: 1, CommitID: "1", Time: time.Now(), Events: []events.Event{events.RunStarted{RunID: "r1", MessageID: "m1"}}}
	b, err := k.Encode()
	if err != nil {
		t.Fatal(err)
	}
	commit, err := json.Marshal(map[string]any{"type": "commit", "conversation_id": "c2", "n": 1, "commit": json.RawMessage(b)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // an edge may send again what was on its way
		if err := all.frame(commit); err != nil {
			t.Fatal(err)
		}
	}
	if notes.String() != "! c1: It cannot be read.\n" || strings.Count(out.String(), "\n") != 1 || all.watched != 1 {
		t.Errorf("said %q, printed %q, watching %d", notes.String(), out.String(), all.watched)
	}
	only := &tailer{e: e, only: "c1", followed: map[events.ConversationID]*followed{"c1": {asked: true}}}
	var s *statusError
	if err := only.frame(refusal); !errors.As(err, &s) || s.code != "unreadable" || passing(err) {
		t.Errorf("a tail of it alone ended with %v", err)
	}
}
