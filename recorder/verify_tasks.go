package recorder

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// taskServer is the tool server whose results tell of tasks.
const taskServer = "tasks"

// A taskHash stands for a task as JSON, whatever the order of its members.
type taskHash [sha256.Size]byte

func hashTask(v jsontext.Value) (taskHash, bool) {
	v = v.Clone()
	if v.Canonicalize() != nil {
		return taskHash{}, false
	}
	return sha256.Sum256(v), true
}

// A claim is what the answer to a call says about a task at a rev. A tool that
// had nothing to change tells of the rev of an earlier call.
type claim struct {
	call         events.CallID
	conversation string
	run, tool    string
	by           string
	rev, id      int64
	task         taskHash
}

// claim notes what a call's answer says about a task: as the archive has it,
// else as the ledger does.
func (c *conversation) claim(id string, row *readmodel.LedgerRow, t *call) {
	k := claim{call: events.CallID(id), conversation: c.id}
	var result jsontext.Value
	switch {
	case t != nil && t.server == taskServer && t.returned != nil && t.returned.OK && !t.returned.Truncated:
		k.run, k.tool, k.by, result = string(t.run), t.name, string(t.by), t.returned.Result
	case row != nil && row.Server == taskServer && row.OK:
		k.run, k.tool, k.by, result = row.RunID, row.Name, row.By, jsontext.Value(row.Result)
	default:
		return
	}
	var r struct {
		Task jsontext.Value `json:"task"`
	}
	if json.Unmarshal(result, &r) != nil || r.Task == nil {
		return // a list, or no result of ours: it tells of no write
	}
	var task struct {
		TaskRev int64 `json:"task_rev"`
		TaskID  int64 `json:"task_id"`
	}
	var ok bool
	if k.task, ok = hashTask(r.Task); !ok || json.Unmarshal(r.Task, &task) != nil || task.TaskRev < 1 {
		return
	}
	k.rev, k.id = task.TaskRev, task.TaskID
	c.claims = append(c.claims, k)
}

// A ledgerOf is what the conversations of a person claim about the person's
// tasks. When all of them are in, the tasks are compared with it.
type ledgerOf struct {
	mu     sync.Mutex
	open   int // conversations that are still to come
	claims map[int64][]claim
	unread map[string]bool   // conversations whose calls cannot all be read
	person *readmodel.Person // set once no more will begin
}

func (l *ledgerOf) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
}

func (l *ledgerOf) add(c *conversation, v *verifier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if c.behind != "" {
		l.unread[c.id] = true
	}
	for _, k := range c.claims {
		l.claims[k.rev] = append(l.claims[k.rev], k)
	}
	l.finish(v)
}

func (l *ledgerOf) close(p *readmodel.Person, v *verifier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.person = p
	l.finish(v)
}

// finish compares once everything is there. The caller holds the lock.
func (l *ledgerOf) finish(v *verifier) {
	if l.open > 0 || l.person == nil {
		return
	}
	c := l.compare()
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.persons, l.person.UserID)
	v.report.Tasks += len(l.person.Tasks)
	for _, f := range c.differences {
		v.report.Differences.add(f)
	}
	for _, f := range c.unverifiable {
		v.report.Unverifiable.add(f)
	}
}

// A version is a task at a rev.
type version struct {
	rev  int64
	task taskHash
}

// A comparison goes through a person's tasks.
type comparison struct {
	*ledgerOf

	newest       map[int64]version // what each task must be, by the newest rev that tells of it
	lost         map[int64]bool    // revs that nothing tells of
	last         int64             // the newest rev
	differences  []Finding
	unverifiable []Finding
}

func (l *ledgerOf) compare() *comparison {
	c := &comparison{ledgerOf: l, newest: map[int64]version{}, lost: map[int64]bool{}}
	for i := range l.person.History {
		h := &l.person.History[i]
		c.gap(h.TaskRev)
		c.change(h)
	}
	for _, rev := range slices.Sorted(maps.Keys(l.claims)) {
		c.gap(rev + 1)
		c.last = rev
	}
	c.tasks()
	return c
}

func (c *comparison) differ(table, key, kind, detail string) {
	c.differences = append(c.differences, Finding{Table: table, UserID: c.person.UserID, Key: key, Kind: kind, Detail: detail})
}

func revKey(n int64) string { return "task_rev=" + strconv.FormatInt(n, 10) }

func taskKey(n int64) string { return "task_id=" + strconv.FormatInt(n, 10) }

// gapRevs bounds the revs of a gap that are named one by one.
const gapRevs = 1000

