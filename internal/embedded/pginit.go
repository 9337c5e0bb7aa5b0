package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// superuser owns the cluster. Nothing but role set-up ever connects as it: it
// passes by row level security.
const superuser = "postgres"

// InitDB makes a new cluster in dir, which must not exist. The work is done in
// a directory beside it and renamed at the end, so that an interrupted run can
// never be taken for a finished one. With sync it is on disk when InitDB returns.
func InitDB(ctx context.Context, bin Binaries, account Account, dir, superPassword string, sync bool, extra ...string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("initdb: %s exists", dir)
	}
	// A new name each time: on a system without parent-death signals the initdb
	// of a killed Parley may still be at work in the old one.
	removeInterrupted(dir)
	work, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".init-") // 0700
	if err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	if err := account.own(work); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	pwfile := work + ".pw"
	defer os.Remove(pwfile)
	if err := writeFileFor(account, pwfile, []byte(superPassword+"\n")); err != nil {
		return fmt.Errorf("initdb: %w", err)
	}

	args := []string{"-D", work, "-U", superuser, "-A", "scram-sha-256", "--pwfile", pwfile, "-E", "UTF8", "--no-instructions"}
	args = append(args, localeArgs()...)
	if !sync {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, bin.initdb(), append(args, extra...)...)
	cmd.Dir = filepath.Dir(dir)
	cmd.Env = childEnv()
	cmd.SysProcAttr = account.childAttr(syscall.SIGKILL)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	onOneThread(func() { err = cmd.Run() })
	if err == nil {
		err = os.Rename(work, dir)
	} else if ctx.Err() != nil {
		err = ctx.Err()
	} else {
		err = fmt.Errorf("initdb (%s): %v: %s", bin, err, lastLines(out.String(), 6))
	}
	if err != nil {
		removeInterrupted(dir)
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// removeInterrupted removes what unfinished runs of InitDB left: they never
// held anybody's data. What cannot be removed is in nobody's way.
func removeInterrupted(dir string) {
	entries, _ := os.ReadDir(filepath.Dir(dir))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(dir)+".init-") {
			_ = os.RemoveAll(filepath.Join(filepath.Dir(dir), e.Name()))
		}
	}
}

// localeArgs picks UTF-8 with C collation: the same order everywhere, and no
// index that a system upgrade could silently break. macOS has no C.UTF-8.
func localeArgs() []string {
	if runtime.GOOS == "darwin" {
		return []string{"--locale=C", "--lc-ctype=en_US.UTF-8"}
	}
	return []string{"--locale=C.UTF-8"}
}

// childEnv is the whole environment of PostgreSQL's processes. PGDATA, PGPORT
// and their like from the caller's shell would change what they do.
func childEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// writeFileFor writes a new private file that the account can read.
func writeFileFor(account Account, path string, data []byte) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err == nil {
		err = account.own(path)
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
