package recorder

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
	"github.com/parleychat/parley/toolworker/ledger"
	"github.com/parleychat/parley/toolworker/tasks"
)

// A hand carries out tool calls for the conversations of a world, as a
// toolworker does.
type hand struct {
	w       *world
	session *mcp.ClientSession
	calls   int
}

func newHand(w *world) *hand {
	w.t.Helper()
	near, far := mcp.NewInMemoryTransports()
	server, err := tasks.New(w.store.Pool(), nil, nil).Connect(w.ctx, far, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(w.ctx, near, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = client.Close(); _ = server.Wait() })
	return &hand{w: w, session: client}
}

// call commits a call, carries it out, and commits its answer.
func (h *hand) call(r events.Ref, name, arguments string) {
	h.w.t.Helper()
	c := h.begin(r, name, arguments)
	h.answer(r, c, h.do(c))
}

// begin commits a call by hand.
func (h *hand) begin(r events.Ref, name, arguments string) ledger.Call {
	h.w.t.Helper()
	h.calls++
	c := ledger.Call{
		UserID: r.User(), CallID: events.HandCallID(r.User(), fmt.Sprint(h.calls)), Server: tasks.Server, Name: name,
		Arguments: jsontext.Value(arguments), By: events.ByUser, ConversationID: r.Conversation(),
	}
	h.w.append(r, events.ToolCalled{CallID: c.CallID, Server: c.Server, Name: name, Arguments: c.Arguments, By: c.By, Deadline: testkit.Epoch})
	return c
}

// do carries a call out.
func (h *hand) do(c ledger.Call) ledger.Answer {
	h.w.t.Helper()
	res, err := h.session.CallTool(h.w.ctx, &mcp.CallToolParams{Meta: tasks.Meta(c), Name: c.Name, Arguments: c.Arguments})
	if err != nil {
		h.w.t.Fatal(err)
	}
	a, err := tasks.Answer(res)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return a
}

func (h *hand) answer(r events.Ref, c ledger.Call, a ledger.Answer) {
	h.w.t.Helper()
	h.w.append(r, events.ToolReturned{CallID: c.CallID, RunID: c.RunID, OK: a.OK, Result: a.Result, Error: a.Error, DurationMS: a.DurationMS})
}

// audited is a recorded world with two people, conversations, and tasks, and
// no recorder any more.
func audited(t testing.TB) (*world, *hand) {
	t.Helper()
	w := newWorld(t)
	r := w.start()
	h := newHand(w)
	for _, u := range []events.UserID{"anna", "bert"} {
		for _, c := range []events.ConversationID{"c1", "c2"} {
			ref := w.ref(u, c)
			w.talk(ref, "hello")
			w.append(ref, events.ConversationRenamed{Title: "Greetings", By: events.ByModel})
			w.talk(ref, "what\x00 now?")
			w.append(ref, events.MessageAccepted{MessageID: "m-queued", RunID: events.RunIDFor(u, c, "m-queued"), Text: "and then?"})
		}
		home := w.ref(u, events.Home)
		h.call(home, "add_task", `{"title":"buy milk"}`)
		h.call(home, "add_task", `{"title":"water <the> plants", "due_on":"2026-12-01"}`)
		h.call(home, "complete_task", `{"task_id":1}`)
		h.call(home, "complete_task", `{"task_id":1}`) // changes nothing
		h.call(home, "delete_task", `{"task_id":77}`)  // an error
		h.call(home, "list_tasks", `{}`)
		h.call(home, "update_task", `{"task_id":2,"description":"all of them"}`)
	}
	r.wait(w.seq)
	r.stop()
	return w, h
}

