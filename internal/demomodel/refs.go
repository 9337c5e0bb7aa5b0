package demomodel

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ref is how a sentence names tasks. Exactly one field is set, many aside.
type ref struct {
	ids    []int
	places []int // 1 = first; -1 = last
	it     bool
	them   bool
	all    string // "all", "open", "completed"
	words  string
	many   bool // words: all that match
}

const batch = 20 // tasks in one answer: a run has a limit of tool calls

var (
	fromListRE = regexp.MustCompile(`(?i)(?:,? (?:from|off|on|in|of) (?:my|the|this) (?:whole |entire )?(?:to-?do |task )?(?:list|tasks|to-?dos?|todos))$`)
	allRE      = regexp.MustCompile(`(?i)^(?:(?:absolutely |really |just )?(?:all|every(?: single)?)(?: of)?(?: the| my| these| those)?(?: (open|pending|remaining|unfinished|other|completed?|done|finished|closed|old))?(?: (?:tasks?|ones?|things?|items?|to-?dos?|stuff|it))?|everything|all of it|(?:my|the)(?: whole| entire| complete| full)? ?(?:to-?do |task )?list|(?:the |my )?(open|pending|remaining|unfinished|completed|done|finished|closed) (?:tasks|ones|items|to-?dos|things|stuff)|(?:my|the) (?:tasks|to-?dos|items)|(?:what(?:'s| is)|everything(?: that(?:'s| is))?) (open|completed|done|finished))$`)
	itRE       = regexp.MustCompile(`(?i)^(?:it|that|this|that one|this one|the one|the task|that task|this task|the same(?: one)?|the item|the latter)$`)
	themRE     = regexp.MustCompile(`(?i)^(?:them|those|these|they|both|both (?:of )?(?:them|those|these|tasks|ones)|all of (?:them|those|these)|them all|(?:all|those|these|the) (?:two|three|four|five|six|seven)(?: of them| tasks| ones)?|those (?:tasks|ones)|these (?:tasks|ones)|all (?:those|these))$`)
	placeRE    = regexp.MustCompile(`(?i)^(?:the |my )?(?:very )?(first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d{1,2}(?:st|nd|rd|th)|last|latest|newest|most recent|oldest|next|top|bottom|top ?most|previous)(?: (?:one|task|item|thing|to-?do|entry))?(?: (?:i|you) (?:just )?(?:added|made|created|mentioned))?$`)
	placesRE   = regexp.MustCompile(`(?i)^(?:the |my )?(first|last|top) (two|three|four|five|\d{1,2})(?: (?:ones|tasks|items|things|to-?dos))?$`)
	hashRE     = regexp.MustCompile(`#(\d{1,9})\b`)
	idWordRE   = regexp.MustCompile(`(?i)^(?:tasks?|numbers?|no\.?|nr\.?|num|items?|ids?|to-?dos?|todos?|the|with|#|and|plus|also|&)$`)
	rangeRE    = regexp.MustCompile(`^#?(\d{1,9})(?:-|–|\.\.)#?(\d{1,9})$`)
	everyRE    = regexp.MustCompile(`(?i)^(?:all|both|every)(?: of)?(?: the| my)? (.+)$`)
	leadRE     = regexp.MustCompile(`(?i)^(?:(?:the|my|a|an|that|this|our)\s+)?(?:(?:tasks?|to-?dos?|items?|reminders?|ones?)\s+(?:to|about|called|named|titled|for|with|of|that says|saying)\s+)?(?:(?:the|my|a|an)\s+)?`)
	tailRE     = regexp.MustCompile(`(?i)\s+(?:tasks?|ones?|items?|to-?dos?|reminders?)$`)
	andRE      = regexp.MustCompile(`(?i)\s*,\s*(?:and\s+)?|\s+(?:and|&|plus)\s+`)
)

var places = map[string]int{
	"first": 1, "oldest": 1, "next": 1, "top": 1, "topmost": 1, "top most": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6,
	"seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10, "last": -1, "latest": -1, "newest": -1, "most recent": -1, "bottom": -1, "previous": -1,
}

func parseRef(s string) ref {
	s = strings.Trim(strings.TrimSpace(s), ".,!?:; ")
	s = strings.TrimSpace(fromListRE.ReplaceAllString(s, ""))
	if m := allRE.FindStringSubmatch(s); m != nil {
		which := "all"
		switch strings.ToLower(m[1] + m[2] + m[3]) {
		case "open", "pending", "remaining", "unfinished", "other":
			which = "open"
		case "complete", "completed", "done", "finished", "closed", "old":
			which = "completed"
		}
		return ref{all: which}
	}
	switch {
	case itRE.MatchString(s):
		return ref{it: true}
	case themRE.MatchString(s):
		return ref{them: true}
	}
	if ids := parseIDs(s); len(ids) > 0 {
		return ref{ids: ids}
	}
	if p := parsePlaces(s); len(p) > 0 {
		return ref{places: p}
	}
	if c := everyRE.FindStringSubmatch(s); c != nil {
		return ref{words: c[1], many: true}
	}
	if unquote(s) != s {
		return ref{words: unquote(s)}
	}
	s = leadRE.ReplaceAllString(s, "")
	return ref{words: unquote(strings.TrimSpace(tailRE.ReplaceAllString(s, "")))}
}

