//go:build unix && !linux

package embedded

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// isPostmaster reports whether pid is a PostgreSQL server that runs on data. A
// zombie runs on nothing.
func isPostmaster(pid int, data string) bool {
	out, err := exec.Command("ps", "-ww", "-o", "state=,command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return false // no such process
	}
	state, command, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if strings.HasPrefix(state, "Z") {
		return false
	}
	program, args, _ := strings.Cut(strings.TrimSpace(command), " -D ")
	return filepath.Base(program) == "postgres" && strings.HasPrefix(args+" ", data+" ")
}

// leftovers would return the processes of a killed server that still work in
// data; here nothing tells them from those of another one.
func leftovers(string) []int { return nil }
