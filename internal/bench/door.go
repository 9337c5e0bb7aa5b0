package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// A door is where clients connect: an edge, or the floor.
type door struct {
	url   string // http://host:port
	token func(ctx context.Context, user string) (string, error)
}

// A clientFrame is what our clients say.
type clientFrame struct {
	Type           string `json:"type"`
	ID             string `json:"id,omitzero"`
	ConversationID string `json:"conversation_id,omitzero"`
	Message        string `json:"message,omitzero"`
	After          uint64 `json:"after,omitzero"`
}

// A link is one socket. One goroutine reads it, one may write.
type link struct {
	ws  *websocket.Conn
	buf []byte
}

// dial connects as user. A socket that stalls wants a small receive buffer.
func (d door) dial(ctx context.Context, user string, receive int) (*link, error) {
	h := http.Header{}
	if d.token != nil {
		t, err := d.token(ctx, user)
		if err != nil {
			return nil, err
		}
		h.Set("Authorization", "Bearer "+t)
	}
	dialer := websocket.Dialer{
		HandshakeTimeout: 30 * time.Second, ReadBufferSize: 1024, WriteBufferSize: 512, Subprotocols: []string{"parley.v1"},
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if t, ok := c.(*net.TCPConn); ok && receive > 0 {
				err = t.SetReadBuffer(receive)
			}
			return c, err
		},
	}
	at := "ws" + strings.TrimPrefix(d.url, "http") + "/api/" + user + "/ws"
	ws, res, err := dialer.DialContext(ctx, at, h) //nolint:bodyclose // the dialer has read what there is of it
	if err != nil {
		if res != nil {
			return nil, fmt.Errorf("dial %s: %w: %s", at, err, res.Status)
		}
		return nil, fmt.Errorf("dial %s: %w", at, err)
	}
	return &link{ws: ws}, nil
}

func (l *link) close() { _ = l.ws.Close() } // nobody waits for its farewell

func (l *link) send(f clientFrame) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return l.ws.WriteMessage(websocket.TextMessage, b)
}

// read returns the next frame, valid until the next call.
func (l *link) read() ([]byte, error) {
	_, r, err := l.ws.NextReader()
	if err != nil {
		return nil, err
	}
	l.buf = l.buf[:0]
	for {
		if len(l.buf) == cap(l.buf) {
			l.buf = append(l.buf, 0)[:len(l.buf)]
		}
		n, err := r.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf = l.buf[:len(l.buf)+n]
		if errors.Is(err, io.EOF) {
			return l.buf, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func newMessageID() string { return uuid.Must(uuid.NewV7()).String() }

// expect reads until a frame of the given type.
func (l *link) expect(kind string) error {
	for {
		b, err := l.read()
		if err != nil {
			return err
		}
		f, err := decodeFrame(b)
		if err != nil {
			return err
		}
		switch f.Type {
		case kind:
			return nil
		case "error":
			return fmt.Errorf("the server says %s: %s", f.Code, f.Message)
		}
	}
}
