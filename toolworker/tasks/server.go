package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/toolworker/ledger"
)

// Server is the name of this tool server.
const Server = "tasks"

// A tool is one entry of the server's table.
type tool struct {
	name, description, schema string
	peopleOnly, readOnly      bool
	allowed                   []string
	run                       func(ctx context.Context, t *txn, a arguments) (any, error)
}

const (
	taskID = `"task_id":{"type":"integer","minimum":1,"description":"the number of the task, from list_tasks"}`
	title  = `"title":{"type":"string","minLength":1,"maxLength":200,"description":"what to do, one line"}`
	text   = `"description":{"type":"string","maxLength":4000,"description":"details"}`
	dueOn  = `"due_on":{"type":["string","null"],"description":"the day it is due, YYYY-MM-DD"}`
	oneID  = `{"type":"object","properties":{` + taskID + `},"required":["task_id"],"additionalProperties":false}`
)

func table() []tool {
	return []tool{
		{
			name: "add_task", description: "Add a task for the person. Returns the new task with its task_id.",
			schema:  `{"type":"object","properties":{` + title + `,` + text + `,` + dueOn + `},"required":["title"],"additionalProperties":false}`,
			allowed: []string{"title", "description", "due_on"}, run: add,
		},
		{
			name: "list_tasks", description: "List the person's tasks. Without arguments it lists all that are not deleted.",
			schema: `{"type":"object","properties":{"status":{"type":"string","enum":["all","open","completed"],"description":"default all"},` +
				`"query":{"type":"string","maxLength":200,"description":"only tasks whose title or description contains this"}},"additionalProperties":false}`,
			readOnly: true, allowed: []string{"status", "query"}, run: list,
		},
		{
			name: "complete_task", description: "Mark a task as completed.", schema: oneID,
			allowed: []string{"task_id"}, run: complete,
		},
		{
			name: "delete_task", description: "Delete a task. The person can restore it.", schema: oneID,
			allowed: []string{"task_id"}, run: remove,
		},
		{
			name: "update_task", description: "Change a task's title, description or due date. What is left out stays; due_on null clears the date.",
			schema:  `{"type":"object","properties":{` + taskID + `,` + title + `,` + text + `,` + dueOn + `},"required":["task_id"],"additionalProperties":false}`,
			allowed: []string{"task_id", "title", "description", "due_on"}, run: update,
		},
		{
			name: "restore_task", description: "Bring a deleted task back.", schema: oneID, peopleOnly: true,
			allowed: []string{"task_id"}, run: restore,
		},
		{
			name: "reopen_task", description: "Mark a completed task as open again.", schema: oneID, peopleOnly: true,
			allowed: []string{"task_id"}, run: reopen,
		},
	}
}

// Tools describes the tools, in the order in which they are offered.
func Tools() []events.Tool {
	var list []events.Tool
	for _, t := range table() {
		list = append(list, events.Tool{
			Server: Server, Name: t.name, Description: t.description, Schema: jsontext.Value(t.schema), PeopleOnly: t.peopleOnly,
		})
	}
	return list
}

// New returns the server. now is the clock of rows; nil means time.Now. reused is
// told of each call whose id was used with other arguments before, which is never
// normal; nil tells nobody.
func New(pool *pgxpool.Pool, now func() time.Time, reused func(ledger.Call)) *mcp.Server {
	if now == nil {
		now = time.Now
	}
	if reused == nil {
		reused = func(ledger.Call) {}
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "parley-tasks", Version: "1"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}},
	})
	for _, t := range table() {
		destructive := t.name == "delete_task"
		s.AddTool(&mcp.Tool{
			Name: t.name, Description: t.description, InputSchema: jsontext.Value(t.schema),
			Annotations: &mcp.ToolAnnotations{ReadOnlyHint: t.readOnly, DestructiveHint: &destructive, IdempotentHint: true},
		}, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return t.handle(ctx, pool, now, reused, req)
		})
	}
	return s
}

