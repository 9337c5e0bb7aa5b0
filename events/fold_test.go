package events_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parleychat/parley/events"
)

func apply(t testing.TB, c *events.Conversation, k *events.Commit) {
	t.Helper()
	if err := c.Apply(k); err != nil {
		t.Fatal(err)
	}
}

func fold(t testing.TB, list []*events.Commit) *events.Conversation {
	t.Helper()
	if len(list) == 0 {
		t.Fatal("nothing to fold")
	}
	ref, err := list[0].Ref()
	if err != nil {
		t.Fatal(err)
	}
	c := events.NewConversation(ref)
	for _, k := range list {
		apply(t, c, k)
	}
	return c
}

// sameAsWhole checks what a base, or what was folded on it, shows against the whole.
func sameAsWhole(t testing.TB, base, whole *events.Conversation) {
	t.Helper()
	kept := map[events.RunID]bool{}
	for _, r := range base.Runs {
		kept[r.RunID] = true
	}
	want := whole.Clone()
	want.HasMore = base.HasMore
	want.Runs = slices.DeleteFunc(want.Runs, func(r *events.Run) bool { return !kept[r.RunID] })
	if diff := cmp.Diff(string(encode(t, want)), string(encode(t, base))); diff != "" {
		t.Errorf("what a base shows (-whole +base):\n%s", diff)
	}
}

// histories are all goldens, and random walks through what workers may write.
func histories(t *testing.T) map[string]*story {
	t.Helper()
	all := map[string]*story{}
	for _, g := range goldens {
		all[g.name] = g.begin(t)
	}
	for seed := range uint64(24) {
		all[fmt.Sprintf("seed-%d", seed)] = wander(t, rand.New(rand.NewPCG(seed, 1)), 60)
	}
	return all
}

func TestAnySplitFoldsAlike(t *testing.T) {
	t.Parallel()
	for name, s := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := string(encode(t, s.state))
			c := events.NewConversation(s.ref)
			for n := range s.commits {
				if n%(1+len(s.commits)/20) != 0 { // not quadratic in the long logs
					apply(t, c, s.commits[n])
					continue
				}
				before := encode(t, c)
				clone := c.Clone()
				read, err := events.FromBase(before)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range s.commits[n:] {
					apply(t, clone, k)
					apply(t, read, k)
				}
				if got := string(encode(t, clone)); got != want {
					t.Fatalf("clone at %d, then the rest (-whole +split):\n%s", n, cmp.Diff(want, got))
				}
				if got := string(encode(t, read)); got != want {
					t.Fatalf("stored and read at %d, then the rest (-whole +split):\n%s", n, cmp.Diff(want, got))
				}
				if got := string(encode(t, c)); got != string(before) {
					t.Fatalf("a clone's commits changed its original at %d:\n%s", n, cmp.Diff(string(before), got))
				}
				apply(t, c, s.commits[n])
			}
		})
	}
}

// What a commit makes of the runs that are not over can be told from them alone.
func TestUnfinishedRunsGoOnAlike(t *testing.T) {
	t.Parallel()
	for name, s := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := events.NewConversation(s.ref)
			for n, k := range s.commits {
				before := string(encode(t, c))
				part := c.Unfinished()
				apply(t, part, k)
				if got := string(encode(t, c)); got != before {
					t.Fatalf("commit %d changed the original:\n%s", n+1, cmp.Diff(before, got))
				}
				apply(t, c, k)
				if diff := cmp.Diff(c.Active(), part.Active()); diff != "" {
					t.Fatalf("the active run after commit %d (-whole +unfinished):\n%s", n+1, diff)
				}
			}
		})
	}
}

func TestCloneKnowsWhatDecidersAsk(t *testing.T) {
	t.Parallel()
	for name, s := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.state.Clone()
			for _, k := range s.commits {
				if !c.HasCause(k.Cause) {
					t.Errorf("the clone forgot cause %s", k.Cause)
				}
				for _, e := range k.Events {
					switch e := e.(type) {
					case events.RunCancelRequested:
						_, want := s.state.Tombstone(e.RunID)
						if _, got := c.Tombstone(e.RunID); got != want {
							t.Errorf("tombstone of %s = %t, want %t", e.RunID, got, want)
						}
					case events.ToolReturned:
						if want, got := s.state.CallAnswered(e.CallID), c.CallAnswered(e.CallID); got != want {
							t.Errorf("call %s answered = %t, want %t", e.CallID, got, want)
						}
					}
				}
			}
			if c.HasCause("nobody") {
				t.Error("the clone has a cause that is not in the log")
			}
		})
	}
}

func TestGapsAndForeignCommitsChangeNothing(t *testing.T) {
	t.Parallel()
	for name, s := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := events.NewConversation(s.ref)
			for n, k := range s.commits {
				before := string(encode(t, c))
				for _, other := range []int{0, n - 1, n + 1, len(s.commits) - 1} {
					if other < 0 || other >= len(s.commits) || other == n {
						continue
					}
					if err := c.Apply(s.commits[other]); !errors.Is(err, events.ErrGap) {
						t.Fatalf("commit %d after %d: %v, want ErrGap", other+1, n, err)
					}
				}
				foreign := *k
				foreign.UserID = "eve"
				if err := c.Apply(&foreign); !errors.Is(err, events.ErrForeign) {
					t.Fatalf("commit of another person: %v, want ErrForeign", err)
				}
				foreign = *k
				foreign.ConversationID = "elsewhere"
				if err := c.Apply(&foreign); !errors.Is(err, events.ErrForeign) {
					t.Fatalf("commit of another conversation: %v, want ErrForeign", err)
				}
				if got := string(encode(t, c)); got != before {
					t.Fatalf("a refused commit changed the state:\n%s", cmp.Diff(before, got))
				}
				apply(t, c, k)
			}
		})
	}
}

