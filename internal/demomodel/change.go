package demomodel

import (
	"regexp"
	"strings"
)

var (
	renameRE     = regexp.MustCompile(`(?i)^(?:rename|retitle|relabel|reword)(?: the)?(?: (?:title|name) (?:of|for))? (.+?)(?: (?:to|as|into)|:| ?->| ?=>| ?→) ?(.+)$`)
	renameAskRE  = regexp.MustCompile(`(?i)^(?:rename|retitle|relabel|reword|edit|update|change|modify) (.+)$`)
	titleOfRE    = regexp.MustCompile(`(?i)^(?:change|set|edit|update|modify|make) (?:the )?(?:title|name|text|wording)(?: of| for| on)? (.+?) (?:to|be|as) (.+)$`)
	itsTitleRE   = regexp.MustCompile(`(?i)^(?:change|set|edit|update|modify) (.+?)(?:'s)? (?:title|name|text|wording) (?:to|as) (.+)$`)
	dueWordRE    = regexp.MustCompile(`(?i)\b(?:due dates?|deadlines?|due)\b`)
	noDueRE      = regexp.MustCompile(`(?i)^(?:remove|delete|clear|drop|unset|take away|no) (?:the |its )?(?:due date|deadline|date)(?: (?:of|from|for|on) (.+))?$|^(?:remove|delete|clear) (.+?)'s (?:due date|deadline|date)$`)
	giveDueRE    = regexp.MustCompile(`(?i)^(?:add|set|give|put|change|update|move|assign|make|push|shift|extend)\b`)
	dueFillRE    = regexp.MustCompile(`(?i)^(?:add|set|give|put|change|update|move|assign|make|push|shift|extend)\s+|\b(?:an?|the|its|new)\s+(?:due date|deadline|due)\b|\b(?:due date|deadline|due)\b|[:]`)
	edgeFillRE   = regexp.MustCompile(`(?i)^(?:(?:of|to|for|on|as|by|with)\s+)+|(?:\s+(?:of|to|for|on|as|by|with|until|till|from|back|off|out|forward|is|are|be|it|a|an|the))+$|'s$`)
	moveRE       = regexp.MustCompile(`(?i)^(?:move|postpone|push|reschedule|shift|delay|defer|put off|bring forward|snooze|put|set|change|make|update|extend)(?: back| off| out)? (.+)$`)
	shiftRE      = regexp.MustCompile(`(?i)^(?:push|move|postpone|delay|extend|shift|snooze|defer|give)(?: back| out)? (.+?)(?: back| out)?(?: by| for)? (` + numberWord + `)(?: more)? (day|week|month)s?(?: later)?$`)
	isDueRE      = regexp.MustCompile(`(?i)^(.+?)(?:'s| is| are| should be| must be| has to be| needs to be)(?: now| actually)? (due (?:on |by |at )?.+)$`)
	noteToRE     = regexp.MustCompile(`(?i)^(?:add|set|put|write|attach|append|change|update) (?:a |an |the |this |another )?(?:notes?|descriptions?|details?|comments?)(?: to| of| for| on| in) (.+?)(?: ?: ?| to | saying | that says | - |, )(.+)$`)
	noteOnRE     = regexp.MustCompile(`(?i)^(?:add|put|write|attach|append) (?:a |an |the |this )?(?:note|description|details?|comment)(?:: ?| saying | that says | )(.+?) (?:to|on) (.+)$`)
	noteAskRE    = regexp.MustCompile(`(?i)^(?:add|set|put|write|attach) (?:a |an |the |another )?(?:note|description|comment|details)(?: (?:to|of|for|on) (.+))?$`)
	describeRE   = regexp.MustCompile(`(?i)^(?:describe (.+?) as|note (?:on|for) (.+?):) (.+)$`)
	addToRE      = regexp.MustCompile(`(?i)^(?:add|append) (.+?) to (?:the )?(?:(?:task|number|item|no\.?) )?#?(\d{1,9}|it|that task|that one)$`)
	changeToRE   = regexp.MustCompile(`(?i)^(?:change|update|edit|replace|swap|correct|turn|modify)(?: out)? (.+?) (?:to|with|into|by|for|->|=>) (.+)$`)
	colonRE      = regexp.MustCompile(`(?i)^(?:update|edit|change|rename|set) ((?:task |number )?#?\d{1,9})(?: ?: ?| )(.+)$`)
	makeRE       = regexp.MustCompile(`(?i)^(?:make) ((?:task |number )?#?\d{1,9}) (?:say |be )?(.+)$`)
	reopenWordRE = regexp.MustCompile(`(?i)^(?:open|not done|undone|to-?do|pending|incomplete)$`)
)

// updating reads changes to a task: its title, date or note.
func (m *memory) updating(s string) (intent, bool) {
	s = strings.TrimRight(s, " .!")
	if in, ok := m.noting(s); ok {
		return in, true
	}
	if in, ok := m.dating(s); ok {
		return in, true
	}
	for _, re := range []*regexp.Regexp{renameRE, titleOfRE, itsTitleRE, colonRE, makeRE, changeToRE} {
		c := re.FindStringSubmatch(s)
		if c == nil {
			continue
		}
		if word := firstWord(c[2]); re == colonRE && (word == "to" || word == "with" || word == "into" || word == "as") {
			continue
		}
		r := parseRef(c[1])
		if r.all != "" || r.empty() {
			continue
		}
		if priorityRE.MatchString(c[2]) {
			return noPriorities, true
		}
		if reopenWordRE.MatchString(c[2]) {
			return intent{kind: reopen, ref: r}, true
		}
		in := intent{kind: update, ref: r}
		first := firstWord(s)
		in.change.fix = re == changeToRE && r.it && (first == "change" || first == "correct")
		if due, ok := m.cal.whole(c[2]); ok && re != renameRE && re != titleOfRE {
			in.change = change{due: due}
			return in, true
		}
		in.change.title = title(unquote(c[2]))
		if in.change.title == "" {
			continue
		}
		if in.change.fix {
			in.change.title = unquote(c[2])
		}
		return in, true
	}
	if c := renameAskRE.FindStringSubmatch(s); c != nil {
		r := parseRef(c[1])
		rename := strings.HasPrefix(strings.ToLower(s), "re")
		if r.certain() && r.all == "" || rename && r.words != "" {
			return intent{kind: update, ref: r}, true
		}
	}
	return intent{}, false
}

