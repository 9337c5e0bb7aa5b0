package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A proof is one run of the check, to be kept as a document.
type proof struct {
	at      time.Time
	where   place
	opts    options
	results []result
	sum     summary
	took    time.Duration
}

// A place is what a check ran on: of which state of the tree, and where.
type place struct {
	commit string // with a word on changes that it does not contain
	system string
	cpu    string
	memory string
}

// describe looks around. What cannot be found out is left empty.
func describe(root string) place {
	p := place{system: runtime.GOOS + "/" + runtime.GOARCH, cpu: fmt.Sprintf("%d cores", runtime.NumCPU())}
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	if id, err := git("log", "-1", "--format=%h %s"); err == nil {
		p.commit = id
		// The document itself, written a moment ago or to be, changes nothing proven.
		if changed, err := git("status", "--porcelain", "--", ":!docs/proof.md"); err != nil || changed != "" {
			p.commit += ", with changes not committed"
		}
	}
	if name := field("/etc/os-release", "PRETTY_NAME="); name != "" {
		p.system = strings.Trim(name, `"`) + ", " + p.system
	}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		p.cpu += " of " + strings.TrimLeft(model, "\t :")
	}
	if kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(field("/proc/meminfo", "MemTotal:")), " kB")); err == nil {
		p.memory = fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
	}
	return p
}

// field returns what stands behind prefix on the first line of a file that
// begins with it.
func field(file, prefix string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
			return rest
		}
	}
	return ""
}

// command is how the same is run again.
func (o options) command() string {
	c := "go run ./tools/check"
	if o.full {
		c += " --full"
	}
	if o.strict {
		c += " --strict"
	}
	if len(o.only) > 0 {
		c += " --only " + strings.Join(o.only, ",")
	}
	return c
}

// writeProof writes the run down as Markdown.
func writeProof(file string, p proof) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# What was proven\n\nBy `%s --proof FILE`: **%d passed, %d failed** in %s.\n\n", p.opts.command(), p.sum.passed, p.sum.failed, p.took.Round(time.Second))
	for _, row := range []struct{ what, is string }{
		{"Date", p.at.UTC().Format("2006-01-02 15:04 UTC")},
		{"Commit", p.where.commit},
		{"Machine", strings.Trim(p.where.cpu+", "+p.where.memory, ", ")},
		{"System", p.where.system + ", " + runtime.Version()},
	} {
		fmt.Fprintf(&b, "- %s: %s\n", row.what, row.is)
	}
	b.WriteString("\n| phase | proves | result | time | passed | failed | skipped |\n|---|---|---|---|---|---|---|\n")
	for _, r := range p.results {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %d | %d | %d |\n", r.phase.name, r.phase.what, r.state, seconds(r.took), r.passed, len(r.failures), len(r.skips))
	}
	section := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		for _, l := range lines {
			fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(l, "\n", " "))
		}
	}
	var failures, notes []string
	for _, r := range p.results {
		for _, f := range r.failures {
			failures = append(failures, fmt.Sprintf("`%s`: %s", r.phase.name, f.name))
		}
		for _, n := range r.notes {
			notes = append(notes, fmt.Sprintf("`%s`: %s", r.phase.name, n))
		}
	}
	section("Failed", failures)
	section("Measured on the way", notes)
	for _, r := range p.results {
		for _, t := range r.tables {
			t.write(&b)
		}
	}
	section("Not proven", unproven(p.results))
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// write appends t as Markdown.
func (t table) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", t.title)
	row := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(b, "| %s ", cell.Replace(c))
		}
		b.WriteString("|\n")
	}
	row(t.head)
	fmt.Fprintf(b, "%s|\n", strings.Repeat("|---", len(t.head)))
	for _, r := range t.rows {
		row(r)
	}
}

// cell makes a text fit into a table: what persons and models said may be in it.
var cell = strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ", "<", "&lt;")
