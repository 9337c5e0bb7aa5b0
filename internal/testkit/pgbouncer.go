package testkit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/parleychat/parley/internal/embedded"
)

// poolerBackends is how many server connections PgBouncer keeps for one
// database: few, so that two transactions of one client really do meet different
// ones.
const poolerBackends = 10

// startPooler puts PgBouncer in transaction mode before the server, if
// PARLEY_TEST_PGBOUNCER names it: what hosted Postgres offers as its pooled
// address. From then on the app role's URLs go through it. Whatever needs a
// session, migrations and advisory locks, keeps the owner's direct one.
func (s *PostgresServer) startPooler(ctx context.Context) error {
	bin := os.Getenv("PARLEY_TEST_PGBOUNCER")
	if bin == "" {
		return nil
	}
	dir := filepath.Join(s.root, "pool")
	users := filepath.Join(dir, "users.txt")
	config := filepath.Join(dir, "pgbouncer.ini")
	err := errors.Join(
		os.Mkdir(dir, 0o700),
		// The passwords in plain text serve both sides: to check a client's, and to
		// log in to the server.
		os.WriteFile(users, fmt.Appendf(nil, "%q %q\n%q %q\n",
			embedded.AppRole, rolePassword, embedded.OwnerRole, rolePassword), 0o600),
		os.WriteFile(config, fmt.Appendf(nil, `[databases]
* = host=%[1]s port=5432

[pgbouncer]
pool_mode = transaction
listen_port = 6432
unix_socket_dir = %[2]s
auth_type = scram-sha-256
auth_file = %[3]s
max_client_conn = 1000
default_pool_size = %[4]d
server_idle_timeout = 2
server_login_retry = 1
query_wait_timeout = 3
log_connections = 0
log_disconnections = 0
`, s.socketDir(), dir, users, poolerBackends), 0o600),
	)
	if s.account.Drop {
		for _, path := range []string{dir, users, config} {
			err = errors.Join(err, os.Chown(path, s.account.UID, s.account.GID))
		}
	}
	if err == nil {
		// KILL: it has no state, and its versions disagree on the other signals.
		s.pooler, err = supervise(ctx, s.account, s.root, dir, "KILL", "process up:", []string{bin, config})
	}
	if err != nil {
		return fmt.Errorf("PARLEY_TEST_PGBOUNCER=%s: %w", bin, err)
	}
	base := &url.URL{Scheme: "postgres", RawQuery: url.Values{
		"host": {dir}, "port": {"6432"}, "sslmode": {"disable"},
	}.Encode()}
	s.databases.pooled = withLogin(base)
	return nil
}

// stopPooler ends PgBouncer with the connections it holds.
func (s *PostgresServer) stopPooler() {
	if s.pooler != nil {
		_ = s.pooler.wait() // the status of a shell that was told to kill its child says nothing
		s.pooler = nil
	}
}
