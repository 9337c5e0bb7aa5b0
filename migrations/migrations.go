// Package migrations holds Parley's database schema as numbered SQL files and
// applies them.
//
// Files are goose SQL migrations, NNNN_name.sql, forward only in practice:
// expand before contract, so that the release before still runs on the schema
// after. They run as the owner of the tables, on a direct connection: behind a
// transaction-mode pooler the lock that keeps two starts apart would be lost.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// FS holds the migrations, in its root.
//
//go:embed *.sql
var FS embed.FS

// ErrNewer says that the database was migrated by a newer Parley than this one.
var ErrNewer = errors.New("the database was migrated by a newer parley")

// lockID keeps Parley's migrations apart from those of another goose user in
// the same database.
const lockID = 0x7061726c6579 // "parley"

// Up applies what is missing, each file in its own transaction. Two starts at
// once do not race: the second waits, then finds nothing to do. dsn is the
// owner's direct URL. A database that is ahead of the files is ErrNewer.
func Up(ctx context.Context, dsn string, logger *slog.Logger) error {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("migrate: %w", err) // pgx leaves the password out
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()

	// Look for the lock every second for five minutes: as long as another
	// start's migrations may take.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, FS,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		logger.Info("migration applied", "file", r.Source.Path, "duration", r.Duration)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	have, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if have > known {
		return fmt.Errorf("%w: its schema is %d and this one knows %d; use the newer version", ErrNewer, have, known)
	}
	return nil
}
