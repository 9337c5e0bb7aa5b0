// Package faulttest holds the tests that need a parley built with the tag
// faults, see [github.com/parleychat/parley/internal/fault]:
//
//	go test -tags faults ./internal/faulttest
//
// They start the roles as processes of their own on a real NATS and Postgres,
// kill one of them at each fault point, start it again, and then judge: from the
// log, the archive, the ledger, the tasks and what each client saw, every
// invariant must hold. The same judgement is passed on processes with planted
// bugs, and must be another. Each test has its own world, so many run at once.
//
// The binary is the one that PARLEY_FAULTS_BIN names, or is built by the tests.
package faulttest
