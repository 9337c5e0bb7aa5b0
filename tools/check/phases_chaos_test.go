package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A chaosCase is what a run wrote down and how it ended, and what that counts for.
type chaosCase struct {
	name, json     string
	err            error
	passed, failed int
	wrong          bool
}

func counted(t *testing.T, into func(*job, string, error) error, cases []chaosCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "chaos.json")
			if c.json != "" {
				if err := os.WriteFile(file, []byte(c.json), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			j := &job{}
			err := into(j, file, c.err)
			if (err != nil) != c.wrong || j.passed != c.passed || len(j.failures) != c.failed {
				t.Errorf("%v with %d passed and %v failed", err, j.passed, j.failures)
			}
			if strings.Contains(c.json, `"Seed":7`) && c.failed > 0 && !strings.Contains(j.failures[0].name, "seed 7") {
				t.Errorf("the failure %q names no seed", j.failures[0].name)
			}
		})
	}
}

func TestChaosCountsInvariants(t *testing.T) {
	t.Parallel()
	counted(t, chaosInto, []chaosCase{
		{name: "nothing violated", json: `{"Seed":7,"Checks":["I1","I2"]}`, passed: 2},
		{name: "one violated twice", json: `{"Seed":7,"Checks":["I1","I2"],"Violations":[{"Check":"I2","What":"a"},{"Check":"I2","What":"b"}]}`, err: errors.New("exit status 1"), passed: 1, failed: 1},
		{name: "could not find out", err: errors.New("exit status 2"), wrong: true},
		{name: "wrote nothing", wrong: true},
		{name: "wrote nonsense", json: `{`, wrong: true},
		{name: "ended badly all the same", json: `{"Checks":["I1"]}`, err: errors.New("exit status 2"), passed: 1, wrong: true},
	})
}

func TestPlantsCountBugs(t *testing.T) {
	t.Parallel()
	counted(t, plantsInto, []chaosCase{
		{name: "all caught", json: `{"Plants":[{"Bug":""},{"Bug":"a","Caught":true},{"Bug":"b","Caught":true}]}`, passed: 2},
		{name: "one not caught", json: `{"Plants":[{"Bug":"a","Caught":true},{"Bug":"b"}]}`, err: errors.New("exit status 1"), passed: 1, failed: 1, wrong: true},
		{name: "one is another proof's", json: `{"Plants":[{"Bug":"a","Caught":true},{"Bug":"b","Elsewhere":"faulttest"}]}`, passed: 1},
		{name: "something without a bug", json: `{"Plants":[{"Bug":"","Caught":true,"Check":"I1"}]}`, err: errors.New("exit status 1"), failed: 1, wrong: true},
		{name: "could not find out", err: errors.New("exit status 2"), wrong: true},
	})
}

// Every bug stands in the proof with what caught it, and one that was not with
// what was violated instead.
func TestPlantsAreShown(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plants.json")
	err := os.WriteFile(file, []byte(`{"Seed":7,"Plants":[{"Bug":""},
		{"Bug":"a","Breaks":["I1","I4"],"Caught":true,"Check":"I4","What":"a | b\n`+strings.Repeat("語", 200)+`","Runs":2},
		{"Bug":"b","Breaks":["I3"],"Elsewhere":"internal/faulttest","Runs":3},
		{"Bug":"c","Breaks":["I5"],"Beside":"I1","Runs":3}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{}
	if err := plantsInto(j, file, errors.New("exit status 1")); err == nil {
		t.Error("a hunt that ended badly counts as one that went well")
	}
	if len(j.failures) != 1 || j.failures[0] != (entry{"c", "not caught in 3 runs from seed 7; I1 violated, which it does not break"}) {
		t.Errorf("failures %v", j.failures)
	}
	if len(j.tables) != 1 {
		t.Fatalf("tables %v", j.tables)
	}
	var b strings.Builder
	j.tables[0].write(&b)
	want := "\n## Planted bugs\n\n| bug | breaks | caught by | in run | the first that it showed |\n|---|---|---|---|---|\n" +
		"| `a` | I1, I4 | I4 | 2 | a \\| b " + strings.Repeat("語", 94) + "… |\n" +
		"| `b` | I3 | left to `internal/faulttest` | not in 3 |  |\n| `c` | I5 | nobody | not in 3 |  |\n"
	if b.String() != want {
		t.Errorf("shown as\n%s\nwant\n%s", b.String(), want)
	}
}
