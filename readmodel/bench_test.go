package readmodel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// BenchmarkReads asks for what the page asks for, in a conversation of 2,000
// messages, among 200 conversations of the person and as many of another.
func BenchmarkReads(b *testing.B) {
	store := open(b, testkit.Postgres(b))
	ctx := testkit.Context(b)
	w := newScribe(b, store)
	for _, u := range []events.UserID{"anna", "bert"} {
		for c := range 200 {
			conversation := events.ConversationID(fmt.Sprintf("c%d", c))
			a := newAuthor(uint64(c), u, conversation)
			runs := 5
			if c == 0 {
				runs = 1000 // a message and its answer each
			}
			var batch []*events.Commit
			var parent events.RunID
			for i := range runs {
				m := events.MessageID(fmt.Sprintf("m%d", i))
				run := events.RunIDFor(u, conversation, m)
				batch = append(batch, a.commit(events.MessageAccepted{MessageID: m, RunID: run, ParentID: parent, Text: fmt.Sprintf("what is left of list %d?", i)}, events.RunStarted{RunID: run},
					events.StepStarted{RunID: run, Step: 1, Attempt: 1}), a.commit(events.StepCompleted{RunID: run, Step: 1, Attempt: 1, Text: strings.Repeat("an answer of some length. ", 20)}, events.RunCompleted{RunID: run}))
				parent = run
			}
			w.write(ctx, batch...)
		}
	}
	long := ref(b, "anna", "c0")
	for name, read := range map[string]func() error{
		"base":    func() error { _, err := store.Base(ctx, long, 60, ""); return err },
		"summary": func() error { _, err := store.Summary(ctx, long); return err },
		"list": func() error {
			_, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Limit: 50})
			return err
		},
		"search rare": func() error {
			_, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Text: "777", Limit: 50})
			return err
		},
		"search common": func() error {
			_, err := store.Conversations(ctx, "anna", readmodel.ConversationsQuery{Text: "answer", Limit: 50})
			return err
		},
		"fold":    func() error { _, err := store.Load(ctx, []events.Ref{long}); return err },
		"commits": func() error { _, err := store.Commits(ctx, long, 1900, 2001); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
