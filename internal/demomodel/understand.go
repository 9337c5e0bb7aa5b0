package demomodel

import (
	"regexp"
	"slices"
	"strings"
)

var (
	politeRE = regexp.MustCompile(`(?i)^(?:please|pls|plz|kindly|hey|hi|hello|yo|ok|okay|k|alright|all right|right|great|cool|perfect|nice|thanks|thank you|thx|so|well|um+|uh+|and|also|now|then|but|quickly|just|maybe|parley|good (?:morning|afternoon|evening)|(?:can|could|would|will) (?:you|u)(?: please| kindly| maybe| quickly| just| also| now)*|(?:i(?:'d| would) (?:like|love)|i want|i need) (?:you )?to (?:please )?(see|know|view|check|hear)|(?:i(?:'d| would) (?:like|love)|i want|i need) you to|you (?:can|could|should|may|need to)|go ahead and|let me (see|know)|tell me|let'?s (see)|i(?:'d| would) like to (see|add|delete|remove|complete|mark|rename|create)|i want to (see|add|delete|remove|complete|mark|rename|create)|i need to (see|add|delete|remove|mark|rename|create) (?:a |my |all |the )?(?:tasks?|list|to-?dos?|#?\d))\b[,.!:]*\s+`)
	// politeRE may swallow a verb that matters; these are put back.
	tailPoliteRE = regexp.MustCompile(`(?i)[\s,]*(?:\b(?:please|pls|plz|thanks|thank you|thx|for me|will you|would you|could you|can you|right now|if you can|ok\?|okay\?|asap)|:\)|🙂|🙏)[\s.!?]*$`)

	yesRE    = regexp.MustCompile(`(?i)^(?:yes|yeah|yea|yep|yup|yess+|ya|y|sure(?: thing)?|ok|okay|k|do it|do that|go ahead|go for it|of course|definitely|absolutely|right|correct|confirm(?:ed)?|exactly|that'?s (?:right|it|the one|correct)|sounds good|please do|please|affirmative|why not|i am sure|i'm sure|add (?:it|that|them)|delete (?:it|them)(?: all)?|complete (?:it|them)(?: all)?|👍|👍🏻|✅)(?:[\s,.!]+(?:please|do it|do that|go ahead|sure|of course|thanks|thank you|that one|it is|all of them|all|delete (?:it|them)(?: all)?|delete all.*|delete everything|add (?:it|that|them)|complete (?:it|them)|i'?m sure|i am sure|yes))*[\s.!]*$`)
	yesDueRE = regexp.MustCompile(`(?i)^(?:yes|yeah|yep|sure|ok|okay)(?: please)?[,.! ]+(?:but )?(?:make it |due |add it |that's )?(.+)$`)
	noRE     = regexp.MustCompile(`(?i)^(?:no|nope|nah|n|no way|don'?t|do not|never ?mind|cancel|stop|abort|wait|forget (?:it|that|about it)|leave (?:it|them|that)(?: be| alone)?|not now|later|nothing|none|neither|none of them|no need|keep (?:it|them)(?: all)?|rather not|skip(?: it)?|👎)(?:[\s,.!]+(?:thanks|thank you|please|don'?t|do not|never ?mind|not now|leave (?:it|them)|keep (?:it|them)|forget it|cancel|stop|it'?s (?:fine|ok|okay)|delete (?:it|them|that)|do (?:it|that)))*[\s.!]*$`)

	sentenceRE = regexp.MustCompile(`(?i)\s*[;.!?]\s+|\s*\n\s*|\s*,?\s+(?:and\s+)?then\s+|\s*,\s*(?:and\s+)?(?:also\s+)?|\s+and\s+(?:also\s+|please\s+)?|\s+but\s+|\s+plus\s+`)
	strongRE   = regexp.MustCompile(`(?i)^(?:please |also |then |can you |could you |now )*(?:(?:mark|tick|check|cross|set) .*\b(?:done|complete|completed|finished|off)\b|(?:complete|finish|delete|remove|reopen|tick off|check off|cross off|move|postpone|rename|reschedule) (?:(?:task |number |no\.? )?#?\d|tasks? |it\b|that\b|them\b|everything|all\b|the (?:first|second|third|last|other|latest)|.+ (?:to|until|from my list|task)\b)|(?:show|list|tell|give) (?:me )?(?:my|all|the|what|which|how|everything|open|a list|tasks|them)|(?:add|create) |remind me |rename |undo|(?:i|we) (?:need|have|must|should|also need|also have) (?:to )?|what(?:'s|s| is| are| do| tasks)|how many|which tasks?|new task|is there|do i have|\d+ is done)`)
	commandRE  = regexp.MustCompile(`(?i)^(?:please |also |then |can you |could you |now )*(?:mark|tick|check off|cross off|complete|delete|remove|rename|add|create|show|list|remind me|move|postpone|reschedule|reopen|undo|tell me|what|how many|i need to|i have to|is)\b`)
	addStartRE = regexp.MustCompile(`(?i)^(?:please |can you |could you |also )*(?:add|create|remind|new|put|make|i need|i have|i must|i should|we need|todo|task|note|don'?t)\b`)
)

