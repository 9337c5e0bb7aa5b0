package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func open(t *testing.T, nc *nats.Conn) *eventlog.Log {
	t.Helper()
	ctx := testkit.Context(t)
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{AgentAckWait: 2 * time.Second, ToolAckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(ctx, nc, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func refOf(t *testing.T, u events.UserID, c events.ConversationID) events.Ref {
	t.Helper()
	r, err := events.NewRef(u, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func commitOf(r events.Ref, n uint64, title string) *events.Commit {
	return &events.Commit{
		V: events.Version, UserID: r.User(), ConversationID: r.Conversation(), N: n, CommitID: fmt.Sprintf("%s:%d:%s", r, n, title),
		Cause: title, By: events.ByUser, Time: testkit.Epoch, Events: []events.Event{events.ConversationRenamed{Title: title, By: events.ByUser}},
	}
}

func TestAppendTakesOneOfManyAndTellsTheOthers(t *testing.T) {
	t.Parallel()
	l := open(t, testkit.NATS(t))
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			_, err := l.Append(ctx, commitOf(r, 1, fmt.Sprint("title ", i)), 0)
			var conflict *eventlog.ConflictError
			switch {
			case err == nil:
				won.Add(1)
			case errors.As(err, &conflict) && !conflict.Stored && errors.Is(err, eventlog.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 15 || l.Stats().Conflicts != 15 {
		t.Errorf("%d won, %d lost, %+v", won.Load(), lost.Load(), l.Stats())
	}
}

func TestAppendAgainSaysThatItIsStored(t *testing.T) {
	t.Parallel()
	l := open(t, testkit.NATS(t))
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	first, err := l.Append(ctx, commitOf(r, 1, "a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(ctx, commitOf(r, 2, "b"), first); err != nil {
		t.Fatal(err)
	}
	_, err = l.Append(ctx, commitOf(r, 1, "a"), 0)
	var conflict *eventlog.ConflictError
	if !errors.As(err, &conflict) || !conflict.Stored {
		t.Errorf("the retry of a stored commit: %v", err)
	}
	_, err = l.Append(ctx, commitOf(r, 1, "other"), 0)
	if !errors.As(err, &conflict) || conflict.Stored {
		t.Errorf("another commit at a taken place: %v", err)
	}
}

// A publish whose answer is lost is unknown: Append waits until the log tells.
func TestAppendWaitsOutAnOutage(t *testing.T) {
	t.Parallel()
	srv := testkit.StartNATS(t)
	l := open(t, srv.Connect(t))
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	seq, err := l.Append(ctx, commitOf(r, 1, "a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	srv.Stop(t)
	done := make(chan error, 1)
	go func() {
		_, err := l.Append(ctx, commitOf(r, 2, "b"), seq)
		done <- err
	}()
	srv.Start(t)
	err = <-done
	if err != nil && !errors.Is(err, eventlog.ErrConflict) {
		t.Fatalf("append over an outage: %v", err)
	}
	list, err := l.Read(ctx, r, 0)
	if err != nil || len(list) == 0 || list[0].CommitID != commitOf(r, 1, "a").CommitID {
		t.Errorf("after the outage: %d commits, %v", len(list), err)
	}
}

func TestReadPagesAndFindsGaps(t *testing.T) {
	t.Parallel()
	nc := testkit.NATS(t)
	l := open(t, nc)
	ctx, r, other := testkit.Context(t), refOf(t, "ana", "c1"), refOf(t, "bob", "c1")
	const total = 1300 // over two batches of a direct get
	var last, foreign uint64
	for n := range uint64(total) {
		var err error
		if last, err = l.Append(ctx, commitOf(r, n+1, "a"), last); err != nil {
			t.Fatal(err)
		}
		if n%100 == 0 {
			if foreign, err = l.Append(ctx, commitOf(other, n/100+1, "b"), foreign); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := l.Read(ctx, r, 0)
	if err != nil || len(list) != total {
		t.Fatalf("%d commits, %v", len(list), err)
	}
	for i, s := range list {
		if s.N != uint64(i+1) || s.UserID != "ana" {
			t.Fatalf("place %d holds n = %d of %s", i, s.N, s.UserID)
		}
	}
	tail, err := l.Read(ctx, r, list[total-3].Seq)
	if err != nil || len(tail) != 3 {
		t.Errorf("tail of %d, %v", len(tail), err)
	}
	newest, ok, err := l.Last(ctx, r)
	if err != nil || !ok || newest.N != total || newest.Seq != last {
		t.Errorf("last = %+v, %v, %v", newest, ok, err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, events.StreamLog)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(ctx, list[10].Seq); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(ctx, r, 0); !errors.Is(err, eventlog.ErrGap) {
		t.Errorf("a missing commit gave %v", err)
	}
	// What is another's is handed to nobody, wherever it stands.
	raw, err := commitOf(other, 1, "b").Encode()
	if err == nil {
		_, err = js.Publish(ctx, r.Log(), raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(ctx, r, last+1); !errors.Is(err, events.ErrForeign) {
		t.Errorf("reading another's commit gave %v", err)
	}
	if _, _, err := l.Last(ctx, r); !errors.Is(err, events.ErrForeign) {
		t.Errorf("another's commit as the last gave %v", err)
	}
}

// archive holds encoded commits in order.
type archive [][]byte

func (a archive) Commits(_ context.Context, _ events.Ref, after, before uint64) ([][]byte, error) {
	return a[min(after, uint64(len(a))):min(before-1, uint64(len(a)))], nil
}

func TestHistoryJoinsArchiveAndTail(t *testing.T) {
	t.Parallel()
	nc := testkit.NATS(t)
	l := open(t, nc)
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	var a archive
	var last uint64
	for n := range uint64(20) {
		c := commitOf(r, n+1, fmt.Sprint("title ", n))
		b, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		a = append(a, b)
		if last, err = l.Append(ctx, c, last); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, events.StreamLog)
	if err != nil {
		t.Fatal(err)
	}
	// After trimming 12, any resume point must give the same order.
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(r.Log()), jetstream.WithPurgeKeep(8)); err != nil {
		t.Fatal(err)
	}
	for after := range uint64(22) {
		list, err := l.History(ctx, a, r, after)
		if err != nil {
			t.Fatal(err)
		}
		if want := 20 - min(after, 20); uint64(len(list)) != want {
			t.Errorf("after %d: %d commits, want %d", after, len(list), want)
		}
		for i, s := range list {
			if s.N != after+uint64(i)+1 {
				t.Errorf("after %d: place %d holds %d", after, i, s.N)
			}
		}
	}
	if _, err := l.History(ctx, a[:5], r, 0); !errors.Is(err, eventlog.ErrGap) {
		t.Errorf("an archive with a hole gave %v", err)
	}
	if a[3], err = commitOf(refOf(t, "bob", "c1"), 4, "his").Encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.History(ctx, a, r, 0); !errors.Is(err, events.ErrForeign) {
		t.Errorf("an archive with another's commit gave %v", err)
	}
}

func inbox(r events.Ref, id string, c events.Command) *events.Inbox {
	return &events.Inbox{V: events.Version, ID: id, UserID: r.User(), ConversationID: r.Conversation(), Time: testkit.Epoch, Command: c}
}

func TestEnqueueKnowsRepeatsAndIsBounded(t *testing.T) {
	t.Parallel()
	l := open(t, testkit.NATS(t))
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	if known, err := l.Known(ctx, r); known || err != nil {
		t.Errorf("an unknown conversation: %v, %v", known, err)
	}
	for i := range 64 {
		if err := l.Enqueue(ctx, inbox(r, fmt.Sprint("m", i), events.Message{Text: "x"})); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Enqueue(ctx, inbox(r, "m1", events.Message{Text: "x"})); !errors.Is(err, eventlog.ErrDuplicate) {
		t.Errorf("a repeated id: %v", err)
	}
	if err := l.Enqueue(ctx, inbox(r, "m64", events.Message{Text: "x"})); !errors.Is(err, eventlog.ErrFull) {
		t.Errorf("the 65th message of a conversation: %v", err)
	}
	if err := l.Enqueue(ctx, inbox(refOf(t, "bob", "c1"), "m1", events.Message{Text: "x"})); err != nil {
		t.Errorf("another person with the same id: %v", err)
	}
	if known, err := l.Known(ctx, r); !known || err != nil {
		t.Errorf("a conversation with a waiting message: %v, %v", known, err)
	}
	if err := l.Enqueue(ctx, inbox(r, "big", events.Message{Text: string(make([]byte, 300<<10))})); err == nil {
		t.Error("a message over the stream's limit was taken")
	}
}

func TestServeHoldsTheLeaseAndDrains(t *testing.T) {
	t.Parallel()
	l := open(t, testkit.NATS(t))
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	for _, id := range []string{"m1", "m2"} {
		if err := l.Enqueue(ctx, inbox(r, id, events.Message{Text: "x"})); err != nil {
			t.Fatal(err)
		}
	}
	serving, stop := context.WithCancel(ctx)
	got := make(chan events.Lease, 16)
	finish := make(chan struct{})
	done := make(chan error, 1)
	slots := make(chan struct{}, 1)
	acquire := func(ctx context.Context) (func(), error) {
		select {
		case slots <- struct{}{}:
			return func() { <-slots }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	go func() {
		done <- l.Serve(serving, ctx, events.StreamInbox, eventlog.ConsumerMessages, acquire, func(_ context.Context, d *eventlog.Delivery) {
			release := d.Hold(nil)
			defer release()
			got <- d.Lease()
			<-finish
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
		})
	}()
	first := <-got
	// The first message is held for more than its AckWait by renewals alone; with
	// one slot the second must not have been pulled meanwhile.
	held := time.NewTimer(2500 * time.Millisecond)
	defer held.Stop()
	select {
	case again := <-got:
		t.Fatalf("%+v was delivered while %+v held the only slot", again, first)
	case <-held.C:
	}
	finish <- struct{}{}
	second := <-got
	if second.Sequence == first.Sequence || second.Delivery != 1 {
		t.Errorf("second delivery is %+v", second)
	}
	stop()
	finish <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestScheduledMessageArrivesAndReplaces(t *testing.T) {
	t.Parallel()
	l := open(t, testkit.NATS(t))
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	// The first time is out of reach; the second replaces it.
	for _, at := range []time.Time{time.Now().Add(time.Hour), time.Now().Add(50 * time.Millisecond)} {
		if err := l.Schedule(ctx, "t1", at, inbox(r, "t1", events.RunDeadline{RunID: "r1", At: at})); err != nil {
			t.Fatal(err)
		}
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	got := make(chan *events.Inbox, 4)
	done := make(chan error, 1)
	go func() {
		done <- l.Serve(serving, ctx, events.StreamTimer, eventlog.ConsumerTimers, func(context.Context) (func(), error) { return func() {}, nil },
			func(_ context.Context, d *eventlog.Delivery) {
				in, err := events.DecodeInbox(d.Data())
				if err != nil {
					t.Error(err)
				}
				if d.Lease().Delivery == 1 {
					if err := d.Nak(); err != nil { // for another worker
						t.Error(err)
					}
					return
				}
				if d.Subject() != r.TimerFired() || d.Header(events.HeaderID) != "t1" {
					t.Errorf("arrived on %s with id %s", d.Subject(), d.Header(events.HeaderID))
				}
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
				got <- in
			})
	}()
	in := <-got
	if cmd, ok := in.Command.(events.RunDeadline); !ok || cmd.RunID != "r1" || cmd.At.After(time.Now().Add(time.Minute)) {
		t.Errorf("arrived: %+v", in.Command)
	}
	if n := l.Stats().Redelivered; n != 1 {
		t.Errorf("%d messages came again, want 1", n)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDeadLetterKeepsTheMessageOnce(t *testing.T) {
	t.Parallel()
	nc := testkit.NATS(t)
	l := open(t, nc)
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	if err := l.Enqueue(ctx, inbox(r, "m1", events.Message{Text: "x"})); err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	handled := make(chan struct{})
	go func() {
		done <- l.Serve(serving, ctx, events.StreamInbox, eventlog.ConsumerMessages, func(context.Context) (func(), error) { return func() {}, nil },
			func(_ context.Context, d *eventlog.Delivery) {
				for range 2 {
					if err := l.DeadLetter(ctx, d, "cannot be read"); err != nil {
						t.Error(err)
					}
				}
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
				close(handled)
			})
	}()
	<-handled
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, events.StreamDLQ)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs != 1 {
		t.Fatalf("%d dead letters, %v", info.State.Msgs, err)
	}
	m, err := stream.GetMsg(ctx, info.State.LastSeq)
	if err != nil || m.Header.Get("Parley-Reason") != "cannot be read" || m.Header.Get(events.HeaderID) != "m1" {
		t.Errorf("dead letter %+v, %v", m, err)
	}
}

// A full store refuses new work and keeps what it has.
func TestFullStoreIsAClearError(t *testing.T) {
	t.Parallel()
	srv := testkit.StartNATS(t, func(o *server.Options) { o.JetStreamMaxStore = 8 << 20 })
	l := open(t, srv.Connect(t))
	ctx := testkit.Context(t)
	var err error
	stored := 0
	for i := 0; err == nil && i < 200; i++ {
		r := refOf(t, "ana", events.ConversationID(fmt.Sprint("c", i)))
		if err = l.Enqueue(ctx, inbox(r, fmt.Sprint("m", i), events.Message{Text: string(make([]byte, 30<<10))})); err == nil {
			stored++
		}
	}
	if !errors.Is(err, eventlog.ErrFull) {
		t.Fatalf("after %d messages: %v", stored, err)
	}
	for i := range stored {
		if known, err := l.Known(ctx, refOf(t, "ana", events.ConversationID(fmt.Sprint("c", i)))); !known || err != nil {
			t.Fatalf("message %d is gone: %v, %v", i, known, err)
		}
	}
}
