// Package tasks is the MCP server of a person's tasks.
//
// [New] makes the server; [Tools] describes its tools. Who calls, and under
// which call id, travels in the request's _meta ([Meta]), never in arguments: a
// model cannot name another person. Each call is one Postgres transaction that
// holds the ledger row, the effect, the person's next task_rev and the history
// row, so a repeated call id gives the stored answer and no second effect.
//
// A refusal that the model or the person can act on is an MCP error result, and
// a ledger row as well. An error of the protocol means that nothing was decided
// (Postgres is away): try again.
package tasks
