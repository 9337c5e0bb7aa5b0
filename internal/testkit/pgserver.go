package testkit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/parleychat/parley/internal/embedded"
)

// PostgresServer is a private PostgreSQL cluster, without durability: fsync is
// off and its files are in memory where the system has a place for that. A test
// that stops or kills its server needs one of its own, from StartPostgres.
type PostgresServer struct {
	bin     embedded.Binaries
	account embedded.Account
	root    string // everything of this cluster; removed at its end

	databases databases

	mu  sync.Mutex
	run *postgresRun

	pooler *postgresRun // PgBouncer before it, if asked for; see pgbouncer.go
}

// StartPostgres starts a cluster for this test alone (about 0.2 s, most of it
// copying a cached one).
func StartPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	s, err := newPostgresServer(Context(t))
	if err != nil {
		t.Fatalf("testkit: private postgres: %v", err)
	}
	t.Cleanup(func() {
		if err := s.discard(); err != nil {
			t.Errorf("testkit: stop postgres: %v", err)
		}
	})
	return s
}

// newPostgresServer copies the cached cluster and starts it.
func newPostgresServer(ctx context.Context) (*PostgresServer, error) {
	bin, err := findBinaries(ctx)
	if err != nil {
		return nil, err
	}
	account, err := embedded.PostgresAccount()
	if err != nil {
		return nil, err
	}
	cached, err := cachedCluster(ctx, bin, account)
	if err != nil {
		return nil, err
	}
	s, err := emptyServer(bin, account)
	if err != nil {
		return nil, err
	}
	if err = copyTree(cached, s.data(), account); err == nil {
		err = s.start(ctx)
	}
	if err == nil {
		err = s.startPooler(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return s, nil
}

func findBinaries(ctx context.Context) (embedded.Binaries, error) {
	opts := embedded.FindOptions{
		BinDir:   os.Getenv("PARLEY_POSTGRES_BIN"),
		Progress: func(line string) { fmt.Fprintln(os.Stderr, "testkit:", line) },
	}
	if s := os.Getenv("PARLEY_TEST_POSTGRES_MAJOR"); s != "" {
		major, err := strconv.Atoi(s)
		if err != nil || major == 0 {
			return embedded.Binaries{}, fmt.Errorf("PARLEY_TEST_POSTGRES_MAJOR=%q is no major version", s)
		}
		opts.Major = major
	}
	return embedded.FindPostgres(ctx, opts)
}

// emptyServer makes the directories of a cluster that is yet to be filled.
func emptyServer(bin embedded.Binaries, account embedded.Account) (*PostgresServer, error) {
	parent := os.TempDir()
	// Containers often have a memory file system of 64 MB, which is no help.
	var shm syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &shm); err == nil && uint64(shm.Bavail)*uint64(shm.Bsize) > 1<<30 { //nolint:unconvert // the types differ between systems
		parent = "/dev/shm"
	}
	root, err := os.MkdirTemp(parent, "parley-test-") // 0700, and short: socket paths are limited
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{bin: bin, account: account, root: root}
	s.databases.url = s.url
	s.databases.admin, s.databases.password, s.databases.maintenance = "postgres", rolePassword, "postgres"
	s.databases.template, s.databases.prefix = templateName, "test_"
	err = os.Mkdir(s.socketDir(), 0o700)
	if account.Drop && err == nil {
		err = errors.Join(os.Chown(root, account.UID, account.GID), os.Chown(s.socketDir(), account.UID, account.GID))
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	return s, nil
}

func (s *PostgresServer) data() string      { return filepath.Join(s.root, "data") }
func (s *PostgresServer) socketDir() string { return filepath.Join(s.root, "run") }

func (s *PostgresServer) url(user, password, database string) string {
	base := &url.URL{Scheme: "postgres", RawQuery: url.Values{
		"host": {s.socketDir()}, "port": {"5432"}, "sslmode": {"disable"},
	}.Encode()}
	return withLogin(base)(user, password, database)
}

// AdminURL returns where the administrator logs in to db, who sees every row.
func (s *PostgresServer) AdminURL(db Database) string {
	return s.url(s.databases.admin, s.databases.password, db.Name)
}

// String names the binaries, such as "local 15.18 at /usr/lib/postgresql/15/bin".
func (s *PostgresServer) String() string { return s.bin.String() }

// Database makes a migrated database on this server, dropped with the test.
func (s *PostgresServer) Database(t testing.TB) Database {
	t.Helper()
	return s.database(t, false)
}

// EmptyDatabase is Database before any migration, such as to restore a dump into.
func (s *PostgresServer) EmptyDatabase(t testing.TB) Database {
	t.Helper()
	return s.database(t, true)
}

func (s *PostgresServer) database(t testing.TB, empty bool) Database {
	t.Helper()
	db, err := s.databases.create(Context(t), empty)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	s.databases.dropAtEnd(t, db, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.run != nil
	})
	return db
}

// Stop ends the server in good order, as a restart by an administrator would:
// sessions are cut.
func (s *PostgresServer) Stop(t testing.TB) {
	t.Helper()
	if err := s.stop("stop", nil); err != nil {
		t.Fatalf("testkit: stop postgres: %v", err)
	}
}

// Kill ends the server with SIGKILL, as a power cut would.
func (s *PostgresServer) Kill(t testing.TB) {
	t.Helper()
	pid, err := s.postmasterPID()
	if err == nil {
		err = s.stop("stop", func() error { return syscall.Kill(pid, syscall.SIGKILL) })
	}
	if err != nil {
		t.Fatalf("testkit: kill postgres: %v", err)
	}
}

// Start starts a stopped or killed server again, at the same URLs.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	if err := s.start(Context(t)); err != nil {
		t.Fatalf("testkit: start postgres: %v", err)
	}
}

