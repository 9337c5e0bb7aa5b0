package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

func TestByGoRun(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/tmp/go-build2493/b001/exe/parley":                                      true,
		"/home/ana/.cache/go-build/51/" + strings.Repeat("5a", 32) + "-d/parley": true,
		"/usr/local/bin/parley":                                                  false,
		"/srv/exe/parley":                                                        false,
		"/srv/release-d/parley":                                                  false,
		"/tmp/go-build/x/parley":                                                 false,
	} {
		if got := byGoRun(path); got != want {
			t.Errorf("byGoRun(%s) = %v", path, got)
		}
	}
}

// Ctrl-C while the page is being built ends npm and all that npm started.
func TestAnInterruptedBuildLeavesNoProcess(t *testing.T) {
	t.Parallel()
	wait := testkit.Context(t)
	ctx, cancel := context.WithCancel(wait)
	defer cancel()
	pipe := filepath.Join(t.TempDir(), "pid")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- build(ctx, t.TempDir(), "sh", "-c", `cat /dev/zero >/dev/null & echo $! >"$0"; wait`, pipe)
	}()
	pid, err := os.ReadFile(pipe) // waits until it is written
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("the build succeeded")
	}
	// It may be a zombie for a moment, until whoever inherited it has looked.
	child := atoi(string(pid))
	for syscall.Kill(child, 0) == nil && !zombie(t, child) {
		if wait.Err() != nil {
			t.Fatalf("process %d is left", child)
		}
	}
}

func zombie(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(state, "Z")
}
