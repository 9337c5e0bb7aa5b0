package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/recorder"
)

// ended runs a command to its end, as on a terminal, and returns its exit code and output.
func ended(t *testing.T, args ...string) (int, string) {
	t.Helper()
	p := parley(t, []string{"PARLEY_LOG_LEVEL=auto", "PARLEY_LOG_FORMAT=text"}, args...)
	<-p.done
	return p.cmd.ProcessState.ExitCode(), p.output()
}

// Replay shows how an answer came about; verify finds nothing, until somebody
// edits a row; rebuild mends what can be derived, while everything runs.
func TestReplayVerifyRebuild(t *testing.T) {
	t.Parallel()
	ctx, dir := testkit.Context(t), testkit.DataDir(t)
	p := parley(t, nil, devArgs(dir)...)
	p.expect(ctx, "Ctrl-C stops it")
	if code, out := ended(t, "chat", "--data-dir", dir, "--user", "ana", "add buy milk"); code != exitDone {
		t.Fatalf("chat: %d %q", code, out)
	}
	ep, err := embedded.ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(ctx, ep.DatabaseDirectURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.WithoutCancel(ctx)) })
	conversation := recorded(ctx, t, db)

	code, out := ended(t, "replay", "--data-dir", dir, "--user", "ana", conversation)
	for _, want := range []string{`(?m)^\+00:00:00\.000     1\.0  message\.accepted       "add buy milk"$`, `tool\.called +add_task \{.*buy milk`, `run\.completed`, `as of n=\d+: .*, 1 messages, 1 tool calls, 1 completed`} {
		if code != exitDone || !regexp.MustCompile(want).MatchString(strings.ToLower(out)) {
			t.Errorf("replay: %d, no %s in\n%s", code, want, out)
		}
	}
	if code, out := ended(t, "replay", "--data-dir", dir, "--user", "ana", "--at", "1", "--speed", "1000", conversation); code != exitDone || !strings.Contains(out, "as of n=1: no title, 1 messages, 0 tool calls, 1 in_progress") {
		t.Errorf("replay --at 1: %d\n%s", code, out)
	}
	if code, out := ended(t, "replay", "--data-dir", dir, "--user", "ana", "--json", conversation); code != exitDone || !strings.HasPrefix(out, `{"v":1,"conversation_id":"`+conversation) {
		t.Errorf("replay --json: %d\n%s", code, out)
	}
	if code, out := ended(t, "replay", "--data-dir", dir, "--user", "ana", "--markdown", conversation); code != exitDone || !strings.Contains(out, "> add buy milk\n") {
		t.Errorf("replay --markdown: %d\n%s", code, out)
	}
	if code, out := ended(t, "replay", "--data-dir", dir, "--user", "bob", conversation); code != exitFailed || !strings.Contains(out, "There is no such conversation.") {
		t.Errorf("replay of somebody else's: %d\n%s", code, out)
	}

	if code, out := ended(t, "verify", "--join", dir); code != exitDone || !strings.HasPrefix(out, "checked ") || !strings.Contains(out, "0 differences, 0 unverifiable") {
		t.Errorf("verify: %d\n%s", code, out)
	}
	edit(ctx, t, db, `UPDATE task SET title = 'sell milk'`, `UPDATE run SET status = 'failed'`)
	code, out = ended(t, "verify", "--join", dir)
	for _, want := range []string{"difference    run ana/" + conversation, "difference    task ana task_id=1 altered", "parley: 2 differences"} {
		if code != exitFailed || !strings.Contains(out, want) {
			t.Errorf("verify: %d, no %q in\n%s", code, want, out)
		}
	}
	if code, out := ended(t, "rebuild", "--join", dir); code != exitDone || !strings.HasPrefix(out, "rebuilt ") {
		t.Errorf("rebuild: %d\n%s", code, out)
	}
	code, out = ended(t, "verify", "--database-url", ep.DatabaseDirectURL, "--json")
	var report recorder.Report
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &report); err != nil || code != exitFailed || report.Differences.Count != 1 || report.Differences.List[0].Table != "task" {
		t.Errorf("verify --json: %d %v\n%s", code, err, out)
	}
	if code, _ := p.stop(ctx); code != exitDone {
		t.Errorf("dev ended with %d", code)
	}
}

// recorded waits until the answer of the only conversation is in the archive,
// with its title, and returns the conversation.
func recorded(ctx context.Context, t *testing.T, db *pgx.Conn) string {
	t.Helper()
	for {
		var id string
		err := db.QueryRow(ctx, `SELECT conversation_id FROM archive WHERE 'conversation.renamed' = ANY(types)`).Scan(&id)
		if err == nil {
			return id
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func edit(ctx context.Context, t *testing.T, db *pgx.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := db.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
}
