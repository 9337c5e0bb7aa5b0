package readmodel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parleychat/parley/events"
)

// ErrNotMigrated reports a database that lacks our tables.
var ErrNotMigrated = errors.New("the database has no parley schema of this version")

// Options configure a Store. The zero value is ready to use.
type Options struct {
	// Logger; nil means none.
	Logger *slog.Logger
	// MaxConns bounds the pool; 0 means 10.
	MaxConns int32
	// Wait is how long a query waits out a database that restarts or sleeps, if
	// its context does not end sooner; 0 means 10 s.
	Wait time.Duration
	// StatementTimeout bounds one statement at the server, and a person's query
	// here as well, a second later; 0 means 10 s.
	StatementTimeout time.Duration
}

// A Store is a pool of connections with the queries over it. Its methods may be
// called in parallel.
type Store struct {
	pool    *pgxpool.Pool
	logger  *slog.Logger
	wait    time.Duration
	timeout string // in milliseconds, as Postgres reads it
	silence time.Duration
}

// patience is how much longer than the server's own timeout we wait for its
// answer: a server that hangs, or a network that has gone, says nothing.
const patience = time.Second

// Open connects to the database at url and checks that it has our tables. It
// waits for a database that is starting until ctx or Options.Wait ends; a wrong
// login or database name is reported at once.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open read model: %w", err) // pgx leaves the password out
	}
	// The one mode that works behind a transaction-mode pooler without giving up
	// binary parameters: statements are described once and never kept by name.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.ConnConfig.StatementCacheCapacity = 0
	config.ConnConfig.DescriptionCacheCapacity = 256
	if !strings.Contains(url, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	config.MaxConns = 10
	if o.MaxConns > 0 {
		config.MaxConns = o.MaxConns
	}
	s := &Store{logger: o.Logger, wait: o.Wait}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.wait == 0 {
		s.wait = 10 * time.Second
	}
	if o.StatementTimeout == 0 {
		o.StatementTimeout = 10 * time.Second
	}
	s.timeout, s.silence = strconv.FormatInt(o.StatementTimeout.Milliseconds(), 10), o.StatementTimeout+patience
	// The pool outlives the call: ctx bounds the first connection only.
	if s.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return nil, fmt.Errorf("open read model: %w", err)
	}
	if err := s.retry(ctx, s.check); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("open read model: %w", err)
	}
	return s, nil
}

// Close closes the pool. It waits for queries that run.
func (s *Store) Close() { s.pool.Close() }

// Pool returns the pool, for those who write tables of their own.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping says why the database cannot be asked right now, or nil.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

func (s *Store) check(ctx context.Context) error {
	var ready bool
	// The newest table of the migrations this build needs.
	if err := s.pool.QueryRow(ctx, `SELECT to_regclass('conversation_words') IS NOT NULL`).Scan(&ready); err != nil {
		return err
	}
	if !ready {
		return ErrNotMigrated
	}
	return nil
}

// retry runs op until it succeeds, fails for good, or time is over. op must be
// repeatable.
func (s *Store) retry(ctx context.Context, op func(context.Context) error) error {
	end := time.Now().Add(s.wait)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		err := op(ctx)
		if err == nil || ctx.Err() != nil || !Away(err) || time.Now().Add(pause).After(end) {
			return err
		}
		if _, refused := errors.AsType[*pgconn.ConnectError](err); !refused {
			s.pool.Reset() // the connections beside the broken one are as dead
		}
		s.logger.Debug("postgres is away", "err", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// Away reports whether err says that the database could not be reached, or cut
// the connection: the same may succeed later. A wrong password, a missing
// database or a refused statement is not of that kind.
func Away(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "57P01", "57P02", "57P03", // shut down, crashed, starting up
			"53300",          // too many connections
			"25006",          // read only: a primary that has just become a replica
			"40001", "40P01": // serialization, deadlock
			return true
		}
		return strings.HasPrefix(pg.Code, "08") && !refusal(pg.Message)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

// refusal reports whether a pooler's message says that waiting is of no use.
// PgBouncer gives every failed login the class of a lost connection (08P01), so
// only its words tell a wrong name from a server that is away.
func refusal(message string) bool {
	for _, words := range []string{"does not exist", "no such user", "no such database", "authentication failed"} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

// local holds for the rest of the transaction only: a setting of the session
// would leak to whoever gets the pooled connection next.
const local = `SELECT set_config('app.user_id', $1, true), set_config('statement_timeout', $2, true)`

// rows runs one query for person u. Setting and query go out together and share
// the implicit transaction of a pipeline: one round trip.
func rows[T any](ctx context.Context, s *Store, u events.UserID, scan pgx.RowToFunc[T], sql string, args ...any) (list []T, err error) {
	err = s.retry(ctx, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, s.silence)
		defer cancel()
		var b pgx.Batch
		b.Queue(local, string(u), s.timeout)
		b.Queue(sql, args...)
		results := s.pool.SendBatch(ctx, &b)
		defer func() { err = errors.Join(err, results.Close()) }()
		if _, err := results.Exec(); err != nil {
			return err
		}
		r, err := results.Query()
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(r, scan)
		return err
	})
	return list, err
}

// row is rows for at most one; none is ErrNotFound.
func row[T any](ctx context.Context, s *Store, u events.UserID, scan pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	list, err := rows(ctx, s, u, scan, sql, args...)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return list[0], nil
}

// bigint gives n as Postgres's signed type; nothing we count comes near its end.
func bigint(n uint64) int64 { return int64(min(n, 1<<63-1)) }

// count gives a bigint of ours back.
func count(n int64) uint64 { return uint64(max(n, 0)) }
