package readmodel

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever the text: a search for one of its words finds a place for it, the
// places are in order and inside, and the pieces say the text again.
func FuzzSpans(f *testing.F) {
	for _, text := range []string{"", "Buy milk, and milk!", "Crème fraîche", "e\u0301te\u0301", "牛乳を買う", "\xff\xfe a\xffb", "a\x00b", "ﬁne ½ Ⅷ", "한국어", strings.Repeat("x", 100), "İstanbul ǅ"} {
		f.Add(text)
	}
	f.Add("000 0 000")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 {
			return
		}
		for _, w := range words(text) {
			found, _ := spans(text, []string{w})
			if !slices.ContainsFunc(found, func(s span) bool { return slices.Contains(words(text[s.from:s.to]), w) }) {
				t.Errorf("%q: no place for %q", text, w)
			}
		}
		wanted := words(text)
		wanted = wanted[:min(3, len(wanted))]
		last := 0
		found, _ := spans(text, wanted)
		for _, s := range found {
			if s.from < last || s.to <= s.from || s.to > len(text) { // one letter may stand for two words, as ½ does
				t.Fatalf("%q: a span from %d to %d after %d", text, s.from, s.to, last)
			}
			last = s.from
		}
		var b strings.Builder
		for _, p := range marked(text, wanted) {
			if p.Text == "" {
				t.Errorf("%q: an empty piece", text)
			}
			b.WriteString(p.Text)
		}
		if want := strings.Join(strings.Fields(strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", " ")), " "); b.String() != want {
			t.Errorf("marked %q, want %q", b.String(), want)
		}
		list, n := excerpt(text, wanted)
		if n != len(wanted) {
			t.Errorf("%q: an excerpt that counts %d of %d", text, n, len(wanted))
		}
		length := 0
		for _, p := range list {
			length += utf8.RuneCountInString(p.Text)
		}
		if length > excerptRunes+2 {
			t.Errorf("an excerpt of %d runes", length)
		}
	})
}

// [45] Of a long text the part is shown that has most of the words.
func TestExcerptShowsTheMostWords(t *testing.T) {
	t.Parallel()
	far := strings.Repeat("nothing here ", 40)
	list, n := excerpt("milk first. "+far+"here bread and milk together. "+far, words("milk bread"))
	var hits []string
	for _, p := range list {
		if p.Hit {
			hits = append(hits, p.Text)
		}
	}
	if n != 2 || !slices.Equal(hits, []string{"bread", "milk"}) {
		t.Errorf("%d words, hits %q in %+v", n, hits, list)
	}
	if list, n := excerpt(far, words("milk")); n != 0 || len(list) != 1 || !strings.HasPrefix(list[0].Text, "nothing here") {
		t.Errorf("without a hit: %d, %+v; want the beginning", n, list)
	}
}
