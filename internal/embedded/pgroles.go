package embedded

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The roles of a Parley database. Migrations run as OwnerRole, which owns the
// tables; everything that serves people runs as AppRole, which cannot pass by
// row level security. Neither is a superuser.
const (
	OwnerRole = "parley_owner"
	AppRole   = "parley_app"
	// Database is the name of the database of a private cluster.
	Database = "parley"
)

// EnsureRoles creates the owner and the app role, or gives them the passwords.
// conn must belong to a superuser or to a role that may create roles.
func EnsureRoles(ctx context.Context, conn *pgx.Conn, ownerPassword, appPassword string) error {
	for _, r := range []struct{ name, password string }{{OwnerRole, ownerPassword}, {AppRole, appPassword}} {
		var exists bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", r.name).Scan(&exists); err != nil {
			return fmt.Errorf("look up role %s: %w", r.name, err)
		}
		verb := "CREATE"
		if exists {
			verb = "ALTER"
		}
		// Utility statements take no parameters; passwords are ours (hex), and
		// quoted all the same.
		sql := fmt.Sprintf("%s ROLE %s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION PASSWORD %s",
			verb, r.name, quoteLiteral(r.password))
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s role %s: %w", strings.ToLower(verb), r.name, err)
		}
	}
	return nil
}

// PrepareDatabase prepares the database that conn is connected to: the owner
// may create tables in schema public, the app role may connect, and nobody else
// may do either. What the app role may do with tables is the migrations' matter.
func PrepareDatabase(ctx context.Context, conn *pgx.Conn) error {
	db := pgx.Identifier{conn.Config().Database}.Sanitize()
	_, err := conn.Exec(ctx, strings.NewReplacer("%db", db, "%owner", OwnerRole, "%app", AppRole).Replace(`
		REVOKE ALL ON DATABASE %db FROM PUBLIC;
		GRANT CONNECT ON DATABASE %db TO %app;
		GRANT ALL ON DATABASE %db TO %owner;
		ALTER SCHEMA public OWNER TO %owner;
		REVOKE CREATE ON SCHEMA public FROM PUBLIC;
	`))
	if err != nil {
		return fmt.Errorf("prepare database %s: %w", db, err)
	}
	return nil
}

// socketURL returns a connection URL over a Unix socket in dir.
func socketURL(dir string, port int, user, password, database string) string {
	u := url.URL{
		Scheme: "postgres",
		User:   url.UserPassword(user, password),
		Path:   "/" + database,
		RawQuery: url.Values{
			"host": {dir}, "port": {fmt.Sprint(port)},
			"sslmode": {"disable"}, // a Unix socket has no TLS
		}.Encode(),
	}
	return u.String()
}

func quoteLiteral(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
