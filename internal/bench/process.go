package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
)

// keptLines are the last lines of a process that its failure is explained with.
const keptLines = 12

// A process is a role, or a server, in a process of its own that ends with ours.
type process struct {
	role string
	pid  int
	done chan struct{} // closed when it has ended
	exit error         // to be read after done

	mu   sync.Mutex
	news chan struct{}     // replaced at every line
	said map[string]string // the constant message of a log line → its line
	last []string
}

// start begins a process and reads its log. What it says is JSON lines.
func start(role string, command, env []string, more ...string) (*process, error) {
	cmd := exec.Command(command[0], append(append([]string{}, command[1:]...), more...)...)
	cmd.Env = append(append(ownEnviron(os.Environ()), "PARLEY_LOG_FORMAT=json", "PARLEY_LOG_LEVEL=info"), env...)
	cmd.SysProcAttr = dieWithParent()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	p := &process{role: role, done: make(chan struct{}), news: make(chan struct{}), said: map[string]string{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read(r)
	}()
	started := make(chan error, 1)
	go func() {
		// The signal at our death is sent when the starting thread ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			err = cmd.Wait()
		}
		_ = w.Close() // a pipe within this process
		<-read
		p.exit = err
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return p, nil
}

// ownEnviron leaves out settings of the caller's that would steer a role.
func ownEnviron(all []string) []string {
	var list []string
	for _, v := range all {
		if strings.HasPrefix(v, "OPENAI_") || strings.HasPrefix(v, "PARLEY_") && !strings.HasPrefix(v, "PARLEY_TEST_") {
			continue
		}
		list = append(list, v)
	}
	return list
}

func (p *process) read(r io.Reader) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		var said struct {
			Msg string `json:"msg"`
		}
		p.mu.Lock()
		if json.Unmarshal(line, &said) == nil && len(p.said) < 100 {
			p.said[said.Msg] = string(line)
		}
		if p.last = append(p.last, string(line)); len(p.last) > keptLines {
			p.last = p.last[1:]
		}
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
}

// wait returns the line of a constant message once it was logged, decoded into v if not nil.
func (p *process) wait(ctx context.Context, msg string, v any) error {
	for {
		p.mu.Lock()
		line, ok := p.said[msg]
		news := p.news
		p.mu.Unlock()
		if ok {
			if v == nil {
				return nil
			}
			return json.Unmarshal([]byte(line), v)
		}
		select {
		case <-news:
		case <-p.done:
			return p.failed("ended before it was ready")
		case <-ctx.Done():
			return p.failed("is not ready in time")
		}
	}
}

func (p *process) failed(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%s %s; its last lines:\n%s", p.role, what, strings.Join(p.last, "\n"))
}

// finish waits for a process that ends by itself.
func (p *process) finish(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return p.failed("did not end in time")
	}
	if p.exit != nil {
		return p.failed(p.exit.Error())
	}
	return nil
}

// kill ends the process without a word, and waits.
func (p *process) kill() {
	_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended
	<-p.done
}

// stop asks the process to end and insists after a while.
func (p *process) stop() error {
	_ = syscall.Kill(p.pid, syscall.SIGTERM) // it may have ended
	t := time.NewTimer(10 * time.Second)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		p.kill()
		return p.failed("did not stop")
	}
	if exit := (*exec.ExitError)(nil); errors.As(p.exit, &exit) && exit.ExitCode() > 0 {
		return p.failed(p.exit.Error())
	}
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
