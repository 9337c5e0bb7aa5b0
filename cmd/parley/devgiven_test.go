package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// On a Postgres that is given, through a pooler if PARLEY_TEST_PGBOUNCER names one,
// dev makes its tables by the direct way, and finds everything again.
func TestDevOnAGivenPostgres(t *testing.T) {
	t.Parallel()
	ctx, dir, db := testkit.Context(t), testkit.DataDir(t), testkit.EmptyPostgres(t)
	args := devArgs(dir, "--database-url", db.AppURL)
	given := []string{"PARLEY_DATABASE_DIRECT_URL=" + db.OwnerURL}
	for run := range 2 {
		p := parley(t, given, args...)
		p.expect(ctx, "Ctrl-C stops it")
		if !regexp.MustCompile(`(?m)^  Postgres  given: `).MatchString(p.output()) {
			t.Error("the welcome does not say that Postgres was given")
		}
		if children := childrenOf(t, p.cmd.Process.Pid); len(children) > 0 {
			t.Errorf("a Postgres of its own runs beside the given one: %v", children)
		}
		if run == 0 {
			if code, out := ended(t, "chat", "--data-dir", dir, "--user", "ana", "add buy milk"); code != exitDone || !strings.Contains(out, "add_task") {
				t.Errorf("chat: %d %q", code, out)
			}
		}
		if tasks := tasksOf(ctx, t, dir, "ana"); len(tasks) != 1 || !strings.EqualFold(tasks[0], "buy milk") {
			t.Errorf("tasks in run %d: %q", run, tasks)
		}
		if code, out := ended(t, "verify", "--join", dir); code != exitDone {
			t.Errorf("verify in run %d: %d\n%s", run, code, out)
		}
		if code, _ := p.stop(ctx); code != exitDone {
			t.Errorf("dev ended with %d", code)
		}
	}
}
