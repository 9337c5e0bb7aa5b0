package main

import (
	"strings"
	"testing"
)

// The figure of the benchmark is read, told and judged.
func TestVerifyIsJudgedByItsFigure(t *testing.T) {
	t.Parallel()
	const out = "goos: linux\ncpu: AMD EPYC\nBenchmarkVerify-2   \t       1\t1632553070 ns/op\t         8.328 cpu-µs/event\t     71056 events/s\t     35528 events/s/core\t     33670 rebuilt-events/s\nPASS\n"
	for _, c := range []struct {
		name, out, said string
		passed, failed  int
		wrong           bool
	}{
		{"fast enough", out, "71056 events/s (at least 40000;", 1, 0, false},
		{"too slow", strings.Replace(out, "71056", "39999", 1), "39999 events/s (at least 40000;", 0, 1, false},
		{"very fast", strings.Replace(out, "71056", "1.25e+06", 1), "1250000 events/s", 1, 0, false},
		{"not measured", strings.Replace(out, "     71056 events/s\t", "", 1), "", 0, 0, true},
		{"no benchmark", "PASS\nok\n", "", 0, 0, true},
	} {
		j := &job{}
		err := j.verified(c.out)
		if (err != nil) != c.wrong || j.passed != c.passed || len(j.failures) != c.failed {
			t.Errorf("%s: %v with %d passed and %v failed", c.name, err, j.passed, j.failures)
		}
		if said := strings.Join(j.notes, "\n"); c.said == "" && said != "" || !strings.Contains(said, c.said) {
			t.Errorf("%s: says %q, want %q", c.name, said, c.said)
		}
	}
}
