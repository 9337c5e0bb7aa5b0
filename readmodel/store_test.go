package readmodel_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db, empty := testkit.Postgres(t), testkit.EmptyPostgres(t)
	with := func(change func(*url.URL)) string {
		u, err := url.Parse(db.AppURL)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	for _, test := range []struct{ name, url, want string }{
		{"no database", with(func(u *url.URL) { u.Path = "/nowhere" }), `"nowhere" does not exist`},
		{"no role", with(func(u *url.URL) { u.User = url.UserPassword("nobody", "s3cretword") }), "nobody"},
		{"not migrated", empty.OwnerURL, readmodel.ErrNotMigrated.Error()},
		{"no URL", "postgres://u:s3cretword@[::1", "parse"},
	} {
		began := time.Now()
		s, err := readmodel.Open(ctx, test.url, readmodel.Options{Wait: time.Minute})
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", test.name)
			continue
		}
		if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cretword") || time.Since(began) > 20*time.Second {
			t.Errorf("%s: %v after %v", test.name, err, time.Since(began))
		}
	}
}

func TestOpenWaitsNoLongerThanAsked(t *testing.T) {
	t.Parallel()
	server := testkit.StartPostgres(t)
	db := server.Database(t)
	server.Stop(t)
	ctx, cancel := context.WithTimeout(testkit.Context(t), 200*time.Millisecond)
	defer cancel()
	if _, err := readmodel.Open(ctx, db.AppURL, readmodel.Options{}); err == nil {
		t.Error("opened a database that is down")
	}
	if _, err := readmodel.Open(testkit.Context(t), db.AppURL, readmodel.Options{Wait: 50 * time.Millisecond}); err == nil || !readmodel.Away(err) {
		t.Errorf("a database that is down: %v", err)
	}
}

