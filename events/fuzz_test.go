package events_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parleychat/parley/events"
)

// refused checks that a decoder's error is one that callers can tell apart.
func refused(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, events.ErrMalformed) && !errors.Is(err, events.ErrVersion) {
		t.Fatalf("the error is neither ErrMalformed nor ErrVersion: %v", err)
	}
}

func FuzzDecodeCommit(f *testing.F) {
	for _, g := range goldens {
		s := g.begin(f)
		for _, c := range s.commits[:min(3, len(s.commits))] {
			b, err := c.Encode()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := events.DecodeCommit(b)
		if err != nil {
			refused(t, err)
			return
		}
		ref, err := c.Ref()
		if err != nil {
			t.Fatalf("a decoded commit has no ref: %v", err)
		}
		state := events.NewConversation(ref)
		state.N = c.N - 1
		apply(t, state, c)
		read, err := events.FromBase(encode(t, state.Base(1)))
		if err != nil {
			t.Fatalf("the base cannot be read: %v", err)
		}
		encode(t, read)
		again, err := c.Encode()
		if err != nil {
			if len(b) > events.MaxCommit/2 {
				return // too big, once control characters are escaped
			}
			t.Fatal(err)
		}
		d, err := events.DecodeCommit(again)
		if err != nil {
			t.Fatalf("what was encoded is refused: %v\n%s", err, again)
		}
		if diff := cmp.Diff(c, d, cmpopts.EquateEmpty(), sameJSON); diff != "" {
			t.Fatalf("commit (-first +second):\n%s", diff)
		}
		if third, err := d.Encode(); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("encoded twice (err %v):\n%s\n%s", err, again, third)
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18})
	f.Add([]byte("accept start step complete call return end, and again"))
	f.Add(bytes.Repeat([]byte{0, 0, 1, 0, 2, 0, 3, 9, 4, 9, 7, 9, 2, 17, 9, 0}, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= 4096 {
			foldsAnything(t, nonsense(b))
		}
	})
}

// Most bytes are cut short by the first event that fits nothing, so chance
// alone, without a fuzzer, must reach deep states too.
func TestFoldOfRandomEvents(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 3))
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		foldsAnything(t, nonsense(b))
	}
}

func foldsAnything(t *testing.T, commits []*events.Commit) {
	t.Helper()
	ref, err := events.NewRef(ada, "fuzz")
	if err != nil {
		t.Fatal(err)
	}
	c := events.NewConversation(ref)
	w := newWatcher()
	var half *events.Conversation
	for i, k := range commits {
		if i == len(commits)/2 {
			half = c.Clone()
		}
		before := encode(t, c)
		clone := c.Clone()
		apply(t, clone, k)
		if got := encode(t, c); !bytes.Equal(before, got) {
			t.Fatalf("a clone's commit changed its original:\n%s", cmp.Diff(string(before), string(got)))
		}
		apply(t, c, k)
		w.check(t, c)
		sameAsWhole(t, c.Base(int(k.N%4)), c)
	}
	if half == nil {
		return
	}
	read, err := events.FromBase(encode(t, half))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range commits[len(commits)/2:] {
		apply(t, half, k)
		apply(t, read, k)
	}
	want := string(encode(t, c))
	for _, got := range []*events.Conversation{half, read} {
		if diff := cmp.Diff(want, string(encode(t, got))); diff != "" {
			t.Fatalf("split in the middle (-whole +split):\n%s", diff)
		}
	}
}

// nonsense turns bytes into commits of any events about a few runs and calls.
func nonsense(b []byte) []*events.Commit {
	next := func() int {
		if len(b) == 0 {
			return 0
		}
		v := b[0]
		b = b[1:]
		return int(v)
	}
	runs := []events.RunID{"r", "s", "r-1", "", events.Root}
	var commits []*events.Commit
	for len(b) > 0 && len(commits) < 64 {
		k := &events.Commit{
			V: events.Version, UserID: ada, ConversationID: "fuzz", N: uint64(len(commits) + 1),
			CommitID: "x", Cause: fmt.Sprint(next() % 4), By: events.ByUser, Time: began.Add(time.Duration(len(commits)) * time.Second),
		}
		for range 1 + next()%3 {
			run := runs[next()%len(runs)]
			call := events.CallIDFor(runs[next()%len(runs)], next()%3, next()%2)
			if next()%8 == 0 {
				call, run = "hand", ""
			}
			k.Events = append(k.Events, anyEvent(next, run, call))
		}
		commits = append(commits, k)
	}
	return commits
}

