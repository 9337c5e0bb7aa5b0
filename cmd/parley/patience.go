package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/migrations"
	"github.com/parleychat/parley/readmodel"
)

// A patience is how long a starting role waits, all in all, for what is not
// there yet: roles start in any order, also before NATS, Postgres, parley
// provision or the parley dev that they join. What waiting cannot mend, such as a
// refused password, is an error at once.
type patience struct {
	e     *env
	limit time.Duration
	end   time.Time
}

// quiet is how long a wait goes without a word.
const quiet = time.Second

func (e *env) patience(limit time.Duration) patience {
	return patience{e: e, limit: limit, end: time.Now().Add(limit)}
}

// wait tries until it succeeds, until an error is none that mayPass, or until
// patience ends. It says once what it waits for.
func (p patience) wait(ctx context.Context, what, address string, mayPass func(error) bool, try func(context.Context) error) error {
	say := time.AfterFunc(quiet, func() {
		p.e.logger.Warn("waiting for what is not there yet", "what", what, "address", address, "at_most", p.limit.String())
	})
	defer say.Stop()
	for {
		err := try(ctx)
		if err == nil || !mayPass(err) {
			return err
		}
		left := time.Until(p.end)
		if left <= 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(left, 250*time.Millisecond)):
		}
	}
}

// bound gives one try what is left of the patience, and never so little that a
// slow server has no chance.
func (p patience) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(time.Until(p.end), connectTimeout))
}

// dial connects to NATS for the given role.
func (p patience) dial(ctx context.Context, role string, access embedded.NATSAccess) (c *connection, err error) {
	err = p.wait(ctx, "NATS", redact(access.URL), natsAway, func(context.Context) (err error) {
		c, err = dial(p.e, role, access)
		return err
	})
	return c, err
}

// natsAway reports an error of a server that is not there, as opposed to one
// that is and refuses us.
func natsAway(err error) bool {
	var network net.Error
	for _, passing := range []error{nats.ErrNoServers, nats.ErrNoResponders, nats.ErrTimeout, io.EOF} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return errors.As(err, &network)
}

// openLog binds to the streams, which parley provision makes.
func (p patience) openLog(ctx context.Context, c *connection) (log *eventlog.Log, err error) {
	always := func(error) bool { return true } // JetStream that is starting has many faces
	err = p.wait(ctx, "the streams of parley provision", redact(c.ConnectedUrl()), always, func(ctx context.Context) (err error) {
		ctx, cancel := p.bound(ctx)
		defer cancel()
		log, err = eventlog.Open(ctx, c.Conn, p.e.logger)
		return err
	})
	return log, err
}

// openStore connects to Postgres for what serves people.
func (p patience) openStore(ctx context.Context, databaseURL string) (s *readmodel.Store, err error) {
	mayPass := func(err error) bool { return readmodel.Away(err) || errors.Is(err, readmodel.ErrNotMigrated) }
	err = p.wait(ctx, "Postgres", redact(databaseURL), mayPass, func(ctx context.Context) (err error) {
		ctx, cancel := p.bound(ctx)
		defer cancel()
		s, err = readmodel.Open(ctx, databaseURL, readmodel.Options{Logger: p.e.logger})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot use Postgres at %s: %w; check --database-url and that parley provision has run", redact(databaseURL), oneLine(err))
	}
	return s, nil
}

// migrate brings the tables up to this version; flag is where ownerURL comes from.
func (p patience) migrate(ctx context.Context, ownerURL, flag string) error {
	ctx, cancel := context.WithTimeout(ctx, provisionTime+p.limit)
	defer cancel()
	err := p.wait(ctx, "Postgres", redact(ownerURL), readmodel.Away, func(ctx context.Context) error {
		return migrations.Up(ctx, ownerURL, p.e.logger)
	})
	if err != nil {
		return fmt.Errorf("cannot prepare Postgres at %s: %w; check %s", redact(ownerURL), oneLine(err), flag)
	}
	return nil
}

// oneLine returns err as a sentence. The client tries every address of a server
// with and without TLS, and tells each failure on a line of its own: the last
// one will do.
func oneLine(err error) error {
	first, rest, more := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	if !more {
		return err
	}
	return errors.New(first + " " + strings.TrimSpace(rest[strings.LastIndexByte(rest, '\n')+1:]))
}

// endpoint reads how to join the parley dev of a data directory.
func (p patience) endpoint(ctx context.Context, dir string) (ep embedded.Endpoint, err error) {
	away := func(err error) bool { return errors.Is(err, embedded.ErrNotRunning) }
	err = p.wait(ctx, "parley dev", dir, away, func(context.Context) (err error) {
		ep, err = embedded.ReadEndpoint(dir)
		return err
	})
	return ep, err
}
