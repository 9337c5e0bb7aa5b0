package agentworker

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/parleychat/parley/events"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run only this seed of TestSimulation, and print it")
	simSeeds = flag.Uint64("sim.seeds", 10_000, "how many seeds TestSimulation runs")
	simSave  = flag.String("sim.save", "", "write the shortest history of a failing seed to this file of testdata/sim")
)

// simShards are the parts of the seeds that run side by side.
const simShards = 4

// TestSimulation drives Decide, AfterModel and Due through seeded histories of
// one conversation: what people send, parallel calls, approvals, cancels,
// deadlines and deletions, handled by several handlers and toolworkers that crash
// between any two actions, wake up late, read stale logs and lose the answers to
// their publishes. It checks every commit, and that the rest, without further faults,
// ends with nothing open.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *simSeed != 0 {
		h, err := simulate(*simSeed, reading{})
		t.Log(strings.Join(tell(h.setting, h.moves), "\n"))
		if err != nil {
			report(t, *simSeed, h, err)
		}
		return
	}
	ended := simulateAll(t, 0, *simSeeds)
	t.Log(ended)
	// A simulation that never gets somewhere finds nothing there.
	for _, word := range []string{
		"completed", "cancelled", "deadline", "attempts", "poison", "unknown_parent", "revoked", "late", "second deliveries", "stored twice", "calls by hand", "hand-overs",
		"deletions", "answers after a deletion",
	} {
		if want := int(*simSeeds / 500); ended[word] < want {
			t.Errorf("%s happened %d times, want %d", word, ended[word], want)
		}
	}
}

// simulateAll runs n seeds after the given one, and counts what happened.
func simulateAll(t *testing.T, after, n uint64) map[string]int {
	t.Helper()
	var mu sync.Mutex
	ended := map[string]int{}
	t.Run("seeds", func(t *testing.T) {
		for shard := range uint64(simShards) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				mine := map[string]int{}
				for seed := after + shard + 1; seed <= after+n; seed += simShards {
					h, err := simulate(seed, reading{})
					if err != nil {
						report(t, seed, h, err)
						return
					}
					h.count(mine)
				}
				mu.Lock()
				defer mu.Unlock()
				for k, n := range mine {
					ended[k] += n
				}
			})
		}
	})
	return ended
}

// report fails t with the shortest history of a failure, and keeps it if asked.
func report(t *testing.T, seed uint64, h *story, err error) {
	t.Helper()
	short := h.shortest(err)
	t.Errorf("seed %d: %v; the shortest history of %d moves:\n%s\nkeep it with -sim.seed=%d -sim.save=NAME",
		seed, err, len(short.moves), strings.Join(tell(short.setting, short.moves), "\n"), seed)
	if *simSave != "" {
		if err := short.save(*simSave, err); err != nil {
			t.Error(err)
		}
	}
}

// people is what people may do in a conversation; those with odds do it in one seed of so many.
var people = []struct {
	odds int
	letter
}{
	{1, said("m1", events.Message{Text: "m1"})},
	{1, said("m2", events.Message{Text: "m2"})},
	{3, said("m3", events.Message{Text: "m3"})},
	{2, said("x1", events.Cancel{RunID: runOf("m1")})},
	{2, said("x2", events.Cancel{RunID: runOf("m2")})},
	{8, said("r1", events.Regenerate{RunID: runOf("m1")})},
	{8, said("e1", events.Message{Text: "e1", ParentID: events.Root})},
	{20, said("e2", events.Message{Text: "e2", ParentID: "nowhere"})},
	{20, said("u1", Unreadable{Type: "message"})},
	{6, said("i1", events.Message{Text: "i1", Interrupt: true})},
	{12, said("d1", events.Delete{})},
	{20, said("d2", events.Restore{})},
	{20, said("n1", events.Rename{Title: "n1"})},
}

func runOf(m events.MessageID) events.RunID { return events.RunIDFor(ana, conv, m) }

// panel is what people may do in the task panel.
func panel() []letter {
	return []letter{said("h1", handCall("tasks")), said("h2", handCall("tasks")), said("h3", handCall("no server"))}
}

// anything is the setting in which all that the simulation knows may happen.
func anything(wrong reading) *setting {
	s := &setting{
		conversation: conv, rules: testRules(), rows: []row{rowOK, rowFailed, rowLate}, faults: 1 << 10, agents: 8, tools: 4, wrong: wrong,
		models: answers("words", "cut", "told to stop", "error", "calls add_task", "calls add_task add_task", "calls add_task add_task add_task add_task",
			"calls ask_first", "calls add_task ask_first", "calls ask_first ask_first", "calls never no_such"),
	}
	s.rules.Limits.InFlight = 2
	for _, p := range people {
		s.people = append(s.people, p.letter)
	}
	for k := range s.kinds {
		s.kinds[k] = true
	}
	return s
}

