// Package edge is Parley's face to strangers: HTTP and WebSocket in front,
// commands into the inbox and commits, deltas and snapshots out of the log
// behind. Start with [New] and [Edge.Run].
//
// # How an answer reaches a reader
//
// The hub holds one NATS subscription per connected person and one per watched
// conversation. A topic is one conversation of one person: its newest commits,
// the draft of the answer being written, and a fold of what is still open. A
// watch is one reader's place in it. Readers catch up from the log after the n
// that they name and then go live; whoever misses a commit reads it again, whoever
// misses a delta gets a snapshot. Every reader's outbox is bounded: deltas are
// dropped first, and a hopeless reader is closed with "resume".
//
// # Invariants
//
// A reader sees every commit after its n exactly once and in order. The person
// comes from the token and from nothing else; a conversation is looked up under
// the person's own subject, so a foreign one is as unknown as a missing one. A
// refused request has published nothing. No state here outlives the process or
// is missed when it is gone: any edge serves any reader.
package edge
