package testkit

import "context"

// Hold starts a cluster and leaves it running; it returns the supervising
// shell's pid and the cluster's directory.
func Hold() (shell int, root string, err error) {
	s, err := newPostgresServer(context.Background())
	if err != nil {
		return 0, "", err
	}
	return s.run.cmd.Process.Pid, s.root, nil
}

// AdminURL returns the superuser's URL.
func AdminURL(s *PostgresServer) string { return s.url("postgres", rolePassword, "postgres") }

// PoolerBackends is how many server connections a pooled database may have.
const PoolerBackends = poolerBackends
