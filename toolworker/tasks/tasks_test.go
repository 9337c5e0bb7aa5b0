package tasks_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/toolworker/ledger"
	"github.com/parleychat/parley/toolworker/tasks"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A bench is a tasks server on a database of its own, with a client.
type bench struct {
	t       *testing.T
	pool    *pgxpool.Pool
	clock   *testkit.Clock
	session *mcp.ClientSession
	calls   int
	reused  chan ledger.Call
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, pool: testkit.Postgres(t).App(t), clock: testkit.NewClock(), reused: make(chan ledger.Call, 8)}
	near, far := mcp.NewInMemoryTransports()
	server, err := tasks.New(b.pool, b.clock.Now, func(c ledger.Call) { b.reused <- c }).Connect(t.Context(), far, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.session, err = mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), near, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.session.Close(); err != nil {
			t.Error(err)
		}
		_ = server.Wait() // ends with the client's close
	})
	return b
}

// call returns a ledger call with a fresh id.
func (b *bench) call(u events.UserID, name, args string) ledger.Call {
	b.calls++
	return ledger.Call{
		UserID: u, CallID: events.CallID(fmt.Sprintf("call-%d", b.calls)), Server: tasks.Server, Name: name,
		Arguments: jsontext.Value(args), By: events.ByModel, ConversationID: "c1", RunID: "r1",
	}
}

func (b *bench) do(c ledger.Call) ledger.Answer {
	b.t.Helper()
	a, err := b.try(testkit.Context(b.t), c)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bench) try(ctx context.Context, c ledger.Call) (ledger.Answer, error) {
	res, err := b.session.CallTool(ctx, &mcp.CallToolParams{Meta: tasks.Meta(c), Name: c.Name, Arguments: c.Arguments})
	if err != nil {
		return ledger.Answer{}, err
	}
	return tasks.Answer(res)
}

func (b *bench) task(a ledger.Answer) tasks.Task {
	b.t.Helper()
	var out struct{ Task tasks.Task }
	if !a.OK {
		b.t.Fatalf("refused: %v", a.Error)
	}
	if err := json.Unmarshal(a.Result, &out, json.MatchCaseInsensitiveNames(true)); err != nil {
		b.t.Fatal(err)
	}
	return out.Task
}

func (b *bench) count(query string, args ...any) int {
	b.t.Helper()
	var n int
	if err := b.pool.QueryRow(testkit.Context(b.t), query, args...).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestEveryToolChangesTheTaskAndItsHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	by := func(c ledger.Call) ledger.Call { c.By = events.ByUser; return c }
	steps := []struct {
		call   ledger.Call
		status string
		title  string
		gone   bool
		rev    int64
	}{
		{b.call("ana", "add_task", `{"title":"  Buy milk ","due_on":"2026-01-06"}`), "open", "Buy milk", false, 1},
		{b.call("ana", "update_task", `{"task_id":1,"title":"Buy oat milk","description":"two"}`), "open", "Buy oat milk", false, 2},
		{b.call("ana", "complete_task", `{"task_id":1}`), "completed", "Buy oat milk", false, 3},
		{b.call("ana", "complete_task", `{"task_id":1}`), "completed", "Buy oat milk", false, 3},
		{by(b.call("ana", "reopen_task", `{"task_id":1}`)), "open", "Buy oat milk", false, 4},
		{b.call("ana", "update_task", `{"task_id":1,"due_on":null}`), "open", "Buy oat milk", false, 5},
		{b.call("ana", "delete_task", `{"task_id":1}`), "open", "Buy oat milk", true, 6},
		{by(b.call("ana", "restore_task", `{"task_id":1}`)), "open", "Buy oat milk", false, 7},
	}
	for i, s := range steps {
		b.clock.Advance(time.Minute)
		got := b.task(b.do(s.call))
		if got.TaskID != 1 || got.Status != s.status || got.Title != s.title || got.Deleted != s.gone || got.TaskRev != s.rev {
			t.Errorf("step %d, %s: %+v", i, s.call.Name, got)
		}
		if (got.CompletedAt != nil) != (s.status == "completed") {
			t.Errorf("step %d: completed at %v", i, got.CompletedAt)
		}
	}
	if n := b.count(`SELECT count(*) FROM task_history WHERE user_id = 'ana' AND (row->>'task_rev')::bigint = task_rev`); n != 7 {
		t.Errorf("%d history rows, want 7", n)
	}
	if n := b.count(`SELECT count(*) FROM tool_call WHERE user_id = 'ana' AND ok`); n != len(steps) {
		t.Errorf("%d ledger rows, want %d", n, len(steps))
	}
}

func TestRefusalsSayWhyAndChangeNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.task(b.do(b.call("ana", "add_task", `{"title":"one"}`)))
	b.task(b.do(b.call("ana", "add_task", `{"title":"gone"}`)))
	b.task(b.do(b.call("ana", "delete_task", `{"task_id":2}`)))
	before := b.count(`SELECT count(*) + sum(task_rev) FROM task`)
	tests := []struct{ name, args, code, says string }{
		{"add_task", `{}`, events.ToolBadArgs, "title is missing"},
		{"add_task", `{"title":""}`, events.ToolBadArgs, "must not be empty"},
		{"add_task", `{"title":"   "}`, events.ToolBadArgs, "must not be empty"},
		{"add_task", `{"title":"` + strings.Repeat("x", 201) + `"}`, events.ToolBadArgs, "too long"},
		{"add_task", `{"title":"a\nb"}`, events.ToolBadArgs, "one line"},
		{"add_task", `{"title":"a\u0000b"}`, events.ToolBadArgs, "one line"},
		{"add_task", `{"title":5}`, events.ToolBadArgs, "title of add_task has the wrong type"},
		{"add_task", `{"title":"x","due_on":"tomorrow"}`, events.ToolBadArgs, "due_on must be a date"},
		{"add_task", `{"title":"x","due_on":"2026-02-30"}`, events.ToolBadArgs, "due_on must be a date"},
		{"add_task", `{"title":"x","user_id":"bob"}`, events.ToolBadArgs, `no argument "user_id"`},
		{"add_task", `{"title":"x","description":"` + strings.Repeat("x", 4001) + `"}`, events.ToolBadArgs, "too long"},
		{"complete_task", `{}`, events.ToolBadArgs, "task_id is missing"},
		{"complete_task", `{"task_id":"1"}`, events.ToolBadArgs, "wrong type"},
		{"complete_task", `{"task_id":1.5}`, events.ToolBadArgs, "wrong type"},
		{"complete_task", `{"task_id":0}`, events.ToolBadArgs, "positive whole number"},
		{"complete_task", `{"task_id":99999999999}`, events.ToolBadArgs, "positive whole number"},
		{"complete_task", `{"task_id":9}`, events.ToolFailed, "no task #9"},
		{"complete_task", `{"task_id":2}`, events.ToolFailed, "has been deleted"},
		{"delete_task", `{"task_id":2}`, events.ToolFailed, "has been deleted"},
		{"update_task", `{"task_id":1}`, events.ToolBadArgs, "Nothing to change"},
		{"update_task", `{"task_id":1,"title":" "}`, events.ToolBadArgs, "must not be empty"},
		{"list_tasks", `{"status":"late"}`, events.ToolBadArgs, "all, open or completed"},
		{"list_tasks", `{"query":"` + strings.Repeat("x", 201) + `"}`, events.ToolBadArgs, "at most 200"},
		{"restore_task", `{"task_id":2}`, events.ToolDenied, "Only the person"},
		{"reopen_task", `{"task_id":1}`, events.ToolDenied, "Only the person"},
	}
	for _, tt := range tests {
		c := b.call("ana", tt.name, tt.args)
		a := b.do(c)
		if a.OK || a.Error == nil || a.Error.Code != tt.code || !strings.Contains(a.Error.Message, tt.says) {
			t.Errorf("%s %.60s: %+v, %+v; want %s and %q", tt.name, tt.args, a, a.Error, tt.code, tt.says)
		}
		if n := b.count(`SELECT count(*) FROM tool_call WHERE call_id = $1 AND NOT ok AND state = 'done'`, string(c.CallID)); n != 1 {
			t.Errorf("%s %.60s: no ledger row for the refusal", tt.name, tt.args)
		}
	}
	if after := b.count(`SELECT count(*) + sum(task_rev) FROM task`); after != before {
		t.Errorf("a refusal changed the tasks: %d, was %d", after, before)
	}
}

func TestOneCallIDHasOneEffectAndOneAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.call("ana", "add_task", `{"title":"once"}`)
	ctx := testkit.Context(t)
	answers := make([]ledger.Answer, 50)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = b.try(ctx, c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, a := range answers {
		if !a.OK || string(a.Result) != string(answers[0].Result) || a.DurationMS != answers[0].DurationMS {
			t.Errorf("answer %d is %s, the first %s", i, a.Result, answers[0].Result)
		}
	}
	if n := b.count(`SELECT count(*) FROM task WHERE user_id = 'ana'`); n != 1 {
		t.Errorf("%d tasks from one call", n)
	}
	other := c
	other.Arguments = jsontext.Value(`{"title":"twice"}`)
	if len(b.reused) != 0 {
		t.Errorf("%d alarms for calls that are repeated", len(b.reused))
	}
	if a := b.do(other); a.OK || a.Error.Code != events.ToolBadArgs {
		t.Errorf("the same id with other arguments: %+v", a)
	}
	if len(b.reused) != 1 || (<-b.reused).CallID != c.CallID {
		t.Error("no alarm for an id that is used with other arguments")
	}
	same := c
	same.Arguments = jsontext.Value(`{ "title": "once" }`)
	if a := b.do(same); string(a.Result) != string(answers[0].Result) {
		t.Errorf("the same arguments with other white space: %+v", a)
	}
}

