package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions configures StartPostgres. Only DataDir is needed.
type PostgresOptions struct {
	// DataDir is the data directory, whose lock the caller holds.
	DataDir string
	// Find says which binaries may be used. Its Major is ignored where a
	// cluster exists: that one decides.
	Find FindOptions
	// Port, if not 0, makes the server listen on 127.0.0.1 too, with passwords.
	// Default: a Unix socket in the data directory only.
	Port int
	// Logger defaults to one that discards. The server's log goes there at
	// debug level; it holds no statements and no data.
	Logger *slog.Logger

	// noDeathSignal starts the server as on a system that has no parent-death
	// signals (tests).
	noDeathSignal bool
}

// Postgres is a private PostgreSQL server, a child of this process.
type Postgres struct {
	bin      Binaries
	child    *child
	ownerURL string
	appURL   string
	shortDir string // the temporary socket directory, if there is one

	stopping sync.Once
	stopped  chan struct{} // closed when Stop was asked for
	stopErr  error
}

// cluster is where things are during a start.
type cluster struct {
	opts      PostgresOptions
	account   Account
	root      string // the account's own directory
	secrets   secrets
	port      int
	socketDir string
}

// secrets are the passwords of a cluster.
type secrets struct {
	Superuser string `json:"superuser"`
	Owner     string `json:"owner"`
	App       string `json:"app"`
}

const (
	// startTimeout is for a start with much to replay after a crash.
	startTimeout = 5 * time.Minute
	// shmPatience is for the processes of a killed postmaster to notice.
	shmPatience = 10 * time.Second
)

// StartPostgres starts the cluster of a data directory, which it makes if there
// is none. When it returns, the server is ours, answers, and has the two roles
// and the database.
func StartPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Find.Logger == nil {
		opts.Find.Logger = opts.Logger
	}
	dir, err := filepath.Abs(opts.DataDir)
	if err != nil {
		return nil, err
	}
	opts.DataDir = dir
	account, err := PostgresAccount()
	if err != nil {
		return nil, err
	}
	c := &cluster{opts: opts, account: account, root: filepath.Join(dir, "postgres"), port: opts.Port}
	if c.port == 0 {
		c.port = 5432 // only a part of the socket's name
	} else if err := probePort(c.port); err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	return c.start(ctx)
}

func (c *cluster) data() string { return filepath.Join(c.root, "data") }

func (c *cluster) start(ctx context.Context) (*Postgres, error) {
	major, err := c.existingMajor()
	if err != nil {
		return nil, err
	}
	if major != 0 {
		c.opts.Find.Major = major
	}
	bin, err := FindPostgres(ctx, c.opts.Find)
	if err != nil {
		if major != 0 {
			return nil, fmt.Errorf("data directory %s: %w", c.opts.DataDir, err)
		}
		return nil, err
	}
	if blocked, ok := c.account.canReach(filepath.Join(bin.Dir, "x")); !ok {
		return nil, fmt.Errorf("account %q, which PostgreSQL runs as, cannot read its binaries in %s: %s is closed to it", c.account.Name, bin.Dir, blocked)
	}
	if err := c.directories(); err != nil {
		return nil, err
	}
	if err := c.loadSecrets(major != 0); err != nil {
		return nil, err
	}
	if major == 0 {
		// On disk before it counts: the rename at its end is the promise.
		if err := InitDB(ctx, bin, c.account, c.data(), c.secrets.Superuser, true); err != nil {
			return nil, err
		}
	}
	if err := clearStale(ctx, c.data(), filepath.Join(c.root, "run"), c.opts.Logger); err != nil {
		return nil, err
	}
	shortDir, err := c.chooseSocketDir()
	if err != nil {
		return nil, err
	}
	p := &Postgres{bin: bin, shortDir: shortDir, stopped: make(chan struct{})}
	if p.child, err = c.startServer(ctx, bin); err != nil {
		p.removeShortDir()
		return nil, err
	}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	p.ownerURL = c.url(OwnerRole, c.secrets.Owner, Database)
	p.appURL = c.url(AppRole, c.secrets.App, Database)
	return p, nil
}

// existingMajor returns the major version of the cluster that is there, 0 if
// there is none.
func (c *cluster) existingMajor() (int, error) {
	if _, err := os.Lstat(c.data()); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	file := filepath.Join(c.data(), "PG_VERSION")
	b, err := os.ReadFile(file)
	major := 0
	if err == nil {
		major, err = strconv.Atoi(strings.TrimSpace(string(b)))
	}
	if err != nil || major <= 0 {
		return 0, fmt.Errorf("%s does not tell which PostgreSQL wrote this data (%v): restore it from a backup, or choose another directory with --data-dir", file, err)
	}
	return major, nil
}

