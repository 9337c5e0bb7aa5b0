package demomodel

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const mostShown = 40 // tasks of one list

// report writes the closing text of a turn from what the tools answered.
func (p *plan) report(intents []intent) string {
	var paragraphs []string
	if p.acted >= 0 {
		var done []act
		for _, a := range p.turn.acts {
			if a.round == p.acted {
				done = append(done, a)
			}
		}
		paragraphs = append(paragraphs, p.changesReport(done)...)
	}
	paragraphs = append(paragraphs, p.notes...)
	for _, in := range intents {
		switch {
		case in.kind == list && p.listed > 0:
			paragraphs = append(paragraphs, p.listReport(in))
		case in.kind == say && in.text != "":
			paragraphs = append(paragraphs, in.text)
		}
	}
	if p.ask != nil && !strings.Contains(strings.Join(paragraphs, "\n\n"), p.ask.text) {
		paragraphs = append(paragraphs, p.ask.text)
	}
	if len(paragraphs) == 0 {
		return "There was nothing to do."
	}
	return strings.Join(paragraphs, "\n\n")
}

// name is a task in a sentence, bullet the same in a list.
func (m *memory) name(t task) string {
	if t.Title == "" {
		return fmt.Sprintf("**#%d**", t.ID)
	}
	return fmt.Sprintf("**#%d** %s", t.ID, plain(short(t.Title, 120)))
}

func (m *memory) bullet(t task) string {
	s := "- " + m.name(t)
	switch {
	case t.Due == "" || !t.open():
	case m.overdue(t):
		s += " (**overdue**, was due " + m.cal.say(t.Due) + ")"
	default:
		s += " (due " + m.cal.say(t.Due) + ")"
	}
	return s
}

func (m *memory) bullets(rows []task) string {
	var lines []string
	for _, t := range rows[:min(len(rows), mostShown)] {
		lines = append(lines, m.bullet(t))
	}
	if n := len(rows) - mostShown; n > 0 {
		lines = append(lines, fmt.Sprintf("- and %d more", n))
	}
	return strings.Join(lines, "\n")
}

func (m *memory) overdue(t task) bool {
	return t.Due != "" && t.open() && !m.cal.today.IsZero() && t.Due < m.cal.today.Format(isoDate)
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return one
	}
	if strings.Contains(many, "%d") {
		return fmt.Sprintf(many, n)
	}
	return many
}

// changesReport says what happened to each task, from its row.
func (p *plan) changesReport(acts []act) []string {
	m, seed := p.m, p.turn.user
	var out []string
	for _, tool := range []string{addTask, completeTask, updateTask, deleteTask, reopenTask, restoreTask} {
		var rows []task
		for _, a := range acts {
			if a.name == tool && a.task != nil {
				rows = append(rows, *a.task)
			}
		}
		switch {
		case len(rows) == 1 && tool == updateTask:
			i := slices.IndexFunc(acts, func(a act) bool { return a.name == tool && a.task != nil })
			out = append(out, p.updated(acts[i]))
		case len(rows) > 0:
			out = append(out, m.changed(tool, rows, seed))
		}
	}
	var failed []string
	for _, a := range acts {
		if a.task == nil {
			failed = append(failed, m.failure(a))
		}
	}
	switch {
	case len(failed) == 1:
		out = append(out, failed[0])
	case len(failed) > 1:
		out = append(out, fmt.Sprintf("%d things did not work:\n\n- %s", len(failed), strings.Join(failed, "\n- ")))
	}
	return out
}

