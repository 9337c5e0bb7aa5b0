package events_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/parleychat/parley/events"
)

// A writer is a worker that streams one attempt, as readers may see it.
type writer struct {
	step, attempt int
	text          string
	sent          int
}

func (w *writer) delta(n int) events.Delta {
	end := min(w.sent+n, len(w.text))
	for end < len(w.text) && !utf8.RuneStart(w.text[end]) {
		end++
	}
	d := events.Delta{ConversationID: "c", RunID: "r", Step: w.step, Attempt: w.attempt, Offset: w.sent, Text: w.text[w.sent:end]}
	w.sent = end
	return d
}

func (w *writer) snapshot() events.Snapshot {
	return events.Snapshot{ConversationID: "c", RunID: "r", Step: w.step, Attempt: w.attempt, Text: w.text[:w.sent]}
}

// Whatever a network does to deltas and snapshots, a draft is at every moment a
// beginning of the text of the newest attempt it has heard of; and a reader who
// asks for a snapshot after each hole has all of it in the end.
func TestDraftAgainstTheWriters(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 2))
			var wire []any
			var writers []*writer
			for step := 1; step <= 1+rng.IntN(2); step++ {
				for attempt := 1; attempt <= 1+rng.IntN(3); attempt++ {
					w := &writer{step: step, attempt: attempt, text: strings.Repeat(fmt.Sprintf("é%d🙂%d ", step, attempt), rng.IntN(30))}
					writers = append(writers, w)
					for w.sent < len(w.text) {
						wire = append(wire, w.delta(1+rng.IntN(20)))
						if rng.IntN(6) == 0 {
							wire = append(wire, w.snapshot())
						}
						if attempt < 3 && rng.IntN(20) == 0 {
							break // died here
						}
					}
				}
			}
			wire = distort(rng, wire)
			last := writers[len(writers)-1]
			d := &draft{texts: map[[2]int]string{}}
			for _, w := range writers {
				d.texts[[2]int{w.step, w.attempt}] = w.text
			}
			for _, f := range wire {
				d.receive(t, f)
			}
			if last.sent == 0 {
				return
			}
			// A delta after all, when the draft has a hole, and the snapshot asked for because of it.
			d.receive(t, events.Delta{RunID: "r", Step: last.step, Attempt: last.attempt, Offset: last.sent})
			if d.hole {
				d.receive(t, last.snapshot())
			}
			if got := string(d.Text); got != last.text[:last.sent] {
				t.Errorf("the draft ends as %q, want %q", got, last.text[:last.sent])
			}
		})
	}
}