// seeded is the setting of a seed: a part of anything.
func seeded(rng *rand.Rand, wrong reading) *setting {
	s := anything(wrong)
	s.faults, s.agents, s.tools = rng.IntN(8), 2+rng.IntN(3), 1+rng.IntN(2)
	if rng.IntN(12) == 0 {
		s.conversation, s.people = events.Home, panel()
		return s
	}
	s.people = s.people[:0]
	for _, p := range people {
		if rng.IntN(p.odds) == 0 {
			s.people = append(s.people, p.letter)
		}
	}
	return s
}

// weights say how often moves are made beside others, and faults beside faults.
var weights = [moveKinds]int{
	moveSend: 6, moveAnswer: 6, moveFire: 1, moveDeliver: 20, moveStep: 20, moveModel: 2, moveRun: 6, moveLand: 6, moveTick: 1, moveLook: 2,
	moveDie: 10, movePart: 4, movePause: 3, moveForget: 1, moveUnknown: 4, moveDeaf: 2, moveStale: 4, moveTwice: 1, moveIll: 1, moveLose: 4,
}

// simulate runs a seed.
func simulate(seed uint64, wrong reading) (*story, error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	h := &story{setting: seeded(rng, wrong)}
	h.setting.kinds[moveLose], h.setting.kinds[moveLook] = seed > forgetful, seed > forgetful
	w := newWorld(h.setting)
	h.end = w
	var menu []move
	for range 60 + rng.IntN(240) {
		menu = w.menu(menu[:0])
		m, ok := pick(rng, w, menu)
		if !ok {
			break
		}
		h.moves = append(h.moves, w.name(m))
		w.do(m)
		if w.err != nil {
			return h, w.err
		}
		if m.kind.fault() {
			// From here on all may go well: it must end well, then.
			if err := h.rest(w.clone()); err != nil {
				return h, err
			}
		}
	}
	return h, h.rest(w)
}

// rest takes w to rest; its moves belong to the story if that fails.
func (h *story) rest(w *world) error {
	n := len(h.moves)
	err := w.rest(func(m move) {
		h.moves = append(h.moves, w.name(m))
		w.do(m)
	})
	if err == nil {
		h.moves = h.moves[:n]
	}
	return err
}

// pick chooses the kind of a move by its weight, then any of that kind.
func pick(rng *rand.Rand, w *world, menu []move) (move, bool) {
	faulty := w.faults > 0 && rng.IntN(12) == 0
	total := 0
	var of [moveKinds]int
	for _, m := range menu {
		if m.kind.fault() == faulty {
			of[m.kind]++
		}
	}
	weight := func(k moveKind) int {
		if of[k] == 0 {
			return 0
		}
		return weights[k]
	}
	for k := range moveKinds {
		total += weight(k)
	}
	if total == 0 {
		return move{}, false
	}
	n := rng.IntN(total)
	for k := range moveKinds {
		if n -= weight(k); n >= 0 {
			continue
		}
		n = rng.IntN(of[k])
		for _, m := range menu {
			if m.kind == k {
				if n == 0 {
					return m, true
				}
				n--
			}
		}
	}
	return move{}, false
}

// count adds what happened in h to ended.
func (h *story) count(ended map[string]int) {
	for _, r := range h.end.head.check.runs {
		ended[r.over]++
	}
	for _, r := range h.end.ledger {
		ended[r.String()]++
	}
	for _, p := range h.end.post {
		if p.letter.item == nil && p.delivery > 1 {
			ended["second deliveries"]++
		}
		if p.letter.first != p.letter.id {
			ended["stored twice"]++
		}
	}
	ended["calls by hand"] += len(h.end.head.conv.Calls)
	ended["deletions"] += h.end.head.check.deletions
	ended["answers after a deletion"] += h.end.head.check.after
	for _, m := range h.moves {
		switch {
		case strings.HasSuffix(m, ": is told to stop"):
			ended["hand-overs"]++
		case strings.HasPrefix(m, "NATS forgets "):
			ended["forgotten"]++
		case m == "the recorder looks":
			ended["looks"]++
		}
	}
}

// law returns the promise that err says was broken.
func law(err error) string {
	if v, ok := errors.AsType[*violation](err); ok {
		return v.law
	}
	return ""
}
