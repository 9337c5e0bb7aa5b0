package parley_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// maxLines is where a file has more than one subject.
const maxLines = 600

func TestPackagesSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	comments := map[string]string{} // folder to package comment
	for _, file := range tracked(t, ".go") {
		dir := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") || inTestdata(file) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, ok := comments[dir]; !ok {
			comments[dir] = ""
		}
		if f.Doc == nil || strings.HasPrefix(f.Doc.Text(), "//") {
			continue
		}
		text := f.Doc.Text()
		switch {
		case comments[dir] != "":
			t.Errorf("%s: a second package comment", file)
		case f.Name.Name != "main" && !strings.HasPrefix(text, "Package "+f.Name.Name+" "):
			t.Errorf("%s: the package comment does not begin with \"Package %s\"", file, f.Name.Name)
		}
		comments[dir] = text
	}
	if len(comments) < 5 {
		t.Fatalf("only %d packages found", len(comments))
	}
	for _, dir := range slices.Sorted(maps.Keys(comments)) {
		if comments[dir] == "" {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

func TestFilesHaveOneSubject(t *testing.T) {
	t.Parallel()
	for _, file := range tracked(t, ".go", ".ts", ".tsx", ".js", ".mjs", ".css", ".sql", ".sh") {
		if inTestdata(file) || strings.Contains(path.Base(file), ".gen.") {
			continue
		}
		b := read(t, file)
		if n := bytes.Count(b, []byte("\n")); n > maxLines && !generated(b) {
			t.Errorf("%s has %d lines; over %d a file has more than one subject", file, n, maxLines)
		}
	}
}

func TestGeneratedFilesSaySo(t *testing.T) {
	t.Parallel()
	for _, file := range tracked(t, ".go", ".ts", ".tsx") {
		if strings.Contains(path.Base(file), ".gen.") && !generated(read(t, file)) {
			t.Errorf("%s: its head does not say \"Code generated … DO NOT EDIT.\"", file)
		}
	}
	// That they are up to date is tested where they are generated; here, that
	// there is a line to generate them with.
	for _, dir := range []string{"events"} {
		found := false
		for _, file := range tracked(t, ".go") {
			found = found || path.Dir(file) == dir && bytes.Contains(read(t, file), []byte("\n//go:generate "))
		}
		if !found {
			t.Errorf("%s has no //go:generate line", dir)
		}
	}
}

// A word that names a machine, a service only one machine reaches, or how the
// text came to be, helps no reader. What this machine is called, it says itself.
func TestFilesNameNoMachine(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := exec.CommandContext(t.Context(), "go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(proxy)), "https://"), ",")
	words := regexp.MustCompile(`(?i)` + strings.Join([]string{
		regexp.QuoteMeta(here) + `\b`, regexp.QuoteMeta(cmp.Or(host, here)),
		`co-authored-by:`, `generated (with|by) (an? )?(ai|llm|claude|copilot|chatgpt)`, `\b(claude|copilot|cursor) code\b`,
	}, "|"))
	for _, file := range tracked(t) {
		if file == "house_test.go" {
			continue
		}
		b := read(t, file)
		if bytes.IndexByte(b, 0) >= 0 {
			continue // a picture
		}
		for i, line := range bytes.Split(b, []byte("\n")) {
			if m := words.Find(line); m != nil {
				t.Errorf("%s:%d: %q", file, i+1, bytes.TrimSpace(m))
			}
		}
	}
}

func TestUnfinishedWorkNamesAnIssue(t *testing.T) {
	t.Parallel()
	mark := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b(\(#\d+\))?`)
	for _, file := range tracked(t, ".go", ".ts", ".tsx", ".js", ".mjs", ".css", ".sql", ".sh", ".yml", ".yaml") {
		if file == "house_test.go" || inTestdata(file) {
			continue
		}
		for i, line := range strings.Split(string(read(t, file)), "\n") {
			if m := mark.FindStringSubmatch(line); m != nil && m[2] == "" {
				t.Errorf("%s:%d: %s names no issue: write %s(#12)", file, i+1, m[1], m[1])
			}
		}
	}
}

func TestDocumentsExist(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/architecture.md", "docs/proof.md",
		"compose.yaml", "Dockerfile", ".ci/run", "Makefile",
	} {
		if fi, err := os.Stat(file); err != nil || fi.Size() == 0 {
			t.Errorf("%s is missing or empty (%v)", file, err)
		}
	}
	if fi, err := os.Stat(".ci/run"); err == nil && fi.Mode()&0o111 == 0 {
		t.Error(".ci/run is not executable")
	}
}

// TestLinks follows every relative link of the documents.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^()\s]+)\)`)
	checked := 0
	for _, file := range tracked(t, ".md") {
		if inTestdata(file) {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(read(t, file)), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			checked++
			if _, err := os.Stat(filepath.Join(path.Dir(file), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", file, target)
			}
		}
	}
	if checked == 0 {
		t.Error("no document links to any other")
	}
}

func TestDecisionsAreNumbered(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("docs/adr")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md$`)
	n := 0
	for _, e := range entries {
		if e.Name() == "README.md" {
			continue
		}
		m := name.FindStringSubmatch(e.Name())
		if m == nil {
			t.Errorf("docs/adr/%s is not called 0001-like-this.md", e.Name())
			continue
		}
		n++
		if want := fmt.Sprintf("%04d", n); m[1] != want {
			t.Errorf("docs/adr/%s: the next number is %s", e.Name(), want)
		}
		text := strings.ToLower(string(read(t, "docs/adr/"+e.Name())))
		for _, part := range []string{"status", "context", "decision", "consequences"} {
			if !regexp.MustCompile(`(?m)^(#+ |\**)` + part).MatchString(text) {
				t.Errorf("docs/adr/%s has no part %q", e.Name(), part)
			}
		}
	}
	if n == 0 {
		t.Error("there are no decisions in docs/adr")
	}
}

// Two branches may each take the next number of a migration, and git sees no conflict.
func TestMigrationsAreNumbered(t *testing.T) {
	t.Parallel()
	n := 0
	for _, file := range tracked(t, ".sql") {
		name, ok := strings.CutPrefix(file, "migrations/")
		if !ok {
			continue
		}
		if n++; !strings.HasPrefix(name, fmt.Sprintf("%04d_", n)) {
			t.Errorf("%s: it should be number %d", file, n)
		}
	}
	if n == 0 {
		t.Error("there are no migrations")
	}
}

func TestReadmeMapsEveryPackage(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	seen := map[string]bool{}
	for _, file := range tracked(t, ".go") {
		if top, _, ok := strings.Cut(file, "/"); ok && !seen[top] {
			seen[top] = true
			if !regexp.MustCompile("`" + regexp.QuoteMeta(top) + "/").Match(readme) {
				t.Errorf("README.md does not say what `%s/` is", top)
			}
		}
	}
}

// TestReadmeTableIsTheFlags compares the README's table of settings with what the
// program itself says of its flags.
func TestReadmeTableIsTheFlags(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- flags -->", "<!-- /flags -->"
	readme := string(read(t, "README.md"))
	_, rest, ok := strings.Cut(readme, begin)
	have, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md has no block between %s and %s", begin, end)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/parley", "flags", "--markdown")
	if bin := os.Getenv("PARLEY_BIN"); bin != "" {
		cmd = exec.CommandContext(t.Context(), bin, "flags", "--markdown")
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, &stderr)
	}
	if diff := gocmp.Diff(strings.TrimSpace(string(out)), strings.TrimSpace(have)); diff != "" {
		t.Errorf("README.md is not what `parley flags --markdown` prints (-program +README):\n%s", diff)
	}
}

