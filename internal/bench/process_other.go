//go:build !linux

package bench

import "syscall"

// dieWithParent: other systems have no such thing; a killed bench leaves its
// children, which the message server's end makes idle.
func dieWithParent() *syscall.SysProcAttr { return nil }
