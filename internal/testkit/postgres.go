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
	// OwnerURL and AppURL are direct connection URLs.
	OwnerURL, AppURL string
}

// Postgres makes a database for this test, dropped at its end. The server is
// shared by the tests of one test binary; see the package comment for which one
// it is.
func Postgres(t testing.TB) Database {
	t.Helper()
	if external := os.Getenv("TEST_DATABASE_URL"); external != "" {
		return externalDatabase(t, external)
	}
	s, err := shared.server()
	if err != nil {
		t.Fatalf("testkit: private postgres: %v", err)
	}
	return s.Database(t)
}

// Owner returns a pool of the owner, closed with the test.
func (d Database) Owner(t testing.TB) *pgxpool.Pool { t.Helper(); return pool(t, d.OwnerURL) }

// App returns a pool of the app role, closed with the test.
func (d Database) App(t testing.TB) *pgxpool.Pool { t.Helper(); return pool(t, d.AppURL) }

func pool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(t.Context(), dsn)
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

// databases hands out clones of the template over one connection.
type databases struct {
	url func(user, password, database string) string // of the server

	mu    sync.Mutex
	admin *pgx.Conn
	n     int
}

// clone makes a database from the template. adminURL is connected to lazily,
// and again after a restart of the server.
func (d *databases) clone(ctx context.Context, adminURL, template, prefix string) (Database, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.connect(ctx, adminURL); err != nil {
		return Database{}, err
	}
	d.n++
	name := prefix + strconv.Itoa(d.n)
	sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s OWNER %s", name, template, embedded.OwnerRole)
	if _, err := d.admin.Exec(ctx, sql); err != nil {
		return Database{}, fmt.Errorf("clone the template: %w", err)
	}
	return Database{
		Name:     name,
		OwnerURL: d.url(embedded.OwnerRole, rolePassword, name),
		AppURL:   d.url(embedded.AppRole, rolePassword, name),
	}, nil
}

func (d *databases) drop(ctx context.Context, adminURL, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.connect(ctx, adminURL); err != nil {
		return err
	}
	_, err := d.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	return err
}

func (d *databases) connect(ctx context.Context, adminURL string) (err error) {
	if d.admin != nil && d.admin.Ping(ctx) == nil {
		return nil
	}
	d.admin, err = pgx.Connect(ctx, adminURL)
	return err
}

func (d *databases) close(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.admin != nil {
		_ = d.admin.Close(ctx)
		d.admin = nil
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
