package demomodel

import (
	"regexp"
	"strings"
)

const (
	countWord = `(\d{1,3}|an?|another|one|two|three|four|five|six|seven|eight|nine|ten|the|this|the following|these|my|some|a few|a couple of|several|multiple|few|a bunch of)`
	taskNoun  = `(tasks?|to-?dos?|todos?|todo's|reminders?|items?|things(?: to do)?|entry|entries|list items?)`
)

var (
	addNounRE   = regexp.MustCompile(`(?is)^(?:add|create|make|put|insert|enter|write(?: down)?|note(?: down)?|jot(?: down)?|log|schedule|set up|set|register|record|save|include|append|start|new|give me|i want|i'd like|i need|we need|need)(?: me| us| in| up)? ?(?:` + countWord + ` )?(?:(?:new|more|following|extra|quick|other|another|simple|separate|different|random|example|sample|test|dummy|fun|easy|big|small|urgent|important|(?:high|low|top)[- ]priority|personal|work|daily|weekly) )*` + taskNoun + `\b(.*)$`)
	onMyRE      = regexp.MustCompile(`(?i)^ ?(?:(?:to|on|in|into|for) (?:my|the) (?:to-?do |task )?(?:list|tasks))`)
	bodyRE      = regexp.MustCompile(`(?i)^[ ,:-]*(?:(?:called|named|titled|entitled|saying|that says|which says|that reads|with (?:the )?(?:title|name)|labelled|labeled|as follows|like this|reminding me)[: ]+)?(?:(?:to|for|about|that i (?:need|have) to|that i should|where i|for me to|for today to|for)(?:\s+|: ?))?[:]?`)
	bodyForRE   = regexp.MustCompile(`(?i)^[ ,:-]*(?:for|about|regarding|related to|concerning)\s`)
	newListRE   = regexp.MustCompile(`(?is)^(?:create|make|start|write|new)(?: me)?(?: an?| my)?(?: new)?(?: \S+)? ?list(?: of| with| for)?\b[: ]*(.*)$`)
	dayListRE   = regexp.MustCompile(`(?is)^(?:add )?(?:my |the )?(?:new )?(?:tasks?|to-?dos?|things(?: to do)?|plans?)? ?(?:for )?([a-z0-9 ]{3,30}): ?(.+)$`)
	haveListRE  = regexp.MustCompile(`(?is)^(?:i have|i've got|we have|here are|these are|my)(?: got)? (?:` + countWord + ` )?(?:\S+ )?(?:tasks?|to-?dos?|items?|things)(?: to do| for me)?: ?(.+)$`)
	hoursRE     = regexp.MustCompile(`(?i)^in (` + numberWord + `|half an) (min(?:ute)?s?|hours?|h)\b,? ?(?:to )?(.+)$`)
	clockRE     = regexp.MustCompile(`(?i)\b(?:at \d{1,2}(?:[:.]\d\d)? ?(?:am|pm|o'clock)?\b|in (?:` + numberWord + `|half an) (?:min(?:ute)?s?|hours?)\b)`)
	prioTaskRE  = regexp.MustCompile(`(?i)\b(urgent|important|(?:high|low|top)[- ]priority) (?:tasks?|to-?dos?|reminders?|items?)\b`)
	eachRE      = regexp.MustCompile(`(?i)^ ?for (?:each|every|all) `)
	addBareRE   = regexp.MustCompile(`(?is)^(?:add|insert|append|enter|write down|note down|jot down|put down|include)(?::)? (.+)$`)
	createRE    = regexp.MustCompile(`(?is)^(?:create|make|new|note)(?::)? (.+)$`)
	toListRE    = regexp.MustCompile(`(?i)[ ,]+(?:(?:back )?(?:to|on|onto|in|into|for) (?:my|the|our|this) (?:whole |current )?(?:\S+ )?(?:list|tasks|to-?dos?|todos|agenda|plate)|as (?:an? )?(?:new |separate |individual )?(?:tasks?|to-?dos?|todos?|reminders?|items?))\b`)
	putOnRE     = regexp.MustCompile(`(?is)^(?:put|place|get|throw|stick|have|write|note) (.+)$`)
	remindRE    = regexp.MustCompile(`(?is)^(?:(?:set (?:me )?an? |add an? )?remind(?:er)?(?: me| us| myself)?|don'?t let me forget|do not let me forget|help me (?:to )?remember|remember|don'?t forget|do not forget|make sure|make sure (?:that )?i(?: remember)?|note to self|to-?do|tasks?|new (?:task|to-?do|reminder|tasks)|next task|another (?:task|one)|also|i forgot(?: that i (?:need|have))?|i (?:can'?t|cannot|must not|mustn'?t) forget)(?:[: ,]+(?:that (?:i|we) (?:need to|have to|must|should)|to|about|of|that|is)\b)?[: ,-]+(.+)$`)
	needRE      = regexp.MustCompile(`(?is)^(?:(?:today|tomorrow|tonight) )?(?:(?:i|we)(?:'ve|'ll|'m| have| will| am)?(?: also| still| really| just| probably| definitely| absolutely)* ?)?(need to remember to|need to|need|have got to|have to|got to|gotta|gotta|must|should|ought to|(?:am )?supposed to|going to need to|better) ?(?:also |really |remember to )?(.+)$`)
	wantRE      = regexp.MustCompile(`(?is)^(?:(?:i|we)(?: really| also| still)? (?:want to|wanna|would like to|plan to|intend to|will|hope to|am going to|am planning to)|(?:i|we)'(?:d like to|ll|m going to|m planning to|m gonna|re going to)|let'?s|let us) (.+)$`)
	notTaskRE   = regexp.MustCompile(`(?i)^(?:help|you|your help|a break|a hug|advice|more time|time|know|think|run|go(?: now| to bed| to sleep)?|be going|leave(?: now)?|say|admit|ask you.*|tell you.*|it|that|this|something|anything|nothing|some help|a favou?r|some advice|more|see|understand|talk|chat|have .*fun)[.!]*$`)
	anotherRE   = regexp.MustCompile(`(?i)(?:,? and|,) (?:an?other|one|a)(?: more)?(?: (?:task|one|to-?do|reminder))?(?: (?:is|called|named))?(?: to|:| for) `)
	noteRE      = regexp.MustCompile(`(?i)[ ,;.(-]+(?:(?:with|and|add|plus) )?(?:an? |the |this )?(?:note|notes|description|desc|details|comment)(?: that says| saying| of|:| -| that)? ["']?(.+?)["')]?$`)
	noteKeyRE   = regexp.MustCompile(`(?i)(?:with (?:an? |the )?(?:note|description|details|comment)|(?:note|notes|description|desc|details|comment):)`)
	bulletRE    = regexp.MustCompile(`(?m)^\s*(?:(?:[-*•–+]|\d{1,2}[.)])\s+(?:\[[ xX]?\]\s+)?|\[[ xX]?\]\s+)`)
	inlineRE    = regexp.MustCompile(`(?:^|[\s,;])\(?\d{1,2}[.)]\s+`)
	quotedRE    = regexp.MustCompile(`^(?:"[^"\n]+"(?:\s*(?:,|and|&|,\s*and)\s*|\s*$))+$`)
	quoteRE     = regexp.MustCompile(`"([^"\n]+)"`)
	joinsRE     = regexp.MustCompile(`(?i)\b(?:with|between|for|about|of|from|on|in)\b`)
	commaRE     = regexp.MustCompile(`\s*,\s*`)
	leadAndRE   = regexp.MustCompile(`(?i)^(?:(?:and|also|then|plus|to|finally|lastly|please)\s+)+`)
	leadDayRE   = regexp.MustCompile(`(?i)^(?:today|tomorrow|tonight|on \w+day|next \w+|this \w+|by \w+day)\b,? `)
	moreRE      = regexp.MustCompile(`(?i)^(?:one more|another(?: one)?|(?:some|a few|two|three) more)(?: thing| things)?(?:[:,] ?| )`)
	partQuoteRE = regexp.MustCompile(`^"([^"]+)"(.*)$`)
	articleRE   = regexp.MustCompile(`(?i)^(?:the|an?|some) `)
	askedRE     = regexp.MustCompile(`(?i)^(?:how|why|what|when|where|who|which)\b.*\?$`)
)

