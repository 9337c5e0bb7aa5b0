package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each metric that docs/operations.md tells people to watch is one that a role has.
func TestOperationsNamesRealMetrics(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	sources := map[string]string{
		"edge": read("../../edge/metrics.go"), "recorder": read("../../recorder/metrics.go") + read("../../recorder/behind.go"),
		"stream": read("streammetrics.go"), "consumer": read("streammetrics.go"), "eventlog": read("admin.go"), "toolworker": read("../../toolworker/worker.go"), "nats": read("connect.go"),
	}
	names := regexp.MustCompile(`\bparley_(edge|nats|toolworker|recorder|eventlog|stream|consumer)_([a-z_]+)`).FindAllStringSubmatch(read("../../docs/operations.md"), -1)
	if len(names) < 10 {
		t.Fatalf("docs/operations.md names %d metrics", len(names))
	}
	for _, m := range names {
		if !strings.Contains(sources[m[1]], `"`+m[2]+`"`) && !strings.Contains(sources[m[1]], `"`+m[0]+`"`) {
			t.Errorf("docs/operations.md names %s, which no role has", m[0])
		}
	}
	flags := regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(read("../../docs/operations.md"), -1)
	readme := read("../../README.md")
	for _, f := range flags {
		if !strings.Contains(readme, "| `--"+f[1]+"` |") && !slices.Contains([]string{"scale"}, f[1]) {
			t.Errorf("docs/operations.md names --%s, which no command has", f[1])
		}
	}
}
