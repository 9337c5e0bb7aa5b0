package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// command is one program that a phase runs.
type command struct {
	dir  string   // relative to the root of the tree; empty is the root
	env  []string // added to the cleaned environment
	args []string
	out  io.Writer // where standard output goes beside the log; nil is nowhere
}

// stopGrace is how long an interrupted command may take to clean up, such as
// stopping the servers that its tests started.
const stopGrace = 10 * time.Second

// exec runs c with no standard input, in a process group of its own, and logs
// what it prints. When ctx ends, the whole group is asked to stop and then
// killed, so that no grandchild outlives the check.
func (j *job) exec(ctx context.Context, c command) error {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir = j.ws.path(c.dir)
	cmd.Env = append(cleanEnv(os.Environ()), c.env...)
	// A command's output may come from several of its own children at once.
	log := &syncWriter{w: j.log}
	fmt.Fprintf(log, "$ %s\n", strings.Join(slices.Concat(c.env, c.args), " "))
	cmd.Stdout, cmd.Stderr = log, log
	if c.out != nil {
		cmd.Stdout = io.MultiWriter(log, c.out)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(c.args, " "), err)
	}
	return nil
}

// output runs c and returns what it printed on standard output.
func (j *job) output(ctx context.Context, c command) (string, error) {
	var b bytes.Buffer
	c.out = &b
	err := j.exec(ctx, c)
	return b.String(), err
}

// cleanEnv drops what would let the developer's own settings decide a test:
// Parley's configuration, and the keys of paid models. What steers the tests
// themselves stays.
func cleanEnv(environ []string) []string {
	kept := make([]string, 0, len(environ)+4)
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "OPENAI_") || strings.HasPrefix(name, "AZURE_OPENAI_") {
			continue
		}
		if strings.HasPrefix(name, "PARLEY_") && !strings.HasPrefix(name, "PARLEY_TEST_") &&
			name != "PARLEY_POSTGRES_BIN" && name != "PARLEY_CHROMIUM" {
			continue
		}
		kept = append(kept, kv)
	}
	return append(kept, "NO_COLOR=1", "npm_config_fund=false", "npm_config_audit=false", "npm_config_update_notifier=false")
}

type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// tail keeps the last lines written to it, within a bound on bytes.
type tail struct {
	mu  sync.Mutex
	buf []byte
	cut bool
}

// maxDetail bounds what the report prints of one failure; the log has the rest.
const maxDetail = 32 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*maxDetail {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-maxDetail:]...)
		t.cut = true
	}
	return len(p), nil
}

func (t *tail) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.buf)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.TrimRight(string(t.buf), "\n")
	if t.cut {
		return "…" + s
	}
	return s
}

// bounded cuts a failure's output in the middle: its beginning says what was
// tried, its end how it broke.
func bounded(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	head, end := s[:limit/2], s[len(s)-limit/2:]
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	if i := strings.IndexByte(end, '\n'); i >= 0 {
		end = end[i+1:]
	}
	return fmt.Sprintf("%s\n… %d bytes left out, see the log …\n%s", head, len(s)-len(head)-len(end), end)
}
