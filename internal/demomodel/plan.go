package demomodel

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

type kind int

const (
	say kind = iota // words only
	add
	list
	complete
	remove
	update
	reopen
)

// intent is one thing a sentence asks for.
type intent struct {
	kind kind

	text string    // say
	ask  *question // say: its text is the end of text

	items []item // add

	// list
	status string
	query  string
	when   string // "today", "tomorrow", "week", "overdue", "next", "due": a filter of the answer
	count  bool
	words  string // the question is about the tasks that these words mean; the rules match them, not the tool
	isDone bool   // and whether they are done
	id     int    // the question is about this task alone

	// complete, remove, update, reopen
	ref    ref
	sure   bool   // confirmed, or named so exactly that no question is needed
	soft   bool   // the verb is often a chore ("cancel the gym"): ask before acting on words
	orAdd  string // title to offer when no task matches
	claim  bool   // "I bought milk": no match is no mistake
	wrong  string // update: only the task with these words ("not milk, bread")
	change change
	note   string // sentence for the report

	weak bool // chat, or not understood: an open question outranks it
}

type change struct {
	title, description, due string
	noDue                   bool
	later                   span // move the date by that much, from where it is
	fix                     bool // title is a correction, to be fitted into the old one
}

func (c change) empty() bool { return c == change{} }

// span is a distance between dates.
type span struct {
	n    int
	unit string
}

type item struct{ title, description, due string }

// question is what the model asked and how to read the reply.
type question struct {
	text  string
	then  []intent // on yes
	given *intent  // act on the task that the reply names
	from  []int    // the tasks to choose from
	what  askKind
	count int // tasks asked for
}

type askKind int

const (
	yesNo askKind = iota
	which
	newTitle
	newItems
	newDue
	newNote
)

type call struct{ name, args string }

// outcome is what one request is answered with.
type outcome struct {
	text  string
	calls []call
	ask   *question
	fault fault
}

// respond decides the next move of a turn: calls, or the closing text.
func (m *memory) respond(t turn) outcome {
	intents := m.understand(t.user)
	p := &plan{m: m, turn: t}

	needList := slices.ContainsFunc(intents, func(in intent) bool { return in.changes() && m.locate(in, nil, false).needList })
	if needList {
		if !m.offered[listTasks] {
			return outcome{text: "I would have to look at your tasks for that, and I have no tool `list_tasks` here."}
		}
		if t.rounds == 0 {
			return outcome{calls: []call{listCall("all", "")}}
		}
		got := t.firstList()
		if got == nil {
			return outcome{text: reportTrouble(t.acts, "look at your tasks")}
		}
		p.tasks, p.looked, p.round = got.tasks, true, 1
	}

	var calls []call
	for _, in := range intents {
		calls = append(calls, p.changesOf(in)...)
	}
	if len(calls) > 0 {
		if t.rounds == p.round {
			return outcome{calls: calls}
		}
		p.acted = p.round
		p.round++
	} else {
		p.acted = -1
	}

	var lists []call
	for _, in := range intents {
		if in.kind != list {
			continue
		}
		if !m.offered[listTasks] {
			p.notes = append(p.notes, "I have no tool `list_tasks` here, so I cannot see your tasks.")
			continue
		}
		if c := listCall(in.status, in.query); !slices.Contains(lists, c) {
			lists = append(lists, c)
		}
	}
	if len(lists) > 0 && p.ask == nil {
		if t.rounds == p.round {
			return outcome{calls: lists}
		}
		p.listed = p.round + 1 // so that zero means none
	}
	text := p.report(intents)
	return outcome{text: text, ask: p.ask}
}

func (in intent) changes() bool {
	return in.kind == complete || in.kind == remove || in.kind == update || in.kind == reopen
}

func (t turn) firstList() *act {
	for i := range t.acts {
		if t.acts[i].round == 0 && t.acts[i].list {
			return &t.acts[i]
		}
	}
	return nil
}

// plan gathers what a turn's intents come to.
type plan struct {
	m      *memory
	turn   turn
	tasks  []task // looked up in this turn
	looked bool
	round  int // the model call that comes next
	acted  int // round of the changing calls, -1 = none
	listed int // round of the lists + 1
	notes  []string
	ask    *question
}

