package testkit_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// A test binary that is killed leaves neither a server nor files in memory.
func TestKilledTestBinaryLeavesNothing(t *testing.T) {
	// Orphans become our children, so that their end can be waited for.
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	ctx := testkit.Context(t)
	holder := exec.CommandContext(ctx, os.Args[0])
	holder.Env = append(os.Environ(), "TESTKIT_HOLD=1")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	var shell int
	var root string
	if _, err := fmt.Fscan(out, &shell, &root); err != nil {
		t.Fatalf("holder: %v", err)
	}
	if _, err := os.Stat(root); err != nil {
		t.Fatal(err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // killed
	// The shell removes the files after the server has gone, then ends.
	if _, err := syscall.Wait4(shell, nil, 0, nil); err != nil {
		t.Fatalf("wait for the supervising shell %d: %v", shell, err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", root, err)
	}
}
