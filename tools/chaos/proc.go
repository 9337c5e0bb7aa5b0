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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A proc is one place in the world: a process that may die in any way and is
// started again under the same name, with the same log file.
type proc struct {
	name, role string
	// args are asked for at each start: an edge keeps the port of its first one.
	args func() []string
	env  []string
	bin  string
	// more, if not nil, adds to the environment of each start.
	more func() []string
	// piped processes live as long as their standard input.
	piped bool
	log   *os.File

	mu       sync.Mutex
	cmd      *exec.Cmd
	stdin    io.Closer
	done     chan struct{} // of the process that runs, or ran last
	addr     string        // where it says it listens
	known    chan struct{} // closed when addr is
	paused   bool
	expected bool // its end was asked for
	crashes  []crash
	starts   int
}

func newProc(dir, name, role, bin string, env []string, args func() []string) (*proc, error) {
	f, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	return &proc{name: name, role: role, bin: bin, env: env, args: args, log: f, known: make(chan struct{})}, nil
}

// start starts the process if it does not run.
func (p *proc) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runningLocked() {
		return nil
	}
	cmd := exec.Command(p.bin, p.args()...)
	cmd.Env = p.env
	if p.more != nil {
		cmd.Env = append(slices.Clip(p.env), p.more()...)
	}
	cmd.SysProcAttr = childAttr()
	cmd.Stdout, cmd.Stderr = p, p
	if p.piped {
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		p.stdin = stdin
	}
	done := make(chan struct{})
	begun := make(chan error, 1)
	go func() {
		// The signal for the death of the parent means the death of its thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		begun <- err
		if err == nil {
			p.ended(cmd, cmd.Wait())
		}
	}()
	if err := <-begun; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.done, p.paused, p.expected = cmd, done, false, false
	p.starts++
	return nil
}

func (p *proc) ended(cmd *exec.Cmd, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == cmd && !p.expected {
		p.crashes = append(p.crashes, crash{time.Now(), fmt.Sprintf("%s ended by itself: %v", p.name, err)})
	}
}

// Write takes the output, and the address in its first lines.
func (p *proc) Write(b []byte) (int, error) {
	n, err := p.log.Write(b)
	if _, rest, ok := bytes.Cut(b, []byte(`"addr":"`)); ok && p.role == roleEdge {
		if addr, _, whole := bytes.Cut(rest, []byte(`"`)); whole {
			p.listens(string(addr))
		}
	}
	return n, err
}

func (p *proc) listens(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addr == "" {
		close(p.known)
	}
	p.addr = addr
}

func (p *proc) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

func (p *proc) runningLocked() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *proc) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runningLocked()
}

// signal sends a signal to the process if it runs. last says that it is meant to end by it.
func (p *proc) signal(s syscall.Signal, last bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runningLocked() {
		return nil
	}
	if last {
		p.expected = true
	}
	p.paused = s == syscall.SIGSTOP || p.paused && s != syscall.SIGCONT
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// wait waits until the process has ended, or ctx.
func (p *proc) wait(ctx context.Context) error {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s did not end: %w", p.name, context.Cause(ctx))
	}
}

// kill ends the process as a power cut would.
func (p *proc) kill(ctx context.Context) error {
	return errors.Join(p.signal(syscall.SIGKILL, true), p.wait(ctx))
}

// stop asks the process to end, wakes it if it is paused, and insists after patience.
func (p *proc) stop(ctx context.Context, patience time.Duration) (graceful bool, err error) {
	if err := errors.Join(p.signal(syscall.SIGTERM, true), p.signal(syscall.SIGCONT, true)); err != nil {
		return false, err
	}
	if p.piped {
		p.mu.Lock()
		if p.stdin != nil {
			_ = p.stdin.Close()
		}
		p.mu.Unlock()
	}
	pctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.wait(pctx) == nil {
		return true, nil
	}
	return false, p.kill(ctx)
}

// keep starts the process again whenever it has ended by itself, as a service
// manager would, until ctx ends.
func (p *proc) keep(ctx context.Context) {
	for {
		p.mu.Lock()
		done := p.done
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-done:
		}
		if !pause(ctx, 300*time.Millisecond) {
			return
		}
		p.mu.Lock()
		again := !p.runningLocked() && !p.expected
		p.mu.Unlock()
		if again {
			// An error shows in what does not run at the end.
			_ = p.start()
		}
	}
}

// A crash is an end that nobody asked for.
type crash struct {
	at   time.Time
	what string
}

func (p *proc) crashed() (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.crashes {
		list = append(list, c.what)
	}
	return list
}

func (p *proc) deaths() (list []span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.crashes {
		list = append(list, span{faultKill, p.role, c.at, c.at})
	}
	return list
}

// panicked returns the first lines in the log that only a broken program writes.
func (p *proc) panicked() (string, error) {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return "", fmt.Errorf("log of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(b)) {
		for _, word := range []string{"panic: ", "fatal error: ", "WARNING: DATA RACE", `"msg":"handler panicked"`} {
			if strings.Contains(line, word) && !strings.HasPrefix(word, "\t") {
				return strings.TrimSpace(line), nil
			}
		}
	}
	return "", nil
}

// pause waits for d and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
