package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// runFormat is gofmt without needing its binary. The linter adds gofumpt and the
// grouping of imports; this one answers in a second.
func runFormat(_ context.Context, j *job) error {
	var n int
	err := filepath.WalkDir(j.ws.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != j.ws.root && (name == "node_modules" || name[0] == '.') {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		n++
		rel, _ := filepath.Rel(j.ws.root, path) // both are absolute
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		formatted, err := format.Source(src)
		switch {
		case err != nil:
			j.fail(rel, err.Error())
		case !bytes.Equal(src, formatted):
			j.fail(rel, "not formatted: run gofmt -w "+rel)
		}
		return nil
	})
	fmt.Fprintf(j.log, "%d files\n", n)
	return err
}

// runSearch gives the search of the agent's rules nine minutes. What it saw is in
// the phase's log, and the sum on its line of the report.
func runSearch(ctx context.Context, j *job) error {
	out, err := j.output(ctx, command{
		env:  []string{"PARLEY_SEARCH=9m", "GOGC=400", "GOMEMLIMIT=4GiB"},
		args: []string{"go", "test", "-count=1", "-v", "-timeout=15m", "-run=^TestSearch", "./agentworker"},
	})
	if err != nil {
		return err
	}
	sum, passed := searched(out)
	if sum == "" {
		return errors.New("nothing was searched")
	}
	j.note(sum)
	j.pass(passed)
	return nil
}

// searched reads the sum of a search and how many tests passed from `go test -v`.
func searched(out string) (sum string, passed int) {
	if _, rest, ok := strings.Cut(out, ": searched "); ok {
		sum, _, _ = strings.Cut("searched "+rest, "\n")
	}
	return sum, strings.Count(out, "--- PASS: ")
}

// verifyFloor is what `parley verify` reaches on a machine that has other things
// to do as well, in events a second. What it promises is promised for a calm one.
const (
	verifyFloor   = 40_000
	verifyPromise = 100_000
)

// runVerify verifies an archive of a million events once. The benchmark fails by
// itself where a difference is found.
func runVerify(ctx context.Context, j *job) error {
	j.at("writing a million events, and reading them")
	out, err := j.output(ctx, command{
		env:  []string{"PARLEY_TEST_TIMEOUT=8m"},
		args: []string{"go", "test", "-count=1", "-timeout=9m", "-run=^$", "-bench=^BenchmarkVerify$", "-benchtime=1x", "./recorder"},
	})
	if err != nil {
		return err
	}
	return j.verified(out)
}

// verified judges what the benchmark measured.
func (j *job) verified(out string) error {
	m := eventsPerSecond.FindStringSubmatch(out)
	if m == nil {
		return errors.New("nothing was verified")
	}
	got, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("parley verify: %.0f events/s (at least %d; promised for a calm machine: %d)", got, verifyFloor, verifyPromise)
	j.note(line)
	if got < verifyFloor {
		j.fail("parley verify", line)
		return nil
	}
	j.pass(1)
	return nil
}

var eventsPerSecond = regexp.MustCompile(`(?m)^BenchmarkVerify\S*\s.*\s([0-9.e+]+) events/s(?:\s|$)`)

// runFuzz gives each fuzz target of the tree half a minute. An input that breaks
// one is left in its package's testdata, to be committed with the repair.
func runFuzz(ctx context.Context, j *job) error {
	out, err := j.output(ctx, command{args: []string{"go", "test", "-json", "-run=^$", "-list=^Fuzz", "./..."}})
	if err != nil {
		return err
	}
	targets := fuzzTargets(out)
	if len(targets) == 0 {
		return errors.New("no fuzz targets")
	}
	for i, t := range targets {
		j.at("%s, %d of %d", t.name, i+1, len(targets))
		out, err := j.output(ctx, command{args: []string{"go", "test", "-run=^$", "-fuzz=^" + t.name + "$", "-fuzztime=30s", t.pkg}})
		if ctx.Err() != nil {
			return err
		}
		name := strings.TrimPrefix(t.pkg, modulePath+"/") + "." + t.name
		if err != nil {
			j.fail(name, out)
			continue
		}
		j.pass(1)
	}
	return nil
}

type fuzzTarget struct{ pkg, name string }

// fuzzTargets reads `go test -json -list`.
func fuzzTargets(out string) []fuzzTarget {
	var targets []fuzzTarget
	for line := range strings.Lines(out) {
		var e testEvent
		if json.Unmarshal([]byte(line), &e) != nil || e.Action != "output" {
			continue
		}
		if name := strings.TrimSpace(e.Output); strings.HasPrefix(name, "Fuzz") && !strings.ContainsAny(name, " \t") {
			targets = append(targets, fuzzTarget{e.Package, name})
		}
	}
	return targets
}
