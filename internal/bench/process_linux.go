package bench

import "syscall"

// dieWithParent has the kernel kill a child when this process is gone.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
