package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/parleychat/parley/internal/embedded"
)

// A connection that held for a while or brought something new begins a new
// outage when it ends, with short pauses; one that did neither does not.
const (
	steady     = 10 * time.Second
	firstPause = 200 * time.Millisecond
)

// An absence is a time without a connection, or one that may begin.
type absence struct {
	lost time.Time
	told bool // the person knows
	next time.Duration
}

func beginAbsence() absence { return absence{lost: time.Now()} }

// tried notes that a connection begun then has ended, and whether it brought
// something new.
func (o *absence) tried(begun time.Time, news bool) {
	if news || time.Since(begun) > steady {
		*o = beginAbsence()
	}
}

// pause says how long to wait before the next try: longer from one to the next.
func (o *absence) pause() time.Duration {
	d := o.next
	o.next = min(max(2*d, firstPause), 5*time.Second)
	return d/2 + rand.N(d/2+1)
}

// again waits and looks anew where Parley is and who we are: a parley dev that was
// started again may have another address, and its tokens are good for minutes. It
// returns nil if Parley is still away, which the next try will tell.
func (c *Client) again(ctx context.Context, e *env, after time.Duration) (*caller, error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(after):
	}
	a, err := c.caller(ctx, e)
	if err != nil && passing(err) {
		return nil, nil
	}
	return a, err
}

// renewable reports a token of the dev issuer that has run out.
func (a *caller) renewable(err error) bool {
	s, ok := errors.AsType[*statusError](err)
	return ok && s.code == "token_expired" && a.issued
}

// trouble names a passing error for somebody who waits for an answer.
func trouble(err error) string {
	s, ok := errors.AsType[*statusError](err)
	switch {
	case !ok:
		return "the connection to Parley is lost"
	case s.code == "draining":
		return "this Parley is stopping"
	}
	return strings.TrimSuffix(s.message, ".")
}

// dialing reports that a server was not even connected to.
func dialing(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// passing reports an error that may be another one in a moment.
func passing(err error) bool {
	if s, ok := errors.AsType[*statusError](err); ok {
		switch s.status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		case 0: // in a stream that had begun
			return s.code == "draining" || s.code == "unavailable" || s.code == "too_many"
		}
		return false
	}
	return errors.As(err, new(awayError)) || errors.Is(err, embedded.ErrNotRunning)
}
