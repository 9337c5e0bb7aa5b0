package main

import "syscall"

// childAttr puts a process into a group of its own, so that Ctrl-C reaches this
// program alone, and has it killed if this program dies.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