// handle carries out one call: take the ledger row, run, store, commit.
func (t *tool) handle(
	ctx context.Context, pool *pgxpool.Pool, now func() time.Time, reused func(ledger.Call), req *mcp.CallToolRequest,
) (*mcp.CallToolResult, error) {
	call, err := callOf(req)
	if err != nil {
		return nil, err
	}
	tx, answer, err := ledger.Take(ctx, pool, call)
	if errors.Is(err, ledger.ErrArguments) {
		reused(call)
		return result(&ledger.Answer{Error: &events.ToolError{Code: events.ToolBadArgs, Message: "This call id was used with other arguments. Nothing was done."}}), nil
	}
	if err != nil {
		return nil, err
	}
	if tx == nil {
		return result(answer), nil
	}
	a, err := t.attempt(ctx, &txn{Tx: tx, call: call, now: now().UTC().Truncate(time.Millisecond)})
	if err != nil {
		// Nothing was decided: the row goes with the transaction.
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return nil, errors.Join(err, tx.Rollback(rctx))
	}
	answer, err = tx.Finish(ctx, pool, a, now())
	if err != nil {
		return nil, err
	}
	return result(answer), nil
}

// attempt runs the tool under a savepoint, so that a refusal leaves the ledger
// row and nothing else.
func (t *tool) attempt(ctx context.Context, tx *txn) (ledger.Answer, error) {
	if t.peopleOnly && tx.call.By != events.ByUser {
		return ledger.Answer{Error: &events.ToolError{Code: events.ToolDenied, Message: "Only the person may do this, in the task panel."}}, nil
	}
	args, err := decode(tx.call.Arguments, t.name, t.allowed)
	var out any
	if err == nil {
		out, err = t.run(ctx, tx, args)
	}
	if no, ok := errors.AsType[*refusal](err); ok {
		// Every refusal is found before the first write.
		return ledger.Answer{Error: &no.ToolError}, nil
	}
	if err != nil {
		return ledger.Answer{}, err
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return ledger.Answer{}, fmt.Errorf("result of %s: %w", t.name, err)
	}
	return ledger.Answer{OK: true, Result: raw}, nil
}

// metaCode carries the code of an error result, which MCP has no field for.
const metaCode = "parley/code"

// metaDuration carries the milliseconds that the first execution took.
const metaDuration = "parley/duration_ms"

// result turns an answer into MCP. The text is the answer's own bytes, so that
// a repeat is equal to the first.
func result(a *ledger.Answer) *mcp.CallToolResult {
	r := &mcp.CallToolResult{Meta: mcp.Meta{metaDuration: float64(a.DurationMS)}}
	if a.OK {
		r.Content = []mcp.Content{&mcp.TextContent{Text: string(a.Result)}}
		r.StructuredContent = a.Result
		return r
	}
	r.IsError = true
	r.Meta[metaCode] = a.Error.Code
	r.Content = []mcp.Content{&mcp.TextContent{Text: a.Error.Message}}
	return r
}

// Answer reads what result wrote.
func Answer(r *mcp.CallToolResult) (ledger.Answer, error) {
	if len(r.Content) != 1 {
		return ledger.Answer{}, fmt.Errorf("tasks: an answer of %d parts", len(r.Content))
	}
	content, ok := r.Content[0].(*mcp.TextContent)
	if !ok {
		return ledger.Answer{}, fmt.Errorf("tasks: an answer of type %T", r.Content[0])
	}
	ms, _ := r.Meta[metaDuration].(float64)
	a := ledger.Answer{OK: !r.IsError, DurationMS: int64(ms)}
	if a.OK {
		a.Result = jsontext.Value(content.Text)
		return a, nil
	}
	code, _ := r.Meta[metaCode].(string)
	if code == "" {
		code = events.ToolFailed
	}
	a.Error = &events.ToolError{Code: code, Message: content.Text}
	return a, nil
}
