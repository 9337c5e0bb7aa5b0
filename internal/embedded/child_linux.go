package embedded

import "syscall"

// childAttr returns how PostgreSQL's processes are started: as the account, in
// their own process group, so that Ctrl-C in the terminal does not reach them
// before our own orderly stop, and with a signal for the case that we die.
// The parent whose death counts is the thread: see onOneThread.
func (a Account) childAttr(whenWeDie syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: whenWeDie}
	if a.Drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	}
	return attr
}
