package toolworker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A result that is too large for the log is cut, and says so: what is left is the
// beginning of the tool's own text as a JSON string, whole characters only, for half a
// JSON value is none. The ledger keeps all of it.
func TestLargeResultIsCut(t *testing.T) {
	t.Parallel()
	b := newBench(t, testkit.Postgres(t).App(t), 2*time.Second)
	b.answers()
	b.worker()
	// Titles and descriptions are counted in characters, and these have three bytes.
	b.dispatch(item("first", "add_task", `{"title":"first"}`))
	if r := b.next(); !r.OK || r.Truncated {
		t.Fatalf("a small result: %+v", r)
	}
	_, err := b.pool.Exec(testkit.Context(t), `INSERT INTO task (user_id, task_id, title, description, status, created_at, updated_at, task_rev)
		SELECT 'ana', i, repeat('一', 180) || '"', repeat('二', 200), 'open', now(), now(), 1 FROM generate_series(2, 100) i`)
	if err != nil {
		t.Fatal(err)
	}
	b.dispatch(item("list", "list_tasks", `{}`))
	r := b.next()
	if !r.OK || !r.Truncated || len(r.Result) > events.MaxResult || len(r.Result) < events.MaxResult/2-8 {
		t.Fatalf("ok %v, truncated %v, %d bytes", r.OK, r.Truncated, len(r.Result))
	}
	var text string
	if err := json.Unmarshal(r.Result, &text); err != nil {
		t.Fatalf("no JSON string: %v", err)
	}
	var whole string
	if err := b.pool.QueryRow(testkit.Context(t), `SELECT convert_from(result, 'UTF8') FROM tool_call WHERE call_id = 'list'`).Scan(&whole); err != nil {
		t.Fatal(err)
	}
	if len(whole) <= events.MaxResult || !strings.HasPrefix(whole, text) {
		t.Errorf("%d bytes that end with %q are not the beginning of %d", len(text), text[max(0, len(text)-12):], len(whole))
	}
}
