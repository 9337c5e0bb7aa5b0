package fault_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parleychat/parley/internal/fault"
)

var update = flag.Bool("update", false, "rewrite docs/faults.md")

// probe builds the small program beside this test and returns its path.
func probe(t *testing.T, flags ...string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "probe")
	out, err := exec.Command("go", append(append([]string{"build", "-o", bin}, flags...), "./testdata/probe")...).CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// run runs a probe, wakes it whenever it has stopped itself, and returns its
// output and the signal that ended it.
func run(t *testing.T, bin string, env ...string) (string, syscall.Signal) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(bin)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil {
			t.Fatal(err)
		}
		if !status.Stopped() {
			break
		}
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait() // reaped above; this waits for the output
	if status.Signaled() {
		return out.String(), status.Signal()
	}
	return out.String(), 0
}

func TestTaggedBuildDies(t *testing.T) {
	t.Parallel()
	bin := probe(t, "-tags", "faults")
	for _, c := range []struct {
		name, fault, plant string
		signal             syscall.Signal
		output, log        string
	}{
		{name: "nothing chosen", output: "alive false\n"},
		{name: "at the first pass", fault: "commit.before", signal: syscall.SIGKILL, log: "commit.before 1 "},
		{name: "at the third pass", fault: "commit.before:3", signal: syscall.SIGKILL, log: "commit.before 3 "},
		{name: "stopped and woken", fault: "commit.before:2:stop", output: "alive false\n", log: "commit.before 2 "},
		{name: "never comes by so often", fault: "commit.before:4", output: "alive false\n"},
		{name: "another point", fault: "commit.after", output: "alive false\n"},
		{name: "a bug", plant: "drain_completes,ack_before_commit", output: "alive true\n"},
		{name: "another bug", plant: "drain_completes", output: "alive false\n"},
		{name: "no such point", fault: "comit.before", output: `panic: PARLEY_FAULT=comit.before: there is no fault point "comit.before"`},
		{name: "no such pass", fault: "commit.before:0", output: "the pass must be a number from 1"},
		{name: "no such bug", plant: "ack_before_commit,", output: `panic: PARLEY_PLANT=ack_before_commit,: there is no bug ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "log")
			out, signal := run(t, bin, "PARLEY_FAULT="+c.fault, "PARLEY_PLANT="+c.plant, "PARLEY_FAULT_LOG="+log)
			if signal != c.signal || !strings.Contains(out, c.output) {
				t.Errorf("ended by signal %d saying %q, want %d and %q", signal, out, c.signal, c.output)
			}
			line, err := os.ReadFile(log)
			if c.log == "" && !errors.Is(err, os.ErrNotExist) || c.log != "" && !strings.HasPrefix(string(line), c.log) {
				t.Errorf("log has %q (%v), want %q", line, err, c.log)
			}
		})
	}
}

// A released binary must not even know the names of these variables.
func TestPlainBuildIgnoresTheEnvironment(t *testing.T) {
	t.Parallel()
	bin := probe(t)
	if out, signal := run(t, bin, "PARLEY_FAULT=commit.before", "PARLEY_PLANT=ack_before_commit"); signal != 0 || out != "alive false\n" {
		t.Errorf("ended by signal %d saying %q", signal, out)
	}
	for tags, want := range map[string]bool{"": false, "faults": true} {
		b, err := os.ReadFile(probe(t, "-tags", tags))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"PARLEY_FAULT", "PARLEY_PLANT", string(fault.CommitBefore), string(fault.AckBeforeCommit)} {
			if bytes.Contains(b, []byte(word)) != want {
				t.Errorf("binary with tags %q contains %q = %v", tags, word, !want)
			}
		}
	}
}

// TestDocument compares docs/faults.md with the comments of the constants and
// what the bugs are said to break, and the lists that the package returns with
// its constants.
func TestDocument(t *testing.T) {
	t.Parallel()
	points, listed := constants(t, "point.go"), []string{}
	for _, p := range fault.Points() {
		listed = append(listed, string(p))
	}
	if diff := cmp.Diff(names(points), listed); diff != "" {
		t.Errorf("Points() is not the constants (-constants +Points):\n%s", diff)
	}
	bugs, listed := constants(t, "bug.go"), []string{}
	for _, b := range fault.Bugs() {
		listed = append(listed, string(b))
	}
	if diff := cmp.Diff(names(bugs), listed); diff != "" {
		t.Errorf("Bugs() is not the constants (-constants +Bugs):\n%s", diff)
	}
	var want bytes.Buffer
	want.WriteString("| point | when |\n|---|---|\n")
	for _, c := range points {
		fmt.Fprintf(&want, "| `%s` | %s |\n", c.value, c.comment)
	}
	want.WriteString("\n| bug | breaks | what is wrong |\n|---|---|---|\n")
	for _, c := range bugs {
		breaks := strings.Join(fault.Bug(c.value).Breaks(), ", ")
		if !regexp.MustCompile(`^I[1-8](, I[1-8])*$`).MatchString(breaks) {
			t.Errorf("%s breaks %q, which are no invariants", c.value, breaks)
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", c.value, breaks, c.comment)
	}
	const path, begin, end = "../../docs/faults.md", "<!-- faults -->\n", "<!-- /faults -->"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	have, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no block between %s and %s", path, begin, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(head+begin+want.String()+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), have); diff != "" {
		t.Errorf("docs/faults.md is stale: go test ./internal/fault -update (-want +have):\n%s", diff)
	}
}

// A constant is one of this package with its comment.
type constant struct{ value, comment string }

func names(list []constant) []string {
	values := []string{}
	for _, c := range list {
		values = append(values, c.value)
	}
	return values
}

// constants reads the constants of a file of this package.
func constants(t *testing.T, file string) []constant {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var list []constant
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) == 0 {
			return true
		}
		literal, ok := v.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, constant{value, strings.TrimSpace(v.Comment.Text())})
		return true
	})
	if len(list) == 0 {
		t.Fatalf("%s has no constants", file)
	}
	return list
}
