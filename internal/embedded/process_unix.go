//go:build unix

package embedded

import "syscall"

// childAttr returns how PostgreSQL's processes are started: in their own
// process group, so that Ctrl-C in the terminal does not reach them before our
// own orderly stop, and as the account.
func (a Account) childAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.Drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	}
	return attr
}
