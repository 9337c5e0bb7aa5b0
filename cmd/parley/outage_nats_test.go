package main

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/parleychat/parley/internal/testkit"
)

func TestOutageOfNATS(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]struct {
		away, back func(context.Context, *natsServer)
	}{
		"paused": {
			func(_ context.Context, n *natsServer) { n.signal(syscall.SIGSTOP) },
			func(_ context.Context, n *natsServer) { n.signal(syscall.SIGCONT) },
		},
		"killed": {
			func(_ context.Context, n *natsServer) { n.kill() },
			func(ctx context.Context, n *natsServer) { n.launch(ctx) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testkit.Context(t)
			n := startNATSProcess(ctx, t, natsSettings{})
			outageOfNATS(ctx, t, n, func() { how.away(ctx, n) }, func() { how.back(ctx, n) })
		})
	}
}

// Answers freeze and go on, what is sent meanwhile is refused with a reason,
// and nothing that was accepted is lost.
func outageOfNATS(ctx context.Context, t *testing.T, n *natsServer, away, back func()) {
	t.Helper()
	d := newScene(ctx, t, n.url(), 9)

	away()
	over := time.Now().Add(outage(t))
	persistent, ben := d.asks("ben", "hello"), d.asks("ben", "")
	err := within(ctx, prompt, persistent.submit)
	// A server that is gone takes nothing; of one that stands still nobody knows.
	if no := (*refused)(nil); !errors.As(err, &no) || no.retryAfter == "" || no.text == "" ||
		no.status != http.StatusServiceUnavailable && no.status != http.StatusGatewayTimeout {
		t.Errorf("a message without NATS: %v", err)
	}
	t.Logf("refused: %v", err)
	if err := within(ctx, prompt, func(ctx context.Context) error { _, err := ben.tasks(ctx); return err }); err != nil {
		t.Errorf("what Postgres knows, without NATS: %v", err)
	}
	if ready, checks, err := ben.ready(ctx); err != nil || ready {
		t.Errorf("readyz: %v %v %v", ready, checks, err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(over)):
	}
	back()

	since := time.Now()
	eventually(ctx, t, persistent.waitJSON) // the same id, as the page does
	t.Logf("the message that was refused is answered %v after the outage", time.Since(since).Round(time.Millisecond))
	if err := d.asks("ana", "task after").waitJSON(ctx); err != nil {
		t.Error(err)
	}
	close(d.finish)
	d.over(ctx, t, n.connect())
	for _, r := range d.readers {
		if r.moves != 0 {
			t.Errorf("the edge sent %s away", r.user)
		}
	}
}