func (r ref) empty() bool {
	return len(r.ids) == 0 && len(r.places) == 0 && !r.it && !r.them && r.all == "" && r.words == ""
}

// certain is a ref that does not depend on words: "3", "it", "the last one".
func (r ref) certain() bool { return r.words == "" && !r.empty() }

// parseIDs reads numbers and nothing but numbers, or whatever carries a #.
func parseIDs(s string) []int {
	var ids []int
	put := func(id int) {
		if id > 0 && !slices.Contains(ids, id) && len(ids) < batch {
			ids = append(ids, id)
		}
	}
	if hash := hashRE.FindAllStringSubmatch(s, -1); hash != nil && !strings.Contains(s, "-#") {
		for _, h := range hash {
			put(number(h[1]))
		}
		if !restIsNumbers(s) {
			return ids
		}
		ids = nil
	}
	fields := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '&' || r == '\n' })
	said, to, prev := false, false, 0
	for _, f := range fields {
		if m := rangeRE.FindStringSubmatch(f); m != nil {
			for id, end := number(m[1]), number(m[2]); id <= end && len(ids) < batch; id++ {
				put(id)
			}
			continue
		}
		digits := strings.TrimPrefix(f, "#")
		id, err := strconv.Atoi(digits)
		switch {
		case err == nil && len(digits) <= 9:
			for from := prev + 1; to && from < id && len(ids) < batch; from++ {
				put(from)
			}
			put(id)
			prev, to = id, false
		case idWordRE.MatchString(f):
			said = said || !strings.EqualFold(f, "the")
		case len(ids) > 0 && (f == "to" || f == "through" || f == "until" || f == "-"):
			to = true
		case number(f) > 0 && len(f) > 2 && (said || len(fields) == 1):
			put(number(f))
		default:
			return nil
		}
	}
	return ids
}

func restIsNumbers(s string) bool {
	return !strings.ContainsFunc(idListRE.ReplaceAllString(s, ""), func(r rune) bool { return r != ' ' && r != ',' })
}

var idListRE = regexp.MustCompile(`(?i)#?\d+|\b(?:tasks?|and|to|through|numbers?|the)\b|-`)

func parsePlaces(s string) []int {
	if m := placesRE.FindStringSubmatch(s); m != nil {
		var out []int
		for i := 1; i <= min(number(m[2]), batch); i++ {
			if strings.EqualFold(m[1], "last") {
				out = append([]int{-i}, out...)
			} else {
				out = append(out, i)
			}
		}
		return out
	}
	var out []int
	for _, part := range andRE.Split(s, -1) {
		m := placeRE.FindStringSubmatch(part)
		if m == nil {
			return nil
		}
		word := strings.ToLower(m[1])
		p, ok := places[word]
		if !ok {
			p = number(strings.TrimRight(word, "sthndr"))
		}
		if p == 0 {
			return nil
		}
		out = append(out, p)
	}
	return out
}

// at picks places from ids; ok is false if one lies outside.
func at(ids, places []int) (out []int, ok bool) {
	for _, p := range places {
		i := p - 1
		if p < 0 {
			i = len(ids) + p
		}
		if i < 0 || i >= len(ids) {
			return nil, false
		}
		if !slices.Contains(out, ids[i]) {
			out = append(out, ids[i])
		}
	}
	return out, true
}

// match finds the tasks that words mean: surely, or perhaps.
func match(words string, tasks []task) (sure, perhaps []task) {
	q := stems(words)
	if len(q) == 0 {
		return nil, nil
	}
	var exact, within []task
	best := 0
	for _, t := range tasks {
		title := stems(t.Title)
		hits := overlap(q, title, alike)
		near := overlap(q, title, mistyped)
		switch {
		case hits == len(q) && len(title) == len(q):
			exact = append(exact, t)
		case hits == len(q):
			sure = append(sure, t)
		case len(title) > 0 && overlap(title, q, alike) == len(title) && hits*2 >= len(q):
			within = append(within, t)
		case near > 0 && near*2 >= len(q) && near >= best:
			if near > best {
				perhaps, best = nil, near
			}
			perhaps = append(perhaps, t)
		}
	}
	switch {
	case len(exact) > 0:
		return exact, nil
	case len(sure) > 0:
		return sure, nil
	case len(within) > 0:
		return within, nil
	}
	return nil, perhaps
}

func overlap(q, title []string, same func(a, b string) bool) int {
	n := 0
	for _, w := range q {
		if slices.ContainsFunc(title, func(t string) bool { return same(w, t) }) {
			n++
		}
	}
	return n
}
