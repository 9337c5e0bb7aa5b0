package compose

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const (
	root        = "../.."
	composeFile = root + "/compose.yaml"
)

// settings are what a person has to set before `docker compose up`.
func settings() types.Mapping {
	return types.Mapping{
		"NATS_PASSWORD": "n4ts", "POSTGRES_PASSWORD": "p0stgres", "POSTGRES_OWNER_PASSWORD": "0wner", "POSTGRES_APP_PASSWORD": "4pp",
		"PARLEY_AUTH_JWKS_URL": "https://auth.example/jwks.json", "PARLEY_AUTH_ISSUER": "https://auth.example", "PARLEY_AUTH_AUDIENCE": "parley",
		"PARLEY_ALLOWED_ORIGINS": "https://chat.example", "OPENAI_MODEL": "some-model",
	}
}

// load reads a compose file as `docker compose config` does, with all its
// consistency checks.
func load(ctx context.Context, content []byte, env types.Mapping) (*types.Project, error) {
	dir, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: content}},
		Environment: env,
	})
}

func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t.Context(), readFile(t, composeFile), settings())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lasts reports whether a service runs until it is stopped; provision ends.
func lasts(service string) bool { return service != "provision" }

func roles() []string { return []string{"edge", "agentworker", "toolworker", "recorder"} }

func TestServices(t *testing.T) {
	t.Parallel()
	p := project(t)
	if p.Name != "parley" {
		t.Errorf("project name %q", p.Name)
	}
	want := slices.Sorted(slices.Values(append(roles(), "nats", "postgres", "provision")))
	if got := slices.Sorted(maps.Keys(p.Services)); !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
}

// Each service runs with as little as it needs, and comes back when it dies.
func TestServicesAreHardened(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !s.ReadOnly {
				t.Error("its root file system can be written")
			}
			if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged {
				t.Errorf("capabilities: drop %v, add %v, privileged %v", s.CapDrop, s.CapAdd, s.Privileged)
			}
			if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("security_opt %v", s.SecurityOpt)
			}
			if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes <= 0 || s.Deploy.Resources.Limits.Pids <= 0 {
				t.Error("no limit of memory or processes")
			}
			if s.ContainerName != "" || s.NetworkMode != "" || s.Pid != "" {
				t.Error("it names its container or shares the host's namespaces: it cannot be scaled")
			}
			if s.StopGracePeriod == nil {
				t.Error("no stop_grace_period: the default of 10 s kills what still works")
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" {
					t.Errorf("port %s is published on %q, not on loopback", port.Published, port.HostIP)
				}
			}
			if restart := s.Restart; restart != "unless-stopped" && name != "provision" || name == "provision" && !strings.HasPrefix(restart, "on-failure") {
				t.Errorf("restart %q", restart)
			}
			switch {
			case !lasts(name):
				if s.HealthCheck == nil || !s.HealthCheck.Disable {
					t.Error("it ends by itself; the image's health check has to be off")
				}
			case s.HealthCheck == nil || len(s.HealthCheck.Test) < 2 || s.HealthCheck.Interval == nil || s.HealthCheck.StartPeriod == nil:
				t.Error("no health check")
			}
		})
	}
}

// A tag that moves, or none, means another program tomorrow.
func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		if s.Build != nil {
			if s.Image != "parley:dev" {
				t.Errorf("%s is built as %q", name, s.Image)
			}
			continue
		}
		if !pinned(s.Image) {
			t.Errorf("%s runs %q, which is not pinned to a release", name, s.Image)
		}
	}
}

func TestPinned(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]bool{
		"nats:2.15.2-alpine": true, "postgres:18.4-bookworm": true, "x/y@sha256:" + strings.Repeat("a", 64): true,
		"nats": false, "nats:latest": false, "nats:2": false, "postgres:bookworm": false, "golang:1-alpine": false,
	} {
		if got := pinned(image); got != want {
			t.Errorf("pinned(%q) = %v", image, got)
		}
	}
}

func pinned(image string) bool {
	return regexp.MustCompile(`(:\d+\.\d+(\.\d+)?(-[a-z0-9.]+)*|@sha256:[0-9a-f]{64})$`).MatchString(image)
}

// Nothing of Parley's starts before the streams and tables are there, and each
// service waits for what it connects to.
func TestOrder(t *testing.T) {
	t.Parallel()
	p := project(t)
	want := types.DependsOnConfig{
		"nats":      {Condition: types.ServiceConditionHealthy, Required: true},
		"postgres":  {Condition: types.ServiceConditionHealthy, Required: true},
		"provision": {Condition: types.ServiceConditionCompletedSuccessfully, Required: true},
	}
	for _, role := range roles() {
		if got := p.Services[role].DependsOn; !reflect.DeepEqual(got, want) {
			t.Errorf("%s depends on %v", role, got)
		}
	}
	delete(want, "provision")
	if got := p.Services["provision"].DependsOn; !reflect.DeepEqual(got, want) {
		t.Errorf("provision depends on %v", got)
	}
}

