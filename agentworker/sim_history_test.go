package agentworker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parleychat/parley/events"
)

// A story is a setting and the moves that were made in it, by name.
type story struct {
	setting *setting
	moves   []string
	end     *world
}

// replay makes the moves that can be made, and takes what is left to rest. The
// people do what the moves have them do, nothing else.
func replay(s *setting, moves []string, tell func(string)) (*story, error) {
	only := *s
	only.people = slices.DeleteFunc(slices.Clone(s.people), func(l letter) bool { return !slices.Contains(moves, "send "+l.name) })
	only.faults = 1 << 10
	w := newWorld(&only)
	h := &story{setting: s, end: w}
	n := w.head.conv.N
	say := func(m move) {
		if tell == nil {
			w.do(m)
			return
		}
		tell(w.name(m))
		w.do(m)
		if now := w.head.conv.N; now != n {
			n = now
			tell(fmt.Sprintf("  n=%d %s", n, w.last()))
		}
	}
	for _, name := range moves {
		if m, ok := w.find(name); ok {
			h.moves = append(h.moves, w.name(m))
			say(m)
		}
		if w.err != nil {
			return h, w.err
		}
	}
	if tell != nil {
		tell("then, without faults,")
	}
	return h, w.rest(say)
}

// find returns the move of that name, or else one by which somebody else does
// the same: who starts a run depends on what went before.
func (w *world) find(name string) (found move, ok bool) {
	_, verb, hands := strings.Cut(name, ": ")
	for _, m := range w.menu(nil) {
		other := w.name(m)
		if other == name {
			return m, true
		}
		if _, does, _ := strings.Cut(other, ": "); hands && !ok && does == verb {
			found, ok = m, true
		}
	}
	return found, ok
}

// tell writes down what happens in s when the moves are made.
func tell(s *setting, moves []string) (lines []string) {
	_, err := replay(s, moves, func(line string) { lines = append(lines, line) })
	if err != nil {
		lines = append(lines, err.Error())
	}
	return lines
}

// shortest leaves out moves as long as the rest still breaks the same promise.
func (h *story) shortest(err error) *story {
	want := law(err)
	best := h
	try := func(moves []string) bool {
		k, err := replay(h.setting, moves, nil)
		if err == nil || law(err) != want || len(k.moves) >= len(best.moves) {
			return false
		}
		best = k
		return true
	}
	for size := len(best.moves) / 2; size > 0; {
		shorter := false
		for from := 0; from < len(best.moves); {
			if !try(slices.Delete(slices.Clone(best.moves), from, min(from+size, len(best.moves)))) {
				from += size
				continue
			}
			shorter = true
		}
		switch {
		case size > 1:
			size /= 2
		case !shorter:
			// Two that only make sense together, such as a send and its delivery.
			if !best.pairs(try) {
				return best
			}
		}
	}
	return best
}

// pairs tries to leave out two moves.
func (h *story) pairs(try func([]string) bool) bool {
	for i := range h.moves {
		for j := i + 1; j < min(len(h.moves), i+20); j++ {
			moves := slices.Delete(slices.Clone(h.moves), j, j+1)
			if try(slices.Delete(moves, i, i+1)) {
				return true
			}
		}
	}
	return false
}

// A failure is told without what has nothing to do with it.
func TestShortest(t *testing.T) {
	t.Parallel()
	wrong := readings[slices.IndexFunc(readings, func(p planted) bool { return p.name == "06" })]
	_, h, err := wrong.find(t, 1)
	if err == nil {
		t.Fatal("nothing to shorten")
	}
	short := h.shortest(err)
	if _, again := replay(h.setting, short.moves, nil); law(again) != law(err) || len(short.moves) > 12 || len(short.moves) >= len(h.moves) {
		t.Errorf("%d moves of %d break %v, as %v was\n%s", len(short.moves), len(h.moves), again, err, strings.Join(short.moves, "\n"))
	}
}

// histories is where golden cases are kept.
const histories = "testdata/sim"

// save writes h as a golden case.
func (h *story) save(name string, why error) error {
	text := fmt.Sprintf("# %v\n%s\n%s\n", why, h.setting.conversation, strings.Join(h.moves, "\n"))
	if err := os.MkdirAll(histories, 0o750); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(histories, name+".txt"), []byte(text), 0o600)
}

// golden reads a golden case: a sentence on what once broke, the conversation,
// and the moves.
func golden(t *testing.T, file string, wrong reading) (*setting, []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "# ") {
		t.Fatalf("%s is no history", file)
	}
	s := anything(wrong)
	s.conversation = events.ConversationID(lines[1])
	if s.conversation == events.Home {
		s.people = panel()
	}
	return s, lines[2:]
}

// TestHistories replays every history that once broke a promise: under the
// rules as they are, it ends well. Histories of wrong readings need not be
// possible under right ones; all others are, to their last move.
func TestHistories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(histories, "*.txt"))
	if err != nil || len(files) < len(readings) {
		t.Fatalf("%d histories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			s, moves := golden(t, file, reading{})
			h, err := replay(s, moves, nil)
			if err != nil {
				t.Errorf("%v\n%s", err, strings.Join(tell(s, moves), "\n"))
			}
			if !strings.HasPrefix(filepath.Base(file), readingPrefix) && !slices.Equal(h.moves, moves) {
				t.Errorf("it goes another way now; if that is right, keep the way it goes:\n%s", strings.Join(h.moves, "\n"))
			}
		})
	}
}
