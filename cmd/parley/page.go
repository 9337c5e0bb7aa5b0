package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// stampFile remembers which sources the page was built from.
const stampFile = ".stamp"

// A page finds and builds the frontend's files.
type page struct {
	dir string // the frontend folder of a source checkout, or ""
}

// findPage looks for a source checkout around the working directory. A binary
// that runs elsewhere serves the page it holds.
func findPage() page {
	dir, err := os.Getwd()
	if err != nil {
		return page{}
	}
	for range 32 {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module github.com/parleychat/parley\n")) {
			front := filepath.Join(dir, "frontend")
			if _, err := os.Stat(filepath.Join(front, "package.json")); err == nil {
				return page{front}
			}
			return page{}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return page{}
		}
		dir = parent
	}
	return page{}
}

// pageBuilt is what build says when it built.
const pageBuilt = "built"

// build builds the page if its sources are newer than what is built, and says
// in one word what it did.
func (p page) build(ctx context.Context) (what string, err error) {
	if p.dir == "" {
		if builtPage() == nil {
			return "not in this binary", nil
		}
		return "in the binary", nil
	}
	sources, lock, err := p.hash()
	if err != nil {
		return "", fmt.Errorf("page: %w", err)
	}
	stamp := filepath.Join(p.dir, "dist", stampFile)
	if b, err := os.ReadFile(stamp); err == nil && string(b) == sources {
		return "up to date", nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", errors.New("page: npm was not found; install Node 20 or newer to build it")
	}
	// The stamp inside node_modules goes with it when somebody deletes it.
	modules := filepath.Join(p.dir, "node_modules", stampFile)
	if b, err := os.ReadFile(modules); err != nil || string(b) != lock {
		if err := p.npm(ctx, "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
			return "", err
		}
		if err := os.WriteFile(modules, []byte(lock), 0o600); err != nil {
			return "", fmt.Errorf("page: %w", err)
		}
	}
	if err := p.npm(ctx, "run", "build"); err != nil {
		return "", err
	}
	if err := os.WriteFile(stamp, []byte(sources), 0o600); err != nil {
		return "", fmt.Errorf("page: %w", err)
	}
	return pageBuilt, nil
}

// files returns the built page.
func (p page) files() fs.FS {
	if p.dir == "" {
		return builtPage()
	}
	dist := filepath.Join(p.dir, "dist")
	if _, err := os.Stat(filepath.Join(dist, "index.html")); err != nil {
		return nil
	}
	return os.DirFS(dist)
}

func (p page) npm(ctx context.Context, args ...string) error {
	return build(ctx, p.dir, "npm", args...)
}

// link makes `go run` keep a binary that holds the page just built, because
// otherwise the next start has to link one first, which takes longer than all the
// rest of it.
func (p page) link(ctx context.Context) error {
	return build(ctx, filepath.Dir(p.dir), "go", "run", "./cmd/parley", "version")
}

// build runs a program that starts others; when ctx ends, all of them do.
func build(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("page: %s %s: %w\n%s", name, strings.Join(args, " "), err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
	return nil
}

// byGoRun reports whether `go run` started this process: from its folder of work
// or, since Go 1.24, from the build cache.
func byGoRun(executable string) bool {
	dir := filepath.Base(filepath.Dir(executable))
	return dir == "exe" && strings.Contains(executable, "go-build") || len(dir) == len("-d")+hex.EncodedLen(sha256.Size) && strings.HasSuffix(dir, "-d")
}

// hash returns a hash of what the page is built from, and one of its lock file.
func (p page) hash() (sources, lock string, err error) {
	var files []string
	err = filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != p.dir && (name == "node_modules" || name == "dist" || name == "test" || name == "coverage" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && !strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return "", "", err
	}
	slices.Sort(files)
	all := sha256.New()
	for _, path := range files {
		sum, err := fileHash(path)
		if err != nil {
			return "", "", err
		}
		rel, err := filepath.Rel(p.dir, path)
		if err != nil {
			return "", "", err
		}
		fmt.Fprintf(all, "%s %s\n", filepath.ToSlash(rel), sum)
		if rel == "package-lock.json" {
			lock = sum
		}
	}
	return hex.EncodeToString(all.Sum(nil)), lock, nil
}

func fileHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // opened for reading
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
