package testkit

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests, stops what they shared, and then fails if a
// goroutine was left running. It does not return.
func Main(m *testing.M, opts ...goleak.Option) {
	code := m.Run()
	external.databases.close(context.Background())
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testkit: stop postgres:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(opts...); err != nil {
			fmt.Fprintln(os.Stderr, "testkit: goroutines left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}