// understand reads one message. The result is never empty.
func (m *memory) understand(text string) []intent {
	s := tidy(text)
	if hasDistress(s) {
		return []intent{{kind: say, text: distress}}
	}
	if m.asked != nil {
		if in, ok := m.reply(s, m.asked); ok {
			return in
		}
	}
	clauses := split(s)
	var out []intent
	if len(clauses) > 1 {
		for _, c := range clauses {
			in := m.clause(c)
			if in.weak {
				continue // "Thanks!" before a command, or words between two
			}
			out = append(out, in)
		}
		if len(out) > 0 {
			return linkDates(out)
		}
	}
	return []intent{m.clause(s)}
}

// linkDates drops a second list of the same kind.
func linkDates(in []intent) []intent {
	seen := false
	return slices.DeleteFunc(in, func(i intent) bool {
		again := i.kind == list && seen
		seen = seen || i.kind == list
		return again
	})
}

// split cuts a message into commands, but only where what follows is certainly
// one: "add a task to wash and remove the paint" is one task.
func split(s string) []string {
	var out []string
	start := 0
	for _, cut := range sentenceRE.FindAllStringIndex(s, -1) {
		left, right := s[start:cut[0]], s[cut[1]:]
		if strings.TrimSpace(left) == "" || right == "" || strings.Count(left, `"`)%2 == 1 {
			continue
		}
		end := strings.ContainsAny(s[cut[0]:cut[1]], ".!?;\n")
		starts := strongRE.MatchString(right)
		if !addStartRE.MatchString(left) || end {
			starts = starts || commandRE.MatchString(right)
		}
		if addStartRE.MatchString(left) && endsOpen(left) {
			starts = false
		}
		if starts {
			out = append(out, left)
			start = cut[1]
		}
	}
	return append(out, s[start:])
}

// endsOpen is a left side that still waits for its content: "add these:".
func endsOpen(left string) bool {
	return strings.HasSuffix(strings.TrimSpace(left), ":") || len(strings.Fields(left)) < 2
}

// strip takes courtesy from both ends.
func strip(s string) string {
	for range 8 {
		before := s
		if m := politeRE.FindStringSubmatchIndex(s); m != nil && !isGreetingOnly(s) {
			keep := 0
			for g := 1; g < len(m)/2; g++ {
				if m[2*g] >= 0 {
					keep = m[2*g]
				}
			}
			if keep == 0 {
				s = s[m[1]:]
			} else if keep > 0 {
				s = s[keep:]
			}
		}
		if t := tailPoliteRE.ReplaceAllString(s, ""); strings.TrimSpace(t) != "" {
			s = t
		}
		if s == before {
			break
		}
	}
	return strings.TrimSpace(s)
}

// clause reads one command or sentence.
func (m *memory) clause(s string) intent {
	s = strings.TrimSpace(s)
	if in, ok := m.smallTalk(s); ok {
		return in
	}
	bare := strip(s)
	if in, ok := m.correction(s); ok {
		return in
	}
	if in, ok := m.command(bare); ok {
		return in
	}
	if in, ok := m.smallTalk(bare); ok {
		return in
	}
	return m.fallback(s, bare)
}

