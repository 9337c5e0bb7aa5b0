// Chaos runs Parley as real processes, hurts them, and proves afterwards that
// nothing was lost, doubled or told wrongly.
//
//	go run ./tools/chaos                      # 60 s on one NATS node, a random seed
//	go run ./tools/chaos --seed 7 --for 30m   # the same faults again, for longer
//	go run ./tools/chaos --nodes 3            # a cluster, with leader step-downs
//	go run ./tools/chaos --plants             # planted bugs, each of which must be caught
//
// A world is two edges, three agentworkers, two toolworkers and two recorders,
// NATS as one process or three, Postgres, an issuer and a scripted model that
// notes every request. Persons write, drop, come back and cancel while the
// nemesis kills, pauses and restarts by a plan that the seed alone decides.
// Then everything is started again, and when all is quiet the evidence is
// collected once: log, archive, read models, ledger, tasks, queues, the model's
// requests and what every client was told. The checks of I1 to I8 are functions
// of that evidence and of nothing else; see check.go for where to start.
//
// docs/chaos.md says how to read a violation.
package main
