package testkit_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/internal/testkit"
)

// Thirty clients of the app role are thirty server processes, or, through a
// pooler, the few that it keeps.
func TestAppURLGoesThroughThePooler(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	s := testkit.StartPostgres(t)
	db := s.Database(t)
	const clients = 30
	for range clients {
		conn, err := pgx.Connect(ctx, db.AppURL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "SELECT 1", pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	var backends int
	if err := db.Owner(t).QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = 'parley_app'", db.Name).Scan(&backends); err != nil {
		t.Fatal(err)
	}
	if pooled := os.Getenv("PARLEY_TEST_PGBOUNCER") != ""; pooled && (backends < 1 || backends > testkit.PoolerBackends) || !pooled && backends != clients {
		t.Errorf("%d clients are %d backends, pooler %v", clients, backends, pooled)
	}
	// And the app role's own pool works either way, in and out of transactions.
	pool := db.App(t)
	for i := range 20 {
		var n int
		if err := pool.QueryRow(ctx, "SELECT $1::int + 1", i).Scan(&n); err != nil || n != i+1 {
			t.Fatalf("%d + 1 = %d, %v", i, n, err)
		}
	}
}