// command reads what is certainly about tasks. The order matters where verbs
// are shared: "add a note to 3" is no new task.
func (m *memory) command(s string) (intent, bool) {
	for _, read := range []func(string) (intent, bool){
		m.listing, m.undo, m.reopening, m.completing, m.updating, m.deleting, m.adding,
	} {
		if in, ok := read(s); ok {
			return in, true
		}
	}
	return intent{}, false
}

// reply reads the answer to our question. ok is false if it is none, and then it
// is read like any other sentence.
func (m *memory) reply(s string, q *question) ([]intent, bool) {
	bare := strip(s)
	if noRE.MatchString(s) || noRE.MatchString(bare) {
		return []intent{{kind: say, text: pick(s, "All right, I left everything as it is.", "OK, nothing changed.", "Fine, I leave it.")}}, true
	}
	switch q.what {
	case yesNo:
		return m.replyYes(s, bare, q)
	case which:
		return m.replyWhich(bare, q)
	}
	if yesRE.MatchString(s) {
		return []intent{askAgain(q)}, true
	}
	if in, ok := m.command(bare); ok && (q.what != newTitle || in.kind == list) && (in.kind != say || in.ask == nil) {
		return nil, false
	}
	switch q.what {
	case newTitle:
		in := *q.given
		in.change.title = title(unquote(meant(bare)))
		return []intent{in}, in.change.title != ""
	case newNote:
		in := *q.given
		in.change.description = unquote(bare)
		return []intent{in}, true
	case newDue:
		in := *q.given
		due, ok := m.cal.whole(bare)
		in.change.due = due
		return []intent{in}, ok
	default:
		if strings.HasSuffix(s, "?") {
			return nil, false
		}
		in := intent{kind: add, items: m.items(bare, splitMode{several: q.count != 1, want: q.count})}
		if len(in.items) == 0 {
			return nil, false
		}
		return []intent{in}, true
	}
}

func askAgain(q *question) intent {
	return intent{kind: say, text: q.text, ask: q, weak: true}
}

func (m *memory) replyYes(s, bare string, q *question) ([]intent, bool) {
	if yesRE.MatchString(s) || yesRE.MatchString(bare) {
		return slices.Clone(q.then), true
	}
	if y := yesDueRE.FindStringSubmatch(s); y != nil && len(q.then) == 1 && q.then[0].kind == add {
		if due, ok := m.cal.whole(strip(y[1])); ok {
			in := q.then[0]
			in.items = slices.Clone(in.items)
			for i := range in.items {
				in.items[i].due = due
			}
			return []intent{in}, true
		}
	}
	// "delete all 5?" — "only 2 and 3"
	if len(q.then) == 1 && q.then[0].changes() {
		if only := onlyRE.FindStringSubmatch(bare); only != nil {
			if r := parseRef(only[1]); len(r.ids) > 0 {
				in := q.then[0]
				in.ref = r
				return []intent{in}, true
			}
		}
	}
	// The answer to "shall I add this?" may correct it.
	if len(q.then) == 1 && q.then[0].kind == add && len(q.then[0].items) == 1 {
		if c := correctedRE.FindStringSubmatch(s); c != nil {
			if t := title(meant(c[1])); t != "" && meant(c[1]) != c[1] {
				return []intent{{kind: add, items: []item{{title: t}}}}, true
			}
		}
	}
	return nil, false
}

var (
	onlyRE  = regexp.MustCompile(`(?i)^(?:no[, ]+)?(?:only|just) (.+)$`)
	theOnly = regexp.MustCompile(`(?i)^(?:(?:i (?:mean|meant|want)|it'?s|just|only|the one (?:with|about|called|for)|with|about)\s+)+`)
)

