package readmodel_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func open(t testing.TB, db testkit.Database) *readmodel.Store {
	t.Helper()
	s, err := readmodel.Open(testkit.Context(t), db.AppURL, readmodel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func ref(t testing.TB, u events.UserID, c events.ConversationID) events.Ref {
	t.Helper()
	r, err := events.NewRef(u, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A scribe writes commits as the recorder does, one batch at a time.
type scribe struct {
	t     testing.TB
	store *readmodel.Store
	at    readmodel.Position
	folds map[events.Ref]*readmodel.Fold
}

func newScribe(t testing.TB, s *readmodel.Store) *scribe {
	t.Helper()
	at, err := s.Checkpoint(testkit.Context(t), events.StreamLog, testkit.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	return &scribe{t, s, at, map[events.Ref]*readmodel.Fold{}}
}

// write records commits in one batch and returns the folds they went into.
func (w *scribe) write(ctx context.Context, list ...*events.Commit) {
	w.t.Helper()
	b := &readmodel.Batch{From: w.at, To: w.at}
	seen := map[events.Ref]bool{}
	for _, k := range list {
		raw, err := k.Encode()
		if err != nil {
			w.t.Fatal(err)
		}
		k, err := events.DecodeCommit(raw) // as it comes out of the log
		if err != nil {
			w.t.Fatal(err)
		}
		r := ref(w.t, k.UserID, k.ConversationID)
		f := w.folds[r]
		if f == nil {
			loaded, err := w.store.Load(ctx, []events.Ref{r})
			if err != nil {
				w.t.Fatal(err)
			}
			if f = loaded[0]; f.Broken != nil {
				w.t.Fatal(f.Broken)
			}
			w.folds[r] = f
		}
		if err := f.Apply(k, len(raw)); err != nil {
			w.t.Fatal(err)
		}
		b.To.Seq++
		b.To.CommitID = k.CommitID
		b.Records = append(b.Records, readmodel.Record{Commit: k, Raw: raw, Seq: b.To.Seq})
		if !seen[r] {
			seen[r] = true
			b.Folds = append(b.Folds, f)
		}
	}
	if err := w.store.Write(ctx, b); err != nil {
		w.t.Fatal(err)
	}
	w.at = b.To
}

// An author makes up the history of one conversation: mostly what an agent would
// write, now and then what none should.
type author struct {
	*rand.Rand
	user         events.UserID
	conversation events.ConversationID
	n            uint64
	time         time.Time
	runs         []events.RunID
	calls        []events.CallID
	step         int
}

func newAuthor(seed uint64, u events.UserID, c events.ConversationID) *author {
	return &author{Rand: rand.New(rand.NewPCG(seed, 7)), user: u, conversation: c, time: testkit.Epoch}
}

// commit wraps events as the conversation's next commit.
func (a *author) commit(list ...events.Event) *events.Commit {
	a.n++
	a.time = a.time.Add(time.Duration(1+a.IntN(5000)) * time.Millisecond)
	return &events.Commit{
		V: events.Version, ConversationID: a.conversation, UserID: a.user, N: a.n, CommitID: fmt.Sprintf("%s:%s:%d", a.user, a.conversation, a.n),
		Cause: fmt.Sprintf("cause-%d", a.n), By: events.ByUser, Time: a.time, Events: list,
	}
}

func (a *author) next() *events.Commit {
	list := make([]events.Event, 1+a.IntN(3))
	for i := range list {
		list[i] = a.event()
	}
	return a.commit(list...)
}

var phrases = []string{"buy milk", "Käse & Brot", "牛乳を買う", "nul \x00 inside", "   ", "done!", "call the café at 3.30", "a longer sentence about nothing at all"}

func (a *author) phrase() string { return phrases[a.IntN(len(phrases))] }

func (a *author) run() events.RunID {
	switch {
	case len(a.runs) == 0 || a.IntN(20) == 0:
		return "never-heard-of"
	case a.IntN(3) > 0:
		return a.runs[len(a.runs)-1]
	default:
		return a.runs[a.IntN(len(a.runs))]
	}
}

func (a *author) call() events.CallID {
	if len(a.calls) == 0 {
		return "no-call-0-0"
	}
	return a.calls[a.IntN(len(a.calls))]
}

func (a *author) event() events.Event {
	switch k := a.IntN(20); k {
	case 0, 1, 2, 3:
		m := events.MessageID(fmt.Sprintf("message-%d", len(a.runs)))
		id := events.RunIDFor("anyone", a.conversation, m)
		e := events.MessageAccepted{MessageID: m, RunID: id, Text: a.phrase(), Timezone: "Europe/Berlin"}
		if a.IntN(10) > 0 && len(a.runs) > 0 {
			e.ParentID = a.run()
		}
		a.runs = append(a.runs, id)
		return e
	case 4, 5, 6:
		return events.RunStarted{RunID: a.run(), MessageID: "message-0", Model: "m", Deadline: a.time.Add(time.Minute)}
	case 7, 8:
		a.step++
		return events.StepStarted{RunID: a.run(), Step: a.step, Attempt: 1, Lease: events.Lease{Stream: events.StreamInbox, Sequence: a.n, Delivery: 1}, Worker: "w"}
	case 9, 10:
		id := a.run()
		e := events.StepCompleted{RunID: id, Step: a.step, Attempt: 1, Text: a.phrase(), Usage: events.Usage{InputTokens: 10, OutputTokens: a.IntN(9)}, FinishReason: "stop"}
		for i := range a.IntN(3) {
			c := events.CallIDFor(id, a.step, i)
			a.calls = append(a.calls, c)
			e.ToolCalls = append(e.ToolCalls, events.ToolCall{CallID: c, Name: "add_task", Arguments: jsontext.Value(`{"z":1.0,"a":"\u0000"}`)})
		}
		return e
	case 11:
		c := a.call()
		return events.ToolCalled{CallID: c, RunID: events.RunOf(c), Server: "tasks", Name: "add_task", Arguments: jsontext.Value(`{"title":"x"}`), By: events.ByModel, Deadline: a.time}
	case 12:
		c := a.call()
		return events.ToolReturned{CallID: c, RunID: events.RunOf(c), OK: true, Result: jsontext.Value(`{"task":{"task_id":1}}`), DurationMS: 3, Late: a.IntN(2) == 0}
	case 13:
		c := a.call()
		return events.ApprovalRequested{CallID: c, RunID: events.RunOf(c), ExpiresAt: a.time.Add(time.Hour)}
	case 14:
		c := a.call()
		return events.ApprovalAnswered{CallID: c, RunID: events.RunOf(c), Decision: events.Allow, By: events.ByUser, Deadline: a.time.Add(time.Minute)}
	case 15:
		if a.IntN(2) == 0 {
			return events.StepInterrupted{RunID: a.run(), Step: a.step, Attempt: 1}
		}
		return events.RunCancelRequested{RunID: a.run(), By: events.ByUser, Why: events.WhyUser}
	case 16, 17:
		u := events.Usage{InputTokens: 100, OutputTokens: 20, Estimated: a.IntN(4) == 0}
		switch a.IntN(3) {
		case 0:
			return events.RunCompleted{RunID: a.run(), Usage: u}
		case 1:
			return events.RunFailed{RunID: a.run(), Code: events.FailModel, Message: "no", Usage: u, Receipt: events.Receipt{Text: a.phrase()}}
		default:
			return events.RunCancelled{RunID: a.run(), Usage: u, Receipt: events.Receipt{Ran: []events.CallID{"x-1-0"}}}
		}
	case 18:
		return events.MessageRated{RunID: a.run(), Rating: []string{events.RatedUp, events.RatedNone}[a.IntN(2)]}
	default:
		return []events.Event{
			events.ConversationRenamed{Title: "about " + a.phrase(), By: events.ByModel},
			events.ConversationPinned{Pinned: a.IntN(2) == 0},
			events.ConversationRead{ReadN: a.n},
			events.ConversationArchived{Archived: a.IntN(2) == 0},
			events.Unknown{Type: "later.invented", Raw: jsontext.Value(`{"type":"later.invented","x":[1]}`)},
		}[a.IntN(5)]
	}
}
