package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of processor time in /proc: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// A cpuStat is a line of /proc/<pid>/stat.
type cpuStat struct {
	parent   int
	own      time.Duration // user and system
	children time.Duration // of those that have been waited for
}

// parseStat reads /proc/<pid>/stat. The name may hold blanks and brackets; the
// last bracket ends it.
func parseStat(b []byte) (cpuStat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return cpuStat{}, errors.New("stat has no name")
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 15 {
		return cpuStat{}, fmt.Errorf("stat has %d fields", len(f))
	}
	var v [4]int64 // utime, stime, cutime, cstime
	for k := range v {
		n, err := strconv.ParseInt(f[11+k], 10, 64)
		if err != nil {
			return cpuStat{}, fmt.Errorf("stat: %w", err)
		}
		v[k] = n
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return cpuStat{}, fmt.Errorf("stat: %w", err)
	}
	return cpuStat{parent, time.Duration(v[0]+v[1]) * tick, time.Duration(v[2]+v[3]) * tick}, nil
}

// processorTime returns what a process has used, with tree also what its
// children have, alive or not.
func processorTime(pid int, tree bool) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	s, err := parseStat(b)
	if err != nil || !tree {
		return s.own, err
	}
	total := s.own + s.children
	for _, child := range childrenOf(pid) {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child)); err == nil {
			if s, err := parseStat(b); err == nil {
				total += s.own
			}
		}
	}
	return total, nil
}

// childrenOf returns the children of every thread of a process.
func childrenOf(pid int) []int {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	var list []int
	for _, t := range threads {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			continue
		}
		for f := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// resident returns the memory of a process in bytes, with tree that of its
// children too, without what they share with it.
func resident(pid int, tree bool) int64 {
	total := status(pid, "VmRSS:")
	if tree {
		for _, child := range childrenOf(pid) {
			total += status(child, "RssAnon:")
		}
	}
	return total
}

// status returns a size of /proc/<pid>/status, 0 if it is not there.
func status(pid int, name string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// A machineTime is the first line of /proc/stat.
type machineTime struct {
	all   time.Duration // of all processors, idle too
	busy  time.Duration
	steal time.Duration // taken by the hypervisor; part of busy
}

func parseMachine(b []byte) (machineTime, error) {
	line, _, _ := cutLine(b)
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return machineTime{}, errors.New("stat of the machine: no line of all processors")
	}
	var m machineTime
	for i, s := range f[1:9] { // guest times, which follow, are in user already
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return machineTime{}, fmt.Errorf("stat of the machine: %w", err)
		}
		d := time.Duration(n) * tick
		m.all += d
		if i != 3 && i != 4 { // idle, iowait
			m.busy += d
		}
		if i == 7 {
			m.steal = d
		}
	}
	return m, nil
}

func readMachine() (machineTime, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, err
	}
	return parseMachine(b)
}

// cutLine returns the first line of b.
func cutLine(b []byte) (line, rest string, ok bool) { return strings.Cut(string(b), "\n") }