// directories makes what the account needs, once it is sure that the account
// can get there.
func (c *cluster) directories() error {
	if blocked, ok := c.account.canReach(c.root); !ok {
		return fmt.Errorf("data directory %s cannot be used by root: PostgreSQL must run as another account, %q, and %s is closed to it; choose a directory such as /var/lib/parley with --data-dir, or run parley as an ordinary user",
			c.opts.DataDir, c.account.Name, blocked)
	}
	for _, dir := range []string{c.root, filepath.Join(c.root, "run")} {
		if err := c.account.mkdir(dir, 0o700); err != nil {
			return unwritable(c.opts.DataDir, err)
		}
	}
	return nil
}

// loadSecrets reads the passwords, or makes them before there is a cluster.
func (c *cluster) loadSecrets(clusterExists bool) error {
	file := filepath.Join(c.opts.DataDir, "postgres.json")
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !clusterExists:
		c.secrets = secrets{Superuser: newPassword(), Owner: newPassword(), App: newPassword()}
		b, err := json.Marshal(c.secrets)
		if err != nil {
			return err
		}
		if err := writeAtomic(file, append(b, '\n')); err != nil {
			return unwritable(c.opts.DataDir, err)
		}
		return nil
	case err == nil:
		err = json.Unmarshal(b, &c.secrets)
		if err == nil && (c.secrets.Superuser == "" || c.secrets.Owner == "" || c.secrets.App == "") {
			err = errors.New("a password is missing")
		}
	}
	if err != nil {
		return fmt.Errorf("%s, which holds the passwords of the PostgreSQL data beside it, cannot be read (%v): restore it from a backup", file, err)
	}
	return nil
}

// longestSocketPath is macOS's limit less its end mark; Linux allows 4 more.
const longestSocketPath = 103

const shortSocketPrefix = "parley-pg-"

// chooseSocketDir uses run/ in the data directory, or where that is too long a
// name for a socket, a short temporary directory, which it returns.
func (c *cluster) chooseSocketDir() (short string, err error) {
	c.socketDir = filepath.Join(c.root, "run")
	socket := func(dir string) string { return filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", c.port)) }
	if len(socket(c.socketDir)) <= longestSocketPath {
		return "", nil
	}
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		if _, ok := c.account.canReach(filepath.Join(parent, "x")); !ok {
			continue
		}
		dir, err := os.MkdirTemp(parent, shortSocketPrefix) // 0700
		if err != nil {
			continue
		}
		if len(socket(dir)) <= longestSocketPath && c.account.own(dir) == nil {
			c.socketDir = dir
			return dir, nil
		}
		_ = os.Remove(dir)
	}
	return "", fmt.Errorf("data directory %s has too long a name for PostgreSQL's socket, and no shorter place was found: choose another with --data-dir", c.opts.DataDir)
}

func isShortSocketDir(dir string) bool {
	return strings.HasPrefix(filepath.Base(dir), shortSocketPrefix)
}

