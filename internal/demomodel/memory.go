package demomodel

import (
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The tools the rules know. Others are called only by the verb /tool.
const (
	addTask      = "add_task"
	listTasks    = "list_tasks"
	completeTask = "complete_task"
	deleteTask   = "delete_task"
	updateTask   = "update_task"
	reopenTask   = "reopen_task"  // usually for people only, so not offered
	restoreTask  = "restore_task" // likewise
)

// task is a row of a tool's result.
type task struct {
	ID          int    `json:"task_id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Due         string `json:"due_on"`
	Status      string `json:"status"`
}

func (t task) open() bool { return t.Status != "completed" }

// act is one tool call of the history with its result.
type act struct {
	name, args string
	round      int // which of the turn's model calls asked for it
	raw        string

	// What raw says. A result without any of these could not be read.
	task  *task
	tasks []task
	list  bool
	count int
	err   string
}

// turn is a person's message and all that followed until the next.
type turn struct {
	user   string
	acts   []act
	rounds int
	text   string
}

// readTurns groups messages into turns; what precedes the first user message,
// system prompts aside, has no question to belong to.
func readTurns(messages []message) (system string, turns []turn) {
	for _, m := range messages {
		if m.Role == "system" || m.Role == "developer" {
			system += string(m.Content) + "\n"
			continue
		}
		if m.Role == "user" {
			turns = append(turns, turn{user: string(m.Content)})
			continue
		}
		if len(turns) == 0 {
			continue
		}
		t := &turns[len(turns)-1]
		if m.Role == "assistant" {
			t.text = string(m.Content)
			for _, c := range m.ToolCalls {
				t.acts = append(t.acts, act{name: c.Function.Name, args: c.Function.Arguments, round: t.rounds, raw: c.ID})
			}
			if len(m.ToolCalls) > 0 {
				t.rounds++
			}
			continue
		}
		for i := range t.acts { // role tool; checkOrder saw to it that the call is here
			if a := &t.acts[i]; a.round == t.rounds-1 && a.raw == m.ToolCallID {
				a.read(string(m.Content))
				break
			}
		}
	}
	return system, turns
}

func (a *act) read(result string) {
	a.raw = result
	var r struct {
		Task  *task          `json:"task"`
		Tasks []task         `json:"tasks"`
		Count int            `json:"count"`
		Error jsontext.Value `json:"error"`
	}
	if err := json.Unmarshal([]byte(result), &r); err != nil {
		return
	}
	switch {
	case len(r.Error) > 0 && r.Error.Kind() != 'n':
		a.err = errorText(r.Error)
	case r.Task != nil:
		a.task = r.Task
	case strings.Contains(result, `"tasks"`):
		a.list, a.tasks, a.count = true, r.Tasks, max(r.Count, len(r.Tasks))
	}
}

func errorText(v jsontext.Value) string {
	var s string
	if json.Unmarshal(v, &s) == nil && s != "" {
		return s
	}
	var o struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(v, &o) == nil && o.Message != "" {
		return o.Message
	}
	return "The tool reported an error without saying which."
}

// memory is what a turn needs to know of the turns before it.
type memory struct {
	cal      calendar
	offered  map[string]bool
	clearDue bool // update_task accepts null as due date

	known    map[int]task
	before   map[int]task // each changed task as it was before its last change
	subject  []int        // tasks the person saw or changed last: "it", "the first one"
	shown    []int        // the last list of several that the person saw
	deleted  map[int]bool // since then or before
	lastVerb string       // last tool that changed something, and which tasks
	lastIDs  []int
	sinceAct int // turns since then
	asked    *question
	lastText string
}

// remembered bounds the turns whose rows are read, chained the turns whose
// questions are: a conversation's length must not slow its answers.
const (
	remembered = 40
	chained    = 4
)

func remember(system string, tools []tool, turns []turn) *memory {
	m := &memory{cal: calendarFrom(system), offered: map[string]bool{}, known: map[int]task{}, before: map[int]task{}, deleted: map[int]bool{}}
	for _, t := range tools {
		m.offered[t.Function.Name] = true
		if t.Function.Name == updateTask {
			m.clearDue = nullableDue(t.Function.Parameters)
		}
	}
	turns = turns[max(0, len(turns)-remembered):]
	// Only a row of turns that each ended with a question can have left one open.
	chain := len(turns)
	for chain > 0 && len(turns)-chain < chained && strings.Contains(turns[chain-1].text, "?") {
		chain--
	}
	for i, t := range turns {
		var asked *question
		if i >= chain && !isVerb(t.user) {
			// Another model may have answered: the question counts only if it was put.
			if q := m.respond(t).ask; q != nil && strings.Contains(t.text, q.text) {
				asked = q
			}
		}
		m.observe(t)
		m.asked = asked
	}
	return m
}

func nullableDue(schema jsontext.Value) bool {
	var s struct {
		Properties struct {
			Due struct {
				Type jsontext.Value `json:"type"`
			} `json:"due_on"`
		} `json:"properties"`
	}
	return json.Unmarshal(schema, &s) == nil && strings.Contains(string(s.Properties.Due.Type), `"null"`)
}

// shownRE finds tasks in our own answers. A title cannot imitate it: plain
// escapes the stars.
var shownRE = regexp.MustCompile(`\*\*#(\d{1,9})\*\*`)

func (m *memory) observe(t turn) {
	m.sinceAct++
	var changed []int
	verb := ""
	for _, a := range t.acts {
		for _, row := range a.tasks {
			m.known[row.ID] = row
		}
		if a.task == nil {
			continue
		}
		if old, ok := m.known[a.task.ID]; ok {
			m.before[a.task.ID] = old
		}
		m.known[a.task.ID] = *a.task
		m.deleted[a.task.ID] = a.name == deleteTask
		changed = append(changed, a.task.ID)
		verb = a.name
	}
	if verb != "" {
		m.lastVerb, m.lastIDs, m.sinceAct = verb, changed, 0
	}
	var shown []int
	for _, s := range shownRE.FindAllStringSubmatch(t.text, -1) {
		if id := number(s[1]); !slices.Contains(shown, id) {
			shown = append(shown, id)
		}
	}
	if len(shown) == 0 {
		shown = changed
	}
	if len(shown) > 1 {
		m.shown = shown
	}
	if len(shown) > 0 {
		m.subject = shown
	}
	m.lastText = t.text
}

// names lists known tasks for a question.
func (m *memory) rows(ids []int) []task {
	var out []task
	for _, id := range ids {
		if t, ok := m.known[id]; ok {
			out = append(out, t)
		} else {
			out = append(out, task{ID: id})
		}
	}
	return out
}
