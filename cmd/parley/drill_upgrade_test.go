//go:build drills

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// previous builds the parley of an earlier commit: PARLEY_TEST_OLD, or the one
// before this.
func previous(ctx context.Context, t testing.TB) string {
	t.Helper()
	rev := os.Getenv("PARLEY_TEST_OLD")
	if rev == "" {
		rev = "HEAD~1"
	}
	dir := t.TempDir()
	script := `set -e; cd "$(git rev-parse --show-toplevel)"; git archive "$1" | tar -x -C "$2"; cd "$2"; go build -o "$2/old-parley" ./cmd/parley`
	if out, err := exec.CommandContext(ctx, "/bin/sh", "-c", script, "sh", rev, dir).CombinedOutput(); err != nil {
		t.Fatalf("build parley of %s (in a shallow clone, git fetch --unshallow): %v\n%s", rev, err, out)
	}
	return filepath.Join(dir, "old-parley")
}

// Old and new processes work on one log, in either direction: all runs end, and
// each edge reads what the other version's workers wrote.
func TestDrillUpgrade(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	old := previous(ctx, t)
	finish := make(chan struct{})
	model := obedient(ctx, t, finish)
	d := deploy(ctx, t, testkit.StartNATS(t).URL(), testkit.Postgres(t), model.URL)
	fresh := d.bin
	start := func(bin string, roles ...string) (list []*process) {
		d.bin = bin
		defer func() { d.bin = fresh }()
		for _, role := range roles {
			list = append(list, d.start(ctx, role))
		}
		return list
	}
	stop := func(list []*process) {
		for _, p := range list {
			d.term(p)
			d.wait(ctx, p, exitDone)
		}
	}
	both := start(old, "edge")
	both = append(both, start(fresh, "edge")...)
	var said []*reader
	talk := func(who string) {
		t.Helper()
		for i, text := range []string{"hello", "task", "more"} {
			for k := range 6 { // at either edge, in each way
				r := d.asks(who, fmt.Sprintf("%s %s%d%d", text, who, i, k))
				said = append(said, r)
				if err := r.read(k)(ctx); err != nil {
					t.Errorf("%s: %v", who, err)
				}
			}
		}
	}
	for _, workers := range []struct{ who, bin string }{{"new", fresh}, {"old", old}, {"again", fresh}} {
		list := start(workers.bin, "recorder", "toolworker", "agentworker")
		talk(workers.who)
		stop(list)
	}
	close(finish)
	for _, r := range said {
		var read []string
		for range both {
			var page struct {
				Data []jsonText `json:"data"`
			}
			r.at = d.edge(r.at)
			res, err := r.call(ctx, http.MethodGet, r.api("/conversations/"+string(r.conv)+"/events"), "application/json", nil)
			if err == nil {
				err = decode(res, &page)
				_ = res.Body.Close() // read to its end
			}
			if err != nil || len(page.Data) == 0 {
				t.Fatalf("events of %s at %s: %v", r.message, r.at, err)
			}
			var text strings.Builder
			for _, commit := range page.Data {
				text.WriteString(string(commit))
			}
			read = append(read, text.String())
		}
		if read[0] != read[1] || strings.Count(read[0], `"run.completed"`) != 1 {
			t.Errorf("%s is read as\n%s\nand\n%s", r.message, read[0], read[1])
		}
	}
}
