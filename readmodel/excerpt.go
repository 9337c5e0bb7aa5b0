package readmodel

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A Piece is a part of a text that was searched: a word that was found, or what
// stands between such words.
type Piece struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit,omitzero"`
}

// Sizes of an excerpt in runes: all of it, and what stands before its first hit.
const (
	excerptRunes = 160
	excerptLead  = 40
)

// A span is the place of a word in a text, in bytes, and which wanted word it is.
type span struct{ from, to, word int }

// spans finds the words of text that begin with a wanted one, the longest of
// these that are sorted, and which wanted ones there are. It splits the text as
// [words] does, but keeps the places: rune by rune, because a decomposed text has
// others.
func spans(text string, wanted []string) (list []span, has []bool) {
	has = make([]bool, len(wanted))
	var word []rune
	from := 0
	end := func(to int) {
		if len(word) > 0 {
			w, which := string(word[:min(len(word), wordRunes)]), -1
			for i, x := range wanted {
				if strings.HasPrefix(w, x) {
					which, has[i] = i, true
				}
			}
			if which >= 0 {
				list = append(list, span{from, to, which})
			}
			word = word[:0]
		}
	}
	if len(text) > searchedText {
		text = text[:searchedText] // of a split rune at the end nothing is found
	}
	to := 0 // the end of the last letter: what follows may be an accent of it
	for at, r := range text {
		_, size := utf8.DecodeRuneInString(text[at:])
		parts := string(r)
		if r >= utf8.RuneSelf {
			parts = norm.NFKD.String(parts)
		}
		for _, d := range parts {
			switch {
			case d >= firstUnspaced && unicode.In(d, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) && unicode.IsLetter(d):
				end(to)
				word, from, to = append(word, d), at, at+size
				end(to)
			case unicode.IsLetter(d), unicode.IsNumber(d):
				if len(word) == 0 {
					from = at
				}
				word, to = append(word, unicode.ToLower(d)), at+size
			case unicode.Is(unicode.Mn, d):
				if len(word) > 0 {
					to = at + size
				}
			default:
				end(to)
			}
		}
	}
	end(to)
	return list, has
}

// marked returns all of a text with its hits apart.
func marked(text string, wanted []string) []Piece {
	found, _ := spans(text, wanted)
	return pieces(text, found, 0, len(text))
}

// excerpt returns the part of a text that shows the most of the wanted words, the
// first such, on one line, and how many of them the text has.
func excerpt(text string, wanted []string) ([]Piece, int) {
	found, has := spans(text, wanted)
	n := 0
	for _, yes := range has {
		if yes {
			n++
		}
	}
	first := densest(found, len(wanted))
	from, to := 0, len(text)
	if len(found) > 0 {
		from = back(text, found[first].from, excerptLead)
	}
	to = min(to, forth(text, from, excerptRunes))
	list := pieces(text, found, from, to)
	if from > 0 {
		list = slices.Insert(list, 0, Piece{Text: "…"})
	}
	if to < len(text) {
		list = append(list, Piece{Text: "…"})
	}
	return joined(list), n
}

// densest returns the first span from which an excerpt shows the most words.
func densest(found []span, words int) int {
	best, most := 0, 0
	for i, s := range found {
		if most == words {
			break
		}
		seen := map[int]bool{}
		for _, o := range found[i:] {
			if o.to-s.from > excerptRunes-excerptLead || len(seen) == words {
				break
			}
			seen[o.word] = true
		}
		if len(seen) > most {
			best, most = i, len(seen)
		}
	}
	return best
}

// back returns the place some runes before at, where a word begins if there is one.
func back(text string, at, runes int) int {
	from := at
	for ; runes > 0 && from > 0; runes-- {
		_, size := utf8.DecodeLastRuneInString(text[:from])
		from -= size
	}
	if from == 0 {
		return 0
	}
	if i := strings.IndexFunc(text[from:at], unicode.IsSpace); i >= 0 {
		return from + i
	}
	return from
}

// forth returns the place some runes after at, where a word ends if there is one.
func forth(text string, at, runes int) int {
	to := at
	for ; runes > 0 && to < len(text); runes-- {
		_, size := utf8.DecodeRuneInString(text[to:])
		to += size
	}
	if to == len(text) {
		return to
	}
	if i := strings.LastIndexFunc(text[at:to], unicode.IsSpace); i > (to-at)/2 {
		return at + i
	}
	return to
}

// pieces cuts the text between from and to at its hits.
func pieces(text string, found []span, from, to int) []Piece {
	list := []Piece{}
	for _, s := range found {
		if s.from < from || s.from >= to {
			continue
		}
		if s.from > from {
			list = append(list, Piece{Text: text[from:s.from]})
		}
		from = min(s.to, to)
		list = append(list, Piece{Text: text[s.from:from], Hit: true})
	}
	if from < to {
		list = append(list, Piece{Text: text[from:to]})
	}
	return joined(list)
}

// joined puts pieces of a kind together and each run of spaces, that of lines
// too, into one.
func joined(list []Piece) []Piece {
	out := []Piece{}
	spaced := true // nothing begins with a space
	for _, p := range list {
		var b strings.Builder
		for _, r := range strings.ToValidUTF8(p.Text, "\ufffd") {
			space := unicode.IsSpace(r) || r == 0
			if space && spaced {
				continue
			}
			if spaced = space; space {
				r = ' '
			}
			b.WriteRune(r)
		}
		switch last := len(out) - 1; {
		case b.Len() == 0:
		case last >= 0 && out[last].Hit == p.Hit:
			out[last].Text += b.String()
		default:
			out = append(out, Piece{Text: b.String(), Hit: p.Hit})
		}
	}
	if last := len(out) - 1; last >= 0 {
		if out[last].Text = strings.TrimRight(out[last].Text, " "); out[last].Text == "" {
			out = out[:last]
		}
	}
	return out
}
