package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWriteProof(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "proof.md")
	err := writeProof(file, proof{
		at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), where: place{commit: "abc1234 edge: serve", cpu: "2 cores", memory: "8 kB", system: "linux"},
		opts: options{full: true}, sum: summary{12, 1}, took: time.Minute,
		results: []result{
			{phase: phase{name: "test", what: "Go tests"}, state: failed, passed: 12, took: time.Second, failures: []entry{{"edge.TestX", "no\n"}}},
			{phase: phase{name: "start", what: "in time"}, state: passed, passed: 1, notes: []string{"second start: 1.20 s"}},
			{phase: phase{name: "e2e", what: "browser"}, state: notRun, reason: "no browser"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"By `go run ./tools/check --full --proof FILE`: **12 passed, 1 failed** in 1m0s.",
		"- Date: 2026-01-02 03:04 UTC\n- Commit: abc1234 edge: serve\n- Machine: 2 cores, 8 kB\n",
		"| `test` | Go tests | FAIL | 1.0 s | 12 | 1 | 0 |\n",
		"## Failed\n\n- `test`: edge.TestX\n",
		"## Measured on the way\n\n- `start`: second start: 1.20 s\n",
		"## Not proven\n\n- e2e did not run: no browser\n",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the proof lacks %q:\n%s", want, b)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	p := describe(".")
	if !regexp.MustCompile(`^[0-9a-f]{7,} \S`).MatchString(p.commit) || p.system == "" || !strings.Contains(p.cpu, "cores") {
		t.Errorf("describe = %+v", p)
	}
}

// The document that is kept is of this check, and of all of it.
func TestTheKeptProof(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if !strings.Contains(text, "By `go run ./tools/check --full") {
		t.Error("docs/proof.md is not of a run with --full")
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\|").FindAllStringSubmatch(text, -1)
	if len(rows) == 0 {
		t.Error("docs/proof.md names no phase")
	}
	for _, row := range rows {
		if !slices.ContainsFunc(phases(), func(p phase) bool { return p.name == row[1] }) {
			t.Errorf("docs/proof.md names the phase %s, which the check does not have", row[1])
		}
	}
}

// Processes are found by what their command line contains.
func TestProcessesOf(t *testing.T) {
	t.Parallel()
	list, err := processesOf(filepath.Base(os.Args[0]))
	if err != nil {
		t.Fatal(err)
	}
	if (len(list) > 0) != (runtime.GOOS == "linux") {
		t.Errorf("processes of this test: %q", list)
	}
	if none, err := processesOf(t.TempDir()); err != nil || len(none) != 0 {
		t.Errorf("processes of a folder that nobody uses: %q, %v", none, err)
	}
}
