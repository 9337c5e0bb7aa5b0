package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		ci   string
		want options
		bad  bool
	}{
		{name: "nothing asked"},
		{name: "CI implies strict", ci: "true", want: options{strict: true}},
		{name: "CI off", ci: "false"},
		{name: "all", args: []string{"--full", "--strict", "--proof", "x.md"}, want: options{full: true, strict: true, proof: "x.md"}},
		{name: "only", args: []string{"--only", "vet,lint"}, want: options{only: []string{"vet", "lint"}}},
		{name: "unknown flag", args: []string{"--fast"}, bad: true},
		{name: "an argument", args: []string{"./..."}, bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			got, err := parse(tt.args, func(string) (string, bool) { return tt.ci, tt.ci != "" }, &stderr)
			if (err != nil) != tt.bad {
				t.Fatalf("err = %v", err)
			}
			if tt.bad {
				if stderr.Len() == 0 {
					t.Error("nothing says what was wrong")
				}
				return
			}
			if got.full != tt.want.full || got.strict != tt.want.strict || got.proof != tt.want.proof || !slices.Equal(got.only, tt.want.only) {
				t.Errorf("options = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	table := func() []phase {
		return []phase{{name: "a"}, {name: "b", needs: []string{"a"}}, {name: "c"}, {name: "long", full: true, needs: []string{"b"}}}
	}
	tests := []struct {
		name string
		o    options
		want []string
	}{
		{"a commit", options{}, []string{"a", "b", "c"}},
		{"everything", options{full: true}, []string{"a", "b", "c", "long"}},
		{"one with its needs", options{only: []string{"b"}}, []string{"a", "b"}},
		{"a long one by name", options{only: []string{"long", "c"}}, []string{"a", "b", "c", "long"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := choose(table(), tt.o)
			var names []string
			for _, p := range got {
				names = append(names, p.name)
			}
			if err != nil || !slices.Equal(names, tt.want) {
				t.Errorf("choose = %v, %v; want %v", names, err, tt.want)
			}
		})
	}
	if _, err := choose(table(), options{only: []string{"vett"}}); err == nil || !strings.Contains(err.Error(), "vett") {
		t.Errorf("a phase that is not there: %v", err)
	}
}

func TestRunUsage(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	for _, tt := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"--nonsense"}, 2, ""},
		{[]string{"--only", "nonsense"}, 2, ""},
		{[]string{"-h"}, 0, ""},
		{[]string{"--list"}, 0, "browser tests"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), tt.args, none, &stdout, &stderr); code != tt.code || !strings.Contains(stdout.String(), tt.out) {
			t.Errorf("%v: exit %d, %q %q", tt.args, code, &stdout, &stderr)
		}
	}
}

func TestFindRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deep := filepath.Join(dir, "tools", "compose")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.mod"), "module "+modulePath+"\n\ngo 1.26.0\n")
	write(t, filepath.Join(deep, "go.mod"), "module "+modulePath+"/tools/compose\n")
	if got, err := findRoot(deep); err != nil || got != dir {
		t.Errorf("findRoot = %q, %v", got, err)
	}
	if _, err := findRoot("/"); err == nil {
		t.Error("the root of the file system is no checkout")
	}
}

func TestWorkspaceIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := openWorkspace(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openWorkspace(dir); err == nil || !strings.Contains(err.Error(), "another check is running") {
		t.Errorf("the second check: %v", err)
	}
	first.close()
	again, err := openWorkspace(dir)
	if err != nil {
		t.Fatalf("after the first one ended: %v", err)
	}
	again.close()
	if b, err := os.ReadFile(filepath.Join(dir, ".check", ".gitignore")); err != nil || string(b) != "*\n" {
		t.Errorf(".check/.gitignore = %q, %v", b, err)
	}
}

