package embedded

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// superuser owns the cluster. Nothing but role set-up ever connects as it: it
// passes by row level security.
const superuser = "postgres"

// InitDB makes a new cluster in dir, which must not exist. The work is done in
// dir + ".init" and renamed at the end, so that an interrupted run can never be
// taken for a finished one. With sync it is on disk when InitDB returns.
func InitDB(ctx context.Context, bin Binaries, account Account, dir, superPassword string, sync bool, extra ...string) error {
	work := dir + ".init"
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("remove an interrupted initdb: %w", err)
	}
	pwfile := dir + ".pw"
	if err := writeFileFor(account, pwfile, []byte(superPassword+"\n")); err != nil {
		return fmt.Errorf("initdb password file: %w", err)
	}
	defer os.Remove(pwfile)

	args := []string{"-D", work, "-U", superuser, "-A", "scram-sha-256", "--pwfile", pwfile, "-E", "UTF8", "--no-instructions"}
	args = append(args, localeArgs()...)
	if !sync {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, bin.initdb(), append(args, extra...)...)
	cmd.Dir = filepath.Dir(dir)
	cmd.Env = childEnv()
	cmd.SysProcAttr = account.childAttr()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("initdb (%s): %v: %s", bin, err, lastLines(out.String(), 6))
	}
	if err := os.Rename(work, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
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
