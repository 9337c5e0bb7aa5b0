// Package toolworker carries out tool calls: it takes items of the WORK queue,
// calls the tool over MCP, and answers each call once through the inbox.
//
// Start with [New] and [Worker.Run]. Whatever the answer is, it stands in the
// ledger first (package ledger); a repeated or duplicated item gets the stored
// answer. An item is acknowledged only when its answer is stored in the inbox,
// so a full inbox or a Postgres that is away costs a wait and loses nothing.
package toolworker
