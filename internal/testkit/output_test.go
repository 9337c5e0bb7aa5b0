package testkit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// Words are awaited by many at once, behind what was said before, and not after the end.
func TestOutput(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	var o testkit.Output
	done := make(chan struct{})
	fmt.Fprint(&o, "ready ")
	if !o.Await(ctx, done, 0, "ready") {
		t.Error("what was said is not found")
	}
	heard := make(chan bool, 2)
	for range cap(heard) {
		go func() { heard <- o.Await(ctx, done, len("ready "), "ready") }()
	}
	fmt.Fprint(&o, "again rea")
	fmt.Fprint(&o, "dy")
	for range cap(heard) {
		if !<-heard {
			t.Error("what is said meanwhile is not found")
		}
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if o.Await(over, done, 0, "never") {
		t.Error("found what was not said")
	}
	fmt.Fprint(&o, "the end")
	close(done)
	if !o.Await(ctx, done, 0, "the end") || o.Await(ctx, done, 0, "never") {
		t.Errorf("after the end: %q", o.String())
	}
}
