package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What the README promises of `go run ./cmd/parley dev`.
const (
	coldStart   = 3 * time.Minute
	secondStart = 2 * time.Second
	ctrlC       = time.Second
)

// readyLine is the last line of dev's welcome.
const readyLine = "Ctrl-C stops it"

// runStart starts a fresh clone as the README says: with empty caches of Go's
// builds and of npm (modules are kept: a download measures the line), then again.
// Root tries the binary as an ordinary user too.
func runStart(ctx context.Context, j *job) (err error) {
	root, err := os.MkdirTemp("", "parley-start-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	// PostgreSQL runs as another account when we are root, and has to get in.
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	clone, data := filepath.Join(root, "parley"), filepath.Join(root, "data")
	if err := j.exec(ctx, command{args: []string{"git", "clone", "--quiet", j.ws.root, clone}}); err != nil {
		return err
	}
	s := start{
		dir: clone, args: []string{"go", "run", "./cmd/parley", "dev", "--addr", "127.0.0.1:0", "--data-dir", data}, mark: data,
		env: []string{"GOCACHE=" + filepath.Join(root, "go-cache"), "npm_config_cache=" + filepath.Join(root, "npm-cache")},
	}
	if err := s.measure(ctx, j, "first start, cold caches", coldStart); err != nil {
		return err
	}
	if err := s.measure(ctx, j, "second start", secondStart); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	const nobody = 65534
	home, bin := filepath.Join(root, "home"), filepath.Join(root, "bin")
	b, err := os.ReadFile(j.ws.bin)
	if err := errors.Join(err, os.Mkdir(home, 0o700), os.Chown(home, nobody, nobody), os.WriteFile(bin, b, 0o755)); err != nil {
		return err
	}
	data = filepath.Join(home, "data")
	s = start{
		dir: home, args: []string{bin, "dev", "--addr", "127.0.0.1:0", "--data-dir", data}, mark: data,
		env: []string{"HOME=" + home}, user: &syscall.Credential{Uid: nobody, Gid: nobody},
	}
	return s.measure(ctx, j, "start of the binary as an ordinary user", 30*time.Second)
}

// A start is one way to start dev.
type start struct {
	dir  string
	args []string
	env  []string
	user *syscall.Credential
	mark string // what the command line of every process of it contains
}

// measure starts dev, waits until it is ready, chats, stops it as Ctrl-C in a
// terminal does, and looks whether anything is left.
func (s start) measure(ctx context.Context, j *job, name string, budget time.Duration) error {
	j.at("%s", name)
	ctx, cancel := context.WithTimeoutCause(ctx, 3*budget+30*time.Second, errors.New(name+": parley dev was never ready"))
	defer cancel()
	out := &watched{log: j.log, line: readyLine, seen: make(chan struct{})}
	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	cmd.Dir, cmd.Env = s.dir, append(cleanEnv(os.Environ()), s.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.user}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = stopGrace
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-out.seen:
	case err := <-ended:
		return fmt.Errorf("%s: parley dev ended: %w", name, errors.Join(err, context.Cause(ctx)))
	}
	j.judge(name, time.Since(begun), budget)
	// It ends in a working chat, or it was no start.
	at, err := out.address()
	if err == nil {
		err = visit(ctx, at)
	}
	if err != nil {
		j.fail("a chat after the "+name, err.Error())
	} else {
		j.pass(1)
	}
	begun = time.Now()
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		// `go run` tells an interrupt by its exit code, however well all went.
		fmt.Fprintf(j.log, "%v\n", err)
	}
	j.judge("Ctrl-C after the "+name, time.Since(begun), ctrlC)
	left, err := processesOf(s.mark)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		j.fail("nothing is left after the "+name, strings.Join(left, "\n"))
	} else {
		j.pass(1)
	}
	return nil
}

// judge counts a measure as passed if it is within its budget, and notes it.
func (j *job) judge(what string, took, budget time.Duration) {
	line := fmt.Sprintf("%s: %.2f s (at most %.0f s)", what, took.Seconds(), budget.Seconds())
	j.note(line)
	if took > budget {
		j.fail(what, line)
		return
	}
	j.pass(1)
}

// processesOf lists the processes whose command line contains mark, on Linux;
// elsewhere there is no such list.
func processesOf(mark string) ([]string, error) {
	if runtime.GOOS != "linux" {
		return nil, nil
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var list []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && bytes.Contains(b, []byte(mark)) {
			list = append(list, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return list, nil
}

// watched logs what a program prints and says when a line has been seen.
type watched struct {
	mu   sync.Mutex
	log  io.Writer
	line string
	seen chan struct{}
	text strings.Builder
	told bool
}

// address returns where the program says that it serves.
func (w *watched) address() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := opened.FindStringSubmatch(w.text.String())
	if m == nil {
		return "", errors.New("parley dev does not say where it is open")
	}
	return m[1], nil
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.told {
		w.text.Write(p)
		if strings.Contains(w.text.String(), w.line) {
			w.told = true
			close(w.seen)
		}
	}
	return w.log.Write(p)
}
