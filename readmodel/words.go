package readmodel

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of what is indexed for search, well below what a tsvector can hold
// (1 MiB, 2,046 bytes a word).
const (
	searchedText  = 256 << 10
	searchedWords = 20_000
	wordRunes     = 64
)

// firstUnspaced is where the letters begin that stand without spaces: Thai is the
// lowest of them. Most text is below and need not be looked up.
const firstUnspaced = '\u0e00'

// words splits text into what search compares: runs of letters and digits, in
// lower case and without accents; each ideograph and kana by itself, because
// nothing stands between them. Index and query use this one function, so what
// counts as a word does not depend on the server's version or locale.
func words(text string) []string {
	var list []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			list = append(list, string(word[:min(len(word), wordRunes)]))
			word = word[:0]
		}
	}
	if len(text) > searchedText {
		text = strings.ToValidUTF8(text[:searchedText], "")
	}
	if plain(text) {
		return distinct(plainWords(text))
	}
	for _, r := range norm.NFKD.String(text) {
		switch {
		case r >= firstUnspaced && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) && unicode.IsLetter(r):
			flush()
			list = append(list, string(r))
		case unicode.IsLetter(r), unicode.IsNumber(r):
			word = append(word, unicode.ToLower(r))
		case unicode.Is(unicode.Mn, r): // an accent: neither part of a word nor its end
		default:
			flush()
		}
	}
	flush()
	return distinct(list)
}

func distinct(list []string) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), searchedWords)]
}

// plain reports whether a text is all ASCII.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// plainWords is the loop of [words] for what most texts are made of: its words
// are parts of one copy.
func plainWords(text string) []string {
	var list []string
	text = strings.ToLower(text)
	from := -1
	for i := range len(text) + 1 {
		inside := i < len(text) && ('a' <= text[i] && text[i] <= 'z' || '0' <= text[i] && text[i] <= '9')
		switch {
		case inside && from < 0:
			from = i
		case !inside && from >= 0:
			list = append(list, text[from:min(i, from+wordRunes)])
			from = -1
		}
	}
	return list
}

// storable returns s as a Postgres text can hold it: without U+0000, as UTF-8.
func storable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\ufffd")
}
