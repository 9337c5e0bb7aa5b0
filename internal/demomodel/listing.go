package demomodel

import (
	"regexp"
	"strings"
)

// Lists. A sentence asks for a list if it consists of these words alone and has
// one that means tasks; that covers more ways to ask than patterns would.
var (
	listWords = setOf(`show list display give see view print read get check pull bring tell open up out me us all any every everything my mine our the of on in a an
		task tasks todo todos to-do to-dos item items thing things list lists one ones reminder reminders plate agenda tasklist stuff
		pending remaining unfinished incomplete outstanding active undone left current todo's
		completed complete done finished closed ticked overdue late due today todays tomorrow tomorrows this week weeks next upcoming now first urgent
		what whats what's which is are there was were do does did have has i i've ive got need should must can could still to be yet else more work for
		how many number count again please currently already today's tomorrow's week's that those these so far full whole entire anything something accomplished achieved finish
		know hear overview status summary summarize summarise recap remind remaining? want might with date dates deadline deadlines most important have-to it at look take soon coming ahead am am-i we we've`)
	taskWords = setOf(`task tasks todo todos to-do to-dos item items list reminders plate agenda tasklist left open pending remaining unfinished incomplete outstanding
		undone overdue due everything completed finished overview deadlines upcoming`)
	openWords  = setOf(`open pending remaining unfinished incomplete outstanding active undone left upcoming still else remaining`)
	doneWords  = setOf(`completed done finished closed ticked accomplished achieved finish`)
	searchRE   = regexp.MustCompile(`(?i)^(?:(?:find|search|look up|look for|filter)(?: for)?(?: (?:my|the|all|any))?(?: (?:tasks?|to-?dos?|items?|list|everything))?(?: (?:about|for|with|containing|on|called|named|related to|regarding|by))?|(?:show|list|give|get|see)(?: me)?(?: (?:all|my|the|any))*(?: (?:open|completed))? (?:tasks?|to-?dos?|items?|everything) (?:about|with|containing|called|named|related to|regarding|mentioning|that mention|for)|(?:do i have|have i got|is there|are there|any)(?: (?:a|any|some))?(?: (?:open))? ?(?:tasks?|to-?dos?|items?|reminders?|things?|thing|anything|something)(?: (?:about|with|for|called|named|to|regarding|related to|on my list about))|what(?:'s|s| is| are| do i have)? (?:my |the )?(?:on my list )?(?:tasks? )?(?:about|for|with)|which tasks? (?:are|is|mention|have|has|contain)(?: about| with| for)?) (.+)$`)
	onListRE   = regexp.MustCompile(`(?i)^(?:is|are|do i have|have i got|did i (?:add|write down|note)) (.+?) (?:(?:already |still )?(?:on|in) (?:my|the) (?:to-?do |task )?(?:list|tasks)|already there)$`)
	statusOfRE = regexp.MustCompile(`(?i)^(?:did i (?:already )?(?:finish|complete|do|tick off)|have i (?:already )?(?:finished|completed|done)) (.+)$|^(?:is|are|was) (.+?) (?:already |still )?(?:done|finished|completed?|open|pending)(?: yet| already)?$`)
	whenRE     = regexp.MustCompile(`(?i)^when (?:is|are|was|do i (?:have|need) to|must i|should i) (.+?)(?: due)?$`)
	didIRE     = regexp.MustCompile(`(?i)^(?:did i (?:already )?([a-z]+) (.+)|have i (?:already )?([a-z]+) (.+?))(?: yet| already)?$`)
	asksDayRE  = regexp.MustCompile(`(?i)^(?:what|whats|what's|which|do i have|is there|are there|anything|any|show|list|tasks|to-?dos|how many)\b`)
	detailRE   = regexp.MustCompile(`(?i)^(?:show|what(?:'s|s| is| about)|about|tell about|details? (?:of|for|on)?|describe|read|open|view|when is|see)(?: me)?(?: (?:about|in|the (?:details?|descriptions?|notes?|due date|date|status|title) (?:of|for|on)))? ?(?:task |number |no\.? )?#?(\d{1,9})(?: due)?$`)
)

func (m *memory) listing(s string) (intent, bool) {
	s = strings.TrimRight(s, " ?!.,")
	if in, ok := closedListing(s); ok {
		return in, true
	}
	if in, ok := m.listingOn(s); ok {
		return in, true
	}
	if c := detailRE.FindStringSubmatch(s); c != nil {
		return intent{kind: list, status: "all", id: number(c[1])}, true
	}
	if c := whenRE.FindStringSubmatch(s); c != nil {
		switch r := parseRef(c[1]); {
		case len(r.ids) == 1:
			return intent{kind: list, status: "all", id: r.ids[0]}, true
		case r.words != "":
			return intent{kind: list, status: "all", words: r.words}, true
		}
	}
	if c := statusOfRE.FindStringSubmatch(s); c != nil {
		r := parseRef(strings.Join(c[1:], ""))
		switch {
		case len(r.ids) == 1:
			return intent{kind: list, status: "all", id: r.ids[0]}, true
		case r.it && len(m.subject) == 1:
			return intent{kind: list, status: "all", id: m.subject[0]}, true
		case r.words == "":
			return intent{kind: list, status: "all"}, true
		}
		return intent{kind: list, status: "all", isDone: true, words: r.words}, true
	}
	if c := didIRE.FindStringSubmatch(s); c != nil && pastOf[strings.ToLower(c[1])]+pastOf[strings.ToLower(c[3])] != "" || c != nil && chores[strings.ToLower(c[1])] {
		return intent{kind: list, status: "all", isDone: true, words: strings.TrimSpace(c[1] + " " + c[2] + c[3] + " " + c[4])}, true
	}
	for _, re := range []*regexp.Regexp{onListRE, searchRE} {
		c := re.FindStringSubmatch(s)
		if c == nil {
			continue
		}
		if r := parseRef(strings.Join(c[1:], "")); r.words != "" {
			return intent{kind: list, status: "all", query: r.words}, true
		}
	}
	return intent{}, false
}

