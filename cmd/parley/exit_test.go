package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// 2 is for settings that cannot be, before anything was tried; 1 for what was tried
// and failed. Both are one sentence.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	foreign, newer := filepath.Join(t.TempDir(), "photos"), filepath.Join(t.TempDir(), "newer")
	for file, text := range map[string]string{filepath.Join(foreign, "holiday.jpg"): "not ours", filepath.Join(newer, "version"): "999\n"} {
		if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // nobody was let in
	port := taken.Addr().String()
	dev := func(dir string, more ...string) []string {
		return append([]string{"dev", "--no-build", "--data-dir", dir, "--addr"}, more...)
	}
	const (
		failed, usage = 1, 2 // what scripts know
		free, gone    = "127.0.0.1:0", "postgres://127.0.0.1:1/x"
	)
	for _, tt := range []struct {
		code int
		say  string
		args []string
	}{
		{usage, "expected one of", nil},
		{usage, "unexpected argument no-such-command", []string{"no-such-command"}},
		{usage, "unknown flag --no-such-flag", []string{"dev", "--no-such-flag"}},
		{usage, "--log-level must be one of", []string{"dev", "--log-level", "loud"}},
		{usage, "--log-level must be one of", []string{"version", "--log-level", "loud"}},
		{usage, "parley dev listens on loopback only", dev(foreign, "0.0.0.0:0")},
		{usage, "no model is configured", dev(foreign, free, "--no-demo")},
		{usage, "set --model (OPENAI_MODEL)", dev(foreign, free, "--openai-base-url", "http://127.0.0.1:1/v1")},
		{usage, "--database-direct-url needs --database-url", dev(foreign, free, "--database-direct-url", gone)},
		{usage, "set --nats-url (PARLEY_NATS_URL), or --join", []string{"agentworker"}},
		{usage, "set --database-url (PARLEY_DATABASE_URL), or --join", []string{"toolworker", "--nats-url", "nats://127.0.0.1:1"}},
		{usage, "set --database-url (PARLEY_DATABASE_URL), or --join", []string{"verify"}},
		{usage, "--join cannot be combined", []string{"rebuild", "--join", newer, "--database-url", gone}},
		{usage, "no such file or directory", []string{"edge", "--join", filepath.Join(newer, "nowhere")}},
		{usage, "a conversation's id has letters", []string{"replay", "--url", "http://127.0.0.1:1", "no/id"}},
		{usage, "a conversation's id has letters", []string{"tail", "--url", "http://127.0.0.1:1", "--conversation", "no/id"}},
		{usage, "--speed must be 0 or more", []string{"replay", "--url", "http://127.0.0.1:1", "--speed=-1", "c"}},
		{usage, "missing ']' in host", []string{"chat", "--url", "http://[::1", "hello"}},

		{failed, "is not empty and holds no Parley data: choose another directory with --data-dir", dev(foreign, free)},
		{failed, "was written by a newer parley", dev(newer, free)},
		{failed, "cannot be used", dev(filepath.Join(foreign, "holiday.jpg", "data"), free)},
		{failed, "cannot listen on " + port + ": ", dev(testkit.DataDir(t), port)},
		{failed, "choose another address with --addr, such as --addr 127.0.0.1:0", dev(testkit.DataDir(t), port)},
		{failed, "choose another address with --admin-addr, such as --admin-addr 127.0.0.1:0", dev(testkit.DataDir(t), free, "--admin-addr", port)},
		{failed, "cannot prepare Postgres at " + gone, dev(testkit.DataDir(t), free, "--database-url", gone)},
		{failed, "cannot prepare Postgres at the given address", dev(testkit.DataDir(t), free, "--database-url", "postgres://127.0.0.1:port/x")},
		{failed, "check --database-direct-url", dev(testkit.DataDir(t), free, "--database-url", "postgres://127.0.0.1:2/x", "--database-direct-url", gone)},
		{failed, "cannot use Postgres at " + gone, []string{"verify", "--log-level", "error", "--wait", "0s", "--database-url", gone}},
		{failed, "start parley dev, or name a server with --url", []string{"chat", "--data-dir", filepath.Join(newer, "nowhere"), "hello"}},
		{failed, "cannot reach Parley at http://127.0.0.1:1", []string{"tail", "--url", "http://127.0.0.1:1"}},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			var out, complaint strings.Builder
			code := run(testkit.Context(t), tt.args, func(string) (string, bool) { return "", false }, &out, &complaint)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if got := strings.TrimSpace(complaint.String()); !strings.HasPrefix(got, "parley: ") || !strings.Contains(got, tt.say) || strings.Contains(got, "\n") {
				t.Errorf("it said %q, want one sentence with %q", got, tt.say)
			}
		})
	}
}
