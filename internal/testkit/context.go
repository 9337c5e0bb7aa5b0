package testkit

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// DefaultTimeout bounds what a test may wait for.
const DefaultTimeout = 60 * time.Second

// Context returns a context that ends with the test, and at the latest after
// DefaultTimeout or PARLEY_TEST_TIMEOUT. Waiting on an event under it is how a
// test waits: never by sleeping or polling.
func Context(t testing.TB) context.Context {
	t.Helper()
	timeout := DefaultTimeout
	if s := os.Getenv("PARLEY_TEST_TIMEOUT"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			t.Fatalf("PARLEY_TEST_TIMEOUT=%q is no positive duration", s)
		}
		timeout = d
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), timeout,
		fmt.Errorf("test waited longer than %v (PARLEY_TEST_TIMEOUT changes it)", timeout))
	t.Cleanup(cancel)
	return ctx
}
