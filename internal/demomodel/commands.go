package demomodel

import (
	"regexp"
	"strings"
)

// Lists. A sentence asks for a list if it consists of these words alone and has
// one that means tasks; that covers more ways to ask than patterns would.
var (
	listWords = setOf(`show list display give see view print read get check pull bring tell open up out me us all any every everything my mine our the of on in a an
		task tasks todo todos to-do to-dos item items thing things list lists reminder reminders plate agenda tasklist stuff
		pending remaining unfinished incomplete outstanding active undone left current todo's
		completed complete done finished closed ticked overdue late due today todays tomorrow tomorrows this week weeks next upcoming now first urgent
		what whats what's which is are there was were do does did have has i i've ive got need should must can could still to be yet else more work for
		how many number count again please currently already today's tomorrow's week's that those these so far full whole entire anything something accomplished achieved
		know hear overview status summary summarize summarise recap remind remaining? want might with date dates deadline deadlines most important have-to it at look take soon coming ahead am am-i we we've`)
	taskWords = setOf(`task tasks todo todos to-do to-dos item items list reminders plate agenda tasklist left open pending remaining unfinished incomplete outstanding
		undone overdue due everything completed finished overview deadlines upcoming`)
	askWords   = setOf(`what whats what's which show list how anything something do is are there any everything all count tell give see overview status summary recap`)
	openWords  = setOf(`open pending remaining unfinished incomplete outstanding active undone left upcoming still else remaining`)
	doneWords  = setOf(`completed done finished closed ticked accomplished achieved`)
	searchRE   = regexp.MustCompile(`(?i)^(?:(?:find|search|look up|look for|filter)(?: for)?(?: (?:my|the|all|any))?(?: (?:tasks?|to-?dos?|items?|list|everything))?(?: (?:about|for|with|containing|on|called|named|related to|regarding|by))?|(?:show|list|give|get|see)(?: me)?(?: (?:all|my|the|any))*(?: (?:open|completed))? (?:tasks?|to-?dos?|items?|everything) (?:about|with|containing|called|named|related to|regarding|mentioning|that mention|for)|(?:do i have|have i got|is there|are there|any)(?: (?:a|any|some))?(?: (?:open))? ?(?:tasks?|to-?dos?|items?|reminders?|things?|thing|anything|something)(?: (?:about|with|for|called|named|to|regarding|related to|on my list about))|what(?:'s|s| is| are| do i have)? (?:my |the )?(?:on my list )?(?:tasks? )?(?:about|for|with)|which tasks? (?:are|is|mention|have|has|contain)(?: about| with| for)?) (.+)$`)
	onListRE   = regexp.MustCompile(`(?i)^(?:is|are|do i have|have i got|did i (?:add|write down|note)) (.+?) (?:(?:already |still )?(?:on|in) (?:my|the) (?:to-?do |task )?(?:list|tasks)|already there)$`)
	statusOfRE = regexp.MustCompile(`(?i)^(?:did i (?:already )?(?:finish|complete|do|tick off)|have i (?:already )?(?:finished|completed|done)) (.+)$|^(?:is|are|was) (.+?) (?:already |still )?(?:done|finished|completed?|open|pending)(?: yet| already)?$`)
	detailRE   = regexp.MustCompile(`(?i)^(?:show|what(?:'s|s| is)|tell about|details? (?:of|for)|describe|read)(?: me)?(?: (?:about|the details of|in))? ?(?:task |number |no\.? )?#?(\d{1,9})$`)
)

func (m *memory) listing(s string) (intent, bool) {
	s = strings.TrimRight(s, " ?!.,")
	if in, ok := closedListing(s); ok {
		return in, true
	}
	for _, re := range []*regexp.Regexp{onListRE, statusOfRE, searchRE} {
		c := re.FindStringSubmatch(s)
		if c == nil {
			continue
		}
		q := strings.Join(c[1:], "")
		if due, ok := m.cal.whole(q); ok && due != "" {
			continue
		}
		r := parseRef(q)
		if r.words == "" {
			if re == statusOfRE {
				return intent{kind: list, status: "all"}, true
			}
			continue
		}
		return intent{kind: list, status: "all", query: r.words}, true
	}
	if detailRE.MatchString(s) {
		return intent{kind: list, status: "all"}, true
	}
	return intent{}, false
}