func anyEvent(next func() int, run events.RunID, call events.CallID) events.Event {
	args := []jsontext.Value{nil, jsontext.Value(`{}`), jsontext.Value(`[1]`), jsontext.Value(`null`)}[next()%4]
	flag := next()%2 == 0
	small := next() % 3
	switch next() % 20 {
	case 0, 1:
		return events.MessageAccepted{MessageID: "m", RunID: run, ParentID: events.RunID(strings.Repeat("r", small)), Text: "t"}
	case 2:
		return events.RunStarted{RunID: run, Model: "m", Deadline: began}
	case 3:
		return events.StepStarted{RunID: run, Step: small, Attempt: 1, Lease: events.Lease{Sequence: uint64(small)}}
	case 4, 5:
		return events.StepCompleted{RunID: run, Step: small, Attempt: 1, Text: "x", ToolCalls: []events.ToolCall{
			{CallID: call, Name: "n", Arguments: args}, {CallID: events.CallIDFor(run, small, 1), Name: "n", Arguments: args},
		}}
	case 6:
		return events.ToolCalled{CallID: call, RunID: run, Server: "s", Name: "n", Arguments: args, By: events.ByUser}
	case 7:
		return events.ApprovalRequested{CallID: call, RunID: run, ExpiresAt: began}
	case 8:
		return events.ApprovalAnswered{CallID: call, RunID: run, Decision: events.Allow, Arguments: args, Deadline: began}
	case 9, 10:
		return events.ToolReturned{CallID: call, RunID: run, OK: flag, Result: args, Late: small == 0}
	case 11:
		return events.RunCancelRequested{RunID: run, By: events.ByUser, Why: events.WhyUser}
	case 12:
		return events.RunCompleted{RunID: run}
	case 13:
		return events.RunFailed{RunID: run, Code: "c", Receipt: events.Receipt{Text: strings.Repeat("x", small), Ran: []events.CallID{call}}}
	case 14:
		return events.RunCancelled{RunID: run, Receipt: events.Receipt{NotRun: []events.CallID{call}}}
	case 15:
		return events.ConversationRenamed{Title: "t", By: []events.By{events.ByModel, events.ByUser, ""}[small]}
	case 16:
		return events.MessageRated{RunID: run, Rating: []string{events.RatedUp, events.RatedNone, ""}[small]}
	case 17:
		return events.ConversationRead{ReadN: uint64(small)}
	case 18:
		return []events.Event{events.ConversationArchived{Archived: true}, events.ConversationArchived{}, events.ConversationPinned{}}[small]
	case 19:
		return events.Unknown{Type: "x", Raw: jsontext.Value(`{"type":"x"}`)}
	default:
		return []events.Event{events.ConversationDeleted{}, events.ConversationRestored{}, events.ConversationPinned{Pinned: flag}}[small]
	}
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{"ada", "a.b", "*", ">", "a b", "a\r\nPUB x", "", "é", strings.Repeat("x", 64), strings.Repeat("x", 65), "-", "_", "\x00"} {
		f.Add(s, "c1", "tasks", "t1")
		f.Add("ada", s, "tasks", "t1")
		f.Add("ada", "c1", s, "t1")
		f.Add("ada", "c1", "tasks", s)
	}
	f.Fuzz(func(t *testing.T, user, conversation, server, timer string) {
		ref, err := events.NewRef(events.UserID(user), events.ConversationID(conversation))
		valid := validByRegexp(user) && validByRegexp(conversation)
		if (err == nil) != valid || err != nil && !errors.Is(err, events.ErrInvalidID) {
			t.Fatalf("NewRef(%q, %q): %v, want valid = %t", user, conversation, err, valid)
		}
		for _, s := range subjectsOf(ref, server, timer) {
			want := valid && (s.token == "" || validByRegexp(*tokenOf(s.token, server, timer)))
			if !want {
				if s.got != "" {
					t.Fatalf("%s = %q, want none", s.name, s.got)
				}
				continue
			}
			if strings.Count(s.got, ".") != s.dots || !strings.HasPrefix(s.got, s.prefix) || strings.Trim(s.got, subjectChars) != "" ||
				strings.Contains(s.got, "..") || len(s.got) > 255 {
				t.Fatalf("%s = %q", s.name, s.got)
			}
			if c := events.ConversationOf(s.got); s.name != "TimerAt" && string(c) != conversation {
				t.Fatalf("ConversationOf(%q) = %q", s.got, c)
			}
		}
	})
}

