package embedded

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a stopping server gets before the next, harder signal.
const (
	fastStop      = 10 * time.Second // SIGINT: sessions cut, checkpoint
	immediateStop = 5 * time.Second  // SIGQUIT: no checkpoint
)

// onOneThread runs f on a thread that is its own until f returns. A parent-death
// signal is sent when the starting thread ends, and Go ends threads as it likes;
// so starting a child and waiting for it must happen in one f.
func onOneThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
	<-done
}

// child is a running postmaster.
type child struct {
	pid  int
	log  *childLog
	done chan struct{} // closed when it is gone
	exit error         // how it went; to be read after done
}

// startChild starts cmd, whose output becomes the log.
func startChild(cmd *exec.Cmd, logger *slog.Logger) (*child, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	c := &child{
		log:  &childLog{logger: logger, ready: make(chan struct{}), end: make(chan struct{})},
		done: make(chan struct{}),
	}
	started := make(chan error, 1)
	go onOneThread(func() {
		err := cmd.Start()
		w.Close()
		if err == nil {
			c.pid = cmd.Process.Pid
			go c.log.read(r)
		}
		started <- err
		if err != nil {
			r.Close()
			return
		}
		c.exit = cmd.Wait()
		// The other processes end just after the postmaster. Their last words
		// are wanted, but not for long.
		select {
		case <-c.log.end:
		case <-time.After(time.Second):
		}
		r.Close()
		<-c.log.end
		close(c.done)
	})
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// stop asks, then insists. It returns when the child is gone, and reports
// whether it went in good order.
func (c *child) stop(ctx context.Context) error {
	for _, step := range []struct {
		signal  syscall.Signal
		patient time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, immediateStop}} {
		if err := syscall.Kill(c.pid, step.signal); err != nil && err != syscall.ESRCH {
			return err
		}
		select {
		case <-c.done:
			if c.exit != nil {
				return fmt.Errorf("PostgreSQL did not stop in good order: %w; its last lines: %s", c.exit, c.log)
			}
			return nil
		case <-time.After(step.patient):
		case <-ctx.Done():
		}
	}
	if err := syscall.Kill(c.pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return err
	}
	<-c.done
	return fmt.Errorf("PostgreSQL (pid %d) did not stop and was killed; its last lines: %s", c.pid, c.log)
}

// childLog reads the server's log. It tells when the server is ready, and keeps
// the last lines for the message that says why it ended.
type childLog struct {
	logger *slog.Logger
	ready  chan struct{}
	end    chan struct{}

	mu   sync.Mutex
	last []string
}

const (
	readyLine   = "database system is ready to accept connections"
	keptLines   = 8
	longestLine = 500
)

func (l *childLog) read(r io.Reader) {
	defer close(l.end)
	ready := sync.OnceFunc(func() { close(l.ready) })
	lines := bufio.NewReader(r)
	for {
		// ReadLine gives a line longer than the buffer in pieces. Reading must go
		// on whatever comes: a full pipe would stop the server.
		text, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		line := string(text[:min(len(text), longestLine)])
		l.logger.Debug("postgres server", "line", line)
		l.mu.Lock()
		l.last = append(l.last, line)
		if len(l.last) > keptLines {
			l.last = l.last[1:]
		}
		l.mu.Unlock()
		if strings.Contains(line, readyLine) {
			ready()
		}
	}
}

func (l *childLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, " | ")
}