func (p *plan) note(s string) {
	if s != "" && !slices.Contains(p.notes, s) {
		p.notes = append(p.notes, s)
	}
}

// changesOf returns the calls of one intent, and notes what stands in the way.
func (p *plan) changesOf(in intent) []call {
	switch in.kind {
	case add:
		if !p.has(addTask) {
			return nil
		}
		var out []call
		for i, it := range in.items {
			if i == batch {
				p.note(fmt.Sprintf("I add at most %d tasks at a time; please send me the other %d again.", batch, len(in.items)-batch))
				break
			}
			out = append(out, addCall(it))
		}
		p.note(in.note)
		return out
	case say, list:
		if in.ask != nil {
			p.ask = in.ask
		}
		return nil
	default: // a change of a task that exists
	}
	tool := map[kind]string{complete: completeTask, remove: deleteTask, update: updateTask, reopen: reopenTask}[in.kind]
	if in.kind == reopen && p.m.lastVerb == deleteTask && p.m.offered[restoreTask] {
		tool = restoreTask
	}
	if !p.has(tool) {
		return nil
	}
	f := p.m.locate(in, p.tasks, p.looked)
	if f.say != "" {
		p.note(f.say)
	}
	if f.ask != nil && p.ask == nil {
		p.ask = f.ask
	}
	if in.kind == update && in.change.empty() {
		p.askChange(in, f.ids)
		return nil
	}
	p.note(in.note)
	var out []call
	for _, id := range f.ids {
		out = append(out, p.changeCall(tool, id, in.change))
	}
	return out
}

// askChange asks what a named task shall become.
func (p *plan) askChange(in intent, ids []int) {
	if len(ids) == 0 || p.ask != nil {
		return
	}
	in.ref = ref{ids: ids[:1]}
	name := p.m.name(task{ID: ids[0], Title: p.rowOf(ids[0]).Title})
	p.ask = question{what: newTitle, text: "What shall " + name + " say instead?"}.withGiven(in)
}

func (p *plan) has(tool string) bool {
	if p.m.offered[tool] {
		return true
	}
	if tool == reopenTask || tool == restoreTask {
		p.note("I cannot reopen or restore a task myself. In the task panel you can: untick it there, or use **Undo** in its history.")
	} else {
		p.note("I cannot do that here: I was given no tool `" + tool + "`.")
	}
	return false
}

func (p *plan) changeCall(tool string, id int, c change) call {
	args := struct {
		ID          int    `json:"task_id"`
		Title       string `json:"title,omitempty"`
		Description string `json:"description,omitempty"`
		Due         any    `json:"due_on,omitzero"`
	}{ID: id}
	if tool == updateTask {
		args.Title, args.Description = c.title, c.description
		if c.fix {
			args.Title = refit(p.rowOf(id).Title, c.title)
		}
		if c.later.n > 0 {
			c.due = p.m.cal.from(p.rowOf(id).Due, c.later)
		}
		if c.due != "" {
			args.Due = c.due
		}
	}
	b, err := json.Marshal(args)
	if err != nil {
		panic("demomodel: " + err.Error()) // strings and numbers: a programmer's mistake
	}
	if tool == updateTask && c.noDue {
		b = append(b[:len(b)-1], `,"due_on":null}`...)
	}
	return call{tool, string(b)}
}

// rowOf is what is known of a task, best from this turn.
func (p *plan) rowOf(id int) task {
	for _, t := range p.tasks {
		if t.ID == id {
			return t
		}
	}
	return p.m.known[id]
}

func addCall(it item) call {
	b, err := json.Marshal(struct {
		Title       string `json:"title"`
		Description string `json:"description,omitempty"`
		Due         string `json:"due_on,omitempty"`
	}{it.title, it.description, it.due})
	if err != nil {
		panic("demomodel: " + err.Error()) // strings: a programmer's mistake
	}
	return call{addTask, string(b)}
}

func listCall(status, query string) call {
	b, err := json.Marshal(struct {
		Status string `json:"status"`
		Query  string `json:"query,omitempty"`
	}{status, query})
	if err != nil {
		panic("demomodel: " + err.Error()) // strings: a programmer's mistake
	}
	return call{listTasks, string(b)}
}
