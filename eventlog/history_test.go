package eventlog_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// What a reader costs is what it gets: the messages that cross the connection
// are counted, for gaps and pages anywhere in a long conversation between others.
func TestHistoryCostsWhatItReturns(t *testing.T) {
	t.Parallel()
	nc := testkit.NATS(t)
	l := open(t, nc)
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	const total, trimmed = 3000, 500
	var a archive
	publish := make([]jetstream.PubAckFuture, 0, 4*total)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(20*total))
	if err != nil {
		t.Fatal(err)
	}
	// Others fill the stream, unevenly.
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range uint64(total) {
		if n == total/2 || rng.IntN(4) == 0 {
			for range rng.IntN(20) {
				f, err := js.PublishAsync(refOf(t, "bob", events.ConversationID(fmt.Sprint("c", rng.IntN(9)))).Log(), []byte("x"))
				if err != nil {
					t.Fatal(err)
				}
				publish = append(publish, f)
			}
		}
		b, err := commitOf(r, n+1, "a").Encode()
		if err != nil {
			t.Fatal(err)
		}
		a = append(a, b)
		f, err := js.PublishAsync(r.Log(), b)
		if err != nil {
			t.Fatal(err)
		}
		publish = append(publish, f)
	}
	for _, f := range publish {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			t.Fatal(err)
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	stream, err := js.Stream(ctx, events.StreamLog)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(r.Log()), jetstream.WithPurgeKeep(total-trimmed)); err != nil {
		t.Fatal(err)
	}
	// search is what finding the place may cost, markers of ends included.
	const search = 100
	check := func(after uint64, limit int) {
		t.Helper()
		before := nc.Stats().InMsgs
		var list []eventlog.Stored
		var more bool
		var err error
		want := total - min(after, total)
		if limit > 0 {
			list, more, err = l.Page(ctx, a, r, after, limit)
			want = min(want, uint64(limit))
		} else {
			list, err = l.History(ctx, a, r, after)
		}
		if err != nil {
			t.Fatalf("after %d, limit %d: %v", after, limit, err)
		}
		if uint64(len(list)) != want || more != (after+want < total) {
			t.Fatalf("after %d, limit %d: %d commits, more %v; want %d", after, limit, len(list), more, want)
		}
		for i, s := range list {
			if s.N != after+uint64(i)+1 {
				t.Fatalf("after %d: place %d holds %d", after, i, s.N)
			}
		}
		if cost := nc.Stats().InMsgs - before; cost > want+search {
			t.Errorf("after %d, limit %d: %d messages for %d commits", after, limit, cost, want)
		}
	}
	for _, after := range []uint64{0, 1, 32, 33, 100, 499, 500, 501, 600, 1000, 1499, 1500, 1501, 2000, 2900, 2967, 2990, 2998, 2999, 3000, 3001, 9999} {
		check(after, 0)
		for _, limit := range []int{1, 2, 50, 700} {
			check(after, limit)
		}
	}
	for range 100 {
		check(rng.Uint64N(total), 1+rng.IntN(40))
	}
}
