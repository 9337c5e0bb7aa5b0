package testkit_test

import (
	"testing"

	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/internal/testkit"
)

// A private cluster really starts there, also where the tests run as root.
func TestDataDirHoldsACluster(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	dir, err := embedded.Open(testkit.DataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	p, err := embedded.StartPostgres(ctx, embedded.PostgresOptions{DataDir: dir.Path()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(ctx); err != nil {
		t.Error(err)
	}
}
