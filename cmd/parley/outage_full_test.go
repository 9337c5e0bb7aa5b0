package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// refusedWith checks that err is a refusal of this status that says why and
// when to come again.
func refusedWith(t testing.TB, what string, err error, status ...int) {
	t.Helper()
	var no *refused
	if !errors.As(err, &no) || !slices.Contains(status, no.status) || no.retryAfter == "" || no.text == "" {
		t.Errorf("%s: %v, want a refusal with one of %d", what, err, status)
		return
	}
	t.Logf("%s is refused: %v", what, err)
}

// A conversation in which nobody answers takes 64 messages. The one too many
// leaves no trace, and is welcome later.
func TestOutageFullInbox(t *testing.T) {
	t.Parallel()
	const room = 64
	ctx := testkit.Context(t)
	d := deploy(ctx, t, testkit.StartNATS(t).URL(), testkit.Postgres(t), obedient(ctx, t, nil).URL)
	d.start(ctx, "edge")
	d.start(ctx, "recorder")
	first := d.asks("ana", "message 0")
	queue := []*reader{first}
	if err := first.submit(ctx); err != nil {
		t.Fatal(err)
	}
	another := func() *reader {
		r := d.asks("ana", fmt.Sprintf("message %d", len(queue)))
		r.conv = first.conv
		queue = append(queue, r)
		return r
	}
	for range room - 1 {
		if err := another().submit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	refusedWith(t, "message 65", another().submit(ctx), http.StatusTooManyRequests)
	d.start(ctx, "agentworker")
	for _, r := range queue[:room] {
		if err := r.waitJSON(ctx); err != nil {
			t.Error(err)
		}
	}
	if n := first.accepted(ctx); n != room {
		t.Errorf("%d messages are in the log, want %d", n, room)
	}
	if err := queue[room].waitJSON(ctx); err != nil {
		t.Errorf("the refused message, sent again: %v", err)
	}
}

// accepted counts the messages in the log of the reader's conversation.
func (r *reader) accepted(ctx context.Context) (n int) {
	r.d.t.Helper()
	for after := uint64(0); ; {
		var page struct {
			Data    []jsonText `json:"data"`
			After   uint64     `json:"after"`
			HasMore bool       `json:"has_more"`
		}
		res, err := r.call(ctx, http.MethodGet, r.api(fmt.Sprintf("/conversations/%s/events?after=%d", r.conv, after)), "application/json", nil)
		if err == nil {
			err = decode(res, &page)
			_ = res.Body.Close() // read to its end
		}
		if err != nil {
			r.d.t.Fatal(err)
		}
		for _, commit := range page.Data {
			n += strings.Count(string(commit), `"message.accepted"`)
		}
		if after = page.After; !page.HasMore {
			return n
		}
	}
}

// jsonText is a JSON value as it stands.
type jsonText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *jsonText) UnmarshalJSON(b []byte) error { *t = jsonText(b); return nil }

// The store's own limit is reached: refused is refused, accepted stays, and
// answers that were being written end when there is room.
func TestOutageFullStore(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	n := startNATSProcess(ctx, t, natsSettings{MaxStore: 4 << 20})
	js, err := jetstream.New(n.connect())
	if err != nil {
		t.Fatal(err)
	}
	full := func() {
		for block := 900 << 10; block > 0; {
			if _, err := js.Publish(ctx, "dlq.filler", make([]byte, block)); err == nil {
				continue
			} else if api := (*jetstream.APIError)(nil); !errors.As(err, &api) {
				t.Fatal(err)
			}
			block /= 2
		}
	}
	noRoom(ctx, t, n, prompt/4, full, func() {
		s, err := js.Stream(ctx, events.StreamDLQ)
		if err == nil {
			err = s.Purge(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}, http.StatusServiceUnavailable)
}

// The disk itself is full. NATS 2.15 then gives publishers no answer, and takes
// nothing again until it is restarted.
func TestOutageFullDisk(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	n := startNATSProcess(ctx, t, natsSettings{Disk: 32 << 20})
	noRoom(ctx, t, n, prompt, func() {
		n.signal(fillDisk)
		n.expect(ctx, "disk full")
	}, func() {
		n.signal(freeDisk)
		n.expect(ctx, "disk freed")
		ready := strings.Count(n.output(), "nats ready")
		n.signal(restartIt)
		eventually(ctx, t, func(context.Context) error {
			if strings.Count(n.output(), "nats ready") == ready {
				return errors.New("nats does not restart")
			}
			return nil
		})
	}, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
}

// noRoom is what must hold while there is none and after it: refusals come
// within limit, with one of the statuses.
func noRoom(ctx context.Context, t *testing.T, n *natsServer, limit time.Duration, full, freed func(), status ...int) {
	t.Helper()
	d := newScene(ctx, t, n.url(), 6)

	full()
	over := time.Now().Add(outage(t))
	// Larger than what may be left of a file's last page on the disk.
	late := d.asks("ben", strings.Repeat("hello ", 1300))
	late.id = "late"
	refusedWith(t, "a message", within(ctx, limit, late.submit), status...)
	close(d.finish) // the answers end while nothing can be stored
	if tasks, err := d.asks("ana", "").tasks(ctx); err != nil || len(tasks) != 1 {
		t.Errorf("what Postgres knows: %q, %v", tasks, err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(over)):
	}
	freed()

	d.reading.Wait()
	eventually(ctx, t, late.waitJSON) // the same id
	if n := late.accepted(ctx); n != 1 {
		t.Errorf("the message that was refused is in the log %d times", n)
	}
	if err := d.asks("ana", "task after").waitJSON(ctx); err != nil {
		t.Error(err)
	}
	d.over(ctx, t, n.connect())
}