// `--scale edge=3` needs a port for each of the three.
func TestEdgesCanBeScaled(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		if name != "edge" && len(s.Ports) > 0 {
			t.Errorf("%s publishes a port", name)
		}
	}
	edge := project(t).Services["edge"]
	if len(edge.Ports) != 1 || edge.Ports[0].Target != 7420 || edge.Ports[0].Published != "7420-7429" {
		t.Errorf("ports %+v, want 7420-7429 to 7420", edge.Ports)
	}
}

// The model's key reaches the agent workers and nobody else, the superuser's
// password only Postgres, the owner's only what migrates.
func TestSecretsReachWhoNeedsThem(t *testing.T) {
	t.Parallel()
	env := settings()
	env["OPENAI_API_KEY"] = "sk-secret"
	p, err := load(t.Context(), readFile(t, composeFile), env)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string][]string{
		"sk-secret": {"agentworker"},
		"p0stgres":  {"postgres"},
		"0wner":     {"postgres", "provision"},
		"4pp":       {"agentworker", "edge", "postgres", "recorder", "toolworker"},
		"n4ts":      {"agentworker", "edge", "nats", "provision", "recorder", "toolworker"},
	} {
		var got []string
		for name, s := range p.Services {
			text, err := s.MarshalYAML()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(fmt.Sprint(text), secret) || inEnvironment(s.Environment, secret) {
				got = append(got, name)
			}
			if slices.ContainsFunc(s.Command, func(arg string) bool { return strings.Contains(arg, secret) }) {
				t.Errorf("%s has a secret on its command line", name)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s reaches %v, want %v", secret, got, want)
		}
	}
}

func inEnvironment(env types.MappingWithEquals, secret string) bool {
	for _, v := range env {
		if v != nil && strings.Contains(*v, secret) {
			return true
		}
	}
	return false
}

// Bind mounts are files of this repository, mounted read-only.
func TestMounts(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if fi, err := os.Stat(v.Source); err != nil || !fi.Mode().IsRegular() || !v.ReadOnly {
				t.Errorf("%s mounts %s (read-only %v): %v", name, v.Source, v.ReadOnly, err)
			}
		}
	}
	if conf := readFile(t, root+"/compose/nats.conf"); !bytes.Contains(conf, []byte("sync_interval: always")) {
		t.Error("NATS acknowledges writes that are not on the disk")
	}
}

// What the library must catch for all of the above to mean something, and what a
// person sees who forgot a setting.
func TestMistakesAreFound(t *testing.T) {
	t.Parallel()
	good := string(readFile(t, composeFile))
	tests := []struct {
		name, old, text string
		unset           string
		want            string
	}{
		{name: "unknown condition", old: "condition: service_completed_successfully", text: "condition: service_done", want: "condition"},
		{name: "undefined dependency", old: "x-after-provision: &after-provision\n", text: "x-after-provision: &after-provision\n  redis:\n    condition: service_healthy\n", want: "redis"},
		{name: "undefined volume", old: "- nats:/data", text: "- nat:/data", want: "nat"},
		{name: "unknown key", old: "command: [edge]", text: "comand: [edge]", want: "comand"},
		{name: "circle", old: "x-after-provision: &after-provision\n", text: "x-after-provision: &after-provision\n  edge:\n    condition: service_healthy\n", want: "edge"},
		{name: "no key set", unset: "PARLEY_AUTH_JWKS_URL", want: "set it to the key set of your token issuer"},
		{name: "no NATS password", unset: "NATS_PASSWORD", want: "set it in .env"},
		{name: "no Postgres password", unset: "POSTGRES_PASSWORD", want: "set it in .env"},
		{name: "no owner password", unset: "POSTGRES_OWNER_PASSWORD", want: "set it in .env"},
		{name: "no issuer", unset: "PARLEY_AUTH_ISSUER", want: "iss claim"},
		{name: "no audience", unset: "PARLEY_AUTH_AUDIENCE", want: "aud claim"},
		{name: "no origin", unset: "PARLEY_ALLOWED_ORIGINS", want: "https origin"},
		{name: "no model", unset: "OPENAI_MODEL", want: "name of the model"},
		{name: "no app password", unset: "POSTGRES_APP_PASSWORD", want: "set it in .env"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := settings()
			delete(env, tt.unset)
			text := good
			if tt.old != "" {
				text = strings.Replace(good, tt.old, tt.text, 1)
				if text == good {
					t.Fatalf("compose.yaml has no %q", tt.old)
				}
			}
			_, err := load(t.Context(), []byte(text), env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q in it", err, tt.want)
			}
			if tt.unset != "" && err != nil && !strings.Contains(err.Error(), tt.unset) {
				t.Errorf("err = %v does not name %s", err, tt.unset)
			}
		})
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