func (m *memory) changed(tool string, rows []task, seed string) string {
	one := len(rows) == 1
	t := rows[0]
	switch tool {
	case addTask:
		if one {
			due := ""
			if t.Due != "" {
				due = ", due " + m.cal.say(t.Due)
			}
			title := plain(short(t.Title, 120))
			return pick(seed,
				ended(fmt.Sprintf("Added **#%d** %s%s", t.ID, title, due)),
				fmt.Sprintf("Done, **#%d** %s is on your list%s.", t.ID, title, due),
				ended(fmt.Sprintf("Got it: **#%d** %s%s", t.ID, title, due))) + noteOf(t)
		}
		return fmt.Sprintf("%s %d tasks:\n\n%s", pick(seed, "Added", "Done, I added", "Got it. Added"), len(rows), m.bullets(rows))
	case completeTask:
		if one && t.open() {
			return "The tool answered, but " + m.name(t) + " is still open."
		}
		if one {
			return pick(seed, ended("Ticked off: "+m.name(t)), m.name(t)+" is done. Nice.", "Marked "+m.name(t)+" as done.")
		}
		return fmt.Sprintf("Ticked off %d tasks:\n\n%s", len(rows), m.bullets(rows))
	case deleteTask:
		if one {
			return pick(seed, ended("Deleted "+m.name(t)), m.name(t)+" is off your list.", ended("Removed "+m.name(t)))
		}
		return fmt.Sprintf("Deleted %d tasks:\n\n%s", len(rows), m.bullets(rows))
	case updateTask:
		return fmt.Sprintf("Changed %d tasks:\n\n%s", len(rows), m.bullets(rows))
	case reopenTask:
		return "Open again:\n\n" + m.bullets(rows)
	default:
		return "Back on your list:\n\n" + m.bullets(rows)
	}
}

// ended ends a sentence that may end with a person's own mark.
func ended(s string) string {
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "…") {
		return s
	}
	return s + "."
}

func noteOf(t task) string {
	if t.Description == "" {
		return ""
	}
	return " Its note says: " + plain(short(t.Description, 200))
}

// updated tells what a call changed, and from what if that is known.
func (p *plan) updated(a act) string {
	var asked struct {
		Title       string         `json:"title"`
		Description string         `json:"description"`
		Due         jsontext.Value `json:"due_on"`
	}
	_ = json.Unmarshal([]byte(a.args), &asked) // ours; if not, the row is told as it is
	m, t := p.m, *a.task
	old, known := m.known[t.ID]
	if i := slices.IndexFunc(p.tasks, func(r task) bool { return r.ID == t.ID }); i >= 0 {
		old, known = p.tasks[i], true
	}
	titled, dated, noted := asked.Title != "", len(asked.Due) > 0, asked.Description != ""
	switch {
	case known && old == t:
		return m.name(t) + " was already like that."
	case titled && !dated && !noted && known && old.Title != t.Title:
		return fmt.Sprintf("Renamed **#%d** from “%s” to “%s”.", t.ID, plain(short(old.Title, 120)), plain(short(t.Title, 120)))
	case titled && !dated && !noted:
		return fmt.Sprintf("**#%d** is now called “%s”.", t.ID, plain(short(t.Title, 120)))
	case dated && !titled && !noted && t.Due == "":
		return m.name(t) + " has no due date any more."
	case dated && !titled && !noted:
		return m.name(t) + " is now due " + m.cal.say(t.Due) + "."
	case noted && !titled && !dated:
		return "Noted on " + m.name(t) + "." + noteOf(t)
	}
	return "Changed: " + strings.TrimPrefix(m.bullet(t), "- ") + "." + noteOf(t)
}

// failure says which call failed, in the tool's own words.
func (m *memory) failure(a act) string {
	var args struct {
		ID    int    `json:"task_id"`
		Title string `json:"title"`
	}
	_ = json.Unmarshal([]byte(a.args), &args) // ours; if not, the sentence names no task
	what := map[string]string{addTask: "add", completeTask: "complete", deleteTask: "delete", updateTask: "change", reopenTask: "reopen", restoreTask: "restore", listTasks: "list the tasks"}[a.name]
	switch {
	case a.name == listTasks:
	case a.name == addTask:
		what += " “" + plain(short(args.Title, 60)) + "”"
	case what == "":
		what = "call `" + a.name + "`"
	default:
		what += " " + m.name(task{ID: args.ID, Title: m.known[args.ID].Title})
	}
	return "I could not " + what + ". " + reason(a)
}

