package embedded

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// isPostmaster reports whether pid is a PostgreSQL server that runs on data. A
// zombie, which a killed server stays where nobody reaps, as in many containers,
// has no command line any more.
func isPostmaster(pid int, data string) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := bytes.Split(cmdline, []byte{0})
	if filepath.Base(string(args[0])) != "postgres" {
		return false
	}
	// Or started under another name of the same directory: it works in there.
	return slices.ContainsFunc(args, func(a []byte) bool { return string(a) == data }) || worksIn(pid, data)
}

// leftovers returns the processes named postgres that work in data.
func leftovers(data string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if err == nil && string(bytes.TrimSpace(comm)) == "postgres" && worksIn(pid, data) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// worksIn reports whether dir is the process's working directory, as a data
// directory is for every process of its server.
func worksIn(pid int, dir string) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(dir)
	return err == nil && cwd == real
}
