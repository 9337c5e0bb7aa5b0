package embedded

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Account is the operating system account that PostgreSQL runs as. PostgreSQL
// refuses to run as root, so root drops to another account; everybody else
// runs it as themselves.
type Account struct {
	// Name is the account's name, for messages.
	Name string
	// UID and GID are its ids.
	UID, GID int
	// Drop says that the account is not our own: files must be given to it and
	// child processes need its credential.
	Drop bool
}

// PostgresAccount returns the account to run PostgreSQL as: ourselves, or for
// root "postgres" if it exists, else "nobody". It must have a passwd entry,
// because PostgreSQL looks its own user up.
func PostgresAccount() (Account, error) {
	if os.Geteuid() != 0 {
		return Account{UID: os.Geteuid(), GID: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseInt(u.Uid, 10, 32)
		gid, errG := strconv.ParseInt(u.Gid, 10, 32)
		if errU != nil || errG != nil || uid <= 0 {
			continue
		}
		return Account{Name: name, UID: int(uid), GID: int(gid), Drop: true}, nil
	}
	return Account{}, fmt.Errorf("PostgreSQL cannot run as root and this machine has neither a postgres nor a nobody account: run parley as an ordinary user, or set PARLEY_DATABASE_URL")
}

// own gives path to the account if it is not our own.
func (a Account) own(path string) error {
	if !a.Drop {
		return nil
	}
	return os.Lchown(path, a.UID, a.GID)
}

// mkdir makes path with mode for the account; an existing directory is made to
// fit, unless it belongs to somebody else.
func (a Account) mkdir(path string, mode os.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil && !os.IsExist(err) {
		return err
	}
	if err := a.own(path); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// canReach reports whether the account may pass through every directory above
// path; if not, it names the first that stops it. Only mode bits are looked
// at: that is what stops a dropped account in practice.
func (a Account) canReach(path string) (blocked string, ok bool) {
	if !a.Drop {
		return "", true
	}
	for dir := filepath.Dir(filepath.Clean(path)); ; dir = filepath.Dir(dir) {
		if fi, err := os.Stat(dir); err == nil && !a.mayTraverse(fi) {
			return dir, false
		}
		if dir == filepath.Dir(dir) {
			return "", true
		}
	}
}

func (a Account) mayTraverse(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	switch {
	case int(st.Uid) == a.UID:
		return fi.Mode()&0o100 != 0
	case int(st.Gid) == a.GID:
		return fi.Mode()&0o010 != 0
	}
	return fi.Mode()&0o001 != 0
}
