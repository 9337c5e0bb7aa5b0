package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleychat/parley/internal/embedded"
)

// connectTimeout is the least that one try to connect at start is given.
const connectTimeout = 5 * time.Second

// A connection is a NATS connection that tells when it is closed for good.
type connection struct {
	*nats.Conn
	closed  chan struct{}
	closing atomic.Bool
}

// dial connects to NATS for the given role. The connection reconnects for ever;
// a publish while it is away fails, so that the caller decides.
func dial(e *env, role string, access embedded.NATSAccess, opts ...nats.Option) (*connection, error) {
	c := &connection{closed: make(chan struct{})}
	logger := e.logger.With("role", role)
	all := []nats.Option{
		nats.Name("parley " + role), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.Timeout(connectTimeout),
		nats.ReconnectWait(250 * time.Millisecond), nats.CustomInboxPrefix("_INBOX_" + role),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if !c.closing.Load() {
				logger.Warn("nats connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { logger.Info("nats connection is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			e.natsErrors.Add(1)
			logger.Error("nats", "err", err)
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }),
	}
	if access.User != "" {
		all = append(all, nats.UserInfo(access.User, access.Password))
	}
	nc, err := nats.Connect(access.URL, append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot reach NATS at %s: %w; check --nats-url and that the server runs", redact(access.URL), cause(err))
	}
	c.Conn = nc
	return c, nil
}

// natsMetric tells how often the error handler of [dial] was called.
func natsMetric(e *env) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "parley_nats_errors_total",
		Help: "Errors of the NATS client that answer no request, such as a permission that is missing. Not zero is an alarm.",
	}, func() float64 { return float64(e.natsErrors.Load()) })
}

// close drains and closes the connection.
func (c *connection) close() {
	c.closing.Store(true)
	c.Close()
	<-c.closed
}

// watch returns an error when the connection is closed although nobody asked:
// the process must be started again.
func (c *connection) watch(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.closed:
		return errors.New("the NATS connection was closed for good")
	}
}

// redact returns what of an address may be shown: scheme, host and path. A
// user name may be a token, and what is no URL may hold anything.
func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.Contains(u.Host+u.Path, "@") {
		return "the given address"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// cause returns err without an address that could not be read: it may hold a password.
func cause(err error) error {
	if bad, ok := errors.AsType[*url.Error](err); ok && bad.Op == "parse" {
		return errors.New("not a valid address")
	}
	return err
}