// A restart costs a wait, not an error: with connections that died idle, with
// one in use, and while the server is down.
func TestQueriesWaitOutARestart(t *testing.T) {
	t.Parallel()
	server := testkit.StartPostgres(t)
	store := open(t, server.Database(t))
	ctx := testkit.Context(t)
	newScribe(t, store).write(ctx, newAuthor(1, "anna", "c").next())
	if err := store.Settle(ctx, events.StreamLog, 0); err != nil { // or the crash may take it
		t.Fatal(err)
	}
	ask := func() error {
		_, err := store.Summary(ctx, ref(t, "anna", "c"))
		return err
	}
	busy := make(chan error, 4)
	for range cap(busy) {
		go func() { busy <- ask() }()
	}
	for range cap(busy) {
		if err := <-busy; err != nil {
			t.Fatal(err)
		}
	}
	server.Kill(t)
	server.Start(t)
	if err := ask(); err != nil {
		t.Errorf("after a crash, on dead connections: %v", err)
	}
	server.Stop(t)
	if err := store.Ping(ctx); err == nil {
		t.Error("Ping of a stopped server succeeded")
	}
	for range cap(busy) {
		go func() { busy <- ask() }()
	}
	server.Start(t)
	for range cap(busy) {
		if err := <-busy; err != nil {
			t.Errorf("while the server was down: %v", err)
		}
	}
	if err := store.Ping(ctx); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

// A server that hangs says nothing, not even that the statement took too long.
func TestQueriesGiveUpASilentServer(t *testing.T) {
	t.Parallel()
	server := testkit.StartPostgres(t)
	ctx := testkit.Context(t)
	store, err := readmodel.Open(ctx, server.Database(t).AppURL, readmodel.Options{Wait: time.Second, StatementTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	server.Pause(t)
	begun := time.Now()
	if _, err := store.Summary(ctx, ref(t, "anna", "c")); err == nil || errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("a query of a server that hangs: %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it was given up after %v", took)
	}
	server.Continue(t)
	if _, err := store.Summary(ctx, ref(t, "anna", "c")); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("a query after it has come back: %v", err)
	}
}

// Person and timeout hold within a query's transaction, and no longer: a pooler
// gives the connection to somebody else.
func TestSettingsAreLocal(t *testing.T) {
	t.Parallel()
	db := testkit.Postgres(t)
	store, err := readmodel.Open(testkit.Context(t), db.AppURL, readmodel.Options{MaxConns: 1, StatementTimeout: 700 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	ctx := testkit.Context(t)
	newScribe(t, store).write(ctx, newAuthor(1, "anna", "c").next())
	// A policy sees the person that the query was made for.
	if _, err := db.Owner(t).Exec(ctx, `ALTER TABLE conversation ENABLE ROW LEVEL SECURITY;
		CREATE POLICY person ON conversation TO parley_app USING (user_id = current_setting('app.user_id', true))`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Summary(ctx, ref(t, "anna", "c")); err != nil {
		t.Errorf("with the policy: %v", err)
	}
	var seen int
	if err := store.Pool().QueryRow(ctx, `SELECT count(*)::int FROM conversation`).Scan(&seen); err != nil || seen != 0 {
		t.Errorf("without a person %d rows are seen, %v", seen, err)
	}
	var user, timeout string
	if err := store.Pool().QueryRow(ctx, `SELECT current_setting('app.user_id', true), current_setting('statement_timeout')`).Scan(&user, &timeout); err != nil {
		t.Fatal(err)
	}
	if user != "" || timeout != "0" {
		t.Errorf("left behind: person %q, timeout %q", user, timeout)
	}
	// And a locked table is not waited for longer than the timeout.
	tx, err := db.Owner(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, `LOCK TABLE conversation`); err != nil {
		t.Fatal(err)
	}
	var pg *pgconn.PgError
	if _, err := store.Summary(ctx, ref(t, "anna", "c")); !errors.As(err, &pg) || pg.Code != "57014" {
		t.Errorf("on a locked table: %v, want a statement timeout", err)
	}
}

// A transaction-mode pooler gives each transaction another connection; nothing
// may rely on a statement or setting that an earlier one left.
func TestNothingIsPrepared(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	w := newScribe(t, store)
	a := newAuthor(1, "anna", "c")
	for range 3 {
		w.write(ctx, a.next())
		if _, err := store.Base(ctx, ref(t, "anna", "c"), 5, ""); err != nil {
			t.Fatal(err)
		}
	}
	conns := store.Pool().AcquireAllIdle(ctx)
	if len(conns) == 0 {
		t.Fatal("no connection was used")
	}
	for _, c := range conns {
		rows, err := c.Query(ctx, `SELECT name FROM pg_prepared_statements`, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		if names, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(names) != 0 {
			t.Errorf("prepared statements %q, %v", names, err)
		}
		c.Release()
	}
}

func TestLease(t *testing.T) {
	t.Parallel()
	store := open(t, testkit.Postgres(t))
	ctx := testkit.Context(t)
	for i, step := range []struct {
		holder string
		ttl    time.Duration
		want   bool
	}{
		{"one", time.Hour, true},
		{"two", time.Hour, false},
		{"one", time.Hour, true},
		{"one", -time.Second, true}, // runs out
		{"two", time.Hour, true},
		{"one", time.Hour, false},
	} {
		if mine, err := store.Lease(ctx, "S", step.holder, step.ttl); err != nil || mine != step.want {
			t.Errorf("step %d: %s holds the lease: %v, %v", i, step.holder, mine, err)
		}
	}
	if err := store.Release(ctx, "S", "one"); err != nil { // not the holder
		t.Fatal(err)
	}
	if mine, err := store.Lease(ctx, "S", "one", time.Hour); err != nil || mine {
		t.Errorf("after a stranger's release: %v, %v", mine, err)
	}
	if err := store.Release(ctx, "S", "two"); err != nil {
		t.Fatal(err)
	}
	if mine, err := store.Lease(ctx, "S", "one", time.Hour); err != nil || !mine {
		t.Errorf("after the release: %v, %v", mine, err)
	}
	if mine, err := store.Lease(ctx, events.StreamLog, "two", time.Hour); err != nil || !mine {
		t.Errorf("another stream: %v, %v", mine, err)
	}
}
