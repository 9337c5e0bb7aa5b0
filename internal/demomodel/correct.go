package demomodel

import (
	"regexp"
	"strings"
)

// Corrections.
var (
	correctedRE = regexp.MustCompile(`(?i)^(?:no|nope|nah|sorry|oops|whoops|wait|actually|hmm+|correction|i mean|rather|not quite|ah|oh|argh|my bad|my mistake|on second thought|no no)\b[,.!:; -]*(.+)$`)
	meantRE     = regexp.MustCompile(`(?i)^(?:but )?(?:i (?:meant|mean|said|wanted|was thinking of)(?: to say| to write)?|it(?:'s| is| was)? (?:supposed to (?:be|say)|should be|should say|should read|meant to be|needs to be|ought to be)|it should (?:be|say|read)|that should (?:be|say)|should (?:be|say)|(?:let'?s )?make (?:it|that|this)|call it|name it|title it)(?:[: ]+(?:to|to be|say|called))?[: ]+(.+?)(?: instead| rather)?[.!]*$`)
	makeItRE    = regexp.MustCompile(`(?i)^(?:but )?(?:(?:let'?s )?make (?:it|that|this)|call it|name it|title it)\b`)
	isRE        = regexp.MustCompile(`(?i)^(?:it'?s|it is|that'?s)(?: called)? (.+)$`)
	notButRE    = regexp.MustCompile(`(?i)^not (.+?)(?:[,;:.] ?(?:but )?| but (?:rather )?)(.+)$`)
	butNotRE    = regexp.MustCompile(`(?i)^(.+?)(?:, not|,? instead of|,? rather than) (.+)$`)
	insteadRE   = regexp.MustCompile(`(?i)^(.+?),? (?:instead|rather)[.!]*$`)
	noTitleRE   = regexp.MustCompile(`(?i)^(?:i|i'?m|you|we|he|she|they|what|why|how|when|who|where|that|this|it|it's|thanks|thank|is|are|do|does|can|never|not|nothing|ok|fine|wrong|good|bad|yes|no|all|everything|stop|wait|really|sure|of|nevermind)\b`)
	priorityRE  = regexp.MustCompile(`(?i)^(?:urgent|important|high(?:est)? priority|top priority|low priority|a priority)$`)
)

var noPriorities = intent{kind: say, text: "There are no priorities here. You can put it in the title, for example “make it Call mom (urgent)”."}

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
	return m.corrected(words, strings.Trim(wrong, " .,!"), said, makeItRE.MatchString(s))
}

// corrected applies a correction to what was done last.
func (m *memory) corrected(words, wrong string, said, renames bool) (intent, bool) {
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
		return noPriorities, true
	}
	if (m.lastVerb == completeTask || m.lastVerb == deleteTask) && !renames {
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

var nameRE = regexp.MustCompile(`^[A-Z][a-z]+$`)

var timeTailRE = regexp.MustCompile(`(?i) (?:at \d[\d:. ]*(?:am|pm)?|in the (?:morning|afternoon|evening)|at night|tonight)$`)

// refit puts a correction where it belongs in a title: "bread" makes "Buy milk"
// into "Buy bread".
func refit(old, corrected string) string {
	if old == "" || beginsWithChore(corrected) || !beginsWithChore(old) || len(strings.Fields(corrected)) > 4 {
		return title(corrected)
	}
	// "Call Bob about the tickets", "no, Ann": one name for the other.
	if nameRE.MatchString(corrected) {
		words := strings.Fields(old)
		at, names := 0, 0
		for i, w := range words {
			if i > 0 && nameRE.MatchString(w) {
				at, names = i, names+1
			}
		}
		if names == 1 {
			words[at] = corrected
			return strings.Join(words, " ")
		}
	}
	verb, _, _ := strings.Cut(old, " ")
	fitted := verb + " " + corrected
	if tail := timeTailRE.FindString(old); tail != "" && !timeTailRE.MatchString(fitted) {
		fitted += tail
	}
	return fitted
}
