package compose

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// program is the parley that the deployment files start: PARLEY_BIN, or else
// built for this run of the tests.
var program struct {
	path string
	err  error
}

func TestMain(m *testing.M) {
	program.path = os.Getenv("PARLEY_BIN")
	var dir string
	if program.path == "" {
		dir, program.err = os.MkdirTemp("", "parley-compose-")
		if program.err == nil {
			program.path = filepath.Join(dir, "parley")
			program.err = build(program.path)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(dir) // ours, in the temporary folder
	os.Exit(code)
}

func build(path string) error {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./cmd/parley")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build parley: %w\n%s", err, out)
	}
	return nil
}

func help(t *testing.T, args ...string) string {
	t.Helper()
	if program.err != nil {
		t.Fatal(program.err)
	}
	out, err := exec.CommandContext(t.Context(), program.path, append(args, "--help")...).CombinedOutput()
	if err != nil {
		t.Fatalf("parley %s --help: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Every command in compose.yaml is one that the program has, and every PARLEY_
// and OPENAI_ variable one that this command reads.
func TestCommandsAndVariablesAreTheProgramsOwn(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		if s.Build == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if len(s.Command) != 1 || s.Command[0] != name {
				t.Fatalf("command %v", s.Command)
			}
			usage := help(t, s.Command...)
			// "--help" alone never fails, whatever the words before it.
			if !strings.Contains(usage, "Usage: parley "+name) {
				t.Errorf("parley %s is no command:\n%s", name, usage)
			}
			for _, v := range unread(usage, s.Environment) {
				t.Errorf("parley %s does not read %s:\n%s", name, v, usage)
			}
		})
	}
}

// The health check of image and compose file is a command of the program.
func TestHealthcheckIsACommand(t *testing.T) {
	t.Parallel()
	if usage := help(t, "healthcheck"); !strings.Contains(usage, "Usage: parley healthcheck") {
		t.Errorf("parley healthcheck is no command:\n%s", usage)
	}
	for _, role := range roles() {
		s := project(t).Services[role]
		want := []string{"CMD", "/parley", "healthcheck"}
		if role != "edge" { // whose page is the address asked by default
			addr := s.Environment["PARLEY_ADMIN_ADDR"]
			if addr == nil {
				t.Errorf("%s listens nowhere", role)
				continue
			}
			want = append(want, "http://"+*addr+"/readyz")
		}
		if !slices.Equal(s.HealthCheck.Test, want) {
			t.Errorf("%s is checked by %v, want %v", role, s.HealthCheck.Test, want)
		}
	}
}

// unread lists the variables that the usage of a command does not mention.
func unread[V any](usage string, env map[string]V) []string {
	var names []string
	for name := range env {
		ours := strings.HasPrefix(name, "PARLEY_") || strings.HasPrefix(name, "OPENAI_")
		if ours && !regexp.MustCompile(`\b`+name+`\b`).MatchString(usage) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestUnread(t *testing.T) {
	t.Parallel()
	usage := "--nats-url=STRING  Where NATS is ($PARLEY_NATS_URL, $PARLEY_NATS_URL_FILE)."
	env := map[string]string{"PARLEY_NATS_URL": "", "PARLEY_NATS": "", "OPENAI_API_KEY": "", "TZ": ""}
	if got, want := unread(usage, env), []string{"OPENAI_API_KEY", "PARLEY_NATS"}; !slices.Equal(got, want) {
		t.Errorf("unread = %v, want %v", got, want)
	}
}
