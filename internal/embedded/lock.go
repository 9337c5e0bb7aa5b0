package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const lockName = "parley.lock"

// DirLock is the lock of a data directory. It goes with the process, however
// that ends. Keep the struct as long as the lock is meant: a lock whose file is
// garbage collected is closed, and gone without a word.
type DirLock struct {
	f *os.File
}

// InUseError says that another Parley has the data directory.
type InUseError struct {
	Dir string
	PID int // 0 if it is not known
}

// Error names the directory and the other process.
func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("data directory %s is in use by another parley", e.Dir)
	}
	return fmt.Sprintf("data directory %s is in use by another parley (pid %d)", e.Dir, e.PID)
}

// Lock takes the lock of an existing data directory, or fails at once with an
// InUseError.
func Lock(dir string) (*DirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// A client that asks whether somebody is home holds the lock for some
	// microseconds; that is no reason to refuse a start.
	for try := 0; ; try++ {
		ok, err := tryFlock(f, false)
		if err != nil {
			f.Close()
			return nil, err
		}
		if ok {
			break
		}
		if try == 5 {
			pid := lockPID(f)
			f.Close()
			return nil, &InUseError{Dir: dir, PID: pid}
		}
		<-time.After(5 * time.Millisecond)
	}
	l := &DirLock{f: f}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		l.Unlock()
		return nil, err
	}
	return l, nil
}

// Unlock gives the lock back. It may be called twice.
func (l *DirLock) Unlock() { l.f.Close() }

// holder returns the process that holds the lock of dir, and whether any does.
// The process is 0 while it has not said who it is.
func holder(dir string) (pid int, held bool, err error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close() // and with it the lock, if it was free
	free, err := tryFlock(f, true)
	if err != nil || free {
		return 0, false, err
	}
	return lockPID(f), true, nil
}

func lockPID(f *os.File) int {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, 20)) // only for a message, or to compare
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}
