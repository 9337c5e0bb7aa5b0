package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"
)

// The crash cases, with real processes. A Parley runs in a process of its own
// and is killed; the next one is this process. Orphans become our children, so
// that a killed one stays a zombie until we reap it, as where init does not.
func becomeSubreaper(t testing.TB) {
	t.Helper()
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
}

// crashedParley starts a Parley on a new data directory and stores a row.
func crashedParley(t *testing.T, spec parleySpec) *parley {
	t.Helper()
	becomeSubreaper(t)
	p := startParley(t, spec).mustRun(t)
	exec1(t, p.OwnerURL, "CREATE TABLE kept AS SELECT 1 AS n")
	return p
}

// How the server before went, as the next one finds out.
const (
	clean   = true
	crashed = false
)

// restart is the next start. It must be a server of its own, which has
// everything, and which finds the data as its predecessor should have left it.
func restart(t *testing.T, dir string, old int, wentClean bool) {
	t.Helper()
	begin := time.Now()
	open(t, dir)
	var log logBuffer
	p := start(t, PostgresOptions{DataDir: dir, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if recovered := strings.Contains(log.String(), "was not properly shut down"); recovered == wentClean {
		t.Errorf("the server before went clean: %v, want %v:\n%s", !recovered, wentClean, log.String())
	}
	t.Logf("restart took %v", time.Since(begin).Round(time.Millisecond))
	if p.PID() == old {
		t.Errorf("the new server has the old one's pid %d", old)
	}
	ctx := testContext(t)
	conn, err := pgx.Connect(ctx, p.OwnerURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if answers := parent(t, int(conn.PgConn().PID())); answers != p.PID() {
		t.Errorf("the server that answers is process %d, our child is %d", answers, p.PID())
	}
	if got := query[int](t, p.OwnerURL(), "SELECT n FROM kept"); got != 1 {
		t.Errorf("the stored row is %d", got)
	}
}

func TestKilledParentTakesPostgresAlong(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	p := crashedParley(t, parleySpec{Dir: dir})
	p.kill(t)
	if status := reap(t, p.Postgres); !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("the server ended with %v, want a clean exit", status)
	}
	if _, ok, err := readPID(filepath.Join(dir, "postgres", "data")); ok || err != nil {
		t.Errorf("postmaster.pid is still there (err %v)", err)
	}
	restart(t, dir, p.Postgres, clean)
}

func TestKilledParentRestartAtOnce(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	p := crashedParley(t, parleySpec{Dir: dir})
	p.kill(t)
	restart(t, dir, p.Postgres, clean) // while the old one is still dying
	reap(t, p.Postgres)
}

func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	p := crashedParley(t, parleySpec{Dir: dir, NoDeathSignal: true})
	p.kill(t)
	if !isPostmaster(p.Postgres, filepath.Join(dir, "postgres", "data")) {
		t.Fatal("the orphan does not run: this test tests nothing")
	}
	// It still answers, and a start that only looked whether the socket answers
	// would take it for its own.
	query[int](t, p.OwnerURL, "SELECT n FROM kept")
	restart(t, dir, p.Postgres, clean)
	if status := reap(t, p.Postgres); !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("the orphan ended with %v, want a clean exit", status)
	}
}

func TestKilledBothPIDIsAZombie(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	p := crashedParley(t, parleySpec{Dir: dir, NoDeathSignal: true})
	p.kill(t)
	killAndLeaveZombie(t, p.Postgres)
	restart(t, dir, p.Postgres, crashed)
	reap(t, p.Postgres)
}

// A backend that is busy does not notice that its postmaster was killed. To
// start beside it would be to write the same data twice.
func TestBusyProcessOfAKilledServerIsEnded(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	p := crashedParley(t, parleySpec{Dir: dir, NoDeathSignal: true})
	ctx := testContext(t)
	conn, err := pgx.Connect(ctx, p.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	busy := int(conn.PgConn().PID())
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT sum(n) FROM generate_series(1, 1000000000000) AS n")
		ended <- err
	}()
	awaitState(t, p.OwnerURL, busy, "active")
	p.kill(t)
	killAndLeaveZombie(t, p.Postgres)
	if !worksIn(busy, filepath.Join(dir, "postgres", "data")) {
		t.Fatal("the busy backend has gone: this test tests nothing")
	}
	restart(t, dir, p.Postgres, crashed)
	if err := <-ended; err == nil || ctx.Err() != nil {
		t.Errorf("the busy backend ended with %v", err)
	}
	reap(t, p.Postgres)
}

func TestStalePIDOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	p := crashedParley(t, parleySpec{Dir: dir, NoDeathSignal: true})
	p.kill(t)
	killAndLeaveZombie(t, p.Postgres)
	reap(t, p.Postgres)

	// Another process has got the pid meanwhile, in the server's file and in the
	// socket's; a server on other data, which is not to be touched either.
	otherDir := newDataDir(t)
	open(t, otherDir)
	other := start(t, PostgresOptions{DataDir: otherDir})
	root := filepath.Join(dir, "postgres")
	replaceFirstLine(t, filepath.Join(root, "data", "postmaster.pid"), other.PID())
	replaceFirstLine(t, filepath.Join(root, "run", ".s.PGSQL.5432.lock"), other.PID())
	restart(t, dir, p.Postgres, crashed)
	if got := query[int](t, other.OwnerURL(), "SELECT 1"); got != 1 || other.Err() != nil {
		t.Errorf("the other server: %v", other.Err())
	}
}

