package main

import (
	"fmt"
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
			{phase: phase{name: "start", what: "in time"}, state: passed, passed: 1, notes: []string{"second start: 1.20 s"}, tables: []table{{"Planted bugs", []string{"bug", "caught by"}, [][]string{{"`a`", "I1"}}}}},
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
		"## Planted bugs\n\n| bug | caught by |\n|---|---|\n| `a` | I1 |\n",
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

// The document that is kept is of this check, and of all of it: what has come
// since is named.
func TestTheKeptProof(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range rotten(string(b), phases()) {
		t.Errorf("docs/proof.md %s", line)
	}
}

var (
	phaseRow = regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\|.*\\| (ok|FAIL|NOT RUN) \\|")
	// newerThan is the sentence by which a kept proof names the phases that came
	// after it, between backticks.
	newerThan = regexp.MustCompile(`phases?\s+(?:is|are)\s+newer\s+than\s+this\s+table:([^.]*)\.`)
	ticked    = regexp.MustCompile("`([a-z0-9-]+)`")
)

// rotten says what a kept proof says of the phases and is not so, or does not say.
func rotten(text string, list []phase) []string {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !strings.Contains(text, "By `go run ./tools/check --full") {
		complain("is not of a run with --full")
	}
	known := func(name string) bool {
		return slices.ContainsFunc(list, func(p phase) bool { return p.name == name })
	}
	proven, newer := map[string]bool{}, map[string]bool{}
	for _, row := range phaseRow.FindAllStringSubmatch(text, -1) {
		proven[row[1]] = true
		if !known(row[1]) {
			complain("has a row of the phase %s, which the check does not have", row[1])
		}
	}
	if m := newerThan.FindStringSubmatch(text); m != nil {
		for _, name := range ticked.FindAllStringSubmatch(m[1], -1) {
			newer[name[1]] = true
			switch {
			case !known(name[1]):
				complain("calls %s newer than its table, which the check does not have", name[1])
			case proven[name[1]]:
				complain("calls %s newer than its table, in which it stands", name[1])
			}
		}
	}
	var missing []string
	for _, p := range list {
		if !proven[p.name] && !newer[p.name] {
			missing = append(missing, "`"+p.name+"`")
		}
	}
	if len(missing) > 0 {
		complain("lacks phases: run --full --proof again, or let it say %q", "These phases are newer than this table: "+strings.Join(missing, ", ")+".")
	}
	return wrong
}

// What a kept proof may and may not leave out.
func TestAProofRots(t *testing.T) {
	t.Parallel()
	const head, one = "By `go run ./tools/check --full --strict --proof FILE`: **2 passed, 0 failed** in 1m.\n\n", "| `vet` | go vet | ok | 1.0 s | 1 | 0 | 0 |\n"
	list := []phase{{name: "vet"}, {name: "start"}}
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"has both", head + one + "| `start` | in time | FAIL | 1.0 s | 1 | 1 | 0 |\n", 0},
		{"names what it lacks", "One phase is newer than this table: `start`.\n" + head + one, 0},
		{"names it over two lines", "Two phases are newer than this table:\n`start`, which is known to miss a budget ([x](x.md)).\n" + head + one, 0},
		{"lacks one", head + one, 1},
		{"names another", "One phase is newer than this table: `stop`.\n" + head + one, 2},
		{"names it elsewhere", "The phase `start` takes long.\n" + head + one, 1},
		{"names what it has", "Two phases are newer than this table: `start` and `vet`.\n" + head + one, 1},
		{"has what is gone", head + one + "| `start` | in time | ok | 1.0 s | 1 | 0 | 0 |\n| `old` | old | ok | 1.0 s | 1 | 0 | 0 |\n", 1},
		{"has it in another table", head + one + "| `start` | I1 | I1 | 1 | lost |\n", 1},
		{"is of a short check", strings.Replace(head, " --full", "", 1) + one + "| `start` | in time | ok | 1.0 s | 1 | 0 | 0 |\n", 1},
	} {
		if got := rotten(c.text, list); len(got) != c.want {
			t.Errorf("a proof that %s: %q, want %d complaints", c.name, got, c.want)
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
