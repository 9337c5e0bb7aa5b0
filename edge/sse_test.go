package edge

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A paper takes what is written to it, and counts what was sent off.
type paper struct {
	syncBuffer
	header  http.Header
	flushed atomic.Int64
}

func (p *paper) Header() http.Header { return p.header }
func (p *paper) WriteHeader(int)     {}
func (p *paper) Flush()              { p.flushed.Add(1) }

// A stream that has nothing to say says so every 15 seconds, also before its first
// frame: else proxies cut it, and its reader cannot tell it from a dead one.
func TestSilentStreamPings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		p := &paper{header: http.Header{}}
		c := &call{e: &Edge{metrics: newMetrics("test"), stop: make(chan struct{})}, w: p, r: httptest.NewRequestWithContext(ctx, "GET", "/", nil)}
		s := c.newStream("")
		done := make(chan error, 1)
		go func() { done <- s.serve(func(*frame) bool { return false }) }()
		says := func(after time.Duration, want string) {
			t.Helper()
			<-time.After(after) // of the bubble's clock
			synctest.Wait()
			if got := p.String(); got != want {
				t.Errorf("the stream says %q, want %q", got, want)
			}
		}
		const ping = ": ping\n\n"
		says(15*time.Second-time.Millisecond, "")
		says(2*time.Millisecond, ping)
		if got := p.header.Get("Content-Type"); got != "text/event-stream" || p.flushed.Load() != 1 {
			t.Errorf("a ping as %q, sent off %d times", got, p.flushed.Load())
		}
		says(15*time.Second, ping+ping)
		s.out.send(newFrame(opText, `{"type":"live"}`))
		says(time.Second, ping+ping+"data: {\"type\":\"live\"}\n\n")
		says(3*15*time.Second, ping+ping+"data: {\"type\":\"live\"}\n\n"+strings.Repeat(ping, 3))
		leave()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