// adding reads new tasks.
func (m *memory) adding(s string) (intent, bool) {
	s = strings.TrimSpace(s)
	if askedRE.MatchString(s) {
		return intent{}, false
	}
	// "Tomorrow I need to …": the day counts for all that follows.
	if lead := leadDayRE.FindString(s); lead != "" {
		if due, ok := m.cal.whole(strings.Trim(lead, " ,")); ok {
			in, ok := m.adding(s[len(lead):])
			for i := range in.items {
				if in.items[i].due == "" {
					in.items[i].due = due
				}
			}
			return in, ok
		}
	}
	if c := dayListRE.FindStringSubmatch(s); c != nil {
		if due, ok := m.cal.whole(strings.TrimSpace(c[1])); ok {
			in := m.added(c[2], splitMode{several: true})
			for i := range in.items {
				if in.items[i].due == "" {
					in.items[i].due = due
				}
			}
			return in, true
		}
	}
	if c := haveListRE.FindStringSubmatch(s); c != nil {
		return m.added(c[2], splitMode{several: true, want: number(c[1])}), true
	}
	if c := newListRE.FindStringSubmatch(s); c != nil {
		if title(c[1]) == "" {
			return askTitle(0), true
		}
		return m.added(c[1], splitMode{several: true}), true
	}
	if c := addNounRE.FindStringSubmatch(s); c != nil {
		in := m.addingNouns(c[1], c[2], c[3])
		if p := prioTaskRE.FindStringSubmatch(s); p != nil {
			for i := range in.items {
				in.items[i].title += " (" + strings.ToLower(p[1]) + ")"
			}
		}
		return in, true
	}
	if c := putOnRE.FindStringSubmatch(s); c != nil && toListRE.MatchString(c[1]) {
		return m.added(toListRE.ReplaceAllString(c[1], ""), splitMode{several: true, guess: true}), true
	}
	if c := addBareRE.FindStringSubmatch(s); c != nil {
		body := moreRE.ReplaceAllString(toListRE.ReplaceAllString(c[1], ""), "")
		if r := parseRef(body); r.it || r.them || strings.EqualFold(body, "something") || strings.EqualFold(body, "one") || strings.EqualFold(body, "more") || strings.EqualFold(body, "some") {
			return askTitle(1), true
		}
		return m.added(body, splitMode{several: true, guess: true}), true
	}
	if c := createRE.FindStringSubmatch(s); c != nil && (beginsWithChore(c[1]) || toListRE.MatchString(c[1])) {
		return m.added(toListRE.ReplaceAllString(c[1], ""), splitMode{several: true, guess: true}), true
	}
	if c := remindRE.FindStringSubmatch(s); c != nil {
		body := toListRE.ReplaceAllString(c[1], "")
		if h := hoursRE.FindStringSubmatch(body); h != nil {
			body = h[3] + " in " + h[1] + " " + h[2]
		}
		in := m.added(body, splitMode{several: strings.HasPrefix(strings.ToLower(s), "tasks") || strings.HasPrefix(strings.ToLower(s), "new tasks")})
		if in.kind == add && strings.Contains(strings.ToLower(s), "remind") && clockRE.MatchString(body) {
			in.note = "It is on your list, but nothing will ring at that time: there are no alarms here."
		}
		return in, true
	}
	if c := needRE.FindStringSubmatch(s); c != nil && !notTaskRE.MatchString(c[2]) && !strings.HasSuffix(s, "?") {
		if !strings.EqualFold(c[1], "need") {
			return m.added(c[2], splitMode{}), true
		}
		if len(strings.Fields(c[2])) <= 8 {
			return m.offerAdd("", m.items("get "+c[2], splitMode{})), true
		}
	}
	if c := toListRE.FindStringIndex(s); c != nil && c[1] == len(s) && !strings.HasSuffix(s, "?") {
		return m.added(s[:c[0]], splitMode{several: true, guess: true}), true
	}
	if addOnlyRE.MatchString(s) {
		return askTitle(1), true
	}
	return intent{}, false
}