// gap names the revs after the last one that are missing before rev.
func (c *comparison) gap(rev int64) {
	for c.last++; c.last < rev; c.last++ {
		if rev-c.last > gapRevs {
			c.differ("task_history", revKey(c.last), readmodel.Missing, "and all before "+revKey(rev-gapRevs))
			c.last = rev - gapRevs
		}
		c.missing(c.last)
	}
}

// missing deals with a rev without its row in the history: revs have no gaps.
func (c *comparison) missing(rev int64) {
	claims := c.claims[rev]
	delete(c.claims, rev)
	if len(claims) == 0 {
		c.lost[rev] = true
		c.differ("task_history", revKey(rev), readmodel.Missing, "revs have no gaps")
		return
	}
	c.newest[claims[0].id] = version{rev, claims[0].task}
	c.differ("task_history", revKey(rev), readmodel.Missing, "the answer to call "+string(claims[0].call)+" tells of it")
}

// change compares a row of the history with the answer to the call that wrote it.
func (c *comparison) change(h *readmodel.HistoryRow) {
	is, ok := hashTask(h.Task)
	claims := c.claims[h.TaskRev]
	delete(c.claims, h.TaskRev)
	id := h.TaskID
	k := writer(claims, h.CallID)
	switch {
	case k != nil:
		if columns := historyColumns(h, k, is); columns != "" {
			c.differ("task_history", revKey(h.TaskRev), readmodel.Altered, columns)
		}
		id, is, ok = k.id, k.task, true
	case len(claims) > 0:
		c.differ("task_history", revKey(h.TaskRev), readmodel.Altered, "call_id: no call with this id wrote this")
		id, is, ok = claims[0].id, claims[0].task, true
	case c.unread[string(h.ConversationID)]:
		c.unverifiable = append(c.unverifiable, Finding{Table: "task_history", UserID: c.person.UserID, Key: revKey(h.TaskRev), Detail: "the call that wrote it cannot be read"})
	default:
		c.differ("task_history", revKey(h.TaskRev), readmodel.Extra, "no answer to a call tells of it")
	}
	if ok {
		c.newest[id] = version{h.TaskRev, is}
	}
}

// tasks compares the tasks with the newest that is told of them.
func (c *comparison) tasks() {
	p := c.person
	highest := int64(0)
	for i := range p.Tasks {
		t := &p.Tasks[i]
		highest = max(highest, t.TaskID)
		want, ok := c.newest[t.TaskID]
		delete(c.newest, t.TaskID)
		is, hashed := hashRow(t)
		switch {
		case c.lost[t.TaskRev] && want.rev < t.TaskRev: // what wrote it is missing, and named
		case !ok:
			c.differ("task", taskKey(t.TaskID), readmodel.Extra, "no history tells of it")
		case !hashed || is != want.task:
			c.differ("task", taskKey(t.TaskID), readmodel.Altered, "not as "+revKey(want.rev)+" left it")
		}
	}
	for id, want := range c.newest {
		highest = max(highest, id)
		c.differ("task", taskKey(id), readmodel.Missing, revKey(want.rev)+" tells of it")
	}
	switch {
	case !p.Owned && c.last > 0:
		c.differ("task_owner", "", readmodel.Missing, "")
	case p.Owned && p.TaskRev != c.last:
		c.differ("task_owner", "", readmodel.Altered, fmt.Sprintf("task_rev is %d, but the newest is %d", p.TaskRev, c.last))
	case p.Owned && int64(p.NextTaskID) != highest+1:
		c.differ("task_owner", "", readmodel.Altered, fmt.Sprintf("next_task_id is %d, but the highest number is %d", p.NextTaskID, highest))
	}
}

func writer(claims []claim, id events.CallID) *claim {
	for i := range claims {
		if claims[i].call == id {
			return &claims[i]
		}
	}
	return nil
}

// historyColumns names the columns that differ from what the call's answer says.
func historyColumns(h *readmodel.HistoryRow, k *claim, is taskHash) string {
	var list []string
	check := func(column string, same bool) {
		if !same {
			list = append(list, column)
		}
	}
	check("task_id", h.TaskID == k.id)
	check("tool", h.Tool == k.tool)
	check("by", string(h.By) == k.by)
	check("conversation_id", string(h.ConversationID) == k.conversation)
	check("run_id", string(h.RunID) == k.run)
	check("row", is == k.task)
	return strings.Join(list, ", ")
}

func hashRow(t *readmodel.Task) (taskHash, bool) {
	b, err := json.Marshal(t)
	if err != nil {
		return taskHash{}, false
	}
	return hashTask(b)
}
