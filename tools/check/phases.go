package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// phases is the table of everything that guards a commit, and with full of what
// takes longer. Order is priority: slow builds that others wait for stand first,
// what measures or uses every core by itself stands last.
func phases() []phase {
	return []phase{
		{name: "tools", what: "find or install a C compiler and Chromium", run: runTools},
		{name: "install", what: "npm ci of the page's exact packages, without their scripts", run: runInstall},
		{name: "format", what: "gofmt", run: runFormat},
		{name: "modules", what: "go.mod and go.sum are tidy", run: runModules},
		{name: "page", what: "production build of the page", needs: []string{"install"}, run: npm("build")},
		{name: "vet", what: "go vet", after: []string{"page"}, run: goRun("vet", "./...")},
		{name: "build", what: "the parley binary, with the page in it", after: []string{"page"}, run: runBuild},
		{name: "build-faults", what: "the parley binary that can be killed at points and planted with bugs", after: []string{"page"}, run: runBuildFaults},
		{name: "lint", what: "golangci-lint, built from tools.mod", after: []string{"page"}, timeout: 15 * time.Minute, run: runLint},
		{name: "typecheck", what: "TypeScript", needs: []string{"install"}, run: npm("typecheck")},
		{name: "eslint", what: "ESLint and Prettier", needs: []string{"install"}, run: npm("lint")},
		{name: "jest", what: "unit tests of the page", needs: []string{"install"}, run: jest("test", nil)},
		{name: "size", what: "the page's size budgets", needs: []string{"page"}, run: npm("size")},
		{name: "compose", what: "compose.yaml and Dockerfile", needs: []string{"build"}, run: runCompose},
		{name: "test", what: "Go tests with the race detector, on the local Postgres", needs: []string{"build"}, after: []string{"tools"}, alone: true, timeout: 20 * time.Minute, run: runTests},
		{name: "faults", what: "roles killed and paused at every fault point, and every planted bug noticed", needs: []string{"build-faults"}, after: []string{"tools"}, alone: true, run: runFaults},
		{name: "e2e", what: "browser tests against the built binary", needs: []string{"install", "page", "build"}, after: []string{"tools"}, alone: true, run: runBrowser},

		{name: "chaos", what: "60 s of killed, paused and restarted processes, then the proof of I1 to I8", needs: []string{"build"}, alone: true, run: runChaos("--for", "60s")},

		{name: "chaos3", what: "the same for 3 minutes, with NATS as a cluster of three", needs: []string{"build"}, full: true, alone: true, run: runChaos("--for", "3m", "--nodes", "3")},
		{name: "plants", what: "every planted bug caught by chaos", needs: []string{"build-faults"}, full: true, alone: true, timeout: time.Hour, run: runPlants},
		{name: "start", what: "a fresh clone starts in time, ends in a working chat, stops, and does so again", needs: []string{"build"}, full: true, alone: true, timeout: 20 * time.Minute, run: runStart},
		{name: "firefox", what: "send, stream, resume and stop in Firefox", needs: []string{"install", "page", "build"}, after: []string{"tools"}, full: true, alone: true, run: runFirefox},
		{name: "webkit", what: "the same in WebKit", needs: []string{"install", "page", "build"}, after: []string{"tools"}, full: true, alone: true, run: runWebKit},
		{name: "lighthouse", what: "the page on a phone and a slow line, by Lighthouse", needs: []string{"install", "page", "build"}, after: []string{"tools"}, full: true, alone: true, run: runLighthouse},
		{name: "perf", what: "processor time of the page: answers that stream, 2,000 messages", needs: []string{"install", "page", "build"}, after: []string{"tools"}, full: true, alone: true, run: runPerf},
		{name: "test-pg18", what: "Go tests that use Postgres, on Postgres 18", needs: []string{"build"}, after: []string{"tools"}, full: true, alone: true, timeout: 20 * time.Minute, run: runPostgres18},
		{name: "test-pooler", what: "Go tests that use Postgres, through PgBouncer in transaction mode", needs: []string{"build"}, after: []string{"tools"}, full: true, alone: true, timeout: 20 * time.Minute, run: runPooler},
		{name: "platforms", what: "builds for linux/arm64 and darwin/arm64, tests included", after: []string{"page"}, full: true, alone: true, timeout: 20 * time.Minute, run: runPlatforms},
		{name: "search", what: "every state of small worlds under the agent's rules", needs: []string{"build"}, full: true, alone: true, timeout: 20 * time.Minute, run: runSearch},
		{name: "verify", what: "`parley verify` on a million events, and not slowly", needs: []string{"build"}, after: []string{"tools"}, full: true, alone: true, run: runVerify},
		{name: "outages", what: "NATS, Postgres and the disk away for 30 s, under real processes", needs: []string{"build"}, after: []string{"tools"}, full: true, alone: true, timeout: 20 * time.Minute, run: runOutages},
		{name: "drills", what: "the steps of docs/operations.md, carried out", needs: []string{"build"}, after: []string{"tools"}, full: true, alone: true, run: runDrills},
		{name: "fuzz", what: "each fuzz target for 30 s", needs: []string{"build"}, full: true, alone: true, timeout: time.Hour, run: runFuzz},
	}
}

