package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/parleychat/parley/internal/bench"
	"github.com/parleychat/parley/internal/testkit"
)

// Every mode of the bench at a small level: it runs, measures something, and
// finds nothing lost and nothing doubled. How long anything took proves nothing
// here.
func TestBenchMeasuresAWholeParley(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	file := filepath.Join(t.TempDir(), "lines.jsonl")
	p := parley(t, nil, "bench", "--modes", "stream,tool", "--levels", "2", "--for", "1s", "--json", file)
	select {
	case <-p.done:
	case <-ctx.Done():
		t.Fatal("the bench does not end")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != exitDone {
		t.Fatalf("exit code %d", code)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := bench.ReadLines(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		seen[l.Mode] = true
		if l.Lost != 0 || l.Doubled != 0 || l.Failure != "" || l.Runs == 0 || l.Tokens == 0 {
			t.Errorf("%s %d: lost %d, doubled %d, runs %d, tokens %d, %s", l.Mode, l.Level, l.Lost, l.Doubled, l.Runs, l.Tokens, l.Failure)
		}
	}
	for _, mode := range bench.ModeNames() {
		if !seen[mode] {
			t.Errorf("mode %s was not measured", mode)
		}
	}
}
