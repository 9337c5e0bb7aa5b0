//go:build unix && !linux

package embedded

import "syscall"

// childAttr returns how PostgreSQL's processes are started: as the account, and
// in their own process group, so that Ctrl-C in the terminal does not reach them
// before our own orderly stop. There is no signal for the case that we die: what
// is left then is stopped by clearStale at the next start.
func (a Account) childAttr(syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.Drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	}
	return attr
}
