package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// The fixture is what go test wrote about seven small packages: a table test with
// one failed and one skipped row, a parent that fails by itself, a skip without a
// reason, fuzz seeds, a package that does not compile, a panic in a subtest, a
// TestMain that fails after its tests, no tests at all, and a panic in another
// goroutine that leaves its test unfinished.
func TestGoTestsTally(t *testing.T) {
	t.Parallel()
	stream, err := os.ReadFile("testdata/gotest.json")
	if err != nil {
		t.Fatal(err)
	}
	// The stream arrives in pieces that know nothing of lines.
	for _, piece := range []int{1, 7, 4096, len(stream)} {
		g := newGoTests()
		for p := range slices.Chunk(stream, piece) {
			if n, err := g.Write(p); n != len(p) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		sum := g.tally()
		if want := 8; sum.passed != want {
			t.Errorf("pieces of %d: %d passed, want %d", piece, sum.passed, want)
		}
		wantFailures := map[string]string{ // name, and a word of its explanation
			"a.TestTable/two":  "shared set-up", // the parent's output helps to read the child's
			"a.TestDeep":       "the parent itself",
			"b":                "undefined: undefined",
			"c.TestPanics/sub": "panic: boom",
			"d":                "goroutine leaked",
			"f.TestB":          "panic: elsewhere",
		}
		if len(sum.failures) != len(wantFailures) {
			t.Errorf("failures = %v", sum.failures)
		}
		for _, f := range sum.failures {
			if want, ok := wantFailures[f.name]; !ok || !strings.Contains(f.detail, want) {
				t.Errorf("failure %q says %q, want %q in it", f.name, f.detail, want)
			}
		}
		wantSkips := []entry{
			{"a.TestTable/three", "a_test.go:15: three needs a moon"},
			{"a.TestSkipped", "a_test.go:26:"},
		}
		if !slices.Equal(sum.skips, wantSkips) {
			t.Errorf("skips = %v", sum.skips)
		}
		if done, failed := g.progress(); done != 12 || failed != 2 {
			t.Errorf("progress = %d, %d", done, failed)
		}
	}
}

func TestGoTestsParents(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		events  []string // a test that starts, or "test result"
		passed  int
		failed  []string
		skipped []string
	}{
		{"leaves represent their parent", []string{"T", "T/a", "T/a pass", "T/b", "T/b pass", "T pass"}, 2, nil, nil},
		{"a failed leaf explains its parents", []string{"T", "T/a", "T/a/x", "T/a/x fail", "T/a fail", "T fail"}, 0, []string{"p.T/a/x"}, nil},
		{"a skipped leaf does not explain a failed parent", []string{"T", "T/a", "T/a skip", "T fail"}, 0, []string{"p.T"}, []string{"p.T/a"}},
		{"a parent that skips late counts", []string{"T", "T/a", "T/a pass", "T skip"}, 1, nil, []string{"p.T"}},
		{"an unfinished leaf is a failure", []string{"T", "T/a", "U", "U pass"}, 1, []string{"p.T/a"}, nil},
		{"a slash in a name is no level", []string{"T", "T/https://a.example", "T/https://a.example pass", "T/and/or", "T/and/or fail", "T fail"}, 1, []string{"p.T/and/or"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGoTests()
			result := "pass"
			for _, r := range tt.events {
				test, action, ended := strings.Cut(r, " ")
				if !ended {
					action = "run"
				}
				g.Write([]byte(`{"Action":"` + action + `","Package":"p","Test":"` + test + "\"}\n"))
				if action == "fail" {
					result = "fail"
				}
			}
			g.Write([]byte(`{"Action":"` + result + `","Package":"p"}` + "\n"))
			sum := g.tally()
			if sum.passed != tt.passed || !slices.Equal(names(sum.failures), tt.failed) || !slices.Equal(names(sum.skips), tt.skipped) {
				t.Errorf("tally = %d passed, failed %v, skipped %v", sum.passed, names(sum.failures), names(sum.skips))
			}
		})
	}
}

func TestGoTestsInto(t *testing.T) {
	t.Parallel()
	broken := errors.New("exit status 1")
	tests := []struct {
		name   string
		stream string
		err    error
		want   string // in the error; empty is no error
	}{
		{"nothing ran", "", nil, "no tests ran"},
		{"only packages without tests", `{"Action":"skip","Package":"p"}` + "\n", nil, "no tests ran"},
		{"go itself failed and said why", "go: no such module\n", broken, "no such module"},
		{"it failed, and every test passed", `{"Action":"pass","Package":"p","Test":"T"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n", broken, "exit status 1"},
		{"a test explains the failure", `{"Action":"fail","Package":"p","Test":"T"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n", broken, ""},
		{"all is well", `{"Action":"pass","Package":"p","Test":"T"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n", nil, ""},
		{"the package was cut off", `{"Action":"pass","Package":"p","Test":"T"}` + "\n", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGoTests()
			g.Write([]byte(tt.stream))
			j := &job{}
			err := g.into(j, tt.err)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("into = %v, want %q in it", err, tt.want)
			}
			if wantFail := strings.Contains(tt.name, "explains") || strings.Contains(tt.name, "cut off"); (len(j.failures) > 0) != wantFail {
				t.Errorf("failures = %v", j.failures)
			}
		})
	}
}

func TestFuzzTargets(t *testing.T) {
	t.Parallel()
	out := `{"Action":"start","Package":"m/events"}
{"Action":"output","Package":"m/events","Output":"FuzzFold\n"}
{"Action":"output","Package":"m/events","Output":"FuzzCommit\n"}
{"Action":"output","Package":"m/events","Output":"ok  \tm/events\t0.004s\n"}
{"Action":"output","Package":"m/edge","Output":"FuzzResume\n"}
{"Action":"output","Package":"m/edge","Output":"Fuzz is a word in this line\n"}
`
	want := []fuzzTarget{{"m/events", "FuzzFold"}, {"m/events", "FuzzCommit"}, {"m/edge", "FuzzResume"}}
	if got := fuzzTargets(out); !slices.Equal(got, want) {
		t.Errorf("fuzzTargets = %v, want %v", got, want)
	}
}

func TestImporting(t *testing.T) {
	t.Parallel()
	lines := "m/a testing m/internal/testkit\nm/b testing\nm/internal/testkit testing\nm/c m/internal/testkit/x  m/internal/testkit testing\n"
	if got, want := importing(lines, "m/internal/testkit"), []string{"m/a", "m/c"}; !slices.Equal(got, want) {
		t.Errorf("importing = %v, want %v", got, want)
	}
}

func names(entries []entry) []string {
	var ns []string
	for _, e := range entries {
		ns = append(ns, e.name)
	}
	return ns
}

func TestSearched(t *testing.T) {
	t.Parallel()
	out := "=== RUN   TestSearch\n    sim_search_test.go:286: searched 7 states by 9 moves; 1 of 2 regions to their end\n--- PASS: TestSearch (0.09s)\nPASS\n"
	if sum, passed := searched(out); sum != "searched 7 states by 9 moves; 1 of 2 regions to their end" || passed != 1 {
		t.Errorf("%q, %d passed", sum, passed)
	}
	if sum, _ := searched("PASS\n"); sum != "" {
		t.Errorf("%q without a search", sum)
	}
}
