package migrations_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/migrations"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// Two starts at once: nothing is applied twice, and neither fails.
func TestUpTwiceAtOnce(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db := testkit.EmptyPostgres(t)
	g, gctx := errgroup.WithContext(ctx)
	for range 2 {
		g.Go(func() error { return migrations.Up(gctx, db.OwnerURL, nil) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var applied, distinct int
	if err := db.Owner(t).QueryRow(ctx, "SELECT count(*), count(DISTINCT version_id) FROM goose_db_version WHERE version_id > 0").Scan(&applied, &distinct); err != nil {
		t.Fatal(err)
	}
	if applied != len(files) || distinct != len(files) {
		t.Errorf("%d rows for %d versions applied, want %d", applied, distinct, len(files))
	}
}

func TestUpRefusesANewerDatabase(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db := testkit.Postgres(t)
	if _, err := db.Owner(t).Exec(ctx, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)"); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(ctx, db.OwnerURL, nil); !errors.Is(err, migrations.ErrNewer) {
		t.Errorf("Up on a newer database: %v, want ErrNewer", err)
	}
}

func TestUpDoesNotTellThePassword(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(testkit.Context(t))
	defer cancel()
	for _, dsn := range []string{
		"postgres://u:s3cretword@127.0.0.1:1/nothing?sslmode=disable",
		"postgres://u:s3cretword@127.0.0.1:notaport/nothing",
	} {
		err := migrations.Up(ctx, dsn, nil)
		if err == nil || strings.Contains(err.Error(), "s3cretword") {
			t.Errorf("Up with a wrong URL: %v", err)
		}
	}
}
