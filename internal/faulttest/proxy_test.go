//go:build faults

package faulttest

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
)

// A proxy stands between one process and NATS, and can stop the traffic right
// after the process has said a certain thing: that gets through, and the process
// does not hear of it.
type proxy struct {
	w      *world
	listen net.Listener

	mu    sync.Mutex
	after []byte        // hold once the client says this; nil: never
	held  chan struct{} // closed: the traffic flows
}

func (w *world) newProxy() *proxy {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	p := &proxy{w: w, listen: l, held: make(chan struct{})}
	close(p.held)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(client) })
		}
	})
	w.t.Cleanup(func() {
		_ = l.Close()
		p.release()
		all.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listen.Addr().String() }

// holdAfter stops the traffic once the client has said text.
func (p *proxy) holdAfter(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = []byte(text)
}

// release lets everything through again.
func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = nil
	select {
	case <-p.held:
	default:
		close(p.held)
	}
}

// serve passes one connection on, until either side ends it.
func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", strings.TrimPrefix(p.w.server.URL(), "nats://"))
	if err != nil {
		_ = client.Close()
		return
	}
	end := func() {
		_ = client.Close()
		_ = server.Close()
	}
	var both sync.WaitGroup
	both.Go(func() {
		defer end()
		pass(server, client, func(b []byte) {
			p.wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.after != nil && bytes.Contains(b, p.after) {
				p.after, p.held = nil, make(chan struct{})
			}
		})
	})
	both.Go(func() {
		defer end()
		pass(client, server, func([]byte) { p.wait() })
	})
	both.Wait()
}

// wait waits while the traffic is stopped.
func (p *proxy) wait() {
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	<-held
}

// pass copies, looking at each piece first.
func pass(to io.Writer, from io.Reader, look func([]byte)) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			look(b[:n])
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
