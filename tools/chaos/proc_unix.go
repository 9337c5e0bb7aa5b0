//go:build unix && !linux

package main

import "syscall"

// childAttr puts a process into a group of its own, so that Ctrl-C reaches this
// program alone.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
