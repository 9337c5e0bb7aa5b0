package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parleychat/parley/events"
)

// tailRoom is how many conversations a tail follows at once; an edge lets a socket
// have 256.
const tailRoom = 200

// Close codes after which coming back as before would not help.
const (
	closeBadMessage = 4400
	closeUnauth     = 4401
	closeForbidden  = 4403
	closeTooMuch    = 4429
)

type tailCmd struct {
	Client       `embed:""`
	Reconnect    time.Duration `help:"How long to try to get a lost connection back before giving up." default:"2m" group:"Client"`
	Conversation string        `help:"Go on with, or follow only, this conversation; its history is shown first." group:"Client"`
	JSON         bool          `help:"Print JSON; of commits one a line." group:"Client"`
}

// Run prints the person's events as they happen, until it is interrupted.
func (c *tailCmd) Run(ctx context.Context, e *env) error { return c.tail(ctx, e, tailRoom) }

// tail follows over as many connections as it takes: every commit once.
func (c *tailCmd) tail(ctx context.Context, e *env, room int) error {
	if c.Conversation != "" && !events.ValidID(c.Conversation) {
		return usagef("a conversation's id has letters, digits, - and _, 64 at most")
	}
	a, err := c.caller(ctx, e)
	if err != nil {
		return err
	}
	t := &tailer{e: e, json: c.JSON, only: events.ConversationID(c.Conversation), room: room, news: true, followed: map[events.ConversationID]*followed{}}
	for o := beginAbsence(); ; {
		begun, before := time.Now(), t.printed
		err := t.listen(ctx, a)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // to be interrupted is how it ends
		}
		o.tried(begun, t.printed != before)
		switch renew := a.renewable(err); {
		case !t.met, !renew && !passing(err):
			return err
		case time.Since(o.lost) >= c.Reconnect:
			return fmt.Errorf("gave up after %v: %w", c.Reconnect, err)
		case !renew && !o.told:
			o.told, t.news = true, true
			fmt.Fprintf(e.stderr, "(%s; reconnecting)\n", strings.TrimSuffix(trouble(err), "."))
		}
		again, err := c.again(ctx, e, o.pause())
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the same
		case err != nil:
			return err
		case again != nil:
			a = again
		}
	}
}

// listen prints what one connection brings.
func (t *tailer) listen(ctx context.Context, a *caller) error {
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ws, err := a.socket(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = ws.Close() }() // leaving says enough
	t.met = true
	came, broke := make(chan []byte), make(chan error, 1)
	reading.Go(func() {
		for {
			_, data, err := ws.ReadMessage()
			if err != nil {
				broke <- err
				return
			}
			select {
			case came <- data:
			case <-ctx.Done():
				return
			}
		}
	})
	if err := t.begin(ctx, a, ws); err != nil {
		return err
	}
	look := time.NewTicker(tailLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case data := <-came:
			err = t.frame(data)
		case err = <-broke:
			return a.ended(err)
		case <-look.C:
			if err = t.look(ctx, a); passing(err) {
				err = nil // the next look will do
			}
		}
		if err != nil {
			return err
		}
	}
}

// socket opens a WebSocket, which an edge that has gone silent ends.
func (a *caller) socket(ctx context.Context) (*websocket.Conn, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"parley.v1"}, HandshakeTimeout: 10 * time.Second}
	url := "ws" + strings.TrimPrefix(a.url, "http") + "/api/" + a.user + "/ws"
	ws, res, err := dialer.DialContext(ctx, url, http.Header{"Authorization": {"Bearer " + a.token}})
	if res != nil {
		defer func() { _ = res.Body.Close() }() // of a handshake
	}
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && res.StatusCode >= http.StatusBadRequest:
		return nil, a.refusal(res)
	case err != nil:
		return nil, awayError{fmt.Errorf("cannot reach Parley at %s: %w", a.url, err)}
	}
	ws.SetReadLimit(maxFrame)
	alive := func() error { return ws.SetReadDeadline(time.Now().Add(silence)) }
	ws.SetPingHandler(func(data string) error {
		if err := alive(); err != nil {
			return err
		}
		return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
	return ws, alive()
}

// ended says what the end of a socket means.
func (a *caller) ended(err error) error {
	closed, ok := errors.AsType[*websocket.CloseError](err)
	if !ok {
		return awayError{fmt.Errorf("the connection to Parley broke: %w", err)}
	}
	switch closed.Code {
	case closeUnauth:
		if a.issued {
			return &statusError{code: "token_expired", message: closed.Text}
		}
		fallthrough
	case closeBadMessage, closeForbidden, closeTooMuch:
		return &statusError{code: closed.Text, message: fmt.Sprintf("the server ended the connection: %d %s", closed.Code, closed.Text)}
	}
	return awayError{fmt.Errorf("the server ended the connection: %w", err)}
}