func (w *world) verify(configure ...func(*VerifyOptions)) *Report {
	w.t.Helper()
	o := VerifyOptions{Store: w.direct()}
	for _, f := range configure {
		f(&o)
	}
	r, err := Verify(w.ctx, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// direct is the database past any pooler: a snapshot holds ten connections at once.
func (w *world) direct() *readmodel.Store {
	w.t.Helper()
	store, err := readmodel.Open(w.ctx, w.db.OwnerURL, readmodel.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(store.Close)
	return store
}

func withLog(w *world) func(*VerifyOptions) { return func(o *VerifyOptions) { o.Log = w.log } }

// found is what a report names.
func found(f Findings) []string {
	var list []string
	for _, x := range f.List {
		list = append(list, x.String())
	}
	if len(list) != f.Count {
		list = append(list, fmt.Sprintf("%d in all", f.Count))
	}
	return list
}

func TestVerifyFindsNothingWhereNothingIs(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	r := w.verify(withLog(w))
	for name, f := range map[string]Findings{"differences": r.Differences, "unverifiable": r.Unverifiable, "pending": r.Pending} {
		if f.Count != 0 {
			t.Errorf("%s: %s", name, strings.Join(found(f), "\n"))
		}
	}
	commits, events := 0, 0
	for _, f := range w.folds {
		commits += int(f.N)
	}
	if err := w.store.Pool().QueryRow(w.ctx, `SELECT sum(cardinality(types)) FROM archive`).Scan(&events); err != nil {
		t.Fatal(err)
	}
	if r.Conversations != 6 || r.Commits != commits || r.Events != events || r.Calls != 14 || r.Tasks != 4 {
		t.Errorf("checked %d conversations, %d commits, %d events, %d calls, %d tasks; want 6, %d, %d, 14, 4", r.Conversations, r.Commits, r.Events, r.Calls, r.Tasks, commits, events)
	}
	if len(r.Positions) != 1 || r.Positions[0].Seq != w.seq {
		t.Errorf("positions %+v, want one at %d", r.Positions, w.seq)
	}
}

// unlocked lets the owner change the archive.
const unlocked = `ALTER TABLE archive DISABLE TRIGGER USER; ALTER TABLE archive_payload DISABLE TRIGGER USER;`

// rehashed makes the archive's own hash fit what was planted.
const rehashed = `; UPDATE archive a SET hash = sha256(p.salt || p.payload), size = length(p.payload) FROM archive_payload p
	WHERE p.user_id = a.user_id AND p.conversation_id = a.conversation_id AND p.n = a.n`

// eventsReordered turns the events of a commit around, in which a step and the run end.
const eventsReordered = `UPDATE archive_payload SET payload = convert_to(jsonb_set(convert_from(payload, 'UTF8')::jsonb, '{events}',
	(SELECT jsonb_agg(e ORDER BY i DESC) FROM jsonb_array_elements(convert_from(payload, 'UTF8')::jsonb->'events') WITH ORDINALITY u(e, i)))::text, 'UTF8')
	WHERE user_id = 'anna' AND conversation_id = 'c1' AND n = 2`

// at is the address of a commit in SQL.
func at(n string) string {
	return ` WHERE user_id = 'anna' AND conversation_id = 'c1' AND n = ` + n + ` `
}

// restored makes the owner's tables what they are now again after each call.
func (w *world) restored() (restore func()) {
	w.t.Helper()
	save, back := unlocked+`CREATE SCHEMA saved;`, ""
	for _, table := range []string{"archive", "archive_payload", "conversation", "run", "conversation_words", "tool_call", "task", "task_owner", "task_history"} {
		save += `CREATE TABLE saved.` + table + ` AS TABLE ` + table + `;`
		back += `DELETE FROM ` + table + `; INSERT INTO ` + table + ` SELECT * FROM saved.` + table + `;`
	}
	w.exec(save)
	return func() { w.exec(back) }
}

// Each change of a row is exactly one difference, which names it.
func TestVerifyNamesEachPlantedDifference(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	restore := w.restored()
	firstRun := string(events.RunIDFor("anna", "c1", "m-0"))
	call := func(n int) string { return string(events.HandCallID("anna", fmt.Sprint(n))) }
	behind := []string{"conversation anna/c1: 8 rows of read models: the archive of its conversation is broken"}
	for _, test := range []struct {
		name, sql, want string
		unverifiable    []string
	}{
		{
			"payload altered", `UPDATE archive_payload SET payload = convert_to(replace(convert_from(payload, 'UTF8'), 'hello', 'Hallo'), 'UTF8')` + at("1"),
			"archive anna/c1 n=1 altered: payload: not what its hash says", behind,
		},
		{
			"payload altered with its hash", `UPDATE archive_payload SET payload = convert_to(replace(convert_from(payload, 'UTF8'), 'about hello', 'about Hallo'), 'UTF8')` + at("2") + rehashed,
			"conversation_words anna/c1 " + firstRun + " altered: words\nrun anna/c1 " + firstRun + " altered: body", nil,
		},
		{"commit missing", `DELETE FROM archive` + at("3") + `; DELETE FROM archive_payload` + at("3"), "archive anna/c1 n=3 missing", behind},
		{"commits missing", `DELETE FROM archive` + at("ANY('{3,4}')") + `; DELETE FROM archive_payload` + at("ANY('{3,4}')"), "archive anna/c1 n=3..4 missing", behind},
		{"envelope missing", `DELETE FROM archive` + at("3"), "archive anna/c1 n=3 missing: there is only its payload", behind},
		{"last commit missing", `DELETE FROM archive` + at("6") + `; DELETE FROM archive_payload` + at("6"), "archive anna/c1 n=6 missing: the rows of the conversation were made with it", nil},
		{"last commits missing", `DELETE FROM archive` + at("ANY('{5,6}')") + `; DELETE FROM archive_payload` + at("ANY('{5,6}')"), "archive anna/c1 n=5..6 missing: the rows of the conversation were made with it", nil},
		{"number of the conversation edited", `UPDATE conversation SET n = 9 WHERE user_id = 'anna' AND conversation_id = 'c1'`, "conversation anna/c1 altered: n", nil},
		{
			"all commits missing", `DELETE FROM archive WHERE user_id = 'anna' AND conversation_id = 'c1'; DELETE FROM archive_payload WHERE user_id = 'anna' AND conversation_id = 'c1'`,
			"archive anna/c1 missing: 8 rows of read models show a conversation without commits", nil,
		},
		{
			"extra commit", `INSERT INTO archive SELECT user_id, conversation_id, 7, commit_id || 'x', cause, by, types, time, stream_seq + 1000, size, hash FROM archive` + at("3") +
				`; INSERT INTO archive_payload SELECT user_id, conversation_id, 7, convert_to(replace(replace(convert_from(payload, 'UTF8'), '"n":3', '"n":7'), ':3"', ':3x"'), 'UTF8'), salt FROM archive_payload` + at("3") + rehashed,
			"archive anna/c1 n=7 extra: the rows of the conversation were made without it", nil,
		},
		{
			"payloads reordered", `UPDATE archive_payload SET n = n + 100` + at("ANY('{2,3}')") + `; UPDATE archive_payload SET n = 105 - n` + at("ANY('{102,103}')"),
			"archive anna/c1 n=2..3 reordered: the payload is of another n", behind,
		},
		{
			"commits reordered", `UPDATE archive SET n = n + 100` + at("ANY('{2,3}')") + `; UPDATE archive SET n = 105 - n` + at("ANY('{102,103}')") +
				`; UPDATE archive_payload SET n = n + 100` + at("ANY('{2,3}')") + `; UPDATE archive_payload SET n = 105 - n` + at("ANY('{102,103}')") +
				`; UPDATE archive a SET stream_seq = (SELECT min(stream_seq) FROM archive b WHERE a.user_id = b.user_id AND a.conversation_id = b.conversation_id) + a.n WHERE user_id = 'anna' AND conversation_id = 'c1' AND n > 1`,
			"archive anna/c1 n=2..3 reordered: the payload is of another n", behind,
		},
		{
			"events of a commit reordered with its hash", eventsReordered + rehashed,
			"archive anna/c1 n=2 altered: types\nconversation_words anna/c1 " + firstRun + " altered: words\nrun anna/c1 " + firstRun + " altered: body", nil,
		},
		{
			"events of a commit reordered with its hash and types", eventsReordered + `; UPDATE archive SET types = (SELECT array_agg(t ORDER BY i DESC) FROM unnest(types) WITH ORDINALITY u(t, i))` + at("2") + rehashed,
			"conversation_words anna/c1 " + firstRun + " altered: words\nrun anna/c1 " + firstRun + " altered: body", nil,
		},
		{"envelope altered", `UPDATE archive SET cause = 'x', types = '{a}', time = time + interval '1 second'` + at("2"), "archive anna/c1 n=2 altered: cause, types, time", nil},
		{"place altered", `UPDATE archive SET stream_seq = 1` + at("4"), "archive anna/c1 n=4 altered: stream_seq: not after that of the commit before", nil},
		{"hash altered", `UPDATE archive SET hash = 'x'` + at("2"), "archive anna/c1 n=2 altered: payload: not what its hash says", behind},
		{
			"commit of another person", `UPDATE archive_payload a SET (payload, salt) = (SELECT payload, salt FROM archive_payload b WHERE b.user_id = 'bert' AND b.conversation_id = a.conversation_id AND b.n = a.n)` + at("2") + rehashed,
			"archive anna/c1 n=2 foreign: the payload is of another conversation", behind,
		},
		{"no commit", `UPDATE archive_payload SET payload = 'x'` + at("2") + rehashed, "archive anna/c1 n=2 altered: payload: no commit", behind},
		{"title edited", `UPDATE conversation SET title = 'x' WHERE user_id = 'anna' AND conversation_id = 'c1'`, "conversation anna/c1 altered: title", nil},
		{
			"conversation row edited", `UPDATE conversation SET body = body || ' ', open_runs = '{}', active_at = active_at + interval '1 microsecond' WHERE user_id = 'anna' AND conversation_id = 'c1'`,
			"conversation anna/c1 altered: active_at, open_runs, body", nil,
		},
		{"conversation row missing", `DELETE FROM conversation WHERE user_id = 'anna' AND conversation_id = 'c1'`, "conversation anna/c1 missing", nil},
		{
			"conversation row extra", `INSERT INTO conversation SELECT user_id, 'c3', n, title, title_by, pinned, deleted, read_n, status, last_text, created_at, active_at, runs, tip, open_runs, body FROM conversation WHERE user_id = 'anna' AND conversation_id = 'c1'`,
			"archive anna/c3 missing: 1 rows of read models show a conversation without commits", nil,
		},
		{
			"message edited", `UPDATE run SET body = convert_to(replace(convert_from(body, 'UTF8'), 'hello', 'Hallo'), 'UTF8') WHERE user_id = 'anna' AND run_id = '` + firstRun + `'`,
			"run anna/c1 " + firstRun + " altered: body", nil,
		},
		{
			"run row edited", `UPDATE run SET status = 'failed', input_tokens = 5, estimated = true, accepted_at = now() WHERE user_id = 'anna' AND run_id = '` + firstRun + `'`,
			"run anna/c1 " + firstRun + " altered: status, input_tokens, estimated, accepted_at", nil,
		},
		{"run row missing", `DELETE FROM run WHERE user_id = 'anna' AND run_id = '` + firstRun + `'`, "run anna/c1 " + firstRun + " missing", nil},
		{
			"run row extra", `INSERT INTO run SELECT user_id, conversation_id, 'another', pos, n, parent_id, message_id, status, model, input_tokens, output_tokens, estimated, accepted_at, body FROM run WHERE user_id = 'anna' AND run_id = '` + firstRun + `'`,
			"run anna/c1 another extra", nil,
		},
		{
			"words edited", `UPDATE conversation_words SET words = array_to_tsvector('{x}') WHERE user_id = 'anna' AND run_id = '` + firstRun + `'`,
			"conversation_words anna/c1 " + firstRun + " altered: words", nil,
		},
		{"words missing", `DELETE FROM conversation_words WHERE user_id = 'anna' AND run_id = '` + firstRun + `'`, "conversation_words anna/c1 " + firstRun + " missing", nil},
		{"other arguments", `UPDATE tool_call SET args_hash = sha256('x') WHERE user_id = 'anna' AND call_id = '` + call(1) + `'`, "tool_call anna/home " + call(1) + " altered: args_hash", nil},
		{
			"result edited", `UPDATE tool_call SET result = convert_to(replace(convert_from(result, 'UTF8'), 'milk', 'gin'), 'UTF8') WHERE user_id = 'anna' AND call_id = '` + call(1) + `'`,
			"tool_call anna/home " + call(1) + " altered: result", nil,
		},
		{
			"refusal edited", `UPDATE tool_call SET error_code = 'x', error_message = 'y', duration_ms = duration_ms + 1 WHERE user_id = 'anna' AND call_id = '` + call(5) + `'`,
			"tool_call anna/home " + call(5) + " altered: error_code, error_message, duration_ms", nil,
		},
		{"revoked afterwards", `UPDATE tool_call SET state = 'revoked', ok = false WHERE user_id = 'anna' AND call_id = '` + call(1) + `'`, "tool_call anna/home " + call(1) + " altered: ok", nil},
		{"ledger row missing", `DELETE FROM tool_call WHERE user_id = 'anna' AND call_id = '` + call(1) + `'`, "tool_call anna/home " + call(1) + " missing: the archive has the answer to this call", nil},
		{
			"ledger row extra", `INSERT INTO tool_call SELECT user_id, 'another', server, name, args_hash, by, 'revoked', false, NULL, 'x', 'y', 0, conversation_id, run_id FROM tool_call WHERE user_id = 'anna' AND call_id = '` + call(1) + `'`,
			"tool_call anna/home another extra: neither the archive nor the log has a call with this id", nil,
		},
		{"task edited", `UPDATE task SET title = 'x' WHERE user_id = 'anna' AND task_id = 1`, "task anna task_id=1 altered: not as task_rev=3 left it", nil},
		{"due date edited", `UPDATE task SET due_on = due_on + 1 WHERE user_id = 'anna' AND task_id = 2`, "task anna task_id=2 altered: not as task_rev=4 left it", nil},
		{"task missing", `DELETE FROM task WHERE user_id = 'anna' AND task_id = 1`, "task anna task_id=1 missing: task_rev=3 tells of it", nil},
		{
			"task extra", `INSERT INTO task SELECT user_id, 2 + 1, title, description, due_on, status, deleted, created_at, updated_at, completed_at, task_rev FROM task WHERE user_id = 'anna' AND task_id = 2; UPDATE task_owner SET next_task_id = 4 WHERE user_id = 'anna'`,
			"task anna task_id=3 extra: no history tells of it", nil,
		},
		{"history edited", `UPDATE task_history SET row = jsonb_set(row, '{title}', '"x"'), by = 'model' WHERE user_id = 'anna' AND task_rev = 3`, "task_history anna task_rev=3 altered: by, row", nil},
		{"newest history missing", `DELETE FROM task_history WHERE user_id = 'anna' AND task_rev = 4`, "task_history anna task_rev=4 missing: the answer to call " + call(7) + " tells of it", nil},
		{"history missing", `DELETE FROM task_history WHERE user_id = 'anna' AND task_rev = 2`, "task_history anna task_rev=2 missing: the answer to call " + call(2) + " tells of it", nil},
		{
			"effect done twice", `INSERT INTO task_history SELECT user_id, 5, task_id, tool, by, call_id, conversation_id, run_id, at, jsonb_set(row, '{task_rev}', '5') FROM task_history WHERE user_id = 'anna' AND task_rev = 4;
			UPDATE task SET task_rev = 5 WHERE user_id = 'anna' AND task_id = 2; UPDATE task_owner SET task_rev = 5 WHERE user_id = 'anna'`,
			"task_history anna task_rev=5 extra: no answer to a call tells of it", nil,
		},
		{"history of another call", `UPDATE task_history SET call_id = '` + call(6) + `' WHERE user_id = 'anna' AND task_rev = 4`, "task_history anna task_rev=4 altered: call_id: no call with this id wrote this", nil},
		{"rev set back", `UPDATE task_owner SET task_rev = 3 WHERE user_id = 'anna'`, "task_owner anna altered: task_rev is 3, but the newest is 4", nil},
		{"number set back", `UPDATE task_owner SET next_task_id = 2 WHERE user_id = 'anna'`, "task_owner anna altered: next_task_id is 2, but the highest number is 2", nil},
		{"owner missing", `DELETE FROM task_owner WHERE user_id = 'anna'`, "task_owner anna missing", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t = t
			w.exec(test.sql)
			defer restore()
			r := w.verify(withLog(w))
			if diff := cmp.Diff(strings.Split(test.want, "\n"), found(r.Differences)); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.unverifiable, found(r.Unverifiable)); diff != "" {
				t.Errorf("unverifiable (-want +got):\n%s", diff)
			}
			if r.Pending.Count != 0 {
				t.Errorf("pending: %s", found(r.Pending))
			}
		})
	}
}

// What cannot be checked is counted and is no difference.
func TestVerifyCountsWhatItCannotCheck(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	restore := w.restored()
	for _, test := range []struct {
		name, sql string
		want      []string
	}{
		{"a conversation erased", `DELETE FROM archive_payload WHERE user_id = 'anna' AND conversation_id = 'c1'`, []string{
			"archive anna/c1 n=1: its content was erased", "archive anna/c1 n=2: its content was erased", "archive anna/c1 n=3: its content was erased",
			"archive anna/c1 n=4: its content was erased", "archive anna/c1 n=5: its content was erased", "archive anna/c1 n=6: its content was erased",
			"conversation anna/c1: 8 rows of read models: its content was erased",
		}},
		{"a newer version", `UPDATE archive_payload SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '"v":1', '"v":2'), 'UTF8')` + at("5") + rehashed, []string{
			"archive anna/c1 n=5: it is of a version that this build cannot read",
			"conversation anna/c1: 8 rows of read models: it is of a version that this build cannot read",
		}},
		{"the writer of a task erased", `DELETE FROM archive_payload WHERE user_id = 'anna' AND conversation_id = 'home' AND n = 1; DELETE FROM tool_call WHERE user_id = 'anna' AND call_id = '` +
			string(events.HandCallID("anna", "1")) + `'`, []string{
			"task_history anna task_rev=1: the call that wrote it cannot be read",
			"archive anna/home n=1: its content was erased",
			"conversation anna/home: 1 rows of read models: its content was erased",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t = t
			w.exec(test.sql)
			defer restore()
			r := w.verify(withLog(w))
			if r.Differences.Count != 0 {
				t.Errorf("differences: %s", strings.Join(found(r.Differences), "\n"))
			}
			if diff := cmp.Diff(test.want, found(r.Unverifiable)); diff != "" {
				t.Errorf("unverifiable (-want +got):\n%s", diff)
			}
		})
	}
}

// An event of an unknown type is kept and named; the rest of its conversation is
// checked as ever.
func TestVerifyAndUnknownEvents(t *testing.T) {
	t.Parallel()
	w, _ := audited(t)
	w.append(w.ref("anna", "c1"), events.Unknown{Type: "weather.changed", Raw: jsontext.Value(`{"type":"weather.changed"}`)}, events.ConversationPinned{Pinned: true})
	r := w.start()
	r.wait(w.seq)
	report := w.verify()
	if report.Differences.Count != 0 {
		t.Errorf("differences: %s", found(report.Differences))
	}
	if diff := cmp.Diff([]string{`archive anna/c1 n=7: an event of the unknown type "weather.changed"`}, found(report.Unverifiable)); diff != "" {
		t.Error(diff)
	}
	w.exec(`UPDATE conversation SET pinned = false WHERE user_id = 'anna' AND conversation_id = 'c1'`)
	if got := found(w.verify().Differences); !slices.Equal(got, []string{"conversation anna/c1 altered: pinned"}) {
		t.Errorf("differences: %s", got)
	}
}

// Ledger and tasks are ahead of the archive: that is no difference.
func TestVerifyWhileCallsAreUnderWay(t *testing.T) {
	t.Parallel()
	w, h := audited(t)
	home := w.ref("anna", events.Home)
	c := h.begin(home, "add_task", `{"title":"new"}`)
	h.do(c)
	want := []string{"tool_call anna/home " + string(c.CallID) + " extra: the archive has no call with this id"}
	for name, r := range map[string]*Report{"called, not recorded": w.verify(withLog(w)), "and the log is away": w.verify()} {
		if got := found(r.Pending); r.Differences.Count != 0 || !slices.Equal(got, want) {
			t.Errorf("%s: differences %s, pending %s", name, found(r.Differences), got)
		}
	}
	w.start().wait(w.seq)
	want = []string{"tool_call anna/home " + string(c.CallID) + ": its answer is not in the archive yet"}
	if r := w.verify(withLog(w)); r.Differences.Count != 0 || !slices.Equal(found(r.Pending), want) {
		t.Errorf("recorded, not answered: differences %s, pending %s", found(r.Differences), found(r.Pending))
	}
}

// Whatever is under way at any moment, verify finds no difference: neither
// between the archive and its rows, nor between the ledger, which is ahead, and
// the log.
func TestVerifyWhileServing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.start()
	h := newHand(w)
	ctx, stop := context.WithCancel(w.ctx)
	var g errgroup.Group
	direct := w.direct()
	looks, pending := 0, 0
	g.Go(func() error {
		for ; ctx.Err() == nil; looks++ {
			report, err := Verify(w.ctx, VerifyOptions{Store: direct, Log: w.log})
			if err != nil {
				return err
			}
			if report.Differences.Count+report.Unverifiable.Count > 0 {
				return fmt.Errorf("look %d: %s\n%s", looks, strings.Join(found(report.Differences), "\n"), found(report.Unverifiable))
			}
			pending += report.Pending.Count
		}
		return nil
	})
	for i := range 60 {
		for _, u := range []events.UserID{"anna", "bert"} {
			w.talk(w.ref(u, events.ConversationID(fmt.Sprint("c", i%7))), fmt.Sprint("hello ", i))
			h.call(w.ref(u, events.Home), "add_task", fmt.Sprintf(`{"title":"number %d"}`, i))
			h.call(w.ref(u, events.Home), "complete_task", fmt.Sprintf(`{"task_id":%d}`, 1+i/2))
		}
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	r.wait(w.seq)
	w.clean()
	t.Logf("%d looks, %d rows pending", looks, pending)
	if looks < 2 {
		t.Errorf("%d looks while it served", looks)
	}
}
