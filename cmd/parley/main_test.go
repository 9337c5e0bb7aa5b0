package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/parleychat/parley/internal/testkit"
)

// asParley makes the test binary be parley: processes of these tests are real ones.
const asParley = "PARLEY_TEST_BE_PARLEY"

func TestMain(m *testing.M) {
	if settings := os.Getenv(asNATS); settings != "" {
		beNATS(settings)
	}
	if os.Getenv(asParley) != "" {
		main()
	}
	testkit.Main(m)
}

// A process is a running parley.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	said testkit.Output
}

func (p *process) output() string { return p.said.String() }

// parley starts a parley process, killed at the end of the test if it still runs.
func parley(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return spawn(t, self, env, args...)
}

// spawn is parley with another binary.
func spawn(t testing.TB, bin string, env []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(bin, args...)
	cmd.Env = append(append(os.Environ(), asParley+"=1", "PARLEY_LOG_LEVEL=info"), env...)
	return launch(t, cmd)
}

// launch starts a process and collects what it says.
func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // its exit code is read from ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		if t.Failed() {
			t.Logf("output of %s:\n%s", strings.Join(cmd.Args, " "), p.output())
		}
	})
	return p
}

// expect waits until the output contains text.
func (p *process) expect(ctx context.Context, text string) {
	p.t.Helper()
	p.expectAfter(ctx, 0, text)
}

// expectAfter waits until the output contains text behind its first n bytes.
func (p *process) expectAfter(ctx context.Context, n int, text string) {
	p.t.Helper()
	if !p.said.Await(ctx, p.done, n, text) {
		p.t.Fatalf("%v did not say %q", p.cmd.Args[1:], text)
	}
}

// wait returns the exit code of a process that ends by itself.
func (p *process) wait(ctx context.Context) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.t.Fatalf("%v does not end", p.cmd.Args[1:])
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop interrupts the process and returns its exit code and how long it took.
func (p *process) stop(ctx context.Context) (code int, took time.Duration) {
	p.t.Helper()
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.t.Fatalf("%v did not stop", p.cmd.Args[1:])
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(begun)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv(asParley, "1")
			e.Setenv("PARLEY_LOG_LEVEL", "error")
			// A copy would cost 50 MB for each script.
			if err := os.Symlink(self, e.WorkDir+"/parley"); err != nil {
				return err
			}
			e.Setenv("PATH", e.WorkDir+string(os.PathListSeparator)+e.Getenv("PATH"))
			return nil
		},
	})
}
