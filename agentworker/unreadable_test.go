package agentworker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// lines hands out what is logged, line by line.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(bytes.TrimSpace(b)):
	default: // nobody reads that far
	}
	return len(b), nil
}

// wait returns once n lines contain text.
func (l lines) wait(ctx context.Context, t *testing.T, text string, n int) {
	t.Helper()
	for found := 0; found < n; {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				found++
			}
		case <-ctx.Done():
			t.Fatalf("%q was not logged %d times", text, n)
		}
	}
}

// A conversation with a commit that this worker cannot read is left alone: the
// worker says so, now and then, appends nothing, and answers everybody else.
func TestUnreadableLog(t *testing.T) {
	t.Parallel()
	other := func(r events.Ref, n uint64, c events.ConversationID) []byte {
		k := events.Commit{
			V: events.Version, UserID: r.User(), ConversationID: c, N: n, CommitID: "x", Time: testkit.Epoch,
			Events: []events.Event{events.ConversationPinned{Pinned: true}},
		}
		raw, err := k.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for name, test := range map[string]struct {
		raw func(events.Ref) []byte
		say string
	}{
		"no commit": {func(events.Ref) []byte { return []byte("nonsense") }, "malformed"},
		"a newer version": {func(r events.Ref) []byte {
			return bytes.Replace(other(r, 1, r.Conversation()), []byte(`"v":1`), []byte(`"v":2`), 1)
		}, "unknown version 2"},
		"of another's":           {func(r events.Ref) []byte { return other(r, 1, "c9") }, "commit of another conversation"},
		"of a wrong n":           {func(r events.Ref) []byte { return other(r, 7, r.Conversation()) }, "gap in the"},
		"a mebibyte of nonsense": {func(events.Ref) []byte { return bytes.Repeat([]byte("x"), 1<<20-1<<10) }, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testkit.Context(t)
			b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply { return textReply("well") })
			bad, good := ref(t, "ana", "bad"), ref(t, "ana", "good")
			js, err := jetstream.New(b.nc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := js.Publish(ctx, bad.Log(), test.raw(bad)); err != nil {
				t.Fatal(err)
			}
			var reads atomic.Int64
			if _, err := b.nc.Subscribe("$JS.API.DIRECT.GET.LOG", func(*nats.Msg) { reads.Add(1) }); err != nil {
				t.Fatal(err)
			}
			logged := make(lines, 4096)
			b.start(func(o *agentworker.Options) { o.Logger = slog.New(slog.NewTextHandler(logged, nil)) })
			for i := range 2 {
				b.send(bad, fmt.Sprint("m", i), events.Message{Text: "hi"})
			}
			b.send(good, "m9", events.Message{Text: "hi"})
			began := time.Now()
			if run := b.wait(good, ended).Tip(); run.Answer() != "well" {
				t.Errorf("the other conversation: %s %q", run.Status, run.Answer())
			}
			logged.wait(ctx, t, test.say, 4)
			// A worker that looked again at once would have read it thousands of times.
			if n, took := reads.Load(), time.Since(began); float64(n) > 40+20*took.Seconds() {
				t.Errorf("the log was read %d times in %v", n, took)
			}
			stream, err := js.Stream(ctx, events.StreamLog)
			if err != nil {
				t.Fatal(err)
			}
			info, err := stream.Info(ctx, jetstream.WithSubjectFilter(bad.Log()))
			if err != nil || info.State.Subjects[bad.Log()] != 1 {
				t.Errorf("%d messages where only the bad one was: %v", info.State.Subjects[bad.Log()], err)
			}
		})
	}
}