// listingOn reads "what is due on friday".
func (m *memory) listingOn(s string) (intent, bool) {
	if !asksDayRE.MatchString(s) {
		return intent{}, false
	}
	rest, due := m.cal.tail(s)
	words := strings.Fields(strings.ToLower(rest))
	if due == "" || len(words) == 0 {
		return intent{}, false
	}
	for _, w := range words {
		if !listWords[w] {
			return intent{}, false
		}
	}
	return intent{kind: list, status: "open", when: due}, true
}

// bag is the set of a sentence's words.
type bag map[string]bool

func (b bag) any(words ...string) bool {
	for _, w := range words {
		if b[w] {
			return true
		}
	}
	return false
}

func (b bag) anyOf(set map[string]bool) bool {
	for w := range b {
		if set[w] {
			return true
		}
	}
	return false
}

var spelled = map[string]string{
	"what's": "what", "whats": "what", "today's": "today", "todays": "today", "tomorrow's": "tomorrow", "tomorrows": "tomorrow",
	"i've": "i", "ive": "i", "urgent": "next", "important": "next", "late": "overdue", "deadline": "due", "deadlines": "due", "dates": "due", "upcoming": "due",
}

// closedListing reads a sentence that consists of listWords alone.
func closedListing(s string) (intent, bool) {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" ,;:\n?!.", r) })
	if len(words) == 0 || len(words) > 14 {
		return intent{}, false
	}
	has := bag{}
	for i, w := range words {
		if !listWords[w] {
			return intent{}, false
		}
		if common, ok := spelled[w]; ok {
			words[i] = common
		}
		has[words[i]] = true
	}
	if has.any("did", "have") && has["complete"] { // "what did I complete"
		delete(has, "complete")
		has["completed"] = true
	}
	if has["did"] && has["do"] { // "what did I do today"
		has["done"] = true
	}
	if !asksForList(words, has) || ordersOrTells(words, has) {
		return intent{}, false
	}
	in := intent{kind: list, status: "all", when: listDay(has), count: has.any("many", "count") || has["number"] && has["of"]}
	done := has.anyOf(doneWords) && !has.any("undone", "not")
	switch {
	case in.when != "":
		in.status, in.count = "open", false
	case done && !has.anyOf(openWords), has["complete"]:
		in.status = "completed"
	case words[0] == "open" && has.any("my", "the") && !has["left"]: // the verb: "open my list"
	case has.anyOf(openWords), asksTodo(has), has.any("anything", "plate", "agenda"):
		in.status = "open"
	}
	return in, true
}

// asksTodo is "what do I have to do".
func asksTodo(has bag) bool {
	return has["do"] && has.any("to", "should", "must", "can") && has.any("what", "anything", "something", "things")
}

func asksWhat(has bag) bool { return has.any("what", "which", "show", "list", "how", "see", "get") }

// asksForList: of the words that any list sentence may have, some make it one.
func asksForList(words []string, has bag) bool {
	switch {
	case has.anyOf(taskWords), asksTodo(has), has.any("overdue", "due"):
		return true
	case has.any("show", "list", "see", "give") && has.any("all", "every"):
		return true
	case asksWhat(has) && has.anyOf(doneWords):
		return true
	case has.any("what", "which", "show") && has.any("next", "first"):
		return true
	case has.any("what", "anything", "show", "tasks") && has.any("today", "tomorrow", "week") && !has["is"]:
		return true
	case len(words) == 1:
		return has.any("status", "todo", "todos", "all", "summary", "show")
	}
	return len(words) == 2 && words[0] == "show" && words[1] == "me"
}

// ordersOrTells: the same words also make statements and orders.
func ordersOrTells(words []string, has bag) bool {
	first, rest := words[0], words[1:]
	switch first {
	case "i":
		return !has.any("want", "see")
	case "do", "get":
		return (len(rest) == 0 || rest[0] != "i") && !has.any("what", "which", "list")
	case "read":
		return has["to"]
	case "remind":
		return !asksWhat(has)
	case "complete", "work":
		return true
	case "everything":
		return has.any("is", "done", "completed", "finished")
	case "all":
		return has["done"] && !has.any("tasks", "task", "items", "show", "list", "what")
	case "open":
		return len(words) == 2 && has["task"]
	case "done", "completed", "finished", "left", "due", "next", "today", "tomorrow":
		return len(words) == 1
	}
	told := has.any("is", "are") && first != "is" && first != "are" && first != "any"
	return told && has.anyOf(doneWords) && !asksWhat(has)
}

// listDay is the day that a list is asked for, if any.
func listDay(has bag) string {
	switch {
	case has["overdue"]:
		return "overdue"
	case has.any("next", "first") && !has.any("week", "list"):
		return "next"
	case has["tomorrow"]:
		return "tomorrow"
	case has["today"] && !has.anyOf(doneWords):
		return "today"
	case has["week"] && has["this"] && !has.anyOf(doneWords):
		return "week"
	case has["due"]:
		return "due"
	}
	return ""
}