// startServer starts the postmaster and returns when it is ready and certainly
// ours.
func (c *cluster) startServer(ctx context.Context, bin Binaries) (*child, error) {
	patience := time.Now().Add(shmPatience)
	for {
		ch, err := c.tryServer(ctx, bin)
		if err == nil {
			return ch, nil
		}
		// The postmaster was killed and others of its processes still write to
		// the data. Idle ones notice at once; busy ones are told, as their
		// postmaster would have.
		if !strings.Contains(err.Error(), "pre-existing shared memory block") || time.Now().After(patience) {
			return nil, err
		}
		for _, pid := range leftovers(c.data()) {
			c.opts.Logger.Info("ending a process of a killed PostgreSQL", "pid", pid)
			_ = syscall.Kill(pid, syscall.SIGQUIT) // gone meanwhile is as good
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *cluster) tryServer(ctx context.Context, bin Binaries) (*child, error) {
	listen := ""
	if c.opts.Port != 0 {
		listen = "127.0.0.1"
	}
	args := []string{"-D", c.data()}
	for _, setting := range []string{
		"listen_addresses=" + listen, "port=" + strconv.Itoa(c.port),
		"unix_socket_directories=" + quoteListItem(c.socketDir), "unix_socket_permissions=0700",
		"max_connections=200", "cluster_name=parley",
		"logging_collector=off", "log_destination=stderr", "lc_messages=C",
		// What the server itself has to say, without statements and their data.
		"log_min_messages=log", "log_min_error_statement=panic",
		"timezone=UTC", "log_timezone=UTC",
	} {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(bin.postgres(), args...) // not bound to ctx: Stop ends it
	cmd.Dir = c.root
	cmd.Env = childEnv()
	whenWeDie := syscall.SIGINT
	if c.opts.noDeathSignal {
		whenWeDie = 0
	}
	cmd.SysProcAttr = c.account.childAttr(whenWeDie)
	ch, err := startChild(cmd, c.opts.Logger)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL (%s): %w", bin, err)
	}
	select {
	case <-ch.log.ready:
	case <-ch.done:
		return nil, fmt.Errorf("PostgreSQL (%s) ended at its start: %v; its last lines: %s", bin, ch.exit, ch.log)
	case <-time.After(startTimeout):
		err = fmt.Errorf("PostgreSQL (%s) was not ready after %v; its last lines: %s", bin, startTimeout, ch.log)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		// Whoever answers on the socket, it must be our child.
		var now postmasterPID
		now, _, err = readPID(c.data())
		if err == nil && now.pid != ch.pid {
			err = fmt.Errorf("PostgreSQL on %s is process %d, not the one just started (%d)", c.data(), now.pid, ch.pid)
		}
	}
	if err != nil {
		return nil, errors.Join(err, ch.stop(context.WithoutCancel(ctx)))
	}
	return ch, nil
}

// prepare makes the roles and the database where they are missing, as after a
// first start that was interrupted.
func (c *cluster) prepare(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.url(superuser, c.secrets.Superuser, "postgres"))
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The description is set last, so it says that all of this was done.
	const done = "parley 1"
	var description *string
	err = conn.QueryRow(ctx, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", Database).Scan(&description)
	exists := !errors.Is(err, pgx.ErrNoRows)
	if err != nil && exists {
		return fmt.Errorf("look up the database: %w", err)
	}
	if description != nil && *description == done {
		return nil
	}
	if err := EnsureRoles(ctx, conn, c.secrets.Owner, c.secrets.App); err != nil {
		return err
	}
	if !exists {
		if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s OWNER %s", Database, OwnerRole)); err != nil {
			return fmt.Errorf("create the database: %w", err)
		}
	}
	inside, err := pgx.Connect(ctx, c.url(superuser, c.secrets.Superuser, Database))
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer inside.Close(context.WithoutCancel(ctx))
	if err := PrepareDatabase(ctx, inside); err != nil {
		return err
	}
	if _, err := inside.Exec(ctx, fmt.Sprintf("COMMENT ON DATABASE %s IS %s", Database, quoteLiteral(done))); err != nil {
		return fmt.Errorf("mark the database: %w", err)
	}
	return nil
}

func (c *cluster) url(user, password, database string) string {
	return socketURL(c.socketDir, c.port, user, password, database)
}

// quoteListItem quotes one item of a setting that is a list: a path may hold
// commas, spaces and capitals.
func quoteListItem(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// OwnerURL is for migrations and for whatever may pass by no pooler.
func (p *Postgres) OwnerURL() string { return p.ownerURL }

// AppURL is for everything that serves people.
func (p *Postgres) AppURL() string { return p.appURL }

// Binaries says what runs: origin, version and place.
func (p *Postgres) Binaries() Binaries { return p.bin }

// PID is the postmaster's process id.
func (p *Postgres) PID() int { return p.child.pid }

// Done is closed when the server is gone, asked or not.
func (p *Postgres) Done() <-chan struct{} { return p.child.done }

// Err returns nil while the server runs or after Stop, else why it ended, with
// its last log lines.
func (p *Postgres) Err() error {
	select {
	case <-p.child.done:
	default:
		return nil
	}
	select {
	case <-p.stopped:
		return nil
	default:
	}
	how := "exit status 0"
	if p.child.exit != nil {
		how = p.child.exit.Error()
	}
	return fmt.Errorf("PostgreSQL (pid %d) ended by itself: %s; its last lines: %s", p.child.pid, how, p.child.log)
}

// Stop ends the server: at once for its clients, after a checkpoint, in some
// hundredths of a second. If that takes long, or ctx ends, it is made to end. It
// may be called twice, and after the server ended by itself.
func (p *Postgres) Stop(ctx context.Context) error {
	p.stopping.Do(func() {
		select {
		case <-p.child.done: // by itself: that is Err's to tell
		default:
			close(p.stopped)
			p.stopErr = p.child.stop(ctx)
		}
		p.removeShortDir()
	})
	return p.stopErr
}

func (p *Postgres) removeShortDir() {
	if p.shortDir != "" {
		_ = os.Remove(p.shortDir) // PostgreSQL has removed what was in it
	}
}
