package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parleychat/parley/internal/embedded"
)

// Database is a database of one test's own with the migrations applied, and
// the two roles of every Parley database: an owner, and an app role that cannot
// pass by row level security.
type Database struct {
	// Name is the database's name on its server.
	Name string
	// OwnerURL is a direct connection. AppURL is one too, unless
	// PARLEY_TEST_PGBOUNCER puts a pooler before it.
	OwnerURL, AppURL string
}

// Postgres makes a database for this test, dropped at its end. The server is
// shared by the tests of one test binary; see the package comment for which one
// it is.
func Postgres(t testing.TB) Database {
	t.Helper()
	return database(t, false)
}

// EmptyPostgres is Postgres before any migration: the two roles exist and the
// owner may create tables. It is for tests of migrations.
func EmptyPostgres(t testing.TB) Database {
	t.Helper()
	return database(t, true)
}

func database(t testing.TB, empty bool) Database {
	t.Helper()
	if dsn := os.Getenv("TEST_DATABASE_URL"); dsn != "" {
		return external.database(t, dsn, empty)
	}
	s, err := shared.server()
	if err != nil {
		t.Fatalf("testkit: private postgres: %v", err)
	}
	return s.database(t, empty)
}

// Owner returns a pool of the owner, closed with the test.
func (d Database) Owner(t testing.TB) *pgxpool.Pool { t.Helper(); return pool(t, d.OwnerURL) }

// App returns a pool of the app role, closed with the test. It speaks as every
// pool of Parley does: without prepared statements, which a transaction-mode
// pooler would lose.
func (d Database) App(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return pool(t, d.AppURL, func(c *pgxpool.Config) {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	})
}

func pool(t testing.TB, dsn string, configure ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	for _, f := range configure {
		f(config)
	}
	p, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(p.Close)
	return p
}

// shared is the one cluster of this test binary. It is process-wide state by
// design: starting one for each test would cost each of them a quarter second.
var shared sharedServer

type sharedServer struct {
	once sync.Once
	s    *PostgresServer
	err  error
}

func (h *sharedServer) server() (*PostgresServer, error) {
	h.once.Do(func() {
		// Background: the cluster outlives the test that happens to come first.
		ctx, cancel := context.WithTimeout(context.Background(), 2*DefaultTimeout)
		defer cancel()
		h.s, h.err = newPostgresServer(ctx)
	})
	return h.s, h.err
}

// stop ends the shared cluster if it was ever started.
func (h *sharedServer) stop() error {
	h.once.Do(func() { h.err = errors.New("the tests are over") })
	if h.s == nil {
		return nil
	}
	return h.s.discard()
}

// databases makes and drops databases over one connection.
type databases struct {
	// url makes a URL of the server; admin, password and maintenance are what
	// the administrator logs in with; template and prefix name databases.
	url                          func(user, password, database string) string
	pooled                       func(user, password, database string) string // nil: no pooler
	admin, password, maintenance string
	template, prefix             string

	mu   sync.Mutex
	conn *pgx.Conn
	n    int
}

// create makes a database: a clone of the template, or an empty one.
func (d *databases) create(ctx context.Context, empty bool) (Database, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.connect(ctx); err != nil {
		return Database{}, err
	}
	d.n++
	name, template := d.prefix+strconv.Itoa(d.n), d.template
	if empty {
		template = "template0"
	}
	sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER %s", name, template, embedded.OwnerRole)
	if _, err := d.conn.Exec(ctx, sql); err != nil {
		return Database{}, fmt.Errorf("make a database: %w", err)
	}
	if empty {
		if err := d.prepare(ctx, name); err != nil {
			return Database{}, err
		}
	}
	app := d.url
	if d.pooled != nil {
		app = d.pooled
	}
	return Database{
		Name:     name,
		OwnerURL: d.url(embedded.OwnerRole, rolePassword, name),
		AppURL:   app(embedded.AppRole, rolePassword, name),
	}, nil
}

// prepare readies an empty database for the two roles.
func (d *databases) prepare(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, d.url(d.admin, d.password, name))
	if err != nil {
		return err
	}
	return errors.Join(embedded.PrepareDatabase(ctx, conn), conn.Close(ctx))
}

// dropAtEnd drops db when the test is over, whoever still uses it.
func (d *databases) dropAtEnd(t testing.TB, db Database, serverRuns func() bool) {
	t.Helper()
	t.Cleanup(func() {
		if !serverRuns() {
			return // stopped by the test that owns it: the whole cluster goes
		}
		ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
		defer cancel()
		d.mu.Lock()
		defer d.mu.Unlock()
		err := d.connect(ctx)
		if err == nil {
			_, err = d.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+db.Name+" WITH (FORCE)")
		}
		if err != nil {
			t.Errorf("testkit: drop %s: %v", db.Name, err)
		}
	})
}

// connect connects the administrator, again after a restart of the server.
func (d *databases) connect(ctx context.Context) (err error) {
	if d.conn != nil && d.conn.Ping(ctx) == nil {
		return nil
	}
	d.conn, err = pgx.Connect(ctx, d.url(d.admin, d.password, d.maintenance))
	return err
}

func (d *databases) close(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		_ = d.conn.Close(ctx)
		d.conn = nil
	}
}

// withLogin returns a function that changes login and database of a URL.
func withLogin(base *url.URL) func(user, password, database string) string {
	return func(user, password, database string) string {
		u := *base
		u.User = url.UserPassword(user, password)
		u.Path = "/" + database
		return u.String()
	}
}
