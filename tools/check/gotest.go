package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// testEvent is one line of `go test -json`, as `go doc test2json` describes it.
type testEvent struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail
	Test        string
	Output      string
	FailedBuild string
}

// goTests reads `go test -json` as it is written and knows, at any time, how many
// tests passed, failed and were skipped. A test with subtests is represented by
// them: it counts itself only where it failed or skipped and none of them did.
type goTests struct {
	mu       sync.Mutex
	partial  []byte
	packages map[string]*goPackage
	builds   map[string]*tail // by import path, what the compiler said
	stray    tail             // lines that are no events
}

type goPackage struct {
	tests       map[string]*oneTest
	order       []string
	output      tail // of the package itself: a panic, TestMain, os.Exit
	result      string
	failedBuild string
}

type oneTest struct {
	result string // pass, fail, skip, or empty while it runs
	parent bool
	output tail
}

func newGoTests() *goTests {
	return &goTests{packages: map[string]*goPackage{}, builds: map[string]*tail{}}
}

// Write takes a piece of the stream, cut anywhere.
func (g *goTests) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.partial = append(g.partial, p...)
	for {
		i := bytes.IndexByte(g.partial, '\n')
		if i < 0 {
			return len(p), nil
		}
		g.line(g.partial[:i])
		g.partial = g.partial[i+1:]
	}
}

func (g *goTests) line(b []byte) {
	var e testEvent
	if len(b) == 0 {
		return
	}
	if b[0] != '{' || json.Unmarshal(b, &e) != nil || e.Action == "" {
		_, _ = g.stray.Write(append(slices.Clip(b), '\n'))
		return
	}
	if e.ImportPath != "" { // build-output, build-fail
		t := g.builds[e.ImportPath]
		if t == nil {
			t = &tail{}
			g.builds[e.ImportPath] = t
		}
		_, _ = t.Write([]byte(e.Output))
		return
	}
	pkg := g.packages[e.Package]
	if pkg == nil {
		pkg = &goPackage{tests: map[string]*oneTest{}}
		g.packages[e.Package] = pkg
	}
	if e.Test == "" {
		switch e.Action {
		case "output":
			_, _ = pkg.output.Write([]byte(e.Output))
		case "pass", "fail", "skip":
			pkg.result, pkg.failedBuild = e.Action, e.FailedBuild
		}
		return
	}
	t := pkg.test(e.Test)
	switch e.Action {
	case "output":
		_, _ = t.output.Write([]byte(e.Output))
	case "pass", "fail", "skip":
		t.result = e.Action
	}
}

// test finds or adds a test, and marks the tests that it is a part of. Those have
// been seen before; a slash that leads to none belongs to the name itself.
func (p *goPackage) test(name string) *oneTest {
	t := p.tests[name]
	if t != nil {
		return t
	}
	t = &oneTest{}
	p.tests[name] = t
	p.order = append(p.order, name)
	for parent := range ancestors(name) {
		if of := p.tests[parent]; of != nil {
			of.parent = true
		}
	}
	return t
}

// ancestors yields the names that name may be below, the nearest first.
func ancestors(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := strings.LastIndexByte(name, '/'); at > 0; at = strings.LastIndexByte(name[:at], '/') {
			if !yield(name[:at]) {
				return
			}
		}
	}
}

// tally is what a stream of tests came to.
type tally struct {
	passed   int
	failures []entry
	skips    []entry
}

// progress is cheap enough to call for a live line.
func (g *goTests) progress() (done, failed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.packages {
		for _, t := range p.tests {
			if t.parent || t.result == "" {
				continue
			}
			done++
			if t.result == "fail" {
				failed++
			}
		}
	}
	return done, failed
}

// tally counts once the stream has ended. A package that failed although none of
// its tests did (it does not compile, it panicked outside a test, it leaked
// goroutines) is one failure; so is each test that was left unfinished.
func (g *goTests) tally() tally {
	g.mu.Lock()
	defer g.mu.Unlock()
	var sum tally
	for _, name := range sortedKeys(g.packages) {
		g.packages[name].tally(strings.TrimPrefix(name, modulePath+"/"), g.builds, &sum)
	}
	return sum
}

func (p *goPackage) tally(name string, builds map[string]*tail, sum *tally) {
	before := len(sum.failures)
	// A failed parent explains itself only if no descendant does.
	explained := map[string]bool{}
	for _, test := range p.order {
		if t := p.tests[test]; !t.parent && (t.result == "fail" || t.result == "") {
			for parent := range ancestors(test) {
				explained[parent] = true
			}
		}
	}
	for _, test := range p.order {
		t := p.tests[test]
		full := name + "." + test
		switch {
		case t.parent && (t.result == "pass" || explained[test]): // its subtests count
		case t.result == "pass":
			sum.passed++
		case t.result == "skip":
			sum.skips = append(sum.skips, entry{full, skipReason(t.output.String())})
		case t.result == "fail":
			detail := t.output.String()
			if top, _, below := strings.Cut(test, "/"); below && p.tests[top] != nil {
				detail += "\n" + p.tests[top].output.String()
			}
			sum.failures = append(sum.failures, entry{full, detail})
		default:
			sum.failures = append(sum.failures, entry{full, "did not finish\n" + t.output.String()})
		}
	}
	switch {
	case p.result == "fail" && len(sum.failures) == before:
		detail := p.output.String()
		if b := builds[p.failedBuild]; b != nil {
			detail = b.String() + "\n" + detail
		}
		sum.failures = append(sum.failures, entry{name, detail})
	case p.result == "fail":
		// A panic or a race report that go test could not give to a test.
		if out := p.output.String(); strings.Contains(out, "panic:") || strings.Contains(out, "DATA RACE") {
			last := &sum.failures[len(sum.failures)-1]
			last.detail += "\n" + out
		}
	case p.result == "":
		sum.failures = append(sum.failures, entry{name, "the package's tests did not finish\n" + p.output.String()})
	}
}

// skipReason picks what the test said from the output of a skipped test.
func skipReason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

// into hands the counts to the phase and says what, if anything, was wrong with
// the run as a whole. runErr is how `go test` itself ended.
func (g *goTests) into(j *job, runErr error) error {
	sum := g.tally()
	j.pass(sum.passed)
	for _, f := range sum.failures {
		j.fail(f.name, f.detail)
	}
	for _, s := range sum.skips {
		j.skip(s.name, s.detail)
	}
	switch {
	case runErr != nil && len(sum.failures) == 0:
		return fmt.Errorf("%w\n%s", runErr, g.stray.String())
	case sum.passed+len(sum.failures)+len(sum.skips) == 0:
		return fmt.Errorf("no tests ran")
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