func (m *memory) noting(s string) (intent, bool) {
	note := func(words, text string) (intent, bool) {
		r := parseRef(words)
		return intent{kind: update, ref: r, change: change{description: capitalise(unquote(strings.TrimSpace(text)))}}, !r.empty() && strings.TrimSpace(text) != ""
	}
	if c := noteToRE.FindStringSubmatch(s); c != nil {
		return note(c[1], c[2])
	}
	if c := describeRE.FindStringSubmatch(s); c != nil {
		return note(c[1]+c[2], c[3])
	}
	if c := noteAskRE.FindStringSubmatch(s); c != nil {
		r := parseRef(c[1])
		if c[1] == "" {
			r = ref{it: true}
		}
		in := intent{kind: update, ref: r}
		text := "What shall the note say?"
		return intent{kind: say, text: text, ask: question{what: newNote, text: text}.withGiven(in)}, true
	}
	if c := noteOnRE.FindStringSubmatch(s); c != nil {
		return note(c[2], c[1])
	}
	if c := addToRE.FindStringSubmatch(s); c != nil && m.cal.onlyDue(c[1]) == "" && !dueWordRE.MatchString(c[1]) {
		return note(c[2], c[1])
	}
	return intent{}, false
}

func (c calendar) onlyDue(s string) string {
	due, _ := c.whole(s)
	return due
}

// dating reads changes of the due date alone.
func (m *memory) dating(s string) (intent, bool) {
	if c := noDueRE.FindStringSubmatch(s); c != nil {
		r := parseRef(c[1] + c[2])
		if c[1]+c[2] == "" {
			r = ref{it: true}
		}
		if !m.clearDue {
			return intent{kind: say, text: "I can move a due date but not take it away; the task panel can."}, true
		}
		return intent{kind: update, ref: r, change: change{noDue: true}}, true
	}
	if c := shiftRE.FindStringSubmatch(s); c != nil && !m.cal.today.IsZero() {
		if n := number(c[2]); n > 0 && n <= 1000 {
			return intent{kind: update, ref: parseRef(c[1]), change: change{later: span{n, strings.ToLower(c[3])}}}, true
		}
	}
	if c := isDueRE.FindStringSubmatch(s); c != nil {
		if due, ok := m.cal.whole(c[2]); ok {
			return intent{kind: update, ref: parseRef(c[1]), change: change{due: due}}, true
		}
	}
	if c := moveRE.FindStringSubmatch(s); c != nil {
		rest, due := m.cal.tail(c[1])
		rest = strings.TrimSpace(dueFillRE.ReplaceAllString(rest, " "))
		rest = trimEdges(rest)
		if r := parseRef(rest); due != "" && !r.empty() && !taskNounRE.MatchString(rest) && (r.certain() || !chorelike(s)) {
			return intent{kind: update, ref: r, change: change{due: due}}, true
		}
	}
	if giveDueRE.MatchString(s) && dueWordRE.MatchString(s) {
		rest, due := m.cal.tail(s)
		words := trimEdges(squeeze(dueFillRE.ReplaceAllString(rest, " ")))
		r := parseRef(words)
		if r.empty() {
			r = ref{it: true}
		}
		in := intent{kind: update, ref: r, change: change{due: due}}
		if taskNounRE.MatchString(words) {
			return intent{}, false
		}
		if due == "" {
			if !dueDateRE.MatchString(s) {
				return intent{}, false
			}
			text := "To which date? For example “friday”, “in two weeks” or “March 3”."
			return intent{kind: say, text: text, ask: question{what: newDue, text: text}.withGiven(in)}, true
		}
		if strings.HasPrefix(strings.ToLower(s), "add") && !dueDateRE.MatchString(s) {
			return intent{}, false // "add milk due friday" is a new task
		}
		return in, true
	}
	return intent{}, false
}

var (
	dueDateRE   = regexp.MustCompile(`(?i)\b(?:due date|deadline)s?\b`)
	taskNounRE  = regexp.MustCompile(`(?i)^(?:an?|another|one|new|some|\d+|two|three) (?:new )?(?:tasks?|to-?dos?|todos?|reminders?|notes?)\b`)
	moverRE     = regexp.MustCompile(`(?i)\b(?:to|until|till|due)\b`)
	choreMoveRE = regexp.MustCompile(`(?i)^(?:put|make|set|change|update|extend) `)
)

// chorelike verbs may begin a task of its own ("make dinner tomorrow"); with a
// preposition that moves, they do not.
func chorelike(s string) bool {
	return choreMoveRE.MatchString(s) && !moverRE.MatchString(s)
}

func trimEdges(s string) string {
	for {
		t := strings.Trim(edgeFillRE.ReplaceAllString(strings.TrimSpace(s), ""), " ,:")
		if t == s {
			return t
		}
		s = t
	}
}