func (m *memory) replyWhich(bare string, q *question) ([]intent, bool) {
	in := *q.given
	r := parseRef(theOnly.ReplaceAllString(bare, ""))
	switch {
	case len(r.ids) > 0:
		in.ref = r
		// "1" may be the first of three that are shown as 12, 15 and 17.
		if len(r.ids) == 1 && len(q.from) > 0 && !slices.Contains(q.from, r.ids[0]) && !strings.Contains(bare, "#") && r.ids[0] <= len(q.from) {
			in.ref = ref{ids: q.from[r.ids[0]-1 : r.ids[0]]}
		}
		return []intent{in}, true
	case len(r.places) > 0 && len(q.from) > 0:
		ids, ok := at(q.from, r.places)
		in.ref = ref{ids: ids}
		return []intent{in}, ok
	case (r.them || r.all != "") && len(q.from) > 0:
		in.ref, in.sure = ref{ids: q.from}, true
		return []intent{in}, true
	case r.words == "" && !r.empty():
		in.ref = r
		return []intent{in}, true
	case r.words == "":
		return nil, false
	}
	if _, ok := m.command(bare); ok {
		return nil, false
	}
	if _, ok := m.smallTalk(bare); ok {
		return nil, false
	}
	if len(q.from) > 0 {
		sure, perhaps := match(r.words, m.rows(q.from))
		if len(sure) == 0 {
			sure = perhaps
		}
		if len(sure) == 1 {
			in.ref = ref{ids: idsOf(sure)}
			return []intent{in}, true
		}
		return []intent{askAgain(q)}, true
	}
	in.ref = r
	return []intent{in}, true
}

// Corrections.
var (
	correctedRE = regexp.MustCompile(`(?i)^(?:no|nope|nah|sorry|oops|whoops|wait|actually|hmm+|correction|i mean|rather|not quite|ah|oh|argh|my bad|my mistake|on second thought|no no)\b[,.!:; -]*(.+)$`)
	meantRE     = regexp.MustCompile(`(?i)^(?:but )?(?:i (?:meant|mean|said|wanted|was thinking of)(?: to say| to write)?|it(?:'s| is| was)? (?:supposed to (?:be|say)|should be|should say|should read|meant to be|needs to be|ought to be)|it should (?:be|say|read)|that should (?:be|say)|should (?:be|say)|(?:let'?s )?make (?:it|that|this)|call it|(?:change|rename|set|turn|correct) (?:it|that)(?: to| into)?|name it|title it)(?:[: ]+(?:to|to be|say|called))?[: ]+(.+?)(?: instead| rather)?[.!]*$`)
	isRE        = regexp.MustCompile(`(?i)^(?:it'?s|it is|that'?s)(?: called)? (.+)$`)
	notButRE    = regexp.MustCompile(`(?i)^not (.+?)(?:[,;:.] ?(?:but )?| but (?:rather )?)(.+)$`)
	butNotRE    = regexp.MustCompile(`(?i)^(.+?)(?:, not|,? instead of|,? rather than) (.+)$`)
	insteadRE   = regexp.MustCompile(`(?i)^(.+?),? (?:instead|rather)[.!]*$`)
	noTitleRE   = regexp.MustCompile(`(?i)^(?:i|i'?m|you|we|he|she|they|what|why|how|when|who|where|that|this|it|it's|thanks|thank|is|are|do|does|can|never|not|nothing|ok|fine|wrong|good|bad|yes|no|all|everything|stop|wait|really|sure|of|nevermind)\b`)
	priorityRE  = regexp.MustCompile(`(?i)^(?:urgent|important|high(?:est)? priority|top priority|low priority|a priority)$`)
)

// meant strips "I meant" and its like.
func meant(s string) string {
	if m := meantRE.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	if m := isRE.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	if m := insteadRE.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return s
}

