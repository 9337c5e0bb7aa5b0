package testkit_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/internal/testkit"
)

// compose.yaml makes the two roles with a script of psql's, before any Go runs.
// It must come to what embedded.EnsureRoles and PrepareDatabase come to, which
// the template of every test database has been through.
func TestComposeMakesTheSameRoles(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	s := testkit.StartPostgres(t)
	admin, err := pgx.Connect(ctx, testkit.AdminURL(s))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "CREATE DATABASE composed TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}

	script, err := os.ReadFile("../../compose/postgres-roles.sql")
	if err != nil {
		t.Fatal(err)
	}
	// What psql does with its own two notations; and other names, because roles
	// belong to the whole cluster.
	sql := regexp.MustCompile(`(?m)^\\getenv .*$`).ReplaceAllString(string(script), "")
	sql = regexp.MustCompile(`:'\w+'`).ReplaceAllString(sql, "'secret'")
	sql = strings.NewReplacer("parley_owner", "composed_owner", "parley_app", "composed_app", "DATABASE parley ", "DATABASE composed ").Replace(sql)
	composed, err := pgx.Connect(ctx, strings.Replace(testkit.AdminURL(s), "/postgres?", "/composed?", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer composed.Close(ctx)
	if _, err := composed.Exec(ctx, sql); err != nil {
		t.Fatalf("%v in\n%s", err, sql)
	}

	// Everything a role may do by itself, and with an empty database.
	describe := func(conn *pgx.Conn, prefix string) []map[string]any {
		rows, err := conn.Query(ctx, `
			SELECT substr(rolname, length($1) + 1) AS name, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
				has_database_privilege(oid, current_database(), 'CONNECT') AS connect,
				has_database_privilege(oid, current_database(), 'CREATE') AS create_schema,
				has_database_privilege(oid, current_database(), 'TEMP') AS temp,
				has_schema_privilege(oid, 'public', 'USAGE') AS use_public,
				has_schema_privilege(oid, 'public', 'CREATE') AS create_in_public
			FROM pg_roles WHERE rolname IN ($1 || '_owner', $1 || '_app') ORDER BY 1`, prefix)
		if err != nil {
			t.Fatal(err)
		}
		roles, err := pgx.CollectRows(rows, pgx.RowToMap)
		if err != nil {
			t.Fatal(err)
		}
		return roles
	}
	template, err := pgx.Connect(ctx, strings.Replace(testkit.AdminURL(s), "/postgres?", "/parley_template?", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer template.Close(ctx)
	want, got := describe(template, "parley"), describe(composed, "composed")
	if len(want) != 2 {
		t.Fatalf("the template has the roles %v", want)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("compose/postgres-roles.sql differs (-embedded +compose):\n%s", diff)
	}
}
