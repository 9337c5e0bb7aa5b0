package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Pause stops the server and all its sessions in mid-air, as a machine that
// hangs: connections stay open and nothing answers. Continue, or the end of the
// test, wakes it.
func (s *PostgresServer) Pause(t testing.TB) {
	t.Helper()
	// The postmaster first: afterwards there are no new sessions.
	err := s.signal(syscall.SIGSTOP)
	if err != nil {
		t.Fatalf("testkit: pause postgres: %v", err)
	}
	t.Cleanup(func() { _ = s.signal(syscall.SIGCONT) }) // a stopped server could not be ended; it may be gone already
}

// Continue wakes a paused server.
func (s *PostgresServer) Continue(t testing.TB) {
	t.Helper()
	if err := s.signal(syscall.SIGCONT); err != nil {
		t.Fatalf("testkit: continue postgres: %v", err)
	}
}

// signal reaches the postmaster, then its children: each session is a process
// group of its own.
func (s *PostgresServer) signal(sig syscall.Signal) error {
	pid, err := s.postmasterPID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := syscall.Kill(child, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) (list []int, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	if len(stats) == 0 { // not Linux
		out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
		if err != nil {
			return nil, fmt.Errorf("ps: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			list = child(list, strings.Fields(line), pid)
		}
		return list, nil
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …, and the name may hold anything.
		text := string(b)
		if end := strings.LastIndexByte(text, ')'); end > 0 {
			if f := strings.Fields(text[end+1:]); len(f) > 1 {
				list = child(list, []string{filepath.Base(filepath.Dir(path)), f[1]}, pid)
			}
		}
	}
	return list, nil
}

func child(list []int, pidAndParent []string, parent int) []int {
	if len(pidAndParent) != 2 || pidAndParent[1] != strconv.Itoa(parent) {
		return list
	}
	if pid, err := strconv.Atoi(pidAndParent[0]); err == nil {
		list = append(list, pid)
	}
	return list
}