func closedListing(s string) (intent, bool) {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" ,;:\n?!.", r) })
	if len(words) == 0 || len(words) > 14 {
		return intent{}, false
	}
	has := map[string]bool{}
	for _, w := range words {
		if !listWords[w] {
			return intent{}, false
		}
		has[w] = true
	}
	any := func(set map[string]bool) bool {
		for w := range has {
			if set[w] {
				return true
			}
		}
		return false
	}
	asks := any(askWords)
	todo := has["do"] && (has["to"] || has["should"] || has["must"] || has["can"]) && (has["what"] || has["whats"] || has["what's"] || has["anything"] || has["something"] || has["things"])
	what := has["what"] || has["whats"] || has["what's"] || has["which"] || has["show"] || has["list"] || has["how"] || has["see"] || has["get"]
	report := what && any(doneWords)
	next := (has["what"] || has["what's"] || has["whats"] || has["show"]) && (has["next"] || has["first"] || has["urgent"] || has["important"])
	when := has["overdue"] || has["late"] && asks
	short := len(words) == 1 && (has["status"] || has["tasks"] || has["list"] || has["overview"] || has["todo"] || has["todos"] || has["everything"] || has["all"] || has["summary"] || has["show"])
	day := (has["what"] || has["what's"] || has["whats"] || has["anything"] || has["show"]) && (has["today"] || has["tomorrow"] || has["week"] || has["today's"]) && !has["is"] || has["due"]
	if !(any(taskWords) || todo || report || next || when || short || day || strings.EqualFold(s, "show me")) {
		return intent{}, false
	}
	first := words[0]
	switch { // statements and orders made of the same words
	case has["i"] && (first == "i" || first == "i've" || first == "ive") && !has["want"] && !has["see"],
		(first == "do" || first == "complete" || first == "completed" || first == "done" || first == "finished" || first == "get") && (len(words) < 3 || words[1] != "i") && !asksAfter(words[1:]) && !(first == "completed" || first == "done" || first == "finished") && !has["list"],
		first == "read" && has["to"], first == "work", first == "remind" && !has["what"],
		first == "all" && has["done"] && !any(setOf("tasks task items show list what")),
		len(words) == 1 && (has["done"] || has["completed"] || has["finished"] || has["left"] || has["due"] || has["next"]),
		first == "open" && len(words) == 2 && has["task"],
		first == "complete" || first == "everything" && (has["done"] || has["is"] || has["completed"] || has["finished"]),
		(has["is"] || has["are"]) && any(doneWords) && !what && first != "is" && first != "are" && first != "any",
		first == "due" || first == "today" && len(words) == 1 || first == "tomorrow" && len(words) == 1:
		return intent{}, false
	}
	in := intent{kind: list, status: "all", count: has["many"] || has["count"] || has["number"] && has["of"]}
	switch {
	case has["overdue"] || has["late"]:
		in.when = "overdue"
	case (has["next"] && !has["week"] || has["first"] || has["urgent"] || has["important"]) && !has["list"]:
		in.when = "next"
	case has["tomorrow"] || has["tomorrow's"] || has["tomorrows"]:
		in.when = "tomorrow"
	case (has["today"] || has["today's"] || has["todays"]) && !any(doneWords):
		in.when = "today"
	case has["week"] && has["this"] && !any(doneWords):
		in.when = "week"
	case has["due"] || has["deadline"] || has["deadlines"] || has["upcoming"] || has["dates"]:
		in.when = "due"
	}
	undone := has["undone"] || has["not"]
	switch {
	case in.when != "":
		in.status, in.count = "open", false
	case any(doneWords) && !undone && !any(openWords), has["complete"]:
		in.status = "completed"
	case any(openWords), todo, has["anything"], has["plate"], has["agenda"]:
		if !(first == "open" && len(words) > 1 && words[1] != "tasks" && words[1] != "items" && words[1] != "to-dos") {
			in.status = "open"
		}
	}
	return in, true
}

func asksAfter(words []string) bool {
	for _, w := range words {
		if w == "i" || w == "what" || w == "which" || w == "all" && len(words) < 3 {
			return true
		}
	}
	return false
}

