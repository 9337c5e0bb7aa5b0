package eventlog_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A server answers the retry of a stored commit in one of three ways, by its version,
// its replicas and its memory of ids: with an ack that says "duplicate", or with one of
// two errors for a wrong last sequence. None of them tells whether this very commit is
// stored, and Append does.
func TestAppendAsksTheLogWhateverTheServerAnswers(t *testing.T) {
	t.Parallel()
	nc := testkit.NATS(t)
	l, ctx, r := open(t, nc), testkit.Context(t), refOf(t, "ana", "c1")
	if _, err := l.Append(ctx, commitOf(r, 1, "a"), 0); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	// From here on the test answers what is published to the log.
	s, err := js.Stream(ctx, events.StreamLog)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.Subjects, config.RePublish = []string{"elsewhere.>"}, nil
	if _, err := js.UpdateStream(ctx, config); err != nil {
		t.Fatal(err)
	}
	var answer string
	_, err = nc.Subscribe("log.>", func(m *nats.Msg) {
		if m.Header.Get(jetstream.MsgIDHeader) == "" || m.Header.Get(jetstream.ExpectedLastSubjSeqHeader) == "" {
			t.Errorf("a commit without its id or its place: %v", m.Header)
		}
		if err := m.Respond([]byte(answer)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := func(code int, text string) string {
		return fmt.Sprintf(`{"error":{"code":400,"err_code":%d,"description":%q}}`, code, text)
	}
	for _, answer = range []string{
		`{"stream":"LOG","seq":1,"duplicate":true}`,
		failed(10071, "wrong last sequence: 1"),
		failed(10164, "wrong last sequence"),
	} {
		for _, tt := range []struct {
			title  string
			stored bool
		}{{"a", true}, {"other", false}} {
			_, err := l.Append(ctx, commitOf(r, 1, tt.title), 0)
			var conflict *eventlog.ConflictError
			if !errors.As(err, &conflict) || conflict.Stored != tt.stored {
				t.Errorf("%s: stored = %v is told as %v", answer, tt.stored, err)
			}
		}
	}
	// Any other error is a refusal.
	answer = failed(10077, "maximum messages exceeded")
	var conflict *eventlog.ConflictError
	if _, err := l.Append(ctx, commitOf(r, 1, "a"), 0); err == nil || errors.As(err, &conflict) {
		t.Errorf("%s: %v", answer, err)
	}
}

// The server of our tests says "duplicate" where it remembers the id and the place
// is as expected: that commit is not stored a second time, and nobody may think so.
func TestAppendOfAKnownIDStoresNothing(t *testing.T) {
	t.Parallel()
	l := open(t, testkit.NATS(t))
	ctx, r := testkit.Context(t), refOf(t, "ana", "c1")
	k := commitOf(r, 1, "a")
	seq, err := l.Append(ctx, k, 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.Append(ctx, k, seq); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("the same commit behind itself is stored at %d (%v)", again, err)
	}
	if list, err := l.Read(ctx, r, 0); err != nil || len(list) != 1 {
		t.Errorf("%d commits (%v), want 1", len(list), err)
	}
}
