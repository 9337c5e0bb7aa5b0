package demomodel

import (
	"fmt"
	"slices"
	"strings"

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
	fix                     bool // title is a correction, to be fitted into the old one
}

func (c change) empty() bool { return c == change{} }

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
		return out
	case say, list:
		if in.ask != nil {
			p.ask = in.ask
		}
		return nil
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
	name := p.m.name(task{ID: ids[0], Title: p.titleOf(ids[0])})
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
			args.Title = refit(p.titleOf(id), c.title)
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

func (p *plan) titleOf(id int) string {
	for _, t := range p.tasks {
		if t.ID == id {
			return t.Title
		}
	}
	return p.m.known[id].Title
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

// found is what a ref comes to: tasks, a look-up first, or a sentence or
// question instead.
type found struct {
	ids      []int
	needList bool
	say      string
	ask      *question
}

func (m *memory) locate(in intent, tasks []task, looked bool) found {
	r := in.ref
	switch {
	case in.wrong != "":
		sure, _ := match(in.wrong, m.rows(m.lastIDs))
		if len(sure) == 1 {
			return found{ids: []int{sure[0].ID}}
		}
		return m.choose(in, m.rows(m.lastIDs), "Which one do you mean?")
	case len(r.ids) > 0:
		return found{ids: r.ids}
	case r.it:
		switch {
		case len(m.subject) == 1:
			return found{ids: m.subject}
		case len(m.subject) > 1:
			return m.choose(in, m.rows(m.subject), "Which one do you mean?")
		}
		return m.whichTask(in)
	case r.them:
		if len(m.subject) == 0 {
			return m.whichTask(in)
		}
		return m.several(in, m.rows(m.subject), 4)
	case r.all != "":
		if !looked {
			return found{needList: true}
		}
		return m.everything(in, tasks)
	case len(r.places) > 0:
		return m.placed(in, tasks, looked)
	case r.words != "":
		if !looked {
			return found{needList: true}
		}
		return m.worded(in, tasks)
	}
	return m.whichTask(in)
}

func (m *memory) placed(in intent, tasks []task, looked bool) found {
	last := len(in.ref.places) == 1 && in.ref.places[0] < 0
	if len(m.subject) > 1 || len(m.subject) == 1 && last {
		if ids, ok := at(m.subject, in.ref.places); ok {
			return found{ids: ids}
		}
	}
	if !looked {
		return found{needList: true}
	}
	shown := inOrder(tasks)
	if open := onlyOpen(shown); len(open) > 0 && in.kind != reopen {
		shown = open
	}
	var ids []int
	for _, t := range shown {
		ids = append(ids, t.ID)
	}
	if out, ok := at(ids, in.ref.places); ok {
		return found{ids: out}
	}
	if len(ids) == 0 {
		return found{say: "Your list is empty, so there is nothing to " + in.verb() + "."}
	}
	return found{say: fmt.Sprintf("There %s in the list, so I changed nothing.", countOf(len(ids), "is only one task", "are only %d tasks"))}
}

func (m *memory) everything(in intent, tasks []task) found {
	shown := inOrder(tasks)
	switch {
	case in.kind == complete || in.ref.all == "open":
		shown = onlyOpen(shown)
	case in.ref.all == "completed":
		shown = slices.DeleteFunc(shown, task.open)
	case in.kind == update:
		shown = onlyOpen(shown)
	}
	if len(shown) == 0 {
		what := map[string]string{"completed": "no completed task", "open": "no open task"}[in.ref.all]
		if what == "" {
			what = "no task"
		}
		if in.kind == complete {
			what = "no open task"
		}
		return found{say: "There is " + what + " to " + in.verb() + "."}
	}
	return m.several(in, shown, 1)
}

// several asks before it touches limit tasks or more.
func (m *memory) several(in intent, rows []task, limit int) found {
	more := len(rows) - batch
	if more > 0 {
		rows = rows[:batch]
	}
	ids := idsOf(rows)
	if in.sure || len(rows) < limit || in.kind != remove && in.kind != complete && in.kind != update {
		return found{ids: ids}
	}
	then := in
	then.ref, then.sure = ref{ids: ids}, true
	intro := "That is " + countOf(len(rows), "one task", "%d tasks") + ":"
	if more > 0 {
		intro = fmt.Sprintf("That is %d tasks; I take %d at a time. These would be the first:", len(rows)+more, batch)
	}
	q := &question{what: yesNo, then: []intent{then}}
	q.text = capitalise(in.verb()) + countOf(len(rows), " it? (yes or no)", " all %d? (yes or no)")
	return found{say: intro + "\n\n" + m.bullets(rows), ask: q}
}

func (m *memory) worded(in intent, tasks []task) found {
	rows := inOrder(tasks)
	f := m.phrase(in, in.ref.words, rows)
	if len(f.ids) > 0 || f.ask != nil && !f.guess {
		return f.found
	}
	parts := andRE.Split(in.ref.words, -1)
	if len(parts) == 1 {
		return f.found
	}
	var all found
	for _, part := range parts {
		one := m.phrase(in, parseRef(part).words, rows)
		if r := parseRef(part); len(r.ids) > 0 {
			one = phraseFound{found: found{ids: r.ids}}
		}
		for _, id := range one.ids {
			if !slices.Contains(all.ids, id) {
				all.ids = append(all.ids, id)
			}
		}
		if all.ask == nil {
			all.ask = one.ask
		}
		if one.say != "" {
			all.say = strings.TrimSpace(all.say + "\n\n" + one.say)
		}
	}
	if len(all.ids) == 0 {
		return f.found // no part matched either: one sentence for the whole
	}
	return all
}

type phraseFound struct {
	found
	guess bool
}

func (m *memory) phrase(in intent, words string, rows []task) phraseFound {
	sure, perhaps := match(words, rows)
	if in.kind == complete || in.kind == update {
		if open := onlyOpen(sure); len(open) > 0 {
			sure = open
		}
	}
	if in.kind == reopen {
		sure = slices.DeleteFunc(slices.Clone(sure), task.open)
	}
	name := "“" + plain(short(words, 60)) + "”"
	switch {
	case len(sure) == 1 && in.kind == complete && !sure[0].open():
		return phraseFound{found: found{say: fmt.Sprintf("%s was already done.", m.name(sure[0]))}}
	case len(sure) == 1 && in.soft && !in.sure:
		return phraseFound{found: m.confirm(in, sure[0], capitalise(in.verb())+" this task? (yes or no)", m.name(sure[0]))}
	case len(sure) == 1:
		return phraseFound{found: found{ids: []int{sure[0].ID}}}
	case len(sure) > 1:
		return phraseFound{found: m.choose(in, sure, "Which one do you mean?")}
	}
	if in.kind == complete {
		perhaps = onlyOpen(perhaps)
	}
	switch {
	case in.orAdd != "" && (in.soft || len(perhaps) == 0):
		return phraseFound{found: offerAdd("No task sounds like "+name+".", []item{{title: in.orAdd}}).asFound(), guess: true}
	case len(perhaps) == 1:
		return phraseFound{found: m.confirm(in, perhaps[0], "Do you mean that one? (yes or no)", "No task says exactly "+name+", but there is "+m.name(perhaps[0])+"."), guess: true}
	case len(perhaps) > 1:
		return phraseFound{found: m.choose(in, perhaps, "Which one do you mean?"), guess: true}
	case in.claim:
		return phraseFound{found: found{say: "Well done! No open task sounds like that, so there was nothing to tick off."}, guess: true}
	}
	text := "I found no task that sounds like " + name + ", so I changed nothing."
	if open := onlyOpen(rows); len(open) > 0 && len(open) <= 8 {
		text += " These are open:\n\n" + m.bullets(open)
	}
	return phraseFound{found: found{say: text}, guess: true}
}

func (m *memory) confirm(in intent, t task, ask, intro string) found {
	then := in
	then.ref, then.sure = ref{ids: []int{t.ID}}, true
	return found{say: intro, ask: &question{what: yesNo, text: ask, then: []intent{then}}}
}

// choose asks which of several tasks is meant, naming them.
func (m *memory) choose(in intent, rows []task, text string) found {
	const most = 10
	shown := rows[:min(len(rows), most)]
	intro := fmt.Sprintf("I see %d tasks that could be meant:\n\n%s", len(rows), m.bullets(shown))
	if len(rows) > most {
		intro += fmt.Sprintf("\n- and %d more", len(rows)-most)
	}
	given := in
	given.soft, given.wrong = false, ""
	return found{say: intro, ask: &question{what: which, text: text, given: &given, from: idsOf(rows)}}
}

func (m *memory) whichTask(in intent) found {
	given := in
	return found{ask: &question{what: which, given: &given, text: "Which task shall I " + in.verb() + "? A number or a few of its words will do."}}
}

func (in intent) verb() string {
	switch in.kind {
	case complete:
		return "complete"
	case remove:
		return "delete"
	case reopen:
		return "reopen"
	default:
		return "change"
	}
}

func idsOf(rows []task) []int {
	var ids []int
	for _, t := range rows {
		ids = append(ids, t.ID)
	}
	return ids
}

// inOrder is the order in which lists are shown: open before done.
func inOrder(tasks []task) []task {
	out := slices.Clone(tasks)
	slices.SortStableFunc(out, func(a, b task) int {
		switch {
		case a.open() && !b.open():
			return -1
		case !a.open() && b.open():
			return 1
		}
		return 0
	})
	return out
}

func onlyOpen(tasks []task) []task {
	var out []task
	for _, t := range tasks {
		if t.open() {
			out = append(out, t)
		}
	}
	return out
}
