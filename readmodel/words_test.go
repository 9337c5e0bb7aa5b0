package readmodel

import (
	"slices"
	"testing"
)

// The short way for plain texts finds the words that the long way finds: a
// character that is none of theirs, behind a space, takes the long way.
func FuzzPlainWords(f *testing.F) {
	for _, text := range []string{"", "Buy milk, and milk!", "a1-b2_c3", "\x00x\x7fY", "  ", "x" + string(make([]byte, 100)), "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz 9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !plain(text) || len(text) > searchedText-4 {
			return
		}
		if got, want := words(text), words(text+" …"); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	})
}
