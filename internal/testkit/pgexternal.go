package testkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// external hands out databases of the server that TEST_DATABASE_URL names.
var external externalServer

type externalServer struct {
	once      sync.Once
	err       error
	databases databases
}

func (e *externalServer) database(t testing.TB, dsn string, empty bool) Database {
	t.Helper()
	ctx := Context(t)
	e.once.Do(func() { e.err = e.prepare(context.WithoutCancel(ctx), dsn) })
	if e.err != nil {
		t.Fatalf("testkit: TEST_DATABASE_URL: %v", e.err)
	}
	db, err := e.databases.create(ctx, empty)
	if err != nil {
		t.Fatalf("testkit: TEST_DATABASE_URL: %v", err)
	}
	e.databases.dropAtEnd(t, db, func() bool { return true })
	return db
}

// prepare makes roles and template once for these migrations. Several test
// binaries do this at once: an advisory lock keeps them apart.
func (e *externalServer) prepare(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*DefaultTimeout)
	defer cancel()
	base, err := url.Parse(dsn)
	if err != nil || base.Scheme != "postgres" && base.Scheme != "postgresql" {
		return errors.New("want a postgres:// URL")
	}
	key, err := migrationsKey(recipe)
	if err != nil {
		return err
	}
	d := &e.databases
	d.url = withLogin(base)
	d.admin, d.maintenance = base.User.Username(), strings.TrimPrefix(base.Path, "/")
	d.password, _ = base.User.Password()
	d.template = "parley_template_" + key
	d.prefix = "parley_test_" + strings.ToLower(rand.Text()[:10]) + "_"

	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) // and with it the lock
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('parley testkit'))"); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", d.template).Scan(&exists); err != nil || exists {
		return err
	}
	// Built under another name and renamed: an interrupted one is never used.
	unfinished := d.template + "_new"
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+unfinished+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := d.buildTemplate(ctx, unfinished); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", unfinished, d.template))
	return err
}

// lockFile takes an exclusive lock on a file, waiting for it.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