func reason(a act) string {
	if a.err == "" {
		return "The tool's answer was not one I can read."
	}
	return "The tool says: " + ended(capitalise(plain(short(a.err, 300))))
}

func reportTrouble(acts []act, what string) string {
	if len(acts) == 0 {
		return "I could not " + what + "."
	}
	return "I could not " + what + ", so I changed nothing. " + reason(acts[0])
}

func (p *plan) listReport(in intent) string {
	want := listCall(in.status, in.query)
	i := slices.IndexFunc(p.turn.acts, func(a act) bool { return a.round == p.listed-1 && a.args == want.args })
	if i < 0 {
		return "The tool did not answer."
	}
	a := p.turn.acts[i]
	if !a.list {
		return p.m.failure(a)
	}
	rows := inOrder(a.tasks)
	open := onlyOpen(rows)
	done := rows[len(open):]
	switch {
	case in.id != 0:
		return p.m.detailReport(in.id, rows)
	case in.words != "":
		return p.m.wordsReport(in, rows)
	}
	if in.when != "" {
		return p.m.dueReport(in.when, open)
	}
	if in.query != "" {
		return p.m.searchReport(in, rows)
	}
	hidden := ""
	if n := a.count - len(rows); n > 0 {
		hidden = fmt.Sprintf("\n\nThe list is longer: %d more are not shown.", n)
	}
	if in.count {
		return countReport(in.status, len(open), len(done), a.count-len(rows))
	}
	switch in.status {
	case "completed":
		if len(done) == 0 {
			return "No task is done yet."
		}
		return countOf(len(done), "One task is done:", "%d tasks are done:") + "\n\n" + p.m.bullets(done) + hidden
	case "open":
		if len(open) == 0 {
			return pick(p.turn.user, "Nothing is left. Your list has no open task.", "No open tasks. Enjoy the quiet!", "All clear: no task is open.")
		}
		return p.openIntro(len(open)) + "\n\n" + p.m.bullets(open) + hidden
	}
	switch {
	case len(rows) == 0:
		return "Your list is empty. Tell me the first thing, for example “add a task to buy groceries”."
	case len(open) == 0:
		return "Nothing is open. Done so far:\n\n" + p.m.bullets(done) + hidden
	case len(done) == 0:
		return p.openIntro(len(open)) + "\n\n" + p.m.bullets(open) + hidden
	}
	return p.openIntro(len(open)) + "\n\n" + p.m.bullets(open) + "\n\nAlready done:\n\n" + p.m.bullets(done) + hidden
}

func (p *plan) openIntro(n int) string {
	if n == 1 {
		return pick(p.turn.user, "One task is open:", "Just one open task:")
	}
	return fmt.Sprintf(pick(p.turn.user, "You have %d open tasks:", "%d tasks are open:", "Here are your %d open tasks:"), n)
}

func countReport(status string, open, done, hidden int) string {
	atLeast := ""
	if hidden > 0 {
		atLeast = "at least "
	}
	openText := countOf(open, "one open task", "%d open tasks")
	if open == 0 {
		openText = "no open task"
	}
	doneText := countOf(done, "one is done", "%d are done")
	switch {
	case status == "open":
		return "You have " + atLeast + openText + "."
	case status == "completed":
		return capitalise(atLeast + countOf(done, "one task is done.", "%d tasks are done."))
	case open+done == 0:
		return "None: your list is empty."
	case done == 0:
		return "You have " + atLeast + openText + "."
	}
	return "You have " + atLeast + openText + "; " + doneText + "."
}

func (m *memory) searchReport(in intent, rows []task) string {
	name := "“" + plain(short(in.query, 60)) + "”"
	if len(rows) == 0 {
		return "I found no task with " + name + "."
	}
	var lines []string
	for _, t := range rows[:min(len(rows), mostShown)] {
		l := m.bullet(t)
		if !t.open() {
			l += " (done)"
		}
		lines = append(lines, l)
	}
	return countOf(len(rows), "One task matches ", "%d tasks match ") + name + ":\n\n" + strings.Join(lines, "\n")
}