func TestBaseAndLaterCommitsShowTheWhole(t *testing.T) {
	t.Parallel()
	for name, s := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := events.NewConversation(s.ref)
			for n := range s.commits {
				limits := []int{-1, 0, 1, 2, 3, 60}
				if n%(1+len(s.commits)/20) != 0 { // not quadratic in the long logs
					limits = nil
				}
				for _, limit := range limits {
					b := c.Base(limit)
					sameAsWhole(t, b, c)
					if want := len(c.Path(c.Tip())) > max(0, limit); b.HasMore != want {
						t.Errorf("base of %d at %d has more = %t, want %t", limit, n, b.HasMore, want)
					}
					read, err := events.FromBase(encode(t, b))
					if err != nil {
						t.Fatal(err)
					}
					accepted := len(b.Runs)
					for _, k := range s.commits[n:] {
						apply(t, read, k)
						accepted += acceptedBy(k, c)
					}
					if len(read.Runs) != accepted {
						t.Errorf("base of %d at %d shows %d runs in the end, want %d", limit, n, len(read.Runs), accepted)
					}
					sameAsWhole(t, read, s.state)
				}
				apply(t, c, s.commits[n])
			}
		})
	}
}

// acceptedBy counts the messages that k accepts and that c has not.
func acceptedBy(k *events.Commit, c *events.Conversation) int {
	n := 0
	for _, e := range k.Events {
		if m, ok := e.(events.MessageAccepted); ok && c.Run(m.RunID) == nil && m.Text != "accepted twice" {
			n++
		}
	}
	return n
}

func TestCommitsSurviveTheCodec(t *testing.T) {
	t.Parallel()
	for name, s := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, k := range s.commits {
				b, err := k.Encode()
				if err != nil {
					t.Fatal(err)
				}
				got, err := events.DecodeCommit(b)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(k, got, cmpopts.EquateEmpty(), sameJSON); diff != "" {
					t.Fatalf("commit %d (-before +after):\n%s", k.N, diff)
				}
			}
		})
	}
}

// sameJSON compares values as the codec writes them: without space, and with
// the shortest form of each string.
var sameJSON = cmp.FilterValues(func(a, b jsontext.Value) bool { return len(a)+len(b) > 0 }, cmp.Comparer(func(a, b jsontext.Value) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}))

// A watcher checks after every commit what must hold for any log.
type watcher struct {
	over     map[events.RunID]string
	answered map[events.CallID]string
}

func newWatcher() *watcher {
	return &watcher{map[events.RunID]string{}, map[events.CallID]string{}}
}

func (w *watcher) check(t testing.TB, c *events.Conversation) {
	t.Helper()
	active := 0
	for _, r := range c.Runs {
		if c.Run(r.RunID) != r {
			t.Fatalf("run %q is not found by its id", r.RunID)
		}
		if r.Status != events.Queued && !r.Status.Over() {
			active++
			if c.Active() != r {
				t.Fatalf("run %q is %s but not the active one", r.RunID, r.Status)
			}
		}
		w.once(t, r)
		for _, k := range r.Calls {
			if k.ReturnedAt.IsZero() {
				continue
			}
			fact := fmt.Sprint(k.Status, k.ReturnedAt, string(k.Result), k.Error)
			if was, ok := w.answered[k.CallID]; ok && was != fact {
				t.Fatalf("call %q had the answer %s, now %s", k.CallID, was, fact)
			}
			w.answered[k.CallID] = fact
		}
		if path := c.Path(r); len(path) == 0 || path[len(path)-1] != r || len(path) > len(c.Runs) {
			t.Fatalf("path to %q has %d of %d runs", r.RunID, len(path), len(c.Runs))
		}
	}
	if active > 1 || active == 0 && c.Active() != nil {
		t.Fatalf("%d active runs, Active = %v", active, c.Active())
	}
}

// once checks that a run that is over stays as it ended, and has nothing open.
func (w *watcher) once(t testing.TB, r *events.Run) {
	t.Helper()
	if !r.Status.Over() {
		if was, ok := w.over[r.RunID]; ok {
			t.Fatalf("run %q was over (%s), now %s", r.RunID, was, r.Status)
		}
		return
	}
	fact := fmt.Sprint(r.Status, r.EndedAt, r.Usage, r.Error, r.Receipt, len(r.Steps), r.Model, r.Stop)
	if was, ok := w.over[r.RunID]; ok && was != fact {
		t.Fatalf("run %q ended as %s, now %s", r.RunID, was, fact)
	}
	w.over[r.RunID] = fact
	if r.Streaming {
		t.Fatalf("run %q is over and streaming", r.RunID)
	}
	for _, k := range r.Calls {
		if !k.Status.Answered() {
			t.Fatalf("run %q is over, its call %q is %s", r.RunID, k.CallID, k.Status)
		}
	}
}

func TestInvariants(t *testing.T) {
	t.Parallel()
	for name, s := range histories(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatcher()
			c := events.NewConversation(s.ref)
			for _, k := range s.commits {
				apply(t, c, k)
				w.check(t, c)
			}
		})
	}
}
