package demomodel

import (
	"fmt"
	"slices"
	"strings"
)

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
	if in.change.later.n > 0 && !looked {
		return found{needList: true} // the date to count from may have changed
	}
	subject := m.subject
	if in.kind != reopen {
		subject = slices.DeleteFunc(slices.Clone(subject), func(id int) bool { return m.deleted[id] })
	}
	switch {
	case in.wrong != "":
		sure, _ := match(in.wrong, m.rows(m.lastIDs))
		if len(sure) == 1 {
			return found{ids: []int{sure[0].ID}}
		}
		return m.choose(in, m.rows(m.lastIDs))
	case len(r.ids) > 0:
		return found{ids: r.ids}
	case r.it:
		switch {
		case len(subject) == 1:
			return found{ids: subject}
		case len(subject) > 1:
			return m.choose(in, m.rows(subject))
		}
		return m.whichTask(in)
	case r.them:
		if len(subject) == 0 {
			return m.whichTask(in)
		}
		return m.several(in, m.rows(subject), 4)
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
	// "The last one" may be the one just added; else places count in the list
	// that the person saw last, without what was deleted since.
	if last := len(in.ref.places) == 1 && in.ref.places[0] < 0; last && len(m.subject) == 1 && m.lastVerb == addTask && m.sinceAct == 0 {
		return found{ids: m.subject}
	}
	seen := slices.DeleteFunc(slices.Clone(m.shown), func(id int) bool { return m.deleted[id] })
	if ids, ok := at(seen, in.ref.places); ok {
		return found{ids: ids}
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
	if in.change.due != "" {
		q.text = "Move " + countOf(len(rows), "it", "all %d") + " to " + m.cal.say(in.change.due) + "? (yes or no)"
	}
	return found{say: intro + "\n\n" + m.bullets(rows), ask: q}
}

func (m *memory) worded(in intent, tasks []task) found {
	rows := inOrder(tasks)
	f := m.phrase(in, in.ref.words, rows)
	parts := andRE.Split(in.ref.words, -1)
	if len(parts) == 1 || len(f.ids) > 0 && saysAll(in.ref.words, rows) {
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
	if len(all.ids) == 0 || len(f.ids) > len(all.ids) {
		return f.found // no part matched either: one sentence for the whole
	}
	return all
}

// saysAll: one title has every word, so that its "and" is part of it.
func saysAll(words string, rows []task) bool {
	q := stems(words)
	return slices.ContainsFunc(rows, func(t task) bool { return overlap(q, stems(t.Title), alike) == len(q) })
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
	case len(sure) > 1 && in.ref.many:
		return phraseFound{found: m.several(in, sure, 4)}
	case len(sure) > 1:
		return phraseFound{found: m.choose(in, sure)}
	}
	if in.kind == complete {
		perhaps = onlyOpen(perhaps)
	}
	switch {
	case in.orAdd != "" && (in.soft || len(perhaps) == 0):
		return phraseFound{found: m.offerAdd("No task sounds like "+name+".", []item{{title: in.orAdd}}).asFound(), guess: true}
	case len(perhaps) == 1:
		return phraseFound{found: m.confirm(in, perhaps[0], "Do you mean that one? (yes or no)", "No task says exactly "+name+", but there is "+m.name(perhaps[0])+"."), guess: true}
	case len(perhaps) > 1:
		return phraseFound{found: m.choose(in, perhaps), guess: true}
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
func (m *memory) choose(in intent, rows []task) found {
	const most = 10
	shown := rows[:min(len(rows), most)]
	intro := fmt.Sprintf("I see %d tasks that could be meant:\n\n%s", len(rows), m.bullets(shown))
	if len(rows) > most {
		intro += fmt.Sprintf("\n- and %d more", len(rows)-most)
	}
	given := in
	given.soft, given.wrong = false, ""
	return found{say: intro, ask: &question{what: which, text: "Which one do you mean?", given: &given, from: idsOf(rows)}}
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
