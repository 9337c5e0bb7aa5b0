package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A tool is a program that some phase needs and that may have to be obtained.
type tool struct {
	name      string
	env       string   // names a path; an explicit setting that fails is an error
	names     []string // looked up in PATH
	places    []string // globs of where it lives outside PATH
	ask       string   // what makes it answer and end; empty is --version
	packages  []string // Debian's, to install when allowed
	elsewhere string   // what a person does where we cannot install
}

// The tools. Debian's chromium is a wrapper that knows how to start as root,
// which is why it is preferred to a browser of unknown origin in a cache.
func compiler() tool {
	return tool{
		name: "a C compiler", names: []string{"gcc", "cc", "clang"},
		packages: []string{"gcc", "libc6-dev"}, elsewhere: "install gcc or clang",
	}
}

func chromium() tool {
	home, _ := os.UserHomeDir()
	return tool{
		name: "Chromium", env: "PARLEY_CHROMIUM",
		names: []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"},
		places: []string{
			"/Applications/Chromium.app/Contents/MacOS/Chromium",
			"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
			"/snap/bin/chromium",
			filepath.Join(home, ".cache/ms-playwright/chromium-*/chrome-linux*/chrome"),
			filepath.Join(home, "Library/Caches/ms-playwright/chromium-*/chrome-mac*/*.app/Contents/MacOS/*"),
		},
		packages: []string{"chromium"}, elsewhere: "install Chromium or Chrome, or set PARLEY_CHROMIUM to its path",
	}
}

func firefox() tool {
	return tool{
		name: "Firefox", env: "PARLEY_FIREFOX", names: []string{"firefox-esr", "firefox"},
		places:   []string{"/Applications/Firefox.app/Contents/MacOS/firefox"},
		packages: []string{"firefox-esr"}, elsewhere: "install Firefox, or set PARLEY_FIREFOX to its path",
	}
}

// webkit is the WebDriver of WebKitGTK, which brings a browser of its own along.
func webkit() tool {
	return tool{
		name: "WebKitWebDriver", env: "PARLEY_WEBKIT_DRIVER", names: []string{"WebKitWebDriver"}, ask: "--help",
		packages: []string{"webkit2gtk-driver"}, elsewhere: "install WebKitGTK's WebDriver, or set PARLEY_WEBKIT_DRIVER to its path",
	}
}

// xvfb is a display that nobody sees: WebKitGTK's browser has no mode without one.
func xvfb() tool {
	return tool{
		name: "Xvfb", env: "PARLEY_XVFB", names: []string{"Xvfb"}, ask: "-help",
		packages: []string{"xvfb"}, elsewhere: "install xvfb, or set PARLEY_XVFB to its path",
	}
}

func pgbouncer() tool {
	return tool{
		name: "PgBouncer", env: "PARLEY_TEST_PGBOUNCER", names: []string{"pgbouncer"},
		places:   []string{"/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer"},
		packages: []string{"pgbouncer"}, elsewhere: "install pgbouncer, or set PARLEY_TEST_PGBOUNCER to its path",
	}
}

// kit finds tools, installs them where that is allowed, and remembers both
// outcomes for the phases that ask again.
type kit struct {
	lookup  func(string) (string, bool)
	euid    int
	path    func(string) (string, error)                // exec.LookPath
	probe   func(context.Context, string, string) error // does it start, and answer what it is asked?
	command func(context.Context, *job, ...string) error

	mu      sync.Mutex // also serialises apt-get
	updated bool
	found   map[string]string
	missing map[string]error
}

func newKit(lookup func(string) (string, bool)) *kit {
	return &kit{
		lookup: lookup, euid: os.Geteuid(), path: exec.LookPath, probe: probe,
		command: func(ctx context.Context, j *job, args ...string) error {
			return j.exec(ctx, command{args: args, env: []string{"DEBIAN_FRONTEND=noninteractive"}})
		},
		found: map[string]string{}, missing: map[string]error{},
	}
}

// get returns the path of a working t. When there is none and none can be had,
// the error is an unavailable that says what a person can do.
func (k *kit) get(ctx context.Context, j *job, t tool) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.found[t.name]; ok {
		return p, nil
	}
	if err, ok := k.missing[t.name]; ok {
		return "", err
	}
	p, err := k.obtain(ctx, j, t)
	if err != nil {
		if ctx.Err() == nil {
			k.missing[t.name] = err
		}
		return "", err
	}
	k.found[t.name] = p
	return p, nil
}

func (k *kit) obtain(ctx context.Context, j *job, t tool) (string, error) {
	if t.env != "" {
		if p, ok := k.lookup(t.env); ok && p != "" {
			if err := k.probe(ctx, p, t.ask); err != nil {
				return "", fmt.Errorf("%s=%s does not start: %w", t.env, p, err)
			}
			return p, nil
		}
	}
	if p, ok := k.search(ctx, t); ok {
		return p, nil
	}
	if k.euid != 0 {
		return "", unavailable{fmt.Sprintf("%s is not there, and only root may install it: %s", t.name, t.elsewhere)}
	}
	if _, err := k.path("apt-get"); err != nil {
		return "", unavailable{fmt.Sprintf("%s is not there: %s", t.name, t.elsewhere)}
	}
	j.at("installing %s", strings.Join(t.packages, ", "))
	if err := k.install(ctx, j, t.packages); err != nil {
		return "", unavailable{fmt.Sprintf("%s is not there, and installing it failed (%v): %s", t.name, err, t.elsewhere)}
	}
	if p, ok := k.search(ctx, t); ok {
		return p, nil
	}
	return "", unavailable{fmt.Sprintf("%s was installed but does not start: %s", t.name, t.elsewhere)}
}

func (k *kit) search(ctx context.Context, t tool) (string, bool) {
	var candidates []string
	for _, name := range t.names {
		if p, err := k.path(name); err == nil {
			candidates = append(candidates, p)
		}
	}
	for _, glob := range t.places {
		matches, _ := filepath.Glob(glob) // the patterns are ours, hence well formed
		candidates = append(candidates, matches...)
	}
	for _, p := range candidates {
		if k.probe(ctx, p, t.ask) == nil {
			return p, true
		}
	}
	return "", false
}

// install runs apt-get. A machine that was interrupted in the middle of an
// installation refuses every other one until it is repaired, so that is tried
// once.
func (k *kit) install(ctx context.Context, j *job, packages []string) error {
	apt := func(args ...string) error {
		return k.command(ctx, j, append([]string{"apt-get", "-y", "-o", "DPkg::Lock::Timeout=120"}, args...)...)
	}
	if !k.updated {
		if err := apt("update"); err != nil {
			return err
		}
		k.updated = true
	}
	install := append([]string{"install", "--no-install-recommends"}, packages...)
	err := apt(install...)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if err := k.command(ctx, j, "dpkg", "--configure", "-a"); err != nil {
		fmt.Fprintf(j.log, "%v; going on\n", err) // --fix-broken may still mend it
	}
	if err := apt("--fix-broken", "install"); err != nil {
		return err
	}
	return apt(install...)
}

// probe starts a program and asks it something: a wrapper whose program is gone,
// or a browser whose libraries are, is not there.
func probe(ctx context.Context, path, ask string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, cmp.Or(ask, "--version")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bounded(strings.TrimSpace(string(out)), 300))
	}
	return nil
}