func TestRevokeAndCallAgreeOnWhoWasFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := testkit.Context(t)
	first := b.call("ana", "add_task", `{"title":"never"}`)
	revoked, err := ledger.Refuse(ctx, b.pool, first, ledger.Revoked())
	if err != nil || revoked.Error == nil || revoked.Error.Code != events.ToolRevoked {
		t.Fatalf("revoke before the call: %+v, %v", revoked, err)
	}
	if a := b.do(first); a.OK || a.Error.Code != events.ToolRevoked {
		t.Errorf("a revoked call ran: %+v", a)
	}
	second := b.call("ana", "add_task", `{"title":"done"}`)
	ran := b.do(second)
	truth, err := ledger.Refuse(ctx, b.pool, second, ledger.Revoked())
	if err != nil || !truth.OK || string(truth.Result) != string(ran.Result) {
		t.Errorf("revoke after the call: %+v, %v", truth, err)
	}
	for range 20 {
		c := b.call("ana", "add_task", `{"title":"race"}`)
		var call, revoke ledger.Answer
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			if call, err = b.try(ctx, c); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			a, err := ledger.Refuse(ctx, b.pool, c, ledger.Revoked())
			if err != nil {
				t.Error(err)
				return
			}
			revoke = *a
		})
		wg.Wait()
		if call.OK != revoke.OK {
			t.Errorf("call says %v, revoke says %v", call.OK, revoke.OK)
		}
	}
	ok := b.count(`SELECT count(*) FROM tool_call WHERE ok AND name = 'add_task'`)
	if n := b.count(`SELECT count(*) FROM task`); n != ok {
		t.Errorf("%d tasks, %d calls that say ok", n, ok)
	}
}

func TestDeadlineLeavesARefusalAndNoEffect(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.call("ana", "add_task", `{"title":"late"}`)
	c.Deadline = b.clock.Now()
	a := b.do(c)
	if a.OK || a.Error.Code != events.ToolDeadline {
		t.Fatalf("answer = %+v", a)
	}
	c.Deadline = b.clock.Now().Add(time.Hour)
	if again := b.do(c); again.OK || again.Error.Code != events.ToolDeadline {
		t.Errorf("a later delivery with another clock ran it: %+v", again)
	}
	if n := b.count(`SELECT count(*) FROM task`); n != 0 {
		t.Errorf("%d tasks", n)
	}
}

func TestPeopleDoNotMeet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.task(b.do(b.call("ana", "add_task", `{"title":"canary of ana"}`)))
	if a := b.do(b.call("bob", "complete_task", `{"task_id":1}`)); a.OK {
		t.Errorf("bob completed ana's task")
	}
	if a := b.do(b.call("bob", "list_tasks", `{}`)); strings.Contains(string(a.Result), "canary") {
		t.Errorf("bob sees %s", a.Result)
	}
	// Bob reuses the very call id.
	c := ledger.Call{
		UserID: "bob", CallID: "call-1", Server: tasks.Server, Name: "add_task", Arguments: jsontext.Value(`{"title":"bob's"}`),
		By: events.ByModel, ConversationID: "c1",
	}
	if got := b.task(b.do(c)); got.Title != "bob's" || got.TaskID != 1 {
		t.Errorf("bob's own task is %+v", got)
	}
}

func TestListFiltersAndIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 120 {
		b.do(b.call("ana", "add_task", fmt.Sprintf(`{"title":"task 100%% %d","description":%q}`, i, strings.Repeat("d", 4000))))
	}
	b.do(b.call("ana", "complete_task", `{"task_id":3}`))
	for _, tt := range []struct {
		args         string
		count, shown int
	}{
		{`{}`, 120, 100},
		{`{"status":"completed"}`, 1, 1},
		{`{"status":"open"}`, 119, 100},
		{`{"query":"TASK 100% 11"}`, 11, 11},
		{`{"query":"task_100"}`, 0, 0},
	} {
		a := b.do(b.call("ana", "list_tasks", tt.args))
		var out struct {
			Count int          `json:"count"`
			Tasks []tasks.Task `json:"tasks"`
		}
		if err := json.Unmarshal(a.Result, &out); err != nil {
			t.Fatal(err)
		}
		if out.Count != tt.count || len(out.Tasks) != tt.shown {
			t.Errorf("%s: count %d, shown %d; want %d and %d", tt.args, out.Count, len(out.Tasks), tt.count, tt.shown)
		}
		if len(a.Result) > events.MaxResult {
			t.Errorf("%s: %d bytes do not fit into the log", tt.args, len(a.Result))
		}
	}
}
