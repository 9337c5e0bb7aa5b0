package main

import (
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/internal/demomodel"
	"github.com/parleychat/parley/internal/testkit"
)

// Roles come before NATS, before the tables and before the streams, and begin to
// work when all of it is there.
func TestRolesWaitForTheirServers(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db, nats := testkit.EmptyPostgres(t), testkit.StartNATS(t)
	model := httptest.NewServer(demomodel.New(demomodel.Options{}))
	t.Cleanup(model.Close)
	servers := []string{
		"PARLEY_NATS_URL=" + nats.URL(), "PARLEY_DATABASE_URL=" + db.AppURL, "PARLEY_DATABASE_DIRECT_URL=" + db.OwnerURL,
		"OPENAI_BASE_URL=" + model.URL + "/v1", "OPENAI_MODEL=demo", "PARLEY_WAIT=60s",
		"PARLEY_AUTH_JWKS_URL=" + model.URL, "PARLEY_AUTH_ISSUER=" + auth.DevIssuerName, "PARLEY_AUTH_AUDIENCE=" + auth.DevAudience,
	}
	nats.Stop(t)
	started := map[*process]string{
		parley(t, servers, "agentworker"):                   `"agentworker started"`,
		parley(t, servers, "toolworker"):                    `"toolworker started"`,
		parley(t, servers, "recorder"):                      `"recording"`,
		parley(t, servers, "edge", "--addr", "127.0.0.1:0"): `"edge is up"`,
	}
	provision := parley(t, servers, "provision")
	for p := range started {
		p.expect(ctx, `"what":"NATS"`)
	}
	provision.expect(ctx, `"what":"NATS"`)
	nats.Start(t)
	if code := provision.wait(ctx); code != exitDone {
		t.Fatalf("provision: exit code %d", code)
	}
	for p, line := range started {
		p.expect(ctx, line)
		if n := strings.Count(p.output(), `"what":"NATS"`); n != 1 {
			t.Errorf("%v said %d times that it waits for NATS", p.cmd.Args[1:], n)
		}
		if code, _ := p.stop(ctx); code != exitDone {
			t.Errorf("%v: exit code %d", p.cmd.Args[1:], code)
		}
	}
}

// What is not there when patience ends is one sentence and exit code 1; what
// waiting cannot mend is that at once.
func TestRolesGiveUp(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db, nats := testkit.Postgres(t), testkit.StartNATS(t)
	locked := testkit.StartNATS(t, func(o *server.Options) { o.Username, o.Password = "parley", "right" })
	if p := parley(t, nil, "provision", "--nats-url", nats.URL(), "--database-url", db.OwnerURL); p.wait(ctx) != exitDone {
		t.Fatal("provision failed")
	}
	idle := t.TempDir() // of a parley dev that does not run
	if err := os.WriteFile(filepath.Join(idle, "version"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong, err := url.Parse(db.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword(wrong.User.Username(), "s3cret")
	for _, tt := range []struct {
		name, wait string
		args       []string
		code       int
		say        string
	}{
		{"no NATS", "300ms", []string{"--nats-url", "nats://127.0.0.1:1", "--database-url", db.AppURL}, exitFailed, "parley: cannot reach NATS at nats://127.0.0.1:1: "},
		{"no Postgres", "300ms", []string{"--nats-url", nats.URL(), "--database-url", "postgres://127.0.0.1:1/parley"}, exitFailed, "parley: cannot use Postgres at postgres://127.0.0.1:1/parley: "},
		{"no dev", "300ms", []string{"--join", idle}, exitFailed, "no parley is running on data directory"},
		{"no such folder", "1h", []string{"--join", filepath.Join(idle, "nowhere")}, exitUsage, "parley: --join: "},
		{"NATS URL is none", "1h", []string{"--nats-url", "nats://127.0.0.1:port", "--database-url", db.AppURL}, exitFailed, "parley: cannot reach NATS at the given address: not a valid address"},
		{"NATS refuses us", "1h", []string{"--nats-url", strings.Replace(locked.URL(), "://", "://parley:s3cret@", 1), "--database-url", db.AppURL}, exitFailed, "Authorization Violation"},
		{"Postgres URL is none", "1h", []string{"--nats-url", nats.URL(), "--database-url", "postgres://127.0.0.1:port/x"}, exitFailed, "parley: cannot use Postgres at the given address: "},
		{"Postgres refuses us", "1h", []string{"--nats-url", nats.URL(), "--database-url", wrong.String()}, exitFailed, "authentication failed"},
	} {
		p := parley(t, []string{"PARLEY_LOG_LEVEL=error"}, append([]string{"toolworker", "--wait", tt.wait}, tt.args...)...)
		if code := p.wait(ctx); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.name, code, tt.code)
		}
		if out := p.output(); !strings.Contains(out, tt.say) || strings.Count(strings.TrimSpace(out), "\n") > 0 || strings.Contains(out, "s3cret") {
			t.Errorf("%s: it said %q, want one sentence with %q", tt.name, out, tt.say)
		}
	}
}