// distort loses, doubles and reorders.
func distort(rng *rand.Rand, wire []any) []any {
	var out []any
	for _, f := range wire {
		switch rng.IntN(8) {
		case 0:
		case 1:
			out = append(out, f, f)
		default:
			out = append(out, f)
		}
	}
	for range rng.IntN(1 + len(out)/4) {
		i := rng.IntN(len(out))
		j := min(len(out)-1, i+rng.IntN(6))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// A draft is an events.Draft that checks itself.
type draft struct {
	events.Draft
	texts map[[2]int]string
	hole  bool
}

func (d *draft) receive(t *testing.T, frame any) {
	t.Helper()
	was, text := [2]int{d.Step, d.Attempt}, string(d.Text)
	switch f := frame.(type) {
	case events.Delta:
		fit := d.Add(f)
		d.hole = fit == events.Hole
		if grown := string(d.Text) != text && [2]int{d.Step, d.Attempt} == was; grown && fit != events.Appended {
			t.Fatalf("the draft grew, but Add says %d", fit)
		}
		if fit == events.Appended && !strings.HasSuffix(string(d.Text), f.Text) {
			t.Fatalf("%q was appended to give %q", f.Text, d.Text)
		}
	case events.Snapshot:
		if d.Set(f) {
			d.hole = false
			if string(d.Text) != f.Text {
				t.Fatalf("the draft is %q after snapshot %q", d.Text, f.Text)
			}
		} else if string(d.Text) != text {
			t.Fatal("a refused snapshot changed the draft")
		}
	}
	now := [2]int{d.Step, d.Attempt}
	if now[0] < was[0] || now[0] == was[0] && now[1] < was[1] {
		t.Fatalf("the draft went from step and attempt %v back to %v", was, now)
	}
	if now == was && len(d.Text) < len(text) {
		t.Fatalf("the draft shrank from %q to %q", text, d.Text)
	}
	if !strings.HasPrefix(d.texts[now], string(d.Text)) {
		t.Fatalf("the draft is %q, no beginning of %q", d.Text, d.texts[now])
	}
}

func TestDraft(t *testing.T) {
	t.Parallel()
	delta := func(run events.RunID, step, attempt, offset int, text string) events.Delta {
		return events.Delta{RunID: run, Step: step, Attempt: attempt, Offset: offset, Text: text}
	}
	for _, tt := range []struct {
		name string
		add  events.Delta
		want events.Fit
		text string
	}{
		{"next", delta("r", 2, 2, 2, "c"), events.Appended, "abc"},
		{"empty", delta("r", 2, 2, 2, ""), events.Appended, "ab"},
		{"seen", delta("r", 2, 2, 1, "b"), events.Stale, "ab"},
		{"before the beginning", delta("r", 2, 2, -1, "b"), events.Stale, "ab"},
		{"hole", delta("r", 2, 2, 3, "d"), events.Hole, "ab"},
		{"lower attempt", delta("r", 2, 1, 2, "x"), events.Stale, "ab"},
		{"earlier step of a higher attempt", delta("r", 1, 3, 0, "x"), events.Stale, "ab"},
		{"higher attempt", delta("r", 2, 3, 0, "x"), events.Appended, "x"},
		{"higher attempt, first delta lost", delta("r", 2, 3, 5, "x"), events.Hole, ""},
		{"later step", delta("r", 3, 1, 0, "x"), events.Appended, "x"},
		{"another run", delta("s", 1, 1, 0, "x"), events.Appended, "x"},
	} {
		d := events.Draft{RunID: "r", Step: 2, Attempt: 2, Text: []byte("ab")}
		if got := d.Add(tt.add); got != tt.want || string(d.Text) != tt.text {
			t.Errorf("%s: %d and %q, want %d and %q", tt.name, got, d.Text, tt.want, tt.text)
		}
	}
	for _, tt := range []struct {
		name string
		set  events.Snapshot
		want bool
	}{
		{"longer", events.Snapshot{RunID: "r", Step: 2, Attempt: 2, Text: "abc"}, true},
		{"equal", events.Snapshot{RunID: "r", Step: 2, Attempt: 2, Text: "ab"}, true},
		{"shorter", events.Snapshot{RunID: "r", Step: 2, Attempt: 2, Text: "a"}, false},
		{"lower attempt", events.Snapshot{RunID: "r", Step: 2, Attempt: 1, Text: "abc"}, false},
		{"earlier step", events.Snapshot{RunID: "r", Step: 1, Attempt: 9, Text: "abc"}, false},
		{"higher attempt, shorter", events.Snapshot{RunID: "r", Step: 2, Attempt: 3, Text: ""}, true},
		{"another run", events.Snapshot{RunID: "s", Step: 1, Attempt: 1, Text: ""}, true},
	} {
		d := events.Draft{RunID: "r", Step: 2, Attempt: 2, Text: []byte("ab")}
		got := d.Set(tt.set)
		if got != tt.want || got != (string(d.Text) == tt.set.Text && d.RunID == tt.set.RunID && d.Step == tt.set.Step && d.Attempt == tt.set.Attempt) {
			t.Errorf("%s: %t and %q, want %t", tt.name, got, d.Text, tt.want)
		}
	}
}