func (m *memory) correction(s string) (intent, bool) {
	corrected := false
	for range 4 {
		c := correctedRE.FindStringSubmatch(s)
		if c == nil {
			break
		}
		s, corrected = c[1], true
	}
	s = strip(s)
	if corrected {
		if in, ok := m.command(s); ok && !meantRE.MatchString(s) && in.kind != say {
			return in, true
		}
	}
	said := meantRE.MatchString(s)
	words, wrong := meant(s), ""
	switch {
	case said:
	case notButRE.MatchString(s):
		c := notButRE.FindStringSubmatch(s)
		words, wrong, said = c[2], c[1], true
	case corrected && butNotRE.MatchString(s):
	case insteadRE.MatchString(s) && len(strings.Fields(s)) < 8:
		said = m.sinceAct <= 1
	case !corrected:
		return intent{}, false
	}
	if c := butNotRE.FindStringSubmatch(words); c != nil {
		words, wrong, said = c[1], c[2], true
	}
	words = strings.Trim(words, " .,!")
	if words == "" || !said && (noTitleRE.MatchString(words) || len(strings.Fields(words)) > 6 || strings.HasSuffix(s, "?") || corrected && words == s && m.sinceAct > 0) {
		return intent{}, false
	}
	return m.corrected(words, strings.Trim(wrong, " .,!"), said)
}

// corrected applies a correction to what was done last.
func (m *memory) corrected(words, wrong string, said bool) (intent, bool) {
	if m.lastVerb == "" || m.sinceAct > 3 {
		if !said || len(m.subject) != 1 {
			return intent{}, false
		}
	}
	last := intent{kind: update, ref: ref{ids: m.lastIDs}}
	if len(m.lastIDs) != 1 {
		last.ref = ref{it: true}
	}
	if m.lastVerb == "" {
		last.ref = ref{ids: m.subject}
	}
	if due, ok := m.cal.whole(words); ok {
		last.change.due = due
		if len(m.lastIDs) > 1 {
			last.ref = ref{ids: m.lastIDs}
		}
		return last, true
	}
	if priorityRE.MatchString(words) {
		return intent{kind: say, text: "There are no priorities here. You can put it in the title, for example “make it Call mom (urgent)”."}, true
	}
	if m.lastVerb == completeTask || m.lastVerb == deleteTask {
		in := intent{kind: complete, ref: parseRef(words)}
		undo := "The one before stays done; you can untick it in the task panel."
		if m.lastVerb == deleteTask {
			in.kind, undo = remove, "The one before is still deleted; **Undo** in the task panel brings it back."
		}
		in.note = undo
		if in.ref.certain() || said {
			return in, true
		}
		return intent{}, false
	}
	rest, due := m.cal.take(words)
	last.change = change{title: strings.Trim(unquote(rest), " .,"), due: due, fix: true}
	if title(last.change.title) == "" {
		return intent{}, false
	}
	if wrong != "" {
		last.wrong = ""
		if len(m.lastIDs) > 1 {
			last.wrong = wrong
		}
		for _, t := range m.rows(m.lastIDs) {
			if fixed, ok := replaceFold(t.Title, wrong, rest); ok {
				last.change.title, last.change.fix = title(fixed), false
				last.ref, last.wrong = ref{ids: []int{t.ID}}, ""
			}
		}
	}
	return last, true
}

func replaceFold(s, old, with string) (string, bool) {
	re, err := regexp.Compile(`(?i)(^|\W)` + regexp.QuoteMeta(old) + `($|\W)`)
	if err != nil || !re.MatchString(s) {
		return s, false
	}
	return re.ReplaceAllString(s, "${1}"+strings.ReplaceAll(with, "$", "$$")+"${2}"), true
}

var timeTailRE = regexp.MustCompile(`(?i) (?:at \d[\d:. ]*(?:am|pm)?|in the (?:morning|afternoon|evening)|at night|tonight)$`)

// refit puts a correction where it belongs in a title: "bread" makes "Buy milk"
// into "Buy bread".
func refit(old, corrected string) string {
	if old == "" || beginsWithChore(corrected) || !beginsWithChore(old) || len(strings.Fields(corrected)) > 4 {
		return title(corrected)
	}
	verb, _, _ := strings.Cut(old, " ")
	fitted := verb + " " + corrected
	if tail := timeTailRE.FindString(old); tail != "" && !timeTailRE.MatchString(fitted) {
		fitted += tail
	}
	return fitted
}