// What was installed from this very lock file is not installed again; anything
// else is, and leaves no stamp if it fails.
func TestInstallPhase(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	modules := filepath.Join(dir, "frontend", "node_modules")
	if err := os.MkdirAll(modules, 0o700); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(dir, "frontend", "package-lock.json")
	stamp := filepath.Join(modules, stampName)
	install := func() result {
		j := &job{env: env{ws: &workspace{root: dir}}, phase: phase{name: "install", run: runInstall}}
		return execute(t.Context(), j, filepath.Join(t.TempDir(), "log"))
	}
	if r := install(); r.state != failed {
		t.Errorf("no lock file: %v", r.state)
	}
	write(t, lock, "no lock file at all")
	want, err := installStamp(filepath.Dir(lock))
	if err != nil {
		t.Fatal(err)
	}
	write(t, stamp, want)
	if r := install(); r.state != passed {
		t.Errorf("up to date: %v %v", r.state, r.failures)
	}
	write(t, lock, "no lock file at all, and changed")
	if r := install(); r.state != failed || !strings.Contains(r.failures[0].detail, "npm ci") {
		t.Errorf("a changed lock file that npm cannot read: %v %v", r.state, r.failures)
	}
	if b, err := os.ReadFile(stamp); err == nil && string(b) != want {
		t.Errorf("the failed installation left the stamp %q", b)
	}
}

func TestFormatPhase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{"good", "bad", "frontend/node_modules/flatted", ".check"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "good/good.go"), "package good\n")
	write(t, filepath.Join(dir, "bad/spaces.go"), "package  bad\n")
	write(t, filepath.Join(dir, "bad/broken.go"), "package bad\nfunc {\n")
	write(t, filepath.Join(dir, "frontend/node_modules/flatted/f.go"), "package  other\n")
	write(t, filepath.Join(dir, ".check/c.go"), "package  other\n")
	j := &job{env: env{ws: &workspace{root: dir}}, phase: phase{name: "format", run: runFormat}}
	r := execute(t.Context(), j, filepath.Join(t.TempDir(), "log"))
	if got, want := names(r.failures), []string{"bad/broken.go", "bad/spaces.go"}; r.state != failed || !slices.Equal(got, want) {
		t.Errorf("%v, failures %v, want %v", r.state, got, want)
	}
}

func TestHasPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws := &workspace{root: dir, bin: filepath.Join(dir, "parley")}
	if err := os.MkdirAll(filepath.Join(dir, "frontend", "dist"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, ws.bin, "ELF … <title>old</title> …")
	if err := hasPage(ws); err == nil {
		t.Error("there is no page")
	}
	write(t, filepath.Join(dir, "frontend", "dist", "index.html"), "<title>new</title>")
	if err := hasPage(ws); err == nil {
		t.Error("the binary has an older page")
	}
	write(t, ws.bin, "ELF … <title>new</title> …")
	if err := hasPage(ws); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestModulesPhase(t *testing.T) {
	t.Setenv("GOPROXY", "off") // hence not parallel
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tools", "compose"), 0o700); err != nil {
		t.Fatal(err)
	}
	const tidy = "module example.org/tidy\n\ngo 1.26.0\n"
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() {}\n")
	write(t, filepath.Join(dir, "go.mod"), tidy)
	write(t, filepath.Join(dir, "tools", "compose", "main.go"), "package main\n\nfunc main() {}\n")
	write(t, filepath.Join(dir, "tools", "compose", "go.mod"), tidy)
	check := func() result {
		j := &job{env: env{ws: &workspace{root: dir}}, phase: phase{name: "modules", run: runModules}}
		return execute(t.Context(), j, filepath.Join(t.TempDir(), "log"))
	}
	if r := check(); r.state != passed {
		t.Errorf("tidy modules: %v %v %s", r.state, r.failures, r.reason)
	}
	write(t, filepath.Join(dir, "tools", "compose", "go.mod"), "module example.org/tidy\n\ngo 1.26.0\n\nrequire example.org/unused v0.0.0 // indirect\n\nreplace example.org/unused => ../..\n")
	if r := check(); r.state != failed || !slices.Equal(names(r.failures), []string{"tools/compose/go.mod"}) {
		t.Errorf("an unused requirement: %v %v %s", r.state, r.failures, r.reason)
	}
	write(t, filepath.Join(dir, "main.go"), "package main\n\nimport _ \"example.invalid/nowhere\"\n\nfunc main() {}\n")
	if r := check(); r.state != notRun || !strings.Contains(r.reason, "example.invalid") {
		t.Errorf("a module out of reach: %v %v %s", r.state, r.failures, r.reason)
	}
}
