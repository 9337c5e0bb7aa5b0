package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const modulePath = "github.com/parleychat/parley"

// workspace is the tree under check and the ignored folder .check in it, where
// logs and the built binary go.
type workspace struct {
	root string
	dir  string // root/.check
	logs string
	bin  string // the parley binary that the build phase makes
	lock *os.File
}

// openWorkspace makes .check, empties its logs and takes its lock: two checks in
// one tree would overwrite each other's binary and node_modules.
func openWorkspace(root string) (*workspace, error) {
	dir := filepath.Join(root, ".check")
	ws := &workspace{root: root, dir: dir, logs: filepath.Join(dir, "logs"), bin: filepath.Join(dir, "bin", "parley")}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the working folder: %w", err)
	}
	// The folder ignores itself, also in a tree whose .gitignore is older.
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o644); err != nil {
		return nil, fmt.Errorf("make the working folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	ws.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		ws.close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another check is running in %s; wait for it or stop it", root)
		}
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	if err := errors.Join(os.RemoveAll(ws.logs), os.MkdirAll(ws.logs, 0o755), os.MkdirAll(filepath.Dir(ws.bin), 0o755)); err != nil {
		ws.close()
		return nil, fmt.Errorf("make the working folder: %w", err)
	}
	return ws, nil
}

// close gives the lock back; the logs stay.
func (ws *workspace) close() { _ = ws.lock.Close() }

// faultsBin is the binary of the phase build-faults.
func (ws *workspace) faultsBin() string { return ws.bin + "-faults" }

// path joins the elements below the root of the tree.
func (ws *workspace) path(elem ...string) string {
	return filepath.Join(append([]string{ws.root}, elem...)...)
}
