package testkit_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv("TESTKIT_HOLD") != "" {
		holdCluster()
	}
	testkit.Main(m)
}

// holdCluster is a test binary in the middle of its tests: it says where its
// cluster is and waits to be killed.
func holdCluster() {
	shell, root, err := testkit.Hold()
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(shell, root)
	select {}
}

func TestPostgresIsPrivate(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			ctx := testkit.Context(t)
			db := testkit.Postgres(t)
			// The same table in each: they would collide in one database.
			if _, err := db.Owner(t).Exec(ctx, "CREATE TABLE mine (id int PRIMARY KEY, who text)"); err != nil {
				t.Fatal(err)
			}
			app := db.App(t)
			if _, err := app.Exec(ctx, "INSERT INTO mine VALUES (1, current_user)"); err != nil {
				t.Fatalf("the app role may not write a table of the owner: %v", err)
			}
			if _, err := app.Exec(ctx, "CREATE TABLE yours ()"); err == nil {
				t.Error("the app role made a table")
			}
		})
	}
}

// The app role must not pass by row level security, nor own what it could then
// switch it off for.
func TestPostgresRoles(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db := testkit.Postgres(t)
	owner, app := db.Owner(t), db.App(t)
	if _, err := owner.Exec(ctx, `
		CREATE TABLE note (user_id text, body text);
		INSERT INTO note VALUES ('a', 'of a'), ('b', 'of b');
		ALTER TABLE note ENABLE ROW LEVEL SECURITY;
		ALTER TABLE note FORCE ROW LEVEL SECURITY;
		CREATE POLICY own ON note USING (user_id = current_setting('app.user', true))`); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user string
		want int
	}{{"a", 1}, {"b", 1}, {"", 0}} {
		tx, err := app.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := tx.Exec(ctx, "SELECT set_config('app.user', $1, true)", tt.user); err != nil {
			t.Fatal(err)
		}
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM note").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		if n != tt.want {
			t.Errorf("as %q the app role sees %d rows, want %d", tt.user, n, tt.want)
		}
	}
	if _, err := app.Exec(ctx, "ALTER TABLE note DISABLE ROW LEVEL SECURITY"); err == nil {
		t.Error("the app role switched row level security off")
	}
	var super, bypass bool
	if err := owner.QueryRow(ctx, "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user").Scan(&super, &bypass); err != nil || super || bypass {
		t.Errorf("owner: superuser %v, bypassrls %v, err %v; want neither", super, bypass, err)
	}
}

func TestPostgresStopKillStart(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	s := testkit.StartPostgres(t)
	db := s.Database(t)
	pool := db.Owner(t)
	if _, err := pool.Exec(ctx, "CREATE TABLE kept (id int)"); err != nil {
		t.Fatal(err)
	}
	for _, down := range []struct {
		name string
		do   func(testing.TB)
	}{{"stop", s.Stop}, {"kill", s.Kill}} {
		down.do(t)
		if err := pool.Ping(ctx); err == nil {
			t.Fatalf("%s: the server still answers", down.name)
		}
		s.Start(t)
		if _, err := pool.Exec(ctx, "INSERT INTO kept VALUES (1)"); err != nil {
			t.Fatalf("after %s: %v", down.name, err)
		}
	}
}

// The same helper on a server that somebody else runs: two test binaries at
// once make roles and template once, and leave no database of theirs behind.
func TestExternalServer(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	s := testkit.StartPostgres(t)
	var runs [2]*exec.Cmd
	var outs [2]strings.Builder
	for i := range runs {
		runs[i] = exec.CommandContext(ctx, os.Args[0], "-test.run=^TestPostgresIsPrivate$|^TestPostgresRoles$", "-test.v")
		runs[i].Env = append(os.Environ(), "TEST_DATABASE_URL="+testkit.AdminURL(s))
		runs[i].Stdout, runs[i].Stderr = &outs[i], &outs[i]
		if err := runs[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, run := range runs {
		if err := run.Wait(); err != nil || !strings.Contains(outs[i].String(), "--- PASS: TestPostgresRoles") {
			t.Errorf("run %d: %v\n%s", i, err, outs[i].String())
		}
	}
	admin, err := pgx.Connect(ctx, testkit.AdminURL(s))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(ctx)
	rows, err := admin.Query(ctx, "SELECT datname FROM pg_database WHERE datname LIKE 'parley\\_%' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	// parley_template is the private cluster's own.
	if len(names) != 2 || !strings.HasPrefix(names[1], "parley_template_") || strings.HasSuffix(names[1], "_new") {
		t.Errorf("databases left: %v, want parley_template and one parley_template_<hash>", names)
	}
}