func TestGoIgnoresNodeModules(t *testing.T) {
	t.Parallel()
	// Some npm packages contain Go, which would become packages of ours.
	if !regexp.MustCompile(`(?m)^\s*(ignore )?node_modules$`).Match(read(t, "go.mod")) {
		t.Error("go.mod does not ignore node_modules")
	}
	if bytes.Contains(read(t, "go.mod"), []byte("\nreplace")) {
		t.Error("go.mod replaces a module: `go install` would refuse ours")
	}
}

// read returns the content of a file of the tree.
func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tracked lists the files of the tree with one of the suffixes: committed ones
// and those that a commit would add, but nothing ignored.
func tracked(t *testing.T, suffixes ...string) []string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v: %s", err, &stderr)
	}
	files := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	files = slices.DeleteFunc(files, func(f string) bool {
		if len(suffixes) > 0 && !slices.Contains(suffixes, path.Ext(f)) {
			return true
		}
		fi, err := os.Lstat(f)
		return err != nil || !fi.Mode().IsRegular() // removed and not yet committed
	})
	slices.SortFunc(files, cmp.Compare[string])
	if len(files) == 0 {
		t.Fatalf("no files %v", suffixes)
	}
	return files
}

func inTestdata(file string) bool {
	return slices.Contains(strings.Split(path.Dir(file), "/"), "testdata")
}

// generated follows the convention of `go help generate`, and allows the comment
// of other languages.
func generated(b []byte) bool {
	return regexp.MustCompile(`(?m)^(//|/\*|--|#) ?\*?.*Code generated .* DO NOT EDIT\.`).Match(b[:min(len(b), 1000)])
}
