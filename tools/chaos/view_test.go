package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parleychat/parley/events"
)

// A reader that loses its connection, gets some of it twice and some of it from
// a snapshot ends with the text, and notes what was on its screen.
func TestViewReadsByTheRules(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	list := c.e.Log[c.at]
	v, err := newView(c.at.User, c.at.Conversation)
	if err != nil {
		t.Fatal(err)
	}
	v.subscribed = 1
	for _, l := range list[:3] {
		if v.commit([]byte(l.Raw), l.Commit.N) {
			t.Fatalf("a gap at %d", l.Commit.N)
		}
	}
	delta := func(attempt, offset int, text string) {
		v.delta(events.Delta{ConversationID: "c1", RunID: c.run("m1"), Step: 2, Attempt: attempt, Offset: offset, Text: text})
	}
	delta(1, 0, "canary")
	delta(1, 0, "canary") // again
	delta(1, 9, "one")    // a hole
	if v.record.Holes != 1 || v.hole.IsZero() {
		t.Errorf("%d holes", v.record.Holes)
	}
	v.snapshot(events.Snapshot{ConversationID: "c1", RunID: c.run("m1"), Step: 2, Attempt: 1, Text: "canary-a d"})
	delta(1, 10, "one")
	v.delta(events.Delta{ConversationID: "c1", RunID: c.run("m2"), Step: 1, Attempt: 1, Text: "of another run"})
	if got := string(v.draft.Text); got != "canary-a done" || v.lacking() != 0 {
		t.Errorf("the draft is %q, lacking for %v", got, v.lacking())
	}
	if !v.commit([]byte(list[4].Raw), 5) {
		t.Error("no gap between 3 and 5")
	}
	for _, l := range list[3:] {
		v.commit([]byte(l.Raw), l.Commit.N)
	}
	v.commit([]byte(list[1].Raw), 2)
	r := v.finish()
	if diff := cmp.Diff(map[events.RunID]string{c.run("m1"): "canary-a done", c.run("m2"): "canary-a half"}, r.Texts); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"commit 5 followed 3", "commit 2 came again within one subscription"}, r.Disorder); diff != "" {
		t.Errorf("disorder (-want +got):\n%s", diff)
	}
	if len(r.Drafts) != 1 || r.Drafts[0].Text != "canary-a done" || r.Drafts[0].HoleFor > time.Minute {
		t.Errorf("drafts %+v", r.Drafts)
	}
}

func TestForeignCanary(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"nothing": "", `{"title":"canary-1a milk"}`: "", "canary-1a and canary-2b": "canary-2b", "canary-1ab": "canary-1ab",
	} {
		if got := foreignCanary(s, "canary-1a"); got != want {
			t.Errorf("in %q found %q, want %q", s, got, want)
		}
	}
}
