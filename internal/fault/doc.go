// Package fault lets a test kill a process at a named place, and plant a named
// bug in it. Both exist only in a build with the tag faults:
//
//	go build -tags faults ./cmd/parley
//
// [At] marks a place between two acts that a crash may tear apart. With
// PARLEY_FAULT=<point> the process kills itself there as kill -9 would, with
// PARLEY_FAULT=<point>:<k> when it passes there for the k-th time; with :stop
// behind that it stops there as kill -STOP would, until somebody wakes it. The
// file that PARLEY_FAULT_LOG names gets a line first, so that a test knows that
// the place was reached. [Planted] reports whether PARLEY_PLANT, a list with commas, names
// a bug: the code that asks does wrong then, in the way that a careful person
// might, and the proofs must notice.
//
// Without the tag At does nothing, Planted is false, and the compiler leaves out
// both, with whatever stands behind them. Nobody can crash or corrupt a released
// parley by its environment.
//
// [Points] and [Bugs] list all of them. docs/faults.md is made from the comments
// here; cmd/parley's tests kill a process at each point and catch planted bugs.
package fault
