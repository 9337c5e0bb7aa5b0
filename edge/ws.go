package edge

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/events"
)

const (
	subprotocol = "parley.v1"

	connectWait  = 5 * time.Second
	writeWait    = 10 * time.Second
	lingerWait   = time.Second
	pingEvery    = 15 * time.Second
	silenceLimit = 60 * time.Second
	expiryGrace  = 25 * time.Second
	socketLife   = 24 * time.Hour

	sendBuffer    = 256 << 10
	strangerLimit = 4 << 10
	frameLimit    = 64 << 10

	socketsPerPerson = 1000
	watchesPerSocket = 256
	pendingPerSocket = 64
	badFrames        = 20 // after these a socket is closed

	framesPerSecond = 200
	frameBurst      = 1000
)

// Close codes. 4401 and 4403 tell the client not to come back by itself.
const (
	closeBadMessage = 4400
	closeUnauth     = 4401
	closeForbidden  = 4403
	closeTooSlow    = 4408
	closeTooMuch    = 4429
)

// A conn is one WebSocket. Its reader is a goroutine of its own; a writer runs
// only while there is something to write, so an idle socket costs little.
type conn struct {
	e       *Edge
	ws      *websocket.Conn
	nc      net.Conn
	out     outbox
	user    events.UserID
	address string
	ctx     context.Context
	cancel  context.CancelFunc
	tasks   sync.WaitGroup // the writer, and waits for commits

	session string // the token's sid
	expires atomic.Int64
	opened  time.Time
	pinged  time.Time // only the sweeper's
	pending atomic.Int32
	closed  atomic.Int32 // the close code that was sent first

	// p is set once the socket is authenticated; watches are guarded by its lock.
	p       *person
	watches map[events.ConversationID]*watch

	// The reader's own.
	waiting bool // counted in the lobby
	linger  bool // the peer may not have read our close frame yet
	bad     int
	bucket  bucket
}

// upgrader lets gorilla keep no write buffer per socket: it writes little, since
// frames go to the connection directly. Compression stays off: the read limit
// would count compressed bytes.
func (e *Edge) upgrader() *websocket.Upgrader {
	return &websocket.Upgrader{
		HandshakeTimeout: writeWait, ReadBufferSize: 512, WriteBufferSize: 512, WriteBufferPool: &sync.Pool{},
		Subprotocols: []string{subprotocol},
		CheckOrigin: func(r *http.Request) bool {
			_, ok := e.o.Origins.Allowed(r)
			return ok
		},
		Error: func(w http.ResponseWriter, r *http.Request, status int, _ error) {
			writeError(w, requestID(r), refuse(status, codeBadRequest, "This is not a WebSocket handshake that can be answered."))
		},
	}
}

// socket answers the handshake.
func (e *Edge) socket(up *websocket.Upgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := e.handshake(up, w, r)
		if err != nil {
			e.fail(w, r, err)
			return
		}
		if c != nil {
			// Not on this goroutine: it holds on to the request and its buffers.
			go c.serve() //nolint:contextcheck // a socket outlives its handshake
		}
	}
}

func (e *Edge) handshake(up *websocket.Upgrader, w http.ResponseWriter, r *http.Request) (*conn, error) {
	user := chi.URLParam(r, "user")
	if !auth.ValidUserID(user) {
		return nil, notFound("page")
	}
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		return nil, refuse(http.StatusUpgradeRequired, codeBadRequest, "This address speaks WebSocket only.")
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	c := &conn{e: e, user: events.UserID(user), address: address, opened: time.Now(), pinged: time.Now(), bucket: newBucket()}
	known := len(r.Header.Values("Authorization")) > 0
	var id auth.Identity
	if known {
		token, err := auth.BearerToken(r.Header)
		if err != nil {
			return nil, err
		}
		if id, err = e.o.Verifier.Verify(r.Context(), token); err != nil {
			return nil, err
		}
		if id.UserID != user {
			return nil, foreign()
		}
	} else if c.waiting = e.waiting.enter(address); !c.waiting {
		return nil, &apiError{
			status: http.StatusServiceUnavailable, code: codeTooMany, retry: connectWait,
			message: "Too many sockets from here have not said who they are. Try again in a moment.",
		}
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		if !known {
			e.waiting.leave(address)
		}
		return nil, nil // answered
	}
	c.ws, c.nc = ws, ws.NetConn()
	if t, ok := c.nc.(*net.TCPConn); ok {
		// Linux would let each slow reader fill 4 MiB of the kernel's memory.
		_ = t.SetWriteBuffer(sendBuffer)
	}
	c.ctx, c.cancel = context.WithCancel(e.hub.ctx)
	c.out.wake = func() { c.tasks.Go(c.write) }
	c.out.drained = c.resync
	e.sockets.Add(1)
	e.metrics.sockets.Inc()
	e.hub.add(c)
	if e.stopping.Load() {
		c.closeWith(websocket.CloseServiceRestart, "retry_after=1", true)
	} else if known {
		c.admit(id)
	}
	return c, nil
}

func foreign() *apiError {
	return refuse(http.StatusForbidden, codeForbidden, "The token belongs to somebody else than the address says.")
}

