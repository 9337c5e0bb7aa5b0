// Package embedded runs what Parley needs on a machine that has nothing else of
// Parley's: a NATS server inside the process, and a private PostgreSQL as a
// child process, both in one data directory.
//
// Start from Open, which creates, checks and locks the data directory, then
// StartNATS and StartPostgres. WriteEndpoint tells other processes how to join,
// ReadEndpoint is what they call.
//
// What it keeps: one Parley per data directory; nothing on disk is ever wiped
// or initialised twice; a data directory of another major version or of a newer
// Parley is refused; no PostgreSQL is left running when this process ends, and
// one that was left (by a kill on a system without parent-death signals) is
// stopped before the next start, never talked to by mistake.
//
// It leaves to the caller: configuration, what to do when an external server
// was configured (then this package is not asked at all), and migrations.
//
// At stop the order is: listeners and consumers, the NATS client's drain,
// NATS.Shutdown, Postgres.Stop, RemoveEndpoint, DataDir.Close.
package embedded
