package testkit

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// DataDir returns the name of a Parley data directory that does not exist yet
// and goes with the test. Unlike one below t.TempDir, it can be reached by the
// account that PostgreSQL runs as where the tests run as root.
func DataDir(t testing.TB) string {
	t.Helper()
	parent, err := os.MkdirTemp("/tmp", "parley-data-") //nolint:usetesting // that one is closed to the account
	if err == nil {
		err = os.Chmod(parent, 0o755)
	}
	if err != nil {
		t.Fatalf("testkit: data directory: %v", err)
	}
	t.Cleanup(func() {
		// A Postgres that is stopped at once ends before the last of its children.
		err := os.RemoveAll(parent)
		for begun := time.Now(); err != nil && time.Since(begun) < 10*time.Second; err = os.RemoveAll(parent) {
			<-time.After(20 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("testkit: remove data directory: %v", err)
		}
	})
	return filepath.Join(parent, "data")
}
