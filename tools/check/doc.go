// Check sets up and runs everything that guards a commit: linters, Go tests
// under the race detector, the page's types, tests, build and size, the
// browser tests and the deployment files.
//
//	go run ./tools/check            # what a commit must pass
//	go run ./tools/check --full     # and the long proofs
//	go run ./tools/check --only e2e # one phase and what it needs
//
// It is built on the standard library alone, because it is the first thing that
// runs on a fresh clone. What the phases need and the machine lacks (a C compiler for
// the race detector, Chromium, PgBouncer) it installs from Debian's packages
// when it may; what it cannot have is said loudly, and is a failure under
// --strict, which CI=true implies.
//
// The phases are one table, in phases.go; a new proof is a new row. At most two
// run at a time, and those that measure or use every core run alone. Logs of
// everything are kept in .check/logs. The last line is always
//
//	N passed, M failed
//
// where Go and Jest tests count one each, subtests instead of their parent, and
// every other phase counts as one. The exit status is 1 when anything failed.
package main
