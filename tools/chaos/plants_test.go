package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parleychat/parley/internal/fault"
)

// Only what a bug is said to break catches it.
func TestCatchIsOfWhatTheBugBreaks(t *testing.T) {
	t.Parallel()
	i4, i6, first, second := violation{Check: "I4", What: "gap"}, violation{Check: "I6", What: "hole"}, violation{Check: "I1", What: "lost"}, violation{Check: "I1", What: "lost too"}
	crash := violation{Check: "panic", What: "nil"}
	for _, c := range []struct {
		name string
		bug  fault.Bug
		runs [][]violation
		want catch
	}{
		{"nothing", fault.AckBeforeCommit, [][]violation{nil, nil}, catch{}},
		{"another invariant", fault.AckBeforeCommit, [][]violation{{i4, i6}}, catch{Beside: "I4, I6"}},
		{"a crash", fault.AckBeforeCommit, [][]violation{{crash}}, catch{Beside: "panic"}},
		{"its invariant", fault.AckBeforeCommit, [][]violation{{first, second}}, catch{Caught: true, Check: "I1", What: "lost"}},
		{"its invariant among others", fault.NoExpectedSequence, [][]violation{{first, i4, i6}}, catch{Caught: true, Check: "I4", What: "gap", Beside: "I1, I6"}},
		{"two of its invariants", fault.RebaseOnConflict, [][]violation{{first, i4, i6}}, catch{Caught: true, Check: "I1, I4", What: "lost", Beside: "I6"}},
		{"in a later run", fault.AckBeforeCommit, [][]violation{{i6}, nil, {i4, first}}, catch{Caught: true, Check: "I1", What: "lost", Beside: "I4, I6"}},
		{"anything without a bug", "", [][]violation{{i4, crash}}, catch{Caught: true, Check: "I4, panic", What: "gap"}},
	} {
		c.want.Bug, c.want.Breaks = c.bug, c.bug.Breaks()
		got := catch{Bug: c.bug, Breaks: c.bug.Breaks()}
		for _, list := range c.runs {
			got.take(list)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// A bug that breaks what no check is called could never be caught.
func TestEveryBugBreaksWhatIsChecked(t *testing.T) {
	t.Parallel()
	for _, bug := range fault.Bugs() {
		if len(bug.Breaks()) == 0 {
			t.Errorf("%s breaks nothing", bug)
		}
		for _, name := range bug.Breaks() {
			if !slices.Contains(checks, name) {
				t.Errorf("%s breaks %s, which is not checked", bug, name)
			}
		}
	}
}

// The rude always interrupt, others now and then; nobody at the first message.
func TestTheRudeInterrupt(t *testing.T) {
	t.Parallel()
	for _, rude := range []bool{false, true} {
		p := &person{w: &crowd{habit: habit{rude: rude}}, rng: rand.New(rand.NewPCG(1, 2))}
		if _, m := p.message(nil, newID(), ""); m.busy != "" {
			t.Errorf("a first message has %q", m.busy)
		}
		n := 0
		for range 100 {
			if _, m := p.message(&talk{id: "c"}, newID(), ""); m.busy == "interrupt" {
				n++
			}
		}
		if n == 0 || (n == 100) != rude {
			t.Errorf("rude %v: %d of 100 interrupt", rude, n)
		}
	}
}