func (s *PostgresServer) postmasterPID() (int, error) {
	data, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(data), "\n")
	return strconv.Atoi(first)
}

// postgresRun is one run of the server: a small shell that starts PostgreSQL
// and ends it when its standard input ends. That happens however this process
// goes, kill -9 included, on every system; so neither a server nor its files in
// memory are ever left behind.
type postgresRun struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *logTail
}

// A line on standard input means "stop in good order and keep the files"; its
// end means that nobody needs them any more. Only PostgreSQL keeps the log
// pipe, so that its end is PostgreSQL's end.
const supervisor = `
dir=$1; stop=$2; shift 2
"$@" 2>&1 &
pid=$!
exec >/dev/null 2>&1
if read -r line; then
	kill -INT $pid; wait $pid
else
	kill -$stop $pid; kill -CONT $pid; wait $pid; rm -rf "$dir"
fi`

func (s *PostgresServer) start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run != nil {
		return errors.New("already running")
	}
	args := []string{filepath.Join(s.bin.Dir, "postgres"), "-D", s.data()}
	for _, setting := range []string{
		"listen_addresses=", "unix_socket_directories=" + s.socketDir(), "unix_socket_permissions=0700", "port=5432",
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=64MB", "shared_buffers=32MB",
		"max_connections=200", "autovacuum=off",
		"dynamic_shared_memory_type=mmap", // inside the data directory: a killed server leaves none elsewhere
		"logging_collector=off", "log_destination=stderr",
		"log_min_messages=warning", "lc_messages=C", "timezone=UTC", "log_timezone=UTC",
	} {
		args = append(args, "-c", setting)
	}
	run, err := supervise(ctx, s.account, s.root, s.root, "QUIT", "database system is ready to accept connections", args)
	if err != nil {
		return err
	}
	s.run = run
	return nil
}

// supervise starts a server under the supervisor and waits until its log says
// that it is ready. When this process goes away, the server gets the signal and
// the directory is removed.
func supervise(ctx context.Context, account embedded.Account, workdir, dir, signal, ready string, args []string) (*postgresRun, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", supervisor, "sh", dir, signal}, args...)...)
	cmd.Dir = workdir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	// Its own group: Ctrl-C in the terminal is for the tests, which then end it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if account.Drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(account.UID), Gid: uint32(account.GID)}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	run := &postgresRun{cmd: cmd, stdin: stdin, log: newLogTail(ready)}
	go run.log.read(stdout)
	select {
	case <-run.log.ready:
		return run, nil
	case <-run.log.ended:
		err = fmt.Errorf("it ended at once: %s", run.log)
	case <-ctx.Done():
		err = fmt.Errorf("%w: %s", context.Cause(ctx), run.log)
	}
	fmt.Fprintln(stdin, "stop")
	return nil, errors.Join(err, run.wait())
}

// wait closes the pipe and waits for shell and server.
func (r *postgresRun) wait() error {
	r.stdin.Close()
	<-r.log.ended // before Wait, which closes the pipe under the reader
	return r.cmd.Wait()
}

// stop ends a running server; line is said to the supervisor, first runs before.
func (s *PostgresServer) stop(line string, first func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.run
	if run == nil {
		return errors.New("not running")
	}
	s.run = nil
	var err error
	if first != nil {
		err = first()
		<-run.log.ended
	}
	if line != "" {
		fmt.Fprintln(run.stdin, line)
	}
	run.wait() //nolint:errcheck // the status of a shell that was told to kill its child says nothing
	return err
}

// discard ends the server, if it runs, and removes its files.
func (s *PostgresServer) discard() error {
	s.mu.Lock()
	running := s.run != nil
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), DefaultTimeout)
	defer cancel()
	s.databases.close(ctx)
	s.stopPooler()
	var err error
	if running {
		err = s.stop("", nil)
	}
	return errors.Join(err, os.RemoveAll(s.root))
}

// logTail reads a server's log: it knows when the server is ready and when it
// has ended, and keeps the last lines for a message.
type logTail struct {
	ready, ended chan struct{}
	readyText    string

	mu   sync.Mutex
	last []string
}

func newLogTail(readyText string) *logTail {
	return &logTail{ready: make(chan struct{}), ended: make(chan struct{}), readyText: readyText}
}

func (l *logTail) read(r io.Reader) {
	defer close(l.ended)
	ready := sync.OnceFunc(func() { close(l.ready) })
	for lines := bufio.NewReader(r); ; {
		// ReadLine cuts a line that is longer than the buffer. Reading must go on
		// whatever comes: a full pipe would stop the server.
		text, _, err := lines.ReadLine()
		if err != nil {
			return
		}
		line := string(text)
		l.mu.Lock()
		l.last = append(l.last, line)
		if len(l.last) > 10 {
			l.last = l.last[1:]
		}
		l.mu.Unlock()
		if strings.Contains(line, l.readyText) {
			ready()
		}
	}
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, " | ")
}