// Complete.
var completeREs = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^(?:mark|set|tick|check|cross|flag|put|change|move|update|strike|make|turn)(?: off)? (.+?)(?: status)? (?:as |to |off as |down as )*(?:being )?(?:done|completed?|finished|closed|off|out|ticked)(?: (?:on|from|off|of|in) (?:my|the) .*)?$`),
	regexp.MustCompile(`(?i)^(?:mark|set|tick|check|cross|flag) (?:as |off )?(?:done|completed?|finished|off)[: ]+(.+)$`),
	regexp.MustCompile(`(?i)^(?:i(?:'ve|'m| have| am)?|we(?:'ve| have)?) (?:just |already |now |finally |also |all )*(?:done|finished|completed|through|ticked off|checked off|crossed off)(?: with| doing)? (.+)$`),
	regexp.MustCompile(`(?i)^(.+?) (?:is|are|was|were|has been|have been|got)(?: all| now| already| finally| both)? (?:done|finished|completed?|ticked off|checked off)(?: now| already| too)?$`),
	regexp.MustCompile(`(?i)^(?:done|finished|completed)(?: with)?:? (.+)$`),
	regexp.MustCompile(`(?i)^((?:\S+ ){0,4}\S+) (?:done|finished|completed|✓|✔|✅)$`),
	regexp.MustCompile(`(?i)^(?:complete|close|tick off|check off|cross off|cross out|strike off|strike out|mark off|tick|resolve)(?: off)? (.+)$`),
}

var (
	finishRE   = regexp.MustCompile(`(?i)^(?:finish|check|do) (.+)$`)
	didRE      = regexp.MustCompile(`(?i)^(?:i|we)(?:'ve| have)?(?: just| already| finally| also| now)* ([a-z]+) (.+)$`)
	notClaimRE = regexp.MustCompile(`(?i)^(?:what|which|who|when|where|why|how|i|is|are|get|have|need|to|not|nothing|no|add|create|new|show|list|my work|work|i'm|nearly|almost|never|well|isn't)\b`)
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
	takeOffRE    = regexp.MustCompile(`(?i)^(?:take|cross|strike) (.+?) (?:off|from|out of) (?:of )?(?:my|the) (?:to-?do |task )?(?:list|tasks)$`)
	startOverRE  = regexp.MustCompile(`(?i)^(?:start over|start fresh|start from scratch)$`)
	exceptRE     = regexp.MustCompile(`(?i)\b(?:except|but not|other than|besides|apart from|but)\b`)
)

func (m *memory) deleting(s string) (intent, bool) {
	s = strings.TrimRight(s, " .!?")
	words, soft := "", false
	if c := deleteRE.FindStringSubmatch(s); c != nil {
		words = c[1]
	} else if c := takeOffRE.FindStringSubmatch(s); c != nil {
		words = c[1]
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
		in.soft, in.orAdd = true, title(s)
	}
	return in, true
}

// Reopen, undo.
var (
	reopenREs = []*regexp.Regexp{
		regexp.MustCompile(`(?i)^(?:re-?open|uncheck|untick|un-?complete|restore|undelete|bring back|reactivate|recover) (.+)$`),
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
		old, ok := m.before[m.lastIDs[0]]
		if len(m.lastIDs) == 1 && ok && old != rows[0] {
			c := change{}
			if old.Title != rows[0].Title {
				c.title = old.Title
			}
			if old.Description != rows[0].Description && old.Description != "" {
				c.description = old.Description
			}
			if old.Due != rows[0].Due {
				c.due = old.Due
				c.noDue = old.Due == "" && m.clearDue
			}
			if !c.empty() {
				was := "“" + plain(old.Title) + "”"
				if old.Due != "" {
					was += ", due " + m.cal.say(old.Due)
				}
				return confirmed("Before my last change "+m.name(task{ID: old.ID})+" was "+was+".", "Shall I set it back? (yes or no)", intent{kind: update, ref: ref{ids: m.lastIDs}, change: c}), true
			}
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
	return intent{kind: say, text: text + " " + ask, ask: &question{what: yesNo, text: ask, then: then}}
}