// runTools obtains what later phases need, early and while others run. What it
// cannot have is reported by the phase that misses it.
func runTools(ctx context.Context, j *job) error {
	tools := []tool{compiler(), chromium()}
	if j.opts.full {
		tools = append(tools, pgbouncer(), firefox(), webkit(), xvfb())
	}
	for _, t := range tools {
		p, err := j.kit.get(ctx, j, t)
		if err != nil {
			p = err.Error()
		}
		fmt.Fprintf(j.log, "%s: %s\n", t.name, p)
	}
	return ctx.Err()
}

// goRun is a phase of one go command.
func goRun(args ...string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		return j.exec(ctx, command{args: append([]string{"go"}, args...)})
	}
}

// runModules compares without writing. The developer tools' module has no
// packages of its own, so there is nothing that tidy could compare it with.
func runModules(ctx context.Context, j *job) error {
	for _, dir := range []string{".", "tools/compose"} {
		diff, err := j.output(ctx, command{dir: dir, args: []string{"go", "mod", "tidy", "-diff"}})
		switch {
		case diff != "":
			j.fail(filepath.Join(dir, "go.mod"), "run go mod tidy\n"+diff)
		case err != nil && ctx.Err() == nil:
			// It looks at the tests of our dependencies, which nothing else needs.
			return unavailable{"go mod tidy could not look at every module: " + j.tail.String()}
		case err != nil:
			return err
		}
	}
	return nil
}

func runBuild(ctx context.Context, j *job) error {
	return j.exec(ctx, command{args: []string{"go", "build", "-o", j.ws.bin, "./cmd/parley"}})
}

func runBuildFaults(ctx context.Context, j *job) error {
	return j.exec(ctx, command{args: []string{"go", "build", "-tags", "faults", "-o", j.ws.faultsBin(), "./cmd/parley"}})
}

// runFaults runs the tests that need the binary with fault points. They start
// processes of it and judge from outside.
func runFaults(ctx context.Context, j *job) error {
	return goTest(ctx, j, command{env: []string{"PARLEY_FAULTS_BIN=" + j.ws.faultsBin()}}, "-tags=faults", "./internal/faulttest")
}

func runLint(ctx context.Context, j *job) error {
	j.at("the first build of the linter takes minutes")
	return errors.Join(
		j.exec(ctx, command{args: []string{"go", "tool", "-modfile=tools.mod", "golangci-lint", "run"}}),
		j.exec(ctx, command{args: []string{
			"go", "tool", "-modfile=tools.mod", "golangci-lint", "run", "--build-tags=faults", "./internal/fault/...", "./internal/faulttest/...",
		}}),
		j.exec(ctx, command{dir: "tools/compose", args: []string{"go", "tool", "-modfile=../../tools.mod", "golangci-lint", "run"}}),
	)
}

