package testkit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/migrations"
)

const (
	templateName = "parley_template"
	// rolePassword is for all roles: the socket is in a directory of mode 0700.
	rolePassword = "test"
	// recipe changes when what is done to a fresh cluster below changes.
	recipe = "1"
	// staleAfter is when a cached cluster that nobody used may go.
	staleAfter = 3 * 24 * time.Hour
)

// cachedCluster returns the data directory of a stopped cluster with roles and
// a migrated template, made by these binaries; it is built if it is not there.
func cachedCluster(ctx context.Context, bin embedded.Binaries, account embedded.Account) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := migrationsKey(recipe, bin.String(), account.Name)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "postgres-"+bin.Version+"-"+key)
	unlock, err := lockFile(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		now := time.Now()
		return dir, os.Chtimes(dir, now, now)
	}
	removeStale(cache)

	s, err := emptyServer(bin, account)
	if err != nil {
		return "", err
	}
	defer s.discard() //nolint:errcheck // built or not, that is settled
	if err := embedded.InitDB(ctx, bin, account, s.data(), rolePassword, false, "--wal-segsize=1"); err != nil {
		return "", err
	}
	if err := s.start(ctx); err != nil {
		return "", err
	}
	if err := s.databases.buildTemplate(ctx, templateName); err != nil {
		return "", err
	}
	if err := s.stop("stop", nil); err != nil {
		return "", err
	}
	work := dir + ".new"
	if err := os.RemoveAll(work); err != nil {
		return "", err
	}
	if err := copyTree(s.data(), work, embedded.Account{}); err != nil {
		return "", err
	}
	return dir, os.Rename(work, dir)
}

// buildTemplate makes the roles and a migrated database called name.
func (d *databases) buildTemplate(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, d.url(d.admin, d.password, d.maintenance))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := embedded.EnsureRoles(ctx, conn, rolePassword, rolePassword); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s OWNER %s", name, embedded.OwnerRole)); err != nil {
		return err
	}
	if err := d.prepare(ctx, name); err != nil {
		return err
	}
	return migrations.Up(ctx, d.url(embedded.OwnerRole, rolePassword, name), nil)
}

// migrationsKey names what a template is made of.
func migrationsKey(parts ...string) (string, error) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%q\n", p)
	}
	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(migrations.FS, path)
		fmt.Fprintf(h, "%q %q\n", path, data)
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), err
}

func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir() // no home at all: a container's bare user
	}
	dir := filepath.Join(base, "parley", "testkit")
	return dir, os.MkdirAll(dir, 0o700)
}

func removeStale(cache string) {
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		fi, err := e.Info()
		if err == nil && e.IsDir() && time.Since(fi.ModTime()) > staleAfter {
			_ = os.RemoveAll(filepath.Join(cache, e.Name())) // only room on disk
		}
	}
}

// copyTree copies plain files and directories with their modes, for account.
func copyTree(from, to string, account embedded.Account) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			err = os.Mkdir(target, fi.Mode().Perm())
		case fi.Mode().IsRegular():
			err = copyFile(path, target, fi.Mode().Perm())
		default:
			err = fmt.Errorf("%s is neither file nor directory", path)
		}
		if err == nil && account.Drop {
			err = os.Chown(target, account.UID, account.GID)
		}
		return err
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
