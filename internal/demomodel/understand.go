package demomodel

import (
	"regexp"
	"slices"
	"strings"
)

var (
	politeRE = regexp.MustCompile(`(?i)^(?:please|pls|plz|kindly|i think|i believe|i guess|i suppose|it seems|looks like|hey|hi|hello|yo|ok|okay|k|alright|all right|right|great|cool|perfect|nice|thanks|thank you|thx|so|well|um+|uh+|and|also|now|then|but|quickly|just|maybe|parley|good (?:morning|afternoon|evening)|(?:can|could|would|will) (?:you|u)(?: please| kindly| maybe| quickly| just| also| now)*|(?:i(?:'d| would) (?:like|love)|i want|i need) (?:you )?to (?:please )?(see|know|view|check|hear)|(?:i(?:'d| would) (?:like|love)|i want|i need) you to|you (?:can|could|should|may|need to)|go ahead and|let me (see|know)|tell me|let'?s (see)|i(?:'d| would) like to (see|add|delete|remove|complete|mark|rename|create)|i want to (see|add|delete|remove|complete|mark|rename|create)|i need to (see|add|delete|remove|mark|rename|create) (?:a |my |all |the )?(?:tasks?|list|to-?dos?|#?\d))\b[,.!:]*\s+`)
	// politeRE may swallow a verb that matters; these are put back.
	tailPoliteRE = regexp.MustCompile(`(?i)[\s,]*(?:\b(?:please|pls|plz|thanks|thank you|thx|for me|too|as well|also|will you|would you|could you|can you|right now|if you can|ok\?|okay\?|asap)|:\)|🙂|🙏)[\s.!?]*$`)

	requestRE = regexp.MustCompile(`(?i)^(?:(?:please|hey|hi|hello|ok|so)\b[, ]*)*(?:can|could|would|will) (?:you|u)\b`)

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
	if requestRE.MatchString(s) { // "can you add milk and show my list?" asks nothing
		s = strings.TrimRight(s, " ?")
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
	if requestRE.MatchString(s) {
		s = strings.TrimRight(s, " ?")
	}
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
	if in, ok := m.smallTalk(bare); ok {
		return in
	}
	if in, ok := m.correction(s); ok {
		return in
	}
	if in, ok := m.command(bare); ok {
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
	default: // the reply is text
	}
	if yesRE.MatchString(s) {
		return []intent{askAgain(q)}, true
	}
	if in, ok := m.command(bare); ok && (q.what != newTitle || in.kind == list) {
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
		return []intent{askAgain(q)}, len(strings.Fields(bare)) <= 4
	}
	in.ref = r
	return []intent{in}, true
}
