package demomodel

import (
	"hash/fnv"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tidy makes what keyboards and clipboards produce plain: straight quotes,
// ordinary blanks, no control characters. Line breaks stay.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		switch r {
		case '‘', '’', 'ʼ', '`':
			return '\''
		case '“', '”', '„', '«', '»':
			return '"'
		case '\t', '\u00a0', '\u202f':
			return ' '
		case '\r', '\u2028':
			return '\n'
		}
		if unicode.IsControl(r) && r != '\n' || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	lines := strings.Split(s, "\n")
	kept := lines[:0]
	for _, l := range lines {
		if l = squeeze(l); l != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n")
}

// squeeze leaves one blank where there were several.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func unquote(s string) string {
	for _, q := range []string{`"`, `'`} {
		if len(s) >= 2 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			return s[1 : len(s)-1]
		}
	}
	return s
}

func capitalise(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	// "iPhone" and "eBay" know better.
	if next, _ := utf8.DecodeRuneInString(s[n:]); unicode.IsUpper(next) {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

func startsWithLetter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// pick chooses one of several ways to say a thing, the same for the same seed.
func pick(seed string, ways ...string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(seed)) // never fails
	return ways[h.Sum32()%uint32(len(ways))]
}

var markdownRE = regexp.MustCompile("[\\\\`*_\\[\\]<>|~]")

// plain keeps a person's words from becoming markdown.
func plain(s string) string {
	return markdownRE.ReplaceAllStringFunc(squeeze(s), func(c string) string { return `\` + c })
}

func short(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:runes-1]), " ") + "…"
}

// pastOf maps what people say they did to what their task says.
var pastOf = map[string]string{
	"bought": "buy", "paid": "pay", "did": "do", "done": "do", "got": "get", "sent": "send", "wrote": "write",
	"written": "write", "went": "go", "made": "make", "took": "take", "taken": "take", "read": "read", "ran": "run",
	"met": "meet", "told": "tell", "gave": "give", "given": "give", "found": "find", "brought": "bring", "built": "build",
	"sold": "sell", "fed": "feed", "swept": "sweep", "spoke": "speak", "saw": "see", "left": "leave", "put": "put",
	"set": "set", "cut": "cut", "fixed": "fix", "called": "call", "booked": "book", "emailed": "email", "cleaned": "clean",
	"washed": "wash", "watered": "water", "ordered": "order", "signed": "sign", "picked": "pick", "packed": "pack",
	"returned": "return", "submitted": "submit", "filed": "file", "cooked": "cook", "walked": "walk", "mailed": "mail",
	"posted": "post", "texted": "text", "asked": "ask", "updated": "update", "printed": "print", "renewed": "renew",
	"cancelled": "cancel", "canceled": "cancel", "scheduled": "schedule", "installed": "install", "replied": "reply",
	"vacuumed": "vacuum", "painted": "paint", "visited": "visit", "studied": "study", "practiced": "practice",
	"reviewed": "review", "prepared": "prepare", "planned": "plan", "backed": "back", "charged": "charge", "hired": "hire",
	"moved": "move", "dropped": "drop", "collected": "collect", "repaired": "repair", "talked": "talk", "organized": "organize",
	"mowed": "mow", "ironed": "iron", "baked": "bake", "watched": "watch", "exercised": "exercise", "shipped": "ship",
	"wrapped": "wrap", "registered": "register", "applied": "apply", "checked": "check", "phoned": "phone",
}

// chores are the verbs that tasks begin with; they tell "call mom and pay rent"
// from "milk and bread".
var chores = setOf(`answer apply arrange ask assemble attend back bake book borrow brainstorm bring brush build buy call cancel celebrate
	change charge check choose clean collect compare complain confirm contact cook create cut decide declutter deliver deploy deposit
	design discuss do donate download draft drive drop drink eat edit email empty exchange exercise feed figure file fill find finish fix
	fold follow get give go grab grow hang help hire iron install invite invoice investigate jog join learn leave look mail make measure
	meditate meet mend message mop mow move negotiate note order organise organize pack paint pay phone pick plan plant play polish post practice practise
	prepare present print publish put read refactor refill register remove renew rent repair repaint replace reply report request research reserve return
	review run save scan schedule search see sell send set sew shave ship shop sign solve sort speak start stop study submit subscribe sweep
	swim take talk teach tell test text thank throw tidy train translate transfer turn unpack unsubscribe update upgrade upload vacuum visit
	vote wait walk wash watch water wear weigh win wrap write`)

func setOf(words string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return strings.ToLower(strings.Trim(w, ".,!?:;\"'"))
}

// beginsWithChore also takes "to call" and "also call".
func beginsWithChore(s string) bool {
	s = strings.TrimSpace(s)
	for _, p := range []string{"also ", "to ", "then "} {
		if len(s) > len(p) && strings.EqualFold(s[:len(p)], p) {
			s = s[len(p):]
		}
	}
	return chores[firstWord(s)]
}

var stopWords = setOf(`the a an my our your his her their to of for task tasks todo todos item items one ones with about and on in at some
	that this these those i me is it as from off be was thing things stuff was already just have has been up out`)

// stems are a text's words of meaning in a form that survives inflection.
func stems(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if !stopWords[w] {
			out = append(out, stem(w))
		}
	}
	return out
}

func stem(w string) string {
	if p, ok := pastOf[w]; ok {
		return strings.TrimSuffix(p, "e")
	}
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 5 && strings.HasSuffix(w, "ing"):
		w = w[:len(w)-3]
	case len(w) > 4 && strings.HasSuffix(w, "es") && strings.ContainsAny(w[len(w)-3:len(w)-2], "sxzh"):
		w = w[:len(w)-2]
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss"):
		w = w[:len(w)-1]
	case len(w) > 4 && strings.HasSuffix(w, "ed"):
		w = w[:len(w)-2]
	}
	return strings.TrimSuffix(w, "e")
}

// alike forgives a plural and a word cut short.
func alike(a, b string) bool {
	return a == b || len(a) >= 4 && strings.HasPrefix(b, a) || len(b) >= 4 && strings.HasPrefix(a, b)
}

// mistyped forgives a wrong letter or two in a long word. It is never sure
// enough to act on.
func mistyped(a, b string) bool {
	return alike(a, b) || min(len(a), len(b)) >= 5 && edits(a, b) <= 1+max(len(a), len(b))/8
}

// edits counts the letters to change, add, drop or swap between a and b.
func edits(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return max(len(a), len(b))
	}
	before, prev := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(b)]
}

// join makes "a, b and c".
func join(parts []string, last string) string {
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " " + last + " " + parts[len(parts)-1]
}
