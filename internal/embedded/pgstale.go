package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postmasterPID is what a running or crashed postmaster left in postmaster.pid.
type postmasterPID struct {
	pid       int
	socketDir string
}

// readPID reads postmaster.pid; ok is false if there is none. A file that makes
// no sense gives pid 0.
func readPID(data string) (p postmasterPID, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	// Lines: pid, data directory, start time, port, socket directory, …
	lines := strings.Split(string(b), "\n")
	if n, err := strconv.Atoi(strings.TrimSpace(lines[0])); err == nil && n > 0 {
		p.pid = n
	}
	if len(lines) > 4 {
		p.socketDir = lines[4]
	}
	return p, true, nil
}

// clearStale makes way for a new postmaster, under the data directory's lock:
// whatever postmaster.pid tells of belongs to a Parley that is gone.
//
// A postmaster that still runs on this very data is stopped. Any other process
// of that pid, a zombie included, is not what the file means; PostgreSQL itself
// only looks whether the pid exists and would refuse to start. Without the file
// it still notices, by the shared memory of a data directory, if processes of a
// killed postmaster are at work on the data: see startServer.
func clearStale(ctx context.Context, data, socketDir string, logger *slog.Logger) error {
	old, ok, err := readPID(data)
	if err != nil || !ok {
		return err
	}
	if old.pid != 0 && isPostmaster(old.pid, data) {
		logger.Info("stopping the PostgreSQL that an earlier parley left", "pid", old.pid)
		if err := stopOrphan(ctx, old.pid, data); err != nil {
			return err
		}
		if _, ok, err = readPID(data); err != nil {
			return err
		}
	}
	if ok {
		logger.Info("clearing a stale postmaster.pid", "pid", old.pid)
		if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil {
			return err
		}
	}
	return clearSockets(old.socketDir, socketDir)
}

// stopOrphan stops a postmaster that is not our child, so its end can only be
// looked for, not waited for.
func stopOrphan(ctx context.Context, pid int, data string) error {
	for _, step := range []struct {
		signal  syscall.Signal
		patient time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, immediateStop}} {
		if err := syscall.Kill(pid, step.signal); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("stop PostgreSQL (pid %d) that an earlier parley left: %w", pid, err)
		}
		deadline := time.NewTimer(step.patient)
		tick := time.NewTicker(5 * time.Millisecond)
		gone := false
		for waiting := true; waiting && !gone; {
			select {
			case <-tick.C:
				gone = !isPostmaster(pid, data)
			case <-deadline.C:
				waiting = false
			case <-ctx.Done():
				waiting = false
			}
		}
		tick.Stop()
		deadline.Stop()
		if gone {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("a PostgreSQL (pid %d) that an earlier parley left runs on %s and does not stop: end it by hand", pid, data)
}

// clearSockets removes the sockets and their lock files, whose stale pids would
// stop PostgreSQL as well, and a temporary directory that held them.
func clearSockets(oldDir, dir string) error {
	for _, d := range []string{oldDir, dir} {
		if d == "" {
			continue
		}
		if d != dir && !isShortSocketDir(d) {
			continue // not a place of ours
		}
		entries, err := os.ReadDir(d)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return err
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".s.PGSQL.") {
				continue
			}
			if err := os.Remove(filepath.Join(d, e.Name())); err != nil {
				return err
			}
		}
		if d != dir {
			_ = os.Remove(d) // only tidiness
		}
	}
	return nil
}
