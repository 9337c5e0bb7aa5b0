package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/parleychat/parley/internal/embedded"
)

// followEvery is how often a joined role looks whether its parley dev is still
// the one it joined.
const followEvery = 500 * time.Millisecond

// follow keeps a role that joined a parley dev with it: when the dev has been
// started again, with another port, password and model address, the role starts
// again too, in the same process. It lets go of everything as a crash would,
// because there is nothing left to hand back to: the dev that it served is dead,
// and what was in work there is delivered again. While no dev runs it waits.
func (b *base) follow(ctx context.Context) error {
	if b.join == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := embedded.ReadEndpoint(b.join)
		if errors.Is(err, embedded.ErrNotRunning) {
			continue // or not yet
		}
		if err != nil {
			return fmt.Errorf("join %s: %w", b.join, err)
		}
		if now.PID == b.ep.PID && now.NATS == b.ep.NATS {
			continue
		}
		b.e.logger.Warn("joined parley dev has been started again; joining it anew", "data_dir", b.join, "pid", now.PID)
		return startAgain()
	}
}

// startAgain replaces the running program by itself, with the same arguments and
// environment; it returns only if that fails.
func startAgain() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start again: %w", err)
	}
	if err := syscall.Exec(self, os.Args, os.Environ()); err != nil { //nolint:gosec // this very program and its own arguments
		return fmt.Errorf("start again: %w", err)
	}
	return nil
}