// serve reads until the socket ends, then clears up.
func (c *conn) serve() {
	defer c.finish()
	if c.p == nil {
		c.ws.SetReadLimit(strangerLimit)
		_ = c.ws.SetReadDeadline(time.Now().Add(connectWait))
	}
	c.ws.SetPingHandler(func(data string) error {
		c.alive()
		c.out.send(newFrame(opPong, data))
		return nil
	})
	c.ws.SetPongHandler(func(string) error {
		c.alive()
		return nil
	})
	c.ws.SetCloseHandler(func(code int, _ string) error {
		c.closeWith(code, "", true)
		return nil
	})
	var buf []byte
	for {
		kind, r, err := c.ws.NextReader()
		if err == nil {
			buf, err = readAll(buf[:0], r)
		}
		if err != nil {
			c.readFailed(err)
			return
		}
		switch {
		case c.closed.Load() != 0:
			continue // reading on until the peer has seen why
		case kind != websocket.TextMessage:
			c.close(websocket.CloseUnsupportedData, "text only")
		case !utf8.Valid(buf):
			c.close(websocket.CloseInvalidFramePayloadData, "not UTF-8")
		case !c.bucket.take(time.Now()):
			c.close(closeTooMuch, "too many frames")
		default:
			c.alive()
			c.receive(buf)
		}
		if cap(buf) > strangerLimit {
			buf = nil // an idle socket keeps no large buffer
		}
	}
}

// alive puts off the time at which a silent peer is given up.
func (c *conn) alive() {
	if c.p != nil && c.closed.Load() == 0 {
		_ = c.ws.SetReadDeadline(time.Now().Add(silenceLimit))
	}
}

func (c *conn) readFailed(err error) {
	if c.closed.Load() != 0 {
		return // whoever closed it has given the peer time to read why
	}
	var timeout net.Error
	if c.p == nil && errors.As(err, &timeout) && timeout.Timeout() {
		c.close(closeTooSlow, "no connect in time")
	}
	c.linger = true
}

func readAll(buf []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// finish gives back all that the socket held. The peer is given time to read
// why: closing at once would reset the connection under the close frame.
func (c *conn) finish() {
	c.cancel()
	c.e.hub.remove(c)
	if c.waiting {
		c.e.waiting.leave(c.address)
	}
	if c.p != nil {
		c.p.mu.Lock()
		delete(c.p.conns, c)
		for _, w := range c.watches {
			w.stop()
		}
		c.p.trim()
		c.p.mu.Unlock()
		c.e.hub.release(c.p)
	}
	c.out.close(errClosed)
	c.tasks.Wait()
	if t, ok := c.nc.(interface{ CloseWrite() error }); c.linger && ok && t.CloseWrite() == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(lingerWait))
		_, _ = io.Copy(io.Discard, io.LimitReader(c.nc, 4<<20))
	}
	_ = c.nc.Close()
	c.e.metrics.sockets.Dec()
	c.e.sockets.Done()
}

// write empties the outbox: what has gathered goes out in one write.
func (c *conn) write() {
	frames := make([]*frame, 0, 8)
	var wires net.Buffers
	for {
		batch, err := c.out.take(frames[:0])
		if len(batch) == 0 {
			if errors.Is(err, errSlow) {
				c.closeSlow()
			}
			return
		}
		size := 0
		wires = wires[:0]
		for _, f := range batch {
			wires = append(wires, f.wire)
			size += len(f.wire)
		}
		_ = c.nc.SetWriteDeadline(time.Now().Add(writeWait))
		if len(wires) == 1 {
			_, err = c.nc.Write(wires[0])
		} else {
			rest := wires // WriteTo consumes what it is given
			_, err = rest.WriteTo(c.nc)
		}
		if err != nil {
			c.out.close(errClosed)
			_ = c.nc.SetReadDeadline(time.Now()) // wakes the reader
			return
		}
		c.e.metrics.sent(len(batch), size)
		c.out.done(batch)
		if f := batch[len(batch)-1]; f.wire[0] == opClose {
			_ = c.nc.SetReadDeadline(time.Now().Add(lingerWait))
		}
		frames = batch
	}
}

func (c *conn) closeSlow() {
	if !c.closed.CompareAndSwap(0, closeTooSlow) {
		return
	}
	c.e.metrics.closes.WithLabelValues(strconv.Itoa(closeTooSlow)).Inc()
	_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.nc.Write(closeFrame(closeTooSlow, "resume").wire)
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerWait))
}

// close ends the socket with a code; what is queued and unwritten is forgotten.
func (c *conn) close(code int, reason string) { c.closeWith(code, reason, false) }

func (c *conn) closeWith(code int, reason string, flush bool) {
	if !c.closed.CompareAndSwap(0, int32(code)) {
		return
	}
	c.e.metrics.closes.WithLabelValues(strconv.Itoa(code)).Inc()
	c.out.closeWith(closeFrame(code, reason), errClosed, flush)
	c.cancel()
}

func closeFrame(code int, reason string) *frame {
	if code == websocket.CloseNoStatusReceived {
		return newFrame(opClose) // the answer to a close without a code has none either
	}
	return newFrame(opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code))), reason)
}

// sweep is called every second.
func (c *conn) sweep(now time.Time) {
	if c.closed.Load() != 0 {
		return
	}
	if expires := c.expires.Load(); expires != 0 && c.e.o.Clock().UnixNano() > expires+int64(expiryGrace) {
		c.close(closeUnauth, "the token has expired")
		return
	}
	if now.Sub(c.opened) > socketLife {
		c.closeWith(websocket.CloseServiceRestart, "retry_after=1", true)
		return
	}
	if now.Sub(c.pinged) >= pingEvery {
		c.pinged = now
		c.out.send(newFrame(opPing))
	}
}

// resync brings the reader back to the drafts that it was too slow for.
func (c *conn) resync() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for _, w := range c.watches {
		w.resync()
	}
}

// A bucket bounds the frames of one socket: a burst, then a steady rate.
type bucket struct {
	tokens float64
	at     time.Time
}

func newBucket() bucket { return bucket{tokens: frameBurst, at: time.Now()} }

func (b *bucket) take(now time.Time) bool {
	b.tokens = min(frameBurst, b.tokens+now.Sub(b.at).Seconds()*framesPerSecond)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