var addOnlyRE = regexp.MustCompile(`(?i)^(?:add|new|create|remind me|add (?:a )?new|add one|add (?:some|more)|add another(?: one)?|add something)[.!:]*$`)

// addingNouns reads what follows "add a task", "create 3 tasks".
func (m *memory) addingNouns(count, noun, body string) intent {
	want := number(count)
	if eachRE.MatchString(body) {
		return askTitle(0)
	}
	several := strings.HasSuffix(strings.ToLower(noun), "s") || strings.EqualFold(noun, "entries") || want > 1
	if !several {
		want = 1
	} else if want < 2 || strings.EqualFold(count, "a few") || strings.EqualFold(count, "a couple of") {
		want = 0
	}
	body = onMyRE.ReplaceAllString(body, "")
	about := bodyForRE.MatchString(body)
	body = toListRE.ReplaceAllString(body, "")
	rest := bodyRE.ReplaceAllString(body, "")
	if strings.TrimSpace(strings.Trim(rest, ".!?: ")) == "" {
		return askTitle(want)
	}
	items := m.items(rest, splitMode{several: several, want: want})
	if several && about && len(items) < 2 {
		about := plain(short(strings.Trim(strings.TrimSpace(body), " .!?:,"), 60))
		n := "the tasks"
		if want > 1 {
			n = "the " + spell(want) + " tasks"
		}
		text := "I cannot think up tasks " + about + " myself: I am rules, no AI. Which are " + n + "? Send them with commas between, for example “pack boxes, hire a van, cancel the internet”."
		q := &question{what: newItems, count: want, text: "Which are " + n + "?"}
		return intent{kind: say, text: text, ask: q}
	}
	if len(items) == 0 {
		return askTitle(want)
	}
	return intent{kind: add, items: items}
}