// goTest is one run of `go test`, counted. Results are never taken from Go's
// cache: it does not know the databases, servers and binaries that tests use.
func goTest(ctx context.Context, j *job, c command, packages ...string) error {
	g := newGoTests()
	c.args = []string{"go", "test", "-json", "-count=1", "-shuffle=on", "-timeout=10m"}
	if err := race(ctx, j, &c); err != nil {
		return err
	}
	c.args = append(c.args, packages...)
	c.env = append(c.env, "PARLEY_BIN="+j.ws.bin)
	c.out = writerFunc(func(p []byte) (int, error) {
		n, err := g.Write(p)
		if done, bad := g.progress(); done > 0 {
			j.at("%d tests so far, %d failed", done, bad)
		}
		return n, err
	})
	return g.into(j, j.exec(ctx, c))
}

// race adds the race detector, which needs cgo and so a C compiler.
func race(ctx context.Context, j *job, c *command) error {
	cc, err := j.kit.get(ctx, j, compiler())
	un, away := errors.AsType[unavailable](err)
	switch {
	case away:
		j.warn("Go tests ran WITHOUT the race detector: " + un.reason)
		c.env = append(c.env, "CGO_ENABLED=0")
	case err != nil:
		return err
	default:
		c.env = append(c.env, "CGO_ENABLED=1", "CC="+cc)
		c.args = append(c.args, "-race")
	}
	return nil
}

func runTests(ctx context.Context, j *job) error {
	return goTest(ctx, j, command{}, "./...")
}

// runCompose tests the deployment files, in a module of their own because
// Compose's library brings many others.
func runCompose(ctx context.Context, j *job) error {
	g := newGoTests()
	c := command{dir: "tools/compose", args: []string{"go", "test", "-json", "-count=1", "./..."}, env: []string{"PARLEY_BIN=" + j.ws.bin}, out: g}
	return g.into(j, j.exec(ctx, c))
}

func runPostgres18(ctx context.Context, j *job) error {
	return postgresTests(ctx, j, "PARLEY_TEST_POSTGRES_MAJOR=18")
}

func runPooler(ctx context.Context, j *job) error {
	bin, err := j.kit.get(ctx, j, pgbouncer())
	if err != nil {
		return err
	}
	return postgresTests(ctx, j, "PARLEY_TEST_PGBOUNCER="+bin)
}

// postgresTests repeats the tests of the packages that start a Postgres.
func postgresTests(ctx context.Context, j *job, env string) error {
	out, err := j.output(ctx, command{args: []string{
		"go", "list", "-f", `{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}`, "./...",
	}})
	if err != nil {
		return err
	}
	packages := importing(out, modulePath+"/internal/testkit")
	if len(packages) == 0 {
		return errors.New("no package's tests import internal/testkit")
	}
	return goTest(ctx, j, command{env: []string{env}}, packages...)
}

// runOutages repeats the tests of outages, which last seconds in the other phases.
func runOutages(ctx context.Context, j *job) error {
	env := []string{"PARLEY_TEST_OUTAGE=30s", "PARLEY_TEST_TIMEOUT=5m"}
	return goTest(ctx, j, command{env: env}, "-run=^TestOutage", "./cmd/parley")
}

// runDrills runs tests that are nowhere else: they need more than Go and a Postgres.
func runDrills(ctx context.Context, j *job) error {
	return goTest(ctx, j, command{env: []string{"PARLEY_TEST_TIMEOUT=3m"}}, "-tags=drills", "-run=^TestDrill", "./cmd/parley")
}

// importing picks, from lines of a package and its imports, the packages with a
// given import.
func importing(lines, wanted string) []string {
	var packages []string
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		for i, f := range fields {
			if i > 0 && f == wanted {
				packages = append(packages, fields[0])
				break
			}
		}
	}
	return packages
}

func runPlatforms(ctx context.Context, j *job) error {
	var errs []error
	for _, p := range []string{"linux/arm64", "darwin/arm64"} {
		goos, goarch, _ := strings.Cut(p, "/")
		j.at("%s", p)
		env := []string{"GOOS=" + goos, "GOARCH=" + goarch, "CGO_ENABLED=0"}
		// vet type-checks the tests as well, which a build leaves out.
		errs = append(errs,
			j.exec(ctx, command{env: env, args: []string{"go", "vet", "./..."}}),
			j.exec(ctx, command{env: env, args: []string{"go", "build", "-o", j.ws.bin + "-" + goos + "-" + goarch, "./cmd/parley"}}))
	}
	return errors.Join(errs...)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
