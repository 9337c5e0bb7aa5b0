package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// dataFormat is the layout of a data directory. A Parley that cannot work on
// the layout before raises it and brings old directories up to it in Open.
const dataFormat = 1

const versionName = "version"

// DataDir is a data directory that this process has locked.
//
//	parley.lock      held by the running Parley; its pid
//	version          the layout's number
//	endpoint.json    how to join the running Parley
//	nats/            JetStream's store
//	postgres/        the PostgreSQL cluster, in data/, and its socket, in run/
//	postgres.json    the cluster's passwords
type DataDir struct {
	path string
	lock *DirLock
}

// DefaultDataDir returns where data goes if nobody says otherwise: the user's
// data folder, and /var/lib/parley for root, whose home is closed to the account
// that PostgreSQL runs as.
func DefaultDataDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib/parley", nil
	}
	if runtime.GOOS == "darwin" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no home folder for the data (%v): choose one with --data-dir", err)
		}
		return filepath.Join(home, "Library", "Application Support", "parley"), nil
	}
	// The XDG specification says to ignore a relative path.
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "parley"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder for the data (%v): choose one with --data-dir", err)
	}
	return filepath.Join(home, ".local", "share", "parley"), nil
}

// Open creates the data directory if needed, checks that it is ours, locks it
// and checks its version. Each failure is one sentence for a person. It changes
// nothing in a directory that is not Parley's, in use, or newer than this Parley.
func Open(path string) (*DataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	account, err := PostgresAccount()
	if err != nil {
		// Whoever needs no PostgreSQL of ours needs no account either.
		account = Account{}
	}
	if err := makeDataDir(path, account); err != nil {
		return nil, err
	}
	lock, err := Lock(path)
	if err != nil {
		if inUse := (*InUseError)(nil); errors.As(err, &inUse) {
			return nil, err
		}
		return nil, unwritable(path, err)
	}
	d := &DataDir{path: path, lock: lock}
	err = d.checkVersion()
	if err == nil {
		err = RemoveEndpoint(path) // of a Parley that was killed
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Path is the directory's absolute path.
func (d *DataDir) Path() string { return d.path }

// NATS is the directory for JetStream's store.
func (d *DataDir) NATS() string { return filepath.Join(d.path, "nats") }

// Close gives the lock back. It may be called twice.
func (d *DataDir) Close() { d.lock.Unlock() }

// makeDataDir makes path, or accepts it if it is empty or ours. The directory
// is closed to everybody but us, and for root to PostgreSQL's group, which may
// pass through to what is its own and see nothing else.
func makeDataDir(path string, account Account) error {
	parents := os.FileMode(0o700)
	if account.Drop {
		parents = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), parents); err != nil {
		return unwritable(path, err)
	}
	switch err := os.Mkdir(path, 0o700); {
	case errors.Is(err, fs.ErrExist):
		if err := ours(path); err != nil {
			return err
		}
	case err != nil:
		return unwritable(path, err)
	}
	mode := os.FileMode(0o700)
	if account.Drop {
		if err := os.Chown(path, -1, account.GID); err != nil {
			return unwritable(path, err)
		}
		mode = 0o710
	}
	if err := os.Chmod(path, mode); err != nil {
		return unwritable(path, err)
	}
	return nil
}

// ours reports an existing directory that is neither empty nor Parley's. The
// version is the first thing written under the lock, so nothing else can be
// there without it.
func ours(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return unwritable(path, err)
	}
	foreign := false
	for _, e := range entries {
		switch name := e.Name(); {
		case name == versionName:
			return nil
		case name != lockName && !strings.HasPrefix(name, versionName+"."):
			foreign = true
		}
	}
	if foreign {
		return fmt.Errorf("%s is not empty and holds no Parley data: choose another directory with --data-dir", path)
	}
	return nil
}

func (d *DataDir) checkVersion() error {
	file := filepath.Join(d.path, versionName)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeAtomic(file, []byte(strconv.Itoa(dataFormat)+"\n")); err != nil {
			return unwritable(d.path, err)
		}
		return nil
	}
	if err != nil {
		return unwritable(d.path, err)
	}
	format, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || format < 1 {
		return fmt.Errorf("%s does not hold the number of a data format: restore it from a backup, or choose another directory with --data-dir", file)
	}
	if format > dataFormat {
		return fmt.Errorf("data directory %s was written by a newer parley (format %d, this one knows %d): use that version, or choose another directory with --data-dir", d.path, format, dataFormat)
	}
	return nil
}

// unwritable is the one sentence for a data directory that cannot be used.
func unwritable(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path != path {
		return fmt.Errorf("data directory %s cannot be used (%s: %w): choose another with --data-dir", path, pe.Path, pe.Err)
	} else if pe != nil {
		err = pe.Err
	}
	return fmt.Errorf("data directory %s cannot be used (%w): choose another with --data-dir", path, err)
}

// writeAtomic replaces file, private to us, so that a reader and a crash see
// the old content or the new.
func writeAtomic(file string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(file))
}
