package edge

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// A rawSocket speaks RFC 6455 by hand, so that it can speak it wrongly.
type rawSocket struct {
	conn net.Conn
	in   *bufio.Reader
	w    sync.Mutex
}

// dialRaw sends a handshake as it is told and returns the answer's status.
func dialRaw(host, method, path string, headers [][2]string) (*rawSocket, int, error) {
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, 0, err
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if method == "POST" {
		b.WriteString("Content-Length: 0\r\n")
	}
	_, err = io.WriteString(conn, b.String()+"\r\n")
	if err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	s := &rawSocket{conn: conn, in: bufio.NewReader(conn)}
	res, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, res.StatusCode, conn.Close()
	}
	return s, res.StatusCode, nil
}

// upgrade returns the headers of a good handshake.
func upgrade() [][2]string {
	return [][2]string{
		{"Connection", "Upgrade"},
		{"Upgrade", "websocket"},
		{"Sec-WebSocket-Version", "13"},
		{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
	}
}

// write sends one masked frame.
func (s *rawSocket) write(first byte, payload []byte) error {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	at := len(b)
	b = append(b, payload...)
	for i := range payload {
		b[at+i] ^= mask[i%4]
	}
	return s.bytes(b)
}

func (s *rawSocket) bytes(b []byte) error {
	s.w.Lock()
	defer s.w.Unlock()
	_, err := s.conn.Write(b)
	return err
}

// read returns the next frame from the server.
func (s *rawSocket) read() (first byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(s.in, head); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	for _, long := range []struct {
		mark uint64
		size int
	}{{126, 2}, {127, 8}} {
		if n != long.mark {
			continue
		}
		ext := make([]byte, 8)
		if _, err := io.ReadFull(s.in, ext[8-long.size:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(ext)
		break
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(s.in, payload)
	return head[0], payload, err
}

// A verdict is what became of a socket.
type verdict struct {
	frames []string
	code   int // of the close frame, 1006 without one
	closed bool
	errors int
	pong   string
}

// watch reads until the socket ends or the time is over.
func (s *rawSocket) watch(d time.Duration, until func(verdict) bool) verdict {
	var v verdict
	_ = s.conn.SetReadDeadline(time.Now().Add(d))
	for !until(v) {
		first, payload, err := s.read()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return v
		case err != nil:
			v.code, v.closed = 1006, true
			return v
		}
		switch first {
		case opText:
			v.frames = append(v.frames, string(payload))
			if strings.HasPrefix(string(payload), `{"type":"error"`) {
				v.errors++
			}
		case opPing:
			_ = s.write(opPong, payload)
		case opPong:
			v.pong = string(payload)
		case opClose:
			if v.closed = true; len(payload) >= 2 {
				v.code = int(binary.BigEndian.Uint16(payload))
			} else {
				v.code = 1005
			}
			return v
		default:
			v.frames = append(v.frames, fmt.Sprintf("frame %#x", first))
		}
	}
	return v
}

func TestBadInputsWebSocket(t *testing.T) {
	t.Parallel()
	p := newReplay(t)
	for _, c := range loadBadInputs(t, "ws") {
		if why, ok := elsewhere[c.ID]; ok {
			t.Logf("%s: %s", c.ID, why)
			continue
		}
		t.Run(c.ID, func(t *testing.T) { p.socketCase(t, c) })
	}
	if n := p.accepted(bystander); n != 1 {
		t.Errorf("the bystander has %d messages", n)
	}
}

func (p *replay) handshakeHeaders(c badCase) [][2]string {
	list := append(upgrade(), p.head(c)...)
	for name, value := range c.SetHeaders {
		list = slices.DeleteFunc(list, func(h [2]string) bool { return strings.EqualFold(h[0], name) })
		list = append(list, [2]string{name, p.fill(value)})
	}
	return slices.DeleteFunc(list, func(h [2]string) bool { return slices.Contains(c.DropHeaders, h[0]) })
}

func (p *replay) socketCase(t *testing.T, c badCase) {
	t.Helper()
	method := "GET"
	if c.Override != "" {
		method = c.Override
	}
	if c.ConnCount > 0 {
		p.manySockets(t, c)
		return
	}
	s, status, err := dialRaw(p.values["host"], method, p.path(c), p.handshakeHeaders(c))
	if err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	if !slices.Contains(c.Expect.StatusIn, status) {
		t.Fatalf("%s: handshake %d, wanted %v", c.ID, status, c.Expect.StatusIn)
	}
	if s == nil {
		return
	}
	defer s.conn.Close()
	if c.Auth == "first_message" {
		_ = s.write(opText, []byte(`{"type":"connect","token":"`+p.token("ana")+`"}`))
		v := s.watch(10*time.Second, func(v verdict) bool { return len(v.frames) > 0 })
		if len(v.frames) == 0 || !strings.HasPrefix(v.frames[0], `{"type":"connected"`) {
			t.Fatalf("%s: %+v", c.ID, v)
		}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for _, f := range c.Frames {
			if p.sendFrame(s, f) != nil {
				return // the server has closed it already
			}
		}
	}()
	v := s.watch(15*time.Second, func(v verdict) bool {
		switch {
		case c.Expect.Pong:
			return v.pong != ""
		case c.Expect.OrErrorFrame:
			return v.errors > 0
		}
		return len(c.Expect.CloseIn) == 0
	})
	_ = s.conn.SetDeadline(time.Now()) // ends the sender
	<-sent
	e := c.Expect
	switch {
	case e.Pong && v.pong == "":
		t.Errorf("%s: no pong", c.ID)
	case e.OrErrorFrame && v.errors > 0:
	case len(e.CloseIn) > 0 && (!v.closed || !slices.Contains(e.CloseIn, v.code)):
		t.Errorf("%s: closed %v with %d, wanted %v; frames %.300q", c.ID, v.closed, v.code, e.CloseIn, v.frames)
	}
	for _, f := range v.frames {
		if strings.Contains(f, "canary-of-the-bystander") {
			t.Errorf("%s: something of the bystander: %s", c.ID, f)
		}
	}
	p.control(t, c)
}

// control shows that the server still answers, and at once.
func (p *replay) control(t *testing.T, c badCase) {
	t.Helper()
	start := time.Now()
	if _, r := p.ask("ana", `{"message":"control"}`); r.status != 200 || time.Since(start) > 2*time.Second {
		t.Errorf("%s: control request: %d after %v", c.ID, r.status, time.Since(start))
	}
}

var opcodes = map[string]byte{"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}

func (p *replay) sendFrame(s *rawSocket, f badFrame) error {
	if f.RawB64 != "" {
		return s.bytes(must(base64.StdEncoding.DecodeString(f.RawB64)))
	}
	if f.Fragments != nil {
		var all bytes.Buffer
		for i := range f.Fragments.Count {
			op := byte(0)
			if i == 0 {
				op = 1
			}
			if i == f.Fragments.Count-1 {
				op |= 0x80
			}
			b := []byte(f.Fragments.Text)
			all.Write([]byte{op, 0x80 | byte(len(b)), 0, 0, 0, 0})
			all.Write(b)
		}
		return s.bytes(all.Bytes())
	}
	var op byte
	switch v := f.Op.(type) {
	case string:
		op = opcodes[v]
	case float64:
		op = byte(v)
	}
	if f.Fin == nil || *f.Fin {
		op |= 0x80
	}
	op |= f.RSV << 4
	var payload []byte
	switch {
	case f.Text != nil:
		payload = []byte(p.fill(*f.Text))
	case f.JSON != nil:
		payload = []byte(p.fill(string(must(json.Marshal(f.JSON)))))
	case f.B64 != "":
		payload = must(base64.StdEncoding.DecodeString(f.B64))
	case f.Gen != nil:
		payload = []byte(p.generate(f.Gen))
	}
	for range max(1, f.Repeat) {
		if err := s.write(op, payload); err != nil {
			return err
		}
	}
	return nil
}

// manySockets opens very many; one more person must be able to come in soon.
func (p *replay) manySockets(t *testing.T, c badCase) {
	t.Helper()
	for range max(1, c.Reconnect) {
		sockets := make([]*rawSocket, c.ConnCount)
		var wg sync.WaitGroup
		gate := make(chan struct{}, 100)
		for i := range sockets {
			wg.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				s, status, err := dialRaw(p.values["host"], "GET", p.path(c), p.handshakeHeaders(c))
				if err != nil || !slices.Contains(c.Expect.StatusIn, status) {
					t.Errorf("%s: handshake %d %v", c.ID, status, err)
				}
				if sockets[i] = s; s != nil && c.Auth == "first_message" {
					_ = s.write(opText, []byte(`{"type":"connect","token":"`+p.values["token"]+`"}`))
				}
			})
		}
		wg.Wait()
		for _, s := range sockets {
			if s != nil {
				_ = s.conn.Close()
			}
		}
	}
	p.control(t, c)
	// Sockets that never said who they are make room when they are gone.
	deadline := time.Now().Add(10 * time.Second)
	for {
		s, status, err := dialRaw(p.values["host"], "GET", p.path(c), p.handshakeHeaders(c))
		if err == nil && status == http.StatusSwitchingProtocols {
			_ = s.conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: nobody gets in any more: %d %v", c.ID, status, err)
		}
	}
}

// A peer that answers no ping is dropped, though it is silent for hours otherwise.
func TestSilentPeerIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	headers := append(upgrade(), [2]string{"Authorization", "Bearer " + w.token("ana")})
	s, status, err := dialRaw(strings.TrimPrefix(w.url, "http://"), "GET", "/api/ana/ws", headers)
	if err != nil || status != 101 {
		t.Fatal(status, err)
	}
	defer s.conn.Close()
	if v := s.watch(10*time.Second, func(v verdict) bool { return len(v.frames) > 0 }); len(v.frames) == 0 {
		t.Fatal("not connected")
	}
	w.edge.hub.sweep(time.Now().Add(pingEvery + time.Second))
	if first, _, err := s.read(); err != nil || first != opPing {
		t.Fatalf("frame %#x, %v", first, err)
	}
	// The reader gives up when its deadline passes, which every frame puts off.
	w.edge.hub.mu.RLock()
	for c := range w.edge.hub.conns {
		_ = c.nc.SetReadDeadline(time.Now())
	}
	w.edge.hub.mu.RUnlock()
	if v := s.watch(10*time.Second, func(verdict) bool { return false }); !v.closed {
		t.Error("the silent peer was kept")
	}
}