// wordsReport answers "did I pay the rent?" and "when is the rent due?".
func (m *memory) wordsReport(in intent, rows []task) string {
	sure, perhaps := match(in.words, rows)
	if len(sure) == 0 {
		sure = perhaps
	}
	switch {
	case len(sure) == 0:
		return "I found no task that sounds like “" + plain(short(in.words, 60)) + "”, so I cannot tell."
	case len(sure) > 1:
		return m.searchReport(intent{query: in.words}, sure)
	case !in.isDone:
		return m.detailReport(sure[0].ID, sure)
	case sure[0].open():
		return "Not yet: " + strings.TrimPrefix(m.bullet(sure[0]), "- ") + " is still open."
	}
	return "Yes, " + m.name(sure[0]) + " is done."
}

// detailReport tells all that is known of one task.
func (m *memory) detailReport(id int, rows []task) string {
	i := slices.IndexFunc(rows, func(t task) bool { return t.ID == id })
	if i < 0 {
		return fmt.Sprintf("There is no task **#%d** in your list.", id)
	}
	t := rows[i]
	text := m.name(t) + " is " + map[bool]string{true: "open", false: "done"}[t.open()]
	switch {
	case m.overdue(t):
		text += " and overdue, it was due " + m.cal.say(t.Due)
	case t.Due != "" && t.open():
		text += ", due " + m.cal.say(t.Due)
	}
	return text + "." + noteOf(t)
}

// dueReport answers what is due, late or next from the open tasks.
func (m *memory) dueReport(when string, open []task) string {
	if m.cal.today.IsZero() {
		return "I was not told what day it is, so I cannot tell what is due. These are open:\n\n" + m.bullets(open)
	}
	today := m.cal.today.Format(isoDate)
	var dated []task
	for _, t := range open {
		if t.Due != "" {
			dated = append(dated, t)
		}
	}
	slices.SortStableFunc(dated, func(a, b task) int { return strings.Compare(a.Due, b.Due) })
	until := func(last string) []task {
		return slices.DeleteFunc(slices.Clone(dated), func(t task) bool { return t.Due > last })
	}
	var rows []task
	var what string
	switch when {
	case "today":
		rows, what = until(today), "due today"
	case "tomorrow":
		tomorrow := m.cal.today.AddDate(0, 0, 1).Format(isoDate)
		rows = slices.DeleteFunc(until(tomorrow), func(t task) bool { return t.Due < tomorrow })
		what = "due tomorrow"
	case "week":
		sunday := m.cal.today.AddDate(0, 0, (7-int(m.cal.today.Weekday()))%7).Format(isoDate)
		rows, what = until(sunday), "due this week"
	case "overdue":
		rows, what = slices.DeleteFunc(slices.Clone(dated), func(t task) bool { return !m.overdue(t) }), "overdue"
	case "next":
		if len(open) == 0 {
			return "Nothing is left to do. Your list has no open task."
		}
		if len(dated) == 0 {
			return "Nothing has a due date, so take the first: " + m.name(open[0]) + "."
		}
		return "The most urgent by date is " + strings.TrimPrefix(m.bullet(dated[0]), "- ") + "."
	default:
		if _, err := time.Parse(isoDate, when); err == nil {
			rows = slices.DeleteFunc(slices.Clone(dated), func(t task) bool { return t.Due != when })
			what = "due " + m.cal.say(when)
			break
		}
		if len(dated) > 0 {
			return "By due date:\n\n" + m.bullets(dated)
		}
		what = "due on a certain day"
	}
	if len(rows) > 0 {
		return countOf(len(rows), "One open task is ", "%d open tasks are ") + what + ":\n\n" + m.bullets(rows)
	}
	text := "Nothing is " + what + "."
	if n := len(open); n > 0 {
		text += " " + countOf(n, "One task is open:", "%d tasks are open in all:") + "\n\n" + m.bullets(open)
	}
	return text
}