func FuzzDelta(f *testing.F) {
	f.Add("c1", "r1", 1, 1, 0, "Hello")
	f.Add("c-1", "r_1", 12, 3, 1<<40, "\u2028\u2029\u0000\x1f\x7f\"\\/<>&\ufeff\ufffd🙂")
	f.Add("c", "r", -1, 0, -5, "\xff\xfe\xc3")
	f.Fuzz(func(t *testing.T, conversation, run string, step, attempt, offset int, text string) {
		if !events.ValidID(conversation) || !events.ValidID(run) {
			return // Append leaves the check to whoever made the id
		}
		d := events.Delta{ConversationID: events.ConversationID(conversation), RunID: events.RunID(run), Step: step, Attempt: attempt, Offset: offset, Text: text}
		got := d.Append([]byte("before"))
		clean := strings.ToValidUTF8(text, "\ufffd")
		if clean == text {
			want, err := json.Marshal(struct {
				Type string `json:"type"`
				events.Delta
			}{"delta", d})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before"+string(want), string(got)); diff != "" {
				t.Fatalf("Append (-reference +ours):\n%s", diff)
			}
		}
		back, err := events.DecodeDelta(got[len("before"):])
		if err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		if clean == text && back != d {
			t.Fatalf("DecodeDelta = %+v, want %+v", back, d)
		}
		s := events.Snapshot{ConversationID: d.ConversationID, RunID: d.RunID, Step: step, Attempt: attempt, Text: text}
		snap := s.Append(nil)
		whole, err := events.DecodeSnapshot(snap)
		if err != nil || clean == text && whole != s {
			t.Fatalf("DecodeSnapshot = %+v, %v, want %+v", whole, err, s)
		}
		if _, err := events.DecodeDelta(snap); !errors.Is(err, events.ErrMalformed) {
			t.Fatalf("a snapshot read as a delta: %v", err)
		}
		for _, err := range []error{second(events.DecodeDelta([]byte(text))), second(events.DecodeSnapshot([]byte(text)))} {
			if err != nil {
				refused(t, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func FuzzDecodeInbox(f *testing.F) {
	for _, i := range inboxes() {
		b, err := i.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := events.DecodeInbox(b)
		if err != nil {
			refused(t, err)
			return
		}
		ref, err := i.Ref()
		if err != nil || i.Subject(ref) == "" {
			t.Fatalf("a decoded inbox message has no subject: %v", err)
		}
		again, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		j, err := events.DecodeInbox(again)
		if err != nil {
			t.Fatalf("what was encoded is refused: %v\n%s", err, again)
		}
		if diff := cmp.Diff(i, j, cmpopts.EquateEmpty(), sameJSON); diff != "" {
			t.Fatalf("inbox (-first +second):\n%s", diff)
		}
	})
}

func FuzzDecodeWorkItem(f *testing.F) {
	for _, w := range workItems() {
		b, err := w.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := events.DecodeWorkItem(b)
		if err != nil {
			refused(t, err)
			return
		}
		ref, err := w.Ref()
		if err != nil || ref.Work(w.Server) == "" {
			t.Fatalf("a decoded work item has no subject: %v", err)
		}
		again, err := w.Encode()
		if err != nil {
			t.Fatal(err)
		}
		v, err := events.DecodeWorkItem(again)
		if err != nil {
			t.Fatalf("what was encoded is refused: %v\n%s", err, again)
		}
		if diff := cmp.Diff(w, v, cmpopts.EquateEmpty(), sameJSON); diff != "" {
			t.Fatalf("work item (-first +second):\n%s", diff)
		}
	})
}

func FuzzFromBase(f *testing.F) {
	for _, g := range goldens {
		if g.name != "long" && g.name != "home" && g.name != "unicode" {
			f.Add(encode(f, g.begin(f).state), []byte{0, 1, 2, 3, 4, 5, 6, 7})
		}
	}
	f.Fuzz(func(t *testing.T, b, more []byte) {
		c, err := events.FromBase(b)
		if err != nil {
			refused(t, err)
			return
		}
		encode(t, c.Clone().Base(int(binary.LittleEndian.Uint16(append(more, 0, 0)))))
		for _, k := range nonsense(more[:min(len(more), 200)]) {
			k.UserID, k.ConversationID, k.N = c.UserID, c.ConversationID, c.N+1
			apply(t, c, k)
		}
		encode(t, c)
		c.Path(c.Tip())
	})
}
