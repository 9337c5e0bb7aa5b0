package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv("EMBEDDED_TEST_PARLEY"); spec != "" {
		os.Exit(runParley(spec))
	}
	goleak.VerifyTestMain(m)
}

// parleySpec tells a re-executed test binary how to be a Parley.
type parleySpec struct {
	Dir           string
	BinDir        string
	NoDeathSignal bool
}

// parleyState is what it prints when it is up.
type parleyState struct {
	Error    string
	Postgres int
	OwnerURL string
	NATS     NATSAccess
}

// runParley is a Parley in short: everything that lives in a data directory,
// until standard input ends.
func runParley(spec string) int {
	ctx := context.Background()
	say := func(s parleyState) {
		if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
			panic(err) // the test went away
		}
	}
	fail := func(err error) int { say(parleyState{Error: err.Error()}); return 1 }
	var s parleySpec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return fail(err)
	}
	dir, err := Open(s.Dir)
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	n, err := StartNATS(NATSOptions{Dir: dir.NATS()})
	if err != nil {
		return fail(err)
	}
	p, err := StartPostgres(ctx, PostgresOptions{DataDir: s.Dir, Find: FindOptions{BinDir: s.BinDir}, noDeathSignal: s.NoDeathSignal})
	if err != nil {
		return fail(err)
	}
	err = WriteEndpoint(dir.Path(), Endpoint{HTTPURL: "http://127.0.0.1:7420", NATS: n.Access(), DatabaseURL: p.AppURL(), DatabaseDirectURL: p.OwnerURL()})
	if err != nil {
		return fail(err)
	}
	say(parleyState{Postgres: p.PID(), OwnerURL: p.OwnerURL(), NATS: n.Access()})
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fail(err)
	}
	n.Shutdown()
	if err := p.Stop(ctx); err != nil {
		return fail(err)
	}
	if err := RemoveEndpoint(dir.Path()); err != nil {
		return fail(err)
	}
	return 0
}

// parley is a Parley in another process.
type parley struct {
	parleyState
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func launch(t *testing.T, spec parleySpec) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's context: that one ends, and would kill, before the cleanup
	// that stops it in good order.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 90*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "EMBEDDED_TEST_PARLEY="+string(b))
	cmd.Stderr = os.Stderr
	return cmd
}

func startParley(t *testing.T, spec parleySpec) *parley {
	t.Helper()
	p := &parley{cmd: launch(t, spec)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stdin.Close(); p.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("parley said nothing: %v", err)
	}
	if err := json.Unmarshal(line, &p.parleyState); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *parley) mustRun(t *testing.T) *parley {
	t.Helper()
	if p.Error != "" {
		t.Fatalf("parley did not start: %s", p.Error)
	}
	return p
}

// kill is kill -9, and waits until the process is gone.
func (p *parley) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // killed
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newDataDir returns the name of a data directory that does not exist yet, in a
// place that the account PostgreSQL runs as can reach: t.TempDir is closed to it.
// It is in memory if there is room: fsync is on in these tests, and costs nothing
// there. What a kill leaves is the same.
func newDataDir(t testing.TB) string {
	t.Helper()
	place := "/tmp"
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &fs); err == nil && uint64(fs.Bavail)*uint64(fs.Bsize) > 2<<30 { //nolint:unconvert // the types differ between systems
		place = "/dev/shm"
	}
	return newDataDirIn(t, place)
}

func newDataDirIn(t testing.TB, place string) string {
	t.Helper()
	parent, err := os.MkdirTemp(place, "parley-embedded-") //nolint:usetesting // that one is closed to the account
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(parent); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(parent, "data")
}

// open opens a data directory until the test ends.
func open(t testing.TB, path string) *DataDir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// start starts PostgreSQL on an opened data directory until the test ends.
func start(t testing.TB, opts PostgresOptions) *Postgres {
	t.Helper()
	p, err := StartPostgres(testContext(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// query runs sql as one statement on a new connection and returns its one value.
func query[T any](t testing.TB, url, sql string) (v T) {
	t.Helper()
	ctx := testContext(t)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func exec1(t testing.TB, url, sql string) {
	t.Helper()
	ctx := testContext(t)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// reap waits for a process that became our child because its parent died. One
// that does not end is killed, and the test with it.
func reap(t testing.TB, pid int) (status syscall.WaitStatus) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		for {
			_, err := syscall.Wait4(pid, &status, 0, nil)
			if err != syscall.EINTR {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("wait for process %d: %v", pid, err)
		}
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(pid, syscall.SIGKILL)
		err := <-ended
		t.Fatalf("process %d did not end (after a kill: %v)", pid, err)
	}
	return status
}
