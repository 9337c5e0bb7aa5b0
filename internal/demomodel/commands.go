package demomodel

import (
	"regexp"
	"strings"
)

// Complete.
var completeREs = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^(?:mark|set|tick|check|cross|flag|put|change|move|update|strike|make|turn)(?: off)? (.+?)(?: status)? (?:as |to |off as |down as )*(?:being )?(?:done|completed?|finished|closed|off|out|ticked)(?: (?:on|from|off|of|in) (?:my|the) .*)?$`),
	regexp.MustCompile(`(?i)^(?:mark|set|tick|check|cross|flag)(?: an?| the| my)?(?: tasks?)? (?:as |off )?(?:done|completed?|finished|off)[: ]+(.+)$`),
	regexp.MustCompile(`(?i)^(?:i(?:'ve|'m| have| am)?|we(?:'ve| have)?) (?:just |already |now |finally |also |all )*(?:done|finished|completed|through|ticked off|checked off|crossed off)(?: with| doing)? (.+)$`),
	regexp.MustCompile(`(?i)^(.+?) (?:is|are|was|were|has been|have been|got)(?: all| now| already| finally| both)? (?:done|finished|completed?|ticked off|checked off)(?: now| already| too)?$`),
	regexp.MustCompile(`(?i)^(?:done|finished|completed)(?: with)?:? (.+)$`),
	regexp.MustCompile(`(?i)^((?:\S+ ){0,4}\S+) (?:done|finished|completed|✓|✔|✅)$`),
	regexp.MustCompile(`(?i)^(?:complete|close|tick off|check off|cross off|cross out|strike off|strike out|mark off|tick|resolve)(?: off)? (.+)$`),
}

var (
	finishRE   = regexp.MustCompile(`(?i)^(?:finish|check|do) (.+)$`)
	didRE      = regexp.MustCompile(`(?i)^(?:i|we)(?:'ve| have)?(?: just| already| finally| also| now)* ([a-z]+) (.+)$`)
	notClaimRE = regexp.MustCompile(`(?i)^(?:what|which|who|when|where|why|how|i|is|are|get|have|need|to|not|nothing|no|add|create|new|show|list|my work|work|i'm|nearly|almost|never|well|isn't|clear|delete|remove|erase|wipe|empty|mark|set|please|if|can|could|should|did|have|let|tell|count|all)\b`)
	notYetRE   = regexp.MustCompile(`(?i)\b(?:not|never|n't|no longer|isn't|haven't)\b`)
	doneOnlyRE = regexp.MustCompile(`(?i)^(?:done|finished|completed|all done|i'?m done|i am done|complete|mark (?:as )?done|i did|mark as complete|tick off|finish|mark as completed|delete|remove|erase|rename|complete (?:a )?task|delete (?:a )?task|rename (?:a )?task|mark (?:a )?task (?:as )?(?:done|completed?)|remove (?:a )?task|edit (?:a )?task|update (?:a )?task)$`)
)

func (m *memory) completing(s string) (intent, bool) {
	s = strings.TrimRight(s, " .!")
	if strings.HasSuffix(s, "?") && !strings.HasPrefix(strings.ToLower(s), "mark") {
		s = strings.TrimRight(s, "?")
	}
	if doneOnlyRE.MatchString(s) {
		return m.bareVerb(s), true
	}
	if notYetRE.MatchString(s) {
		return intent{}, false
	}
	for i, re := range completeREs {
		c := re.FindStringSubmatch(s)
		if c == nil || i > 1 && i < 6 && notClaimRE.MatchString(c[1]) {
			continue
		}
		// "put the trash out" is a chore, "check it out" a phrase.
		if i == 0 && strings.HasSuffix(strings.ToLower(s), " out") && !strings.HasPrefix(strings.ToLower(s), "cross") && !strings.HasPrefix(strings.ToLower(s), "strike") {
			continue
		}
		return intent{kind: complete, ref: parseRef(c[1])}, true
	}
	if c := finishRE.FindStringSubmatch(s); c != nil {
		r := parseRef(c[1])
		if r.certain() && (r.all == "" || !strings.HasPrefix(strings.ToLower(s), "check")) && !strings.HasPrefix(strings.ToLower(s), "do") {
			return intent{kind: complete, ref: r}, true
		}
		if strings.HasPrefix(strings.ToLower(s), "finish") && r.words != "" {
			return intent{kind: complete, ref: r, orAdd: title(s)}, true
		}
	}
	if c := didRE.FindStringSubmatch(s); c != nil && pastOf[strings.ToLower(c[1])] != "" && !strings.HasSuffix(s, "?") {
		verb := strings.ToLower(c[1])
		r := parseRef(c[2])
		switch {
		case verb == "left" || verb == "put" || verb == "set" || verb == "read" && len(strings.Fields(c[2])) > 4 || verb == "found" || verb == "saw" || verb == "told":
			return intent{}, false
		case verb != "did" && verb != "done" && r.words != "":
			r = ref{words: verb + " " + c[2]}
		}
		return intent{kind: complete, ref: r, claim: true}, true
	}
	return intent{}, false
}

// bareVerb asks for the task that a lone verb leaves out.
func (m *memory) bareVerb(s string) intent {
	s = strings.ToLower(s)
	in := intent{kind: complete}
	switch {
	case strings.HasPrefix(s, "delete"), strings.HasPrefix(s, "remove"), strings.HasPrefix(s, "erase"):
		in.kind = remove
	case strings.HasPrefix(s, "rename"), strings.HasPrefix(s, "edit"), strings.HasPrefix(s, "update"):
		in.kind = update
	}
	text := "Which task shall I " + in.verb() + "? A number or a few of its words will do."
	return intent{kind: say, text: text, ask: question{what: which, text: text}.withGiven(in)}
}

func (q question) withGiven(in intent) *question {
	q.given = &in
	return &q
}

// Delete.
var (
	deleteRE     = regexp.MustCompile(`(?i)^(?:delete|remove|erase|trash|discard|scratch|get rid of|throw away|throw out|del|rm)(?::)? (.+)$`)
	softDeleteRE = regexp.MustCompile(`(?i)^(?:cancel|drop|clear(?: out)?|clean up|kill|wipe|purge|empty|forget(?: about)?|dump|bin|nuke|reset|scrap)(?::)? (.+)$`)
	noNeedRE     = regexp.MustCompile(`(?i)^(?:i|we) (?:don'?t|do not|no longer)(?: really)? (?:need|want|have)(?: to)? (.+?)(?: any ?more| any longer)?$`)
	takeOffRE    = regexp.MustCompile(`(?i)^(?:take|cross|strike) (.+?) (?:off|from|out of) (?:of )?(?:my|the) (?:to-?do |task )?(?:list|tasks)$`)
	exceptRE     = regexp.MustCompile(`(?i)\b(?:except|but not|other than|besides|apart from|but)\b`)
)

func (m *memory) deleting(s string) (intent, bool) {
	s = strings.TrimRight(s, " .!?")
	var words string
	soft := false
	if c := deleteRE.FindStringSubmatch(s); c != nil {
		words = c[1]
	} else if c := takeOffRE.FindStringSubmatch(s); c != nil {
		words = c[1]
	} else if c := noNeedRE.FindStringSubmatch(s); c != nil {
		words, soft = c[1], true
	} else if c := softDeleteRE.FindStringSubmatch(s); c != nil {
		words, soft = c[1], true
	} else {
		return intent{}, false
	}
	r := parseRef(words)
	if r.certain() {
		return intent{kind: remove, ref: r}, true
	}
	if c := exceptRE.FindStringIndex(words); c != nil && parseRef(strings.TrimSpace(words[:c[0]])).all != "" {
		text := "I cannot leave some out of “all” yet. Tell me the numbers to delete, for example “delete 2, 3 and 5”."
		return intent{kind: say, text: text}, true
	}
	in := intent{kind: remove, ref: r}
	if soft {
		if r.it || strings.Contains(strings.ToLower(words), "task") {
			return in, true
		}
		in.soft = true
		if softDeleteRE.MatchString(s) {
			in.orAdd = title(s)
		}
	}
	return in, true
}

// Reopen, undo.
var (
	reopenREs = []*regexp.Regexp{
		regexp.MustCompile(`(?i)^(?:re-?open|uncheck|untick|un-?complete|restore|undelete|bring back|reactivate|recover) (.+)$`),
		regexp.MustCompile(`(?i)^(?:add|put|bring|get|take) (.+?) back(?: (?:on|to|in) (?:my|the) .*)?$`),
		regexp.MustCompile(`(?i)^(?:mark|set|change|put) (.+?) (?:as |to |back to |back )*(?:not (?:done|completed?|finished)|undone|open|incomplete|to-?do|unfinished|pending|uncompleted)(?: again)?$`),
		regexp.MustCompile(`(?i)^(.+?) (?:is|was|are)(?: actually)?(?: not|n't) (?:done|finished|completed?)(?: yet)?$`),
	}
	undoRE = regexp.MustCompile(`(?i)^(?:undo|revert|roll ?back|take (?:it|that) back|undo (?:that|it|this|please|the last.*|last.*|my last.*)|revert (?:that|it|this|the last.*)|put it back|change it back|(?:that|this|it) was (?:a mistake|wrong|not what i (?:meant|wanted))|i didn'?t mean (?:that|to).*|i did not mean (?:that|to).*|i changed my mind|ctrl ?\+? ?z|how (?:do|can) i undo.*|can i undo.*|can that be undone)[.!?]*$`)
)

func (m *memory) reopening(s string) (intent, bool) {
	s = strings.TrimRight(s, " .!?")
	for _, re := range reopenREs {
		if c := re.FindStringSubmatch(s); c != nil {
			return intent{kind: reopen, ref: parseRef(c[1])}, true
		}
	}
	return intent{}, false
}

func (m *memory) undo(s string) (intent, bool) {
	if !undoRE.MatchString(s) {
		return intent{}, false
	}
	if m.lastVerb == "" || len(m.lastIDs) == 0 {
		return intent{kind: say, text: "There is nothing to undo: I changed no task in this conversation."}, true
	}
	rows := m.rows(m.lastIDs)
	switch m.lastVerb {
	case addTask:
		return confirmed("The last thing I did was to add "+m.listOf(rows)+".", "Shall I delete "+countOf(len(rows), "it", "them")+" again? (yes or no)", intent{kind: remove, ref: ref{ids: m.lastIDs}, sure: true}), true
	case updateTask:
		if then, olds := m.setBack(rows); len(then) == len(rows) {
			return confirmed("Before my last change it was like this:\n\n"+m.bullets(olds)+"\n\n", "Shall I set "+countOf(len(rows), "it", "them")+" back? (yes or no)", then...), true
		}
		return intent{kind: say, text: "My last change was on " + m.listOf(rows) + ", and I do not know how it was before. The task's history in the task panel shows it and can undo it."}, true
	case completeTask:
		if m.offered[reopenTask] {
			return intent{kind: reopen, ref: ref{ids: m.lastIDs}}, true
		}
		return intent{kind: say, text: "I ticked off " + m.listOf(rows) + ", and I have no tool to reopen tasks. You can: untick " + countOf(len(rows), "it", "them") + " in the task panel."}, true
	case deleteTask:
		if m.offered[restoreTask] {
			return intent{kind: reopen, ref: ref{ids: m.lastIDs}}, true
		}
		return intent{kind: say, text: "I deleted " + m.listOf(rows) + ", and I have no tool to bring tasks back. You can: **Undo** in the task panel does it."}, true
	}
	return intent{kind: say, text: "The task panel shows the history of each task and can undo my last change."}, true
}

// setBack makes the updates that undo the last ones, as far as the rows before
// them are known.
func (m *memory) setBack(rows []task) (then []intent, olds []task) {
	for _, row := range rows {
		old, ok := m.before[row.ID]
		if !ok {
			continue
		}
		c := change{}
		if old.Title != row.Title {
			c.title = old.Title
		}
		if old.Description != row.Description {
			c.description = old.Description
		}
		if old.Due != row.Due {
			c.due = old.Due
			c.noDue = old.Due == "" && m.clearDue
		}
		if !c.empty() {
			then, olds = append(then, intent{kind: update, ref: ref{ids: []int{row.ID}}, change: c}), append(olds, old)
		}
	}
	return then, olds
}

func (m *memory) listOf(rows []task) string {
	var names []string
	for _, t := range rows[:min(len(rows), 5)] {
		names = append(names, m.name(t))
	}
	if len(rows) > 5 {
		names = append(names, "others")
	}
	return join(names, "and")
}

func confirmed(text, ask string, then ...intent) intent {
	return intent{kind: say, text: strings.TrimLeft(strings.TrimRight(text, " ")+blankAfter(text)+ask, " "), ask: &question{what: yesNo, text: ask, then: then}}
}

func blankAfter(text string) string {
	if strings.HasSuffix(text, "\n") {
		return ""
	}
	return " "
}
