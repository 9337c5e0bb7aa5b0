package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parleychat/parley/internal/bench"
)

// measures is what a mode measures beside what all do.
var measures = map[string][]string{
	"idle": {"kib_per_socket"}, "resume": {"back_p50_ms", "open_p50_floor_ms"}, "fanout": {"frames_per_s"}, "slow": {"stalled_answers"},
	"kill": {"next_text_s"}, "scale": {"runs_per_s"}, "grow": {"cold_first_p50_ms"},
}

// Every mode of the bench at a small level: it runs, measures something, and
// finds nothing lost and nothing doubled. How long anything took proves nothing
// here.
func TestBenchMeasuresAWholeParley(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // nine modes, of seconds each
	defer cancel()
	file := filepath.Join(t.TempDir(), "lines.jsonl")
	p := parley(t, nil, "bench", "--levels", "2", "--for", "1s", "--agent-ack-wait", "2s", "--json", file)
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
		if l.Lost != 0 || l.Doubled != 0 || l.Failure != "" {
			t.Errorf("%s %d: lost %d, doubled %d, %s", l.Mode, l.Level, l.Lost, l.Doubled, l.Failure)
		}
		// On a busy machine a second may hold tokens and the end of no run, or the other way round.
		if l.Mode != "idle" && l.Runs == 0 && l.Tokens == 0 {
			t.Errorf("%s %d: runs %d, tokens %d", l.Mode, l.Level, l.Runs, l.Tokens)
		}
		for _, want := range measures[l.Mode] {
			if l.Extra[want] <= 0 {
				t.Errorf("%s %d: %s was not measured: %v", l.Mode, l.Level, want, l.Extra)
			}
		}
		if withFloor := l.Mode == "stream" || l.Mode == "fanout"; withFloor != (l.Floor != nil) {
			t.Errorf("%s %d: a floor was measured: %v", l.Mode, l.Level, l.Floor != nil)
		}
	}
	for _, mode := range bench.ModeNames() {
		if !seen[mode] {
			t.Errorf("mode %s was not measured", mode)
		}
	}
}