func spell(n int) string {
	for w, v := range numberWords {
		if v == n && v > 1 && w != "couple" && !strings.HasPrefix(w, "a ") {
			return w
		}
	}
	return "new"
}

func (m *memory) added(body string, mode splitMode) intent {
	items := m.items(body, mode)
	if len(items) == 0 {
		return askTitle(1)
	}
	return intent{kind: add, items: items}
}

func askTitle(count int) intent {
	text := "What shall the task say? For example “buy groceries tomorrow”."
	if count != 1 {
		text = "Which tasks shall I add? Send them with commas between, for example “milk, bread, eggs”."
	}
	return intent{kind: say, text: text, ask: &question{what: newItems, count: count, text: text}}
}

// offerAdd asks before it adds what may not have been meant as a task.
func (m *memory) offerAdd(intro string, items []item) intent {
	var names []string
	for _, it := range items {
		name := "“" + plain(short(it.title, 80)) + "”"
		if it.due != "" {
			name += ", due " + m.cal.say(it.due) + ","
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return askTitle(1)
	}
	ask := "Shall I add " + join(names, "and") + countOf(len(names), " as a task?", " as tasks?")
	return intent{kind: say, text: strings.TrimSpace(intro + " " + ask), ask: &question{what: yesNo, text: ask, then: []intent{{kind: add, items: items}}}}
}

func (in intent) asFound() found {
	return found{say: strings.TrimSpace(strings.TrimSuffix(in.text, in.ask.text)), ask: in.ask}
}

// splitMode says how sure it is that a body holds several tasks.
type splitMode struct {
	several bool // the sentence speaks of several
	guess   bool // "add milk and bread": several, unless it reads like one
	want    int  // that many, 0 = unknown; 1 keeps one
}

// items cuts a body into tasks and reads each one's date and note.
func (m *memory) items(body string, mode splitMode) []item {
	var out []item
	dated := 0
	for _, part := range cutItems(strings.TrimSpace(body), mode) {
		it := item{title: strings.TrimSpace(part)}
		if c := noteRE.FindStringSubmatchIndex(it.title); c != nil && noteKeyRE.MatchString(it.title[c[0]:]) && c[0] > 0 {
			it.title, it.description = it.title[:c[0]], capitalise(strings.TrimSpace(it.title[c[2]:c[3]]))
		}
		quoted := unquote(it.title) != it.title
		if !quoted {
			it.title = leadAndRE.ReplaceAllString(it.title, "")
			if rest, due := m.cal.take(strings.TrimRight(it.title, ".!")); title(rest) != "" {
				it.title, it.due = rest, due
			}
			it.title = partQuoteRE.ReplaceAllString(it.title, "$1$2")
			it.title = articleRE.ReplaceAllString(leadAndRE.ReplaceAllString(it.title, ""), "")
		}
		if it.title = title(unquote(strings.TrimSpace(it.title))); it.title == "" {
			continue
		}
		if it.due != "" {
			dated++
		}
		out = append(out, it)
	}
	// "call mom and pay rent tomorrow": the one date at the end is everyone's.
	if n := len(out); n > 1 && dated == 1 && out[n-1].due != "" {
		for i := range out {
			out[i].due = out[n-1].due
		}
	}
	return out
}

func cutItems(body string, mode splitMode) []string {
	switch {
	case quotedRE.MatchString(body):
		var out []string
		for _, q := range quoteRE.FindAllStringSubmatch(body, -1) {
			out = append(out, `"`+q[1]+`"`)
		}
		return out
	case strings.Contains(body, "\n"):
		return strings.Split(bulletRE.ReplaceAllString(body, ""), "\n")
	case len(inlineRE.FindAllString(body, -1)) > 1:
		return inlineRE.Split(body, -1)
	case strings.Contains(body, ";"):
		return strings.Split(body, ";")
	}
	if mode.want == 1 || anotherRE.MatchString(body) {
		if parts := anotherRE.Split(body, -1); len(parts) > 1 {
			return parts
		}
		return []string{body}
	}
	commas, all, verbs := commaRE.Split(body, -1), andRE.Split(body, -1), cutAtVerbs(body)
	if last := len(commas) - 1; last > 0 {
		commas[last] = leadAndRE.ReplaceAllString(commas[last], "")
	}
	if mode.want > 1 {
		for _, parts := range [][]string{verbs, commas, all} {
			if len(parts) == mode.want {
				return parts
			}
		}
	}
	switch {
	case beginsWithChore(body) && (len(verbs) > 1 || !mode.several || mode.guess):
		if mode.several && !mode.guess && len(all) > len(verbs) && len(commas) > 1 {
			return all
		}
		return verbs
	case !mode.several:
		return []string{body}
	case mode.guess && len(commas) == 1 && joinsRE.MatchString(strings.Join(all[:1], "")):
		return []string{body} // "lunch with Ann and Bob"
	}
	return all
}

// cutAtVerbs cuts only where a new chore begins: "buy milk and eggs" stays one.
func cutAtVerbs(body string) []string {
	var out []string
	start := 0
	for _, cut := range andRE.FindAllStringIndex(body, -1) {
		if beginsWithChore(body[cut[1]:]) && strings.TrimSpace(body[start:cut[0]]) != "" && len(strings.Fields(body[start:cut[0]])) > 1 {
			out = append(out, body[start:cut[0]])
			start = cut[1]
		}
	}
	return append(out, body[start:])
}

// title makes a title of a person's words; empty if nothing is left.
func title(s string) string {
	s = squeeze(s)
	s = strings.Trim(s, " ,;:")
	s = strings.TrimRight(s, ".!")
	if q := unquote(s); q != s {
		s = strings.TrimSpace(q)
	}
	s = strings.TrimSpace(s)
	if !strings.ContainsFunc(s, func(r rune) bool { return startsWithLetter(string(r)) || r > 0x2000 }) {
		return ""
	}
	return capitalise(s)
}