func TestSenselessPIDFile(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "garbage\n/x\n"} {
		t.Run(strconv.Quote(content), func(t *testing.T) {
			t.Parallel()
			dir := newDataDir(t)
			p := crashedParley(t, parleySpec{Dir: dir})
			p.kill(t)
			reap(t, p.Postgres)
			if err := os.WriteFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			restart(t, dir, p.Postgres, clean)
		})
	}
}

func TestSecondParleyIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	first := startParley(t, parleySpec{Dir: dir}).mustRun(t)
	begin := time.Now()
	second := startParley(t, parleySpec{Dir: dir})
	want := fmt.Sprintf("data directory %s is in use by another parley (pid %d)", dir, first.cmd.Process.Pid)
	if second.Error != want {
		t.Errorf("second start said %q, want %q", second.Error, want)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	if got := query[int](t, first.OwnerURL, "SELECT 1"); got != 1 {
		t.Error("the first was disturbed")
	}
}

// Ctrl-C in a terminal goes to the whole process group: PostgreSQL must not be
// in ours.
func TestPostgresHasItsOwnProcessGroup(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	open(t, dir)
	p := start(t, PostgresOptions{DataDir: dir})
	group, err := syscall.Getpgid(p.PID())
	if err != nil || group != p.PID() || group == syscall.Getpgrp() {
		t.Errorf("process group %d, err %v; want its own, %d", group, err, p.PID())
	}
}

// A Parley killed in the middle of initdb: what there is of a cluster counts for
// nothing, nobody is left at work in it, and the next start makes a whole one.
func TestInterruptedInit(t *testing.T) {
	t.Parallel()
	becomeSubreaper(t)
	dir := newDataDir(t)
	real, err := FindPostgres(testContext(t), FindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// An initdb that stops halfway, and tells.
	bin := filepath.Join(filepath.Dir(dir), "bin")
	fifo := filepath.Join(filepath.Dir(dir), "halfway")
	script := fmt.Sprintf("#!/bin/sh\n%s/initdb \"$@\" >/dev/null || exit 1\nrm -f \"$2/postgresql.conf\"\necho $$ $2 >%s\nexec sleep 600\n", real.Dir, fifo)
	account, err := PostgresAccount()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Mkdir(bin, 0o755),
		os.Symlink(filepath.Join(real.Dir, "postgres"), filepath.Join(bin, "postgres")),
		os.WriteFile(filepath.Join(bin, "initdb"), []byte(script), 0o755),
		syscall.Mkfifo(fifo, 0o600),
		account.own(fifo),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := launch(t, parleySpec{Dir: dir, BinDir: bin})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var initdb int
	var work string
	if _, err := fmt.Fscan(bufio.NewReader(f), &initdb, &work); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if status := reap(t, initdb); !status.Signaled() {
		t.Errorf("initdb ended with %v, want killed with its parent", status)
	}
	if _, err := os.Stat(filepath.Join(work, "PG_VERSION")); err != nil {
		t.Fatalf("nothing was half done: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "postgres", "data")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the unfinished cluster is in place: %v", err)
	}

	open(t, dir)
	p := start(t, PostgresOptions{DataDir: dir})
	if got := query[string](t, p.AppURL(), "SELECT current_user"); got != AppRole {
		t.Errorf("current user %q", got)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "data" && e.Name() != "run" {
			t.Errorf("%s is left over", e.Name())
		}
	}
}

func TestDeadServerIsReported(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	open(t, dir)
	p := start(t, PostgresOptions{DataDir: dir})
	if err := p.Err(); err != nil {
		t.Fatalf("a running server has error %v", err)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-testContext(t).Done():
		t.Fatal("nobody noticed")
	}
	err := p.Err()
	if err == nil || !strings.Contains(err.Error(), "killed") || !strings.Contains(err.Error(), readyLine) {
		t.Errorf("error %v; want how it ended and its last lines", err)
	}
	if err := p.Stop(context.Background()); err != nil {
		t.Errorf("Stop after the end: %v", err)
	}
	start(t, PostgresOptions{DataDir: dir}) // and it can be started again
}

// killAndLeaveZombie kills a process that is our child by adoption and waits,
// without reaping, until it is a zombie.
func killAndLeaveZombie(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	const pPID, wExited, wNoWait = 1, 4, 0x01000000
	var info [128]byte
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), uintptr(unsafe.Pointer(&info[0])), wExited|wNoWait, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			t.Fatalf("waitid %d: %v", pid, errno)
		}
		break
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || !strings.Contains(string(stat), ") Z ") {
		t.Fatalf("process %d is no zombie: %s %v", pid, stat, err)
	}
}

func parent(t testing.TB, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}

func replaceFirstLine(t testing.TB, file string, n int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%d\n%s", n, rest), 0o600); err != nil {
		t.Fatal(err)
	}
}

// awaitState waits until a backend is in a state. The database has no event for
// that; it is asked again and again, within the test's deadline.
func awaitState(t testing.TB, url string, pid int, state string) {
	t.Helper()
	for ctx := testContext(t); ; {
		if query[bool](t, url, fmt.Sprintf("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %d AND state = '%s' AND query LIKE '%%generate_series%%')", pid, state)) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("backend %d never was %s", pid, state)
		}
	}
}

// logBuffer is a buffer that a logger of several goroutines may write to.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
