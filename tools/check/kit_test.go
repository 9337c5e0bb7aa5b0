package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine is a computer with some programs and a package manager.
type machine struct {
	programs map[string]bool // path, and whether it starts
	settings map[string]string
	euid     int
	apt      bool
	broken   bool              // the package manager was interrupted
	offers   map[string]string // package to the path that it installs
	ran      []string
}

func (m *machine) kit() *kit {
	return &kit{
		lookup: func(name string) (string, bool) { v, ok := m.settings[name]; return v, ok },
		euid:   m.euid,
		path: func(name string) (string, error) {
			if name == "apt-get" && m.apt {
				return "/usr/bin/apt-get", nil
			}
			for p := range m.programs {
				if filepath.Base(p) == name && strings.HasPrefix(p, "/bin/") {
					return p, nil
				}
			}
			return "", errors.New("not found")
		},
		probe: func(_ context.Context, p, _ string) error {
			if !m.programs[p] {
				return errors.New("does not start")
			}
			return nil
		},
		command: func(_ context.Context, _ *job, args ...string) error {
			line := strings.ReplaceAll(strings.Join(args, " "), "apt-get -y -o DPkg::Lock::Timeout=120", "apt-get")
			m.ran = append(m.ran, line)
			switch {
			case strings.Contains(line, "--fix-broken"):
				m.broken = false
			case m.broken && strings.Contains(line, "install"):
				return errors.New("unmet dependencies")
			case strings.Contains(line, "install"):
				for _, a := range args {
					if p, ok := m.offers[a]; ok {
						m.programs[p] = true
					}
				}
			}
			return nil
		},
		found: map[string]string{}, missing: map[string]error{},
	}
}

func TestKit(t *testing.T) {
	t.Parallel()
	browser := tool{name: "Browser", env: "BROWSER", names: []string{"chromium", "chrome"}, packages: []string{"chromium"}, elsewhere: "brew install it"}
	tests := []struct {
		name    string
		machine machine
		path    string
		err     string // in the error
		away    bool   // the error is an unavailable
		ran     []string
	}{
		{
			name:    "in PATH",
			machine: machine{programs: map[string]bool{"/bin/chrome": true}},
			path:    "/bin/chrome",
		},
		{
			name:    "a wrapper whose program is gone is passed over",
			machine: machine{programs: map[string]bool{"/bin/chromium": false, "/bin/chrome": true}},
			path:    "/bin/chrome",
		},
		{
			name:    "an explicit setting wins",
			machine: machine{programs: map[string]bool{"/bin/chrome": true, "/opt/x": true}, settings: map[string]string{"BROWSER": "/opt/x"}},
			path:    "/opt/x",
		},
		{
			name:    "an explicit setting that fails is an error, never a fallback",
			machine: machine{programs: map[string]bool{"/bin/chrome": true}, settings: map[string]string{"BROWSER": "/opt/x"}, apt: true},
			err:     "BROWSER=/opt/x does not start",
		},
		{
			name:    "not root",
			machine: machine{euid: 1000, apt: true, programs: map[string]bool{}},
			err:     "only root may install it: brew install it", away: true,
		},
		{
			name:    "root without apt-get",
			machine: machine{programs: map[string]bool{}},
			err:     "brew install it", away: true,
		},
		{
			name:    "installed",
			machine: machine{apt: true, programs: map[string]bool{}, offers: map[string]string{"chromium": "/bin/chromium"}},
			path:    "/bin/chromium",
			ran:     []string{"apt-get update", "apt-get install --no-install-recommends chromium"},
		},
		{
			name:    "installed after a repair",
			machine: machine{apt: true, broken: true, programs: map[string]bool{}, offers: map[string]string{"chromium": "/bin/chromium"}},
			path:    "/bin/chromium",
			ran: []string{
				"apt-get update", "apt-get install --no-install-recommends chromium", "dpkg --configure -a",
				"apt-get --fix-broken install", "apt-get install --no-install-recommends chromium",
			},
		},
		{
			name:    "installed, but it does not start",
			machine: machine{apt: true, programs: map[string]bool{}},
			err:     "was installed but does not start", away: true,
			ran: []string{"apt-get update", "apt-get install --no-install-recommends chromium"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := tt.machine.kit()
			j := &job{log: io.Discard}
			for range 2 { // the second answer is remembered
				got, err := k.get(t.Context(), j, browser)
				if got != tt.path {
					t.Errorf("path = %q, want %q", got, tt.path)
				}
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("err = %v, want %q in it", err, tt.err)
				}
				var un unavailable
				if errors.As(err, &un) != tt.away {
					t.Errorf("unavailable = %v, want %v", !tt.away, tt.away)
				}
			}
			if !slices.Equal(tt.machine.ran, tt.ran) {
				t.Errorf("ran %q, want %q", tt.machine.ran, tt.ran)
			}
		})
	}
}

func TestKitUpdatesPackageListsOnce(t *testing.T) {
	t.Parallel()
	m := machine{apt: true, programs: map[string]bool{}, offers: map[string]string{"gcc": "/bin/gcc", "pgbouncer": "/bin/pgbouncer"}}
	k, j := m.kit(), &job{log: io.Discard}
	for _, tool := range []tool{{name: "cc", names: []string{"gcc"}, packages: []string{"gcc"}}, {name: "pool", names: []string{"pgbouncer"}, packages: []string{"pgbouncer"}}} {
		if _, err := k.get(t.Context(), j, tool); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(m.ran), func(s string) bool { return s != "apt-get update" })); n != 1 {
		t.Errorf("updated %d times: %q", n, m.ran)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "browser")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho missing libnss3 >&2\nexit 127\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := probe(t.Context(), script, ""); err == nil || !strings.Contains(err.Error(), "libnss3") {
		t.Errorf("probe = %v", err)
	}
	for _, ask := range []string{"", "--help"} {
		if err := probe(t.Context(), "/bin/ls", ask); err != nil {
			t.Errorf("probe of ls with %q = %v", ask, err)
		}
	}
	if err := probe(t.Context(), "/bin/ls", "--nonsense"); err == nil {
		t.Error("ls answers nonsense")
	}
}
