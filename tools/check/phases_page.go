package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// stampName lies inside node_modules, so that whatever removes those also
// removes the claim that they are up to date. parley dev reads and writes the same
// stamp: the hash of the lock file.
const stampName = ".stamp"

// runInstall installs the page's packages.
func runInstall(ctx context.Context, j *job) error { return install(ctx, j, "frontend") }

// install installs the packages of a folder when its lock file changed. Their
// install scripts never run.
func install(ctx context.Context, j *job, dir string) error {
	want, err := installStamp(j.ws.path(dir))
	if err != nil {
		return err
	}
	if _, err := j.output(ctx, command{args: []string{"node", "--version"}}); err != nil {
		return unavailable{fmt.Sprintf("Node 20 or newer is needed for the page (%v)", err)}
	}
	stamp := j.ws.path(dir, "node_modules", stampName)
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		fmt.Fprintln(j.log, "up to date")
		return nil
	}
	if err := j.exec(ctx, command{dir: dir, args: []string{"npm", "ci", "--ignore-scripts", "--prefer-offline"}}); err != nil {
		return err
	}
	return os.WriteFile(stamp, []byte(want), 0o644)
}

// installStamp names what an installation in dir was made from.
func installStamp(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// npm is a phase of one script of the page's package.json.
func npm(script string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		return j.exec(ctx, command{dir: "frontend", args: []string{"npm", "run", script}})
	}
}

// jest is a phase of a script that runs Jest, counted from its own report. What
// the tests measured is noted.
func jest(script string, env []string, args ...string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		file := filepath.Join(j.ws.logs, j.phase.name+".json")
		figures := filepath.Join(j.ws.logs, j.phase.name+".figures")
		runErr := j.exec(ctx, command{dir: "frontend", env: append(env, "PARLEY_FIGURES="+figures), args: append([]string{
			"npm", "run", script, "--", "--ci", "--json", "--outputFile=" + file,
		}, args...)})
		if b, err := os.ReadFile(figures); err == nil {
			for line := range strings.Lines(string(b)) {
				j.note(strings.TrimSpace(line))
			}
		}
		return jestInto(j, file, runErr)
	}
}

// runBrowser drives the built binary with a real browser.
func runBrowser(ctx context.Context, j *job) error {
	return withPage(ctx, j, "test:e2e", []tool{chromium()})
}

func runFirefox(ctx context.Context, j *job) error {
	return withPage(ctx, j, "test:engines", []tool{firefox()}, "test/engines/firefox")
}

func runWebKit(ctx context.Context, j *job) error {
	return withPage(ctx, j, "test:engines", []tool{webkit(), xvfb()}, "test/engines/webkit")
}

// runLighthouse loads the page as a phone would. Lighthouse has a package file of
// its own, so that nobody who only wants to start Parley waits for it.
func runLighthouse(ctx context.Context, j *job) error {
	if err := install(ctx, j, "tools/lighthouse"); err != nil {
		return err
	}
	return withPage(ctx, j, "test:lighthouse", []tool{chromium()})
}

// runPerf measures the page's budgets of processor time.
func runPerf(ctx context.Context, j *job) error {
	return withPage(ctx, j, "test:perf", []tool{chromium()})
}

// withPage runs tests against the built binary, with tools that the tests find by
// their settings.
func withPage(ctx context.Context, j *job, script string, tools []tool, args ...string) error {
	env := []string{"PARLEY_BIN=" + j.ws.bin}
	for _, t := range tools {
		path, err := j.kit.get(ctx, j, t)
		if err != nil {
			return err
		}
		env = append(env, t.env+"="+path)
	}
	if err := hasPage(j.ws); err != nil {
		return err
	}
	return jest(script, env, args...)(ctx, j)
}

// hasPage guards against a browser test of the "not built" notice.
func hasPage(ws *workspace) error {
	index, err := os.ReadFile(ws.path("frontend", "dist", "index.html"))
	if err != nil {
		return fmt.Errorf("the page is not built: %w", err)
	}
	bin, err := os.ReadFile(ws.bin)
	if err != nil {
		return err
	}
	if !bytes.Contains(bin, index) {
		return errors.New("the binary does not contain the page that was built")
	}
	return nil
}
