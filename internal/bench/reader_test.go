package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
)

// A reader that is told a story frame by frame: what it counts in the end.
func TestReaderCountsWhatAReaderWouldSee(t *testing.T) {
	t.Parallel()
	a := ask{Key: "k", Tokens: 10, Size: tokenSize}
	whole := answerOf(a)
	delta := func(attempt, from, to int) []byte {
		d := events.Delta{ConversationID: "c", RunID: "r", Step: 1, Attempt: attempt, Offset: from, Text: whole[from:to]}
		return d.Append(nil)
	}
	snapshot := func(attempt, to int) []byte {
		s := events.Snapshot{ConversationID: "c", RunID: "r", Step: 1, Attempt: attempt, Text: whole[:to]}
		return s.Append(nil)
	}
	commit := func(n uint64, list ...events.Event) []byte {
		c := events.Commit{V: events.Version, ConversationID: "c", UserID: "ana", N: n, CommitID: "id", Cause: "m", By: events.ByUser, Time: time.Unix(1, 0).UTC(), Events: list}
		b, err := c.Encode()
		if err != nil {
			t.Error(err)
		}
		return []byte(`{"type":"commit","conversation_id":"c","n":` + string(rune('0'+n)) + `,"commit":` + string(b) + `}`)
	}
	accepted := []byte(`{"type":"accepted","id":"m","conversation_id":"c","run_id":"r"}`)
	begin := commit(1, events.MessageAccepted{MessageID: "m", RunID: "r", Text: a.text()}, events.RunStarted{RunID: "r", MessageID: "m"}, events.StepStarted{RunID: "r", Step: 1, Attempt: 1, Worker: "w"})
	end := func(n uint64, text string) []byte {
		return commit(n, events.StepCompleted{RunID: "r", Step: 1, Attempt: 1, Text: text}, events.RunCompleted{RunID: "r"})
	}
	for _, c := range []struct {
		name          string
		frames        [][]byte
		tokens        int
		lost, doubled int
	}{
		{"as it should be", [][]byte{accepted, begin, delta(1, 0, 30), delta(1, 30, 60), end(2, whole)}, 10, 0, 0},
		{"a hole that a snapshot mends", [][]byte{accepted, begin, delta(1, 0, 6), delta(1, 30, 36), snapshot(1, 36), delta(1, 36, 60), end(2, whole)}, 10, 0, 0},
		{"a hole that the commit mends", [][]byte{accepted, begin, delta(1, 0, 6), delta(1, 30, 36), end(2, whole)}, 1, 0, 0},
		{"a second attempt", [][]byte{accepted, begin, delta(1, 0, 36), delta(2, 0, 12), delta(1, 36, 42), delta(2, 12, 60), end(2, whole)}, 16, 0, 0},
		{"a repeated commit", [][]byte{accepted, begin, begin, delta(1, 0, 60), end(2, whole)}, 10, 0, 0},
		{"a stored text without its end", [][]byte{accepted, begin, end(2, whole[:48])}, 0, 2, 0},
		{"a stored text with a token twice", [][]byte{accepted, begin, end(2, whole[:6]+whole)}, 0, 0, 1},
		{"a screen that the log does not bear out", [][]byte{accepted, begin, delta(1, 0, 60), end(2, whole[:54])}, 10, 1, 1},
		{"a missing commit", [][]byte{accepted, begin, end(3, whole)}, 0, 1, 0},
	} {
		b := &bench{clock: newClock(), book: newBook()}
		call := b.book.begin(a, 0)
		for i := range call.written {
			call.written[i].Store(1)
		}
		r := &reader{clock: b.clock, book: b.book, window: window{0, time.Hour}}
		r.expect(a, "m", 0)
		over := false
		for i, f := range c.frames {
			var err error
			if over, err = r.take(f, time.Duration(i+2)*time.Millisecond); err != nil {
				t.Errorf("%s: frame %d: %v", c.name, i, err)
			}
		}
		if !over || r.runs != 1 || r.tokens != c.tokens || r.lost != c.lost || r.doubled != c.doubled || r.err != nil {
			t.Errorf("%s: over %v, runs %d, tokens %d, lost %d, doubled %d, %v", c.name, over, r.runs, r.tokens, r.lost, r.doubled, r.err)
		}
		if r.steps["w"] != 1 {
			t.Errorf("%s: steps %v", c.name, r.steps)
		}
	}
}

func TestReaderTellsWhatFailed(t *testing.T) {
	t.Parallel()
	r := &reader{clock: newClock(), book: newBook(), window: window{0, time.Hour}}
	r.expect(ask{Key: "k", Tokens: 10, Size: tokenSize}, "m", 0)
	_, err := r.take([]byte(`{"type":"error","code":"too_many","message":"Later."}`), 1)
	if err == nil || !strings.Contains(err.Error(), "Later.") {
		t.Fatal(err)
	}
	r.abandon(err)
	if r.lost != 10 || r.err == nil {
		t.Errorf("lost %d, %v", r.lost, r.err)
	}
}
