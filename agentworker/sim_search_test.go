package agentworker

import (
	"hash/maphash"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
)

// searchEnv says how long the search may take in all, such as "9m".
const searchEnv = "PARLEY_SEARCH"

// A region is a small world that is searched to its end.
type region struct {
	name   string
	people []letter
	models []modelOutcome
	home   bool
	agents int // handlers at once; toolworkers are two
}

// atFirst is a model that asks for tools, then answers.
func atFirst(calls string) []modelOutcome {
	list := answers(calls, "words", "cut", "told to stop")
	list[0].step, list[1].step = 1, 2
	return list
}

// regions are the worlds of decide.md: one conversation, two messages, two calls
// at once, a cancel, an approval; in each the deadlines may come at any time.
var regions = []region{
	{name: "alone", people: some("m1"), models: answers("words", "cut", "told to stop"), agents: 2},
	{name: "queue", people: some("m1", "m2"), models: answers("words", "cut", "told to stop"), agents: 2},
	{name: "cancel", people: some("m1", "m2", "x1"), models: answers("words", "cut", "told to stop"), agents: 2},
	{name: "calls", people: some("m1"), models: atFirst("calls add_task add_task"), agents: 2},
	{name: "calls, cancel", people: some("m1", "x1"), models: atFirst("calls add_task add_task"), agents: 2},
	{name: "calls, queue", people: some("m1", "m2"), models: atFirst("calls add_task"), agents: 2},
	{name: "approval", people: some("m1"), models: atFirst("calls ask_first"), agents: 2},
	{name: "approval, cancel", people: some("m1", "x1"), models: atFirst("calls add_task ask_first"), agents: 2},
	{name: "approval, queue", people: some("m1", "m2"), models: atFirst("calls ask_first"), agents: 2},
	{name: "three handlers", people: some("m1", "m2", "x1"), models: answers("words"), agents: 3},
	{name: "interrupt", people: some("m1", "i1"), models: atFirst("calls add_task"), agents: 2},
	{name: "delete", people: some("m1", "m2", "d1"), models: answers("words"), agents: 2},
	{name: "by hand", people: panel()[:2], home: true, agents: 2},
	{name: "all at once", people: some("m1", "m2", "x1"), models: atFirst("calls add_task add_task"), agents: 3},
}

// some are the people's acts of these names.
func some(names ...string) (list []letter) {
	for _, p := range people {
		if slices.Contains(names, p.name) {
			list = append(list, p.letter)
		}
	}
	return list
}

// setting is the region with a number of faults.
func (r *region) setting(faults int) *setting {
	s := &setting{
		conversation: conv, rules: testRules(), people: r.people, models: r.models, rows: []row{rowOK, rowLate}, faults: faults, agents: r.agents, tools: 2, canon: true,
	}
	if r.home {
		s.conversation = events.Home
	}
	for k := range s.kinds {
		// Time stands still: timers may fire at any moment instead. The server
		// counts its deliveries.
		s.kinds[k] = !slices.Contains([]moveKind{moveTick, moveForget, moveLook, moveLose}, moveKind(k))
	}
	return s
}

// A searcher visits every state that the moves of a setting lead to, once each.
type searcher struct {
	seen  table
	path  []frame
	spare []*world // to be written over
	buf   []byte
	menu  []move
	moves int
}

// A frame is a state on the path that the search is on.
type frame struct {
	w    *world
	menu []move
	next int
}

// maxStates bounds the memory of a search: eight bytes a state, and room.
const maxStates = 60 << 20

// search visits the states of s until it has all or enough says so; done tells
// which. A violation comes with the moves that lead to it.
func (r *searcher) search(s *setting, enough func() bool) (done bool, moves []string, err error) {
	w := newWorld(s)
	r.seen.add(r.hash(w), visited)
	r.path = []frame{{w: w, menu: w.menu(nil)}}
	for len(r.path) > 0 {
		f := &r.path[len(r.path)-1]
		if f.next == len(f.menu) {
			r.spare = append(r.spare, f.w)
			r.path = r.path[:len(r.path)-1]
			continue
		}
		k := f.w.into(r.blank())
		k.do(f.menu[f.next])
		f.next++
		r.straight(k)
		if k.err != nil {
			return false, r.names(nil), k.err
		}
		if !r.seen.add(r.hash(k), visited) {
			r.spare = append(r.spare, k)
			continue
		}
		if rest, err := r.rest(k); err != nil {
			return false, r.names(rest), err
		}
		if enough() || r.seen.used > maxStates {
			return false, nil, nil
		}
		r.path = append(r.path, frame{w: k, menu: k.menu(make([]move, 0, 16))})
	}
	return true, nil, w.unlike
}

// blank returns a world to be written over.
func (r *searcher) blank() *world {
	if len(r.spare) == 0 {
		return &world{}
	}
	k := r.spare[len(r.spare)-1]
	r.spare = r.spare[:len(r.spare)-1]
	return k
}

// straight makes the urgent moves of w that have no alternative, and returns their names.
func (r *searcher) straight(w *world) {
	for r.moves++; w.err == nil && w.urgent() >= 0; r.moves++ {
		if r.menu = w.menu(r.menu[:0]); len(r.menu) != 1 {
			return
		}
		w.do(r.menu[0])
	}
}

// rest follows the one continuation without faults until it meets a state from
// which it is known to end well.
func (r *searcher) rest(w *world) (moves []string, err error) {
	faults := w.faults
	w.faults = 0
	known := !r.seen.add(r.hash(w), restful)
	if known {
		w.faults = faults
		return nil, nil
	}
	k := w.into(r.blank())
	w.faults = faults
	for n := 0; ; n++ {
		if n == maxRest {
			return restMoves(w), broken("I1", "it never comes to rest")
		}
		if n > 0 && !r.seen.add(r.hash(k), restful) {
			r.spare = append(r.spare, k)
			return nil, nil
		}
		m, ok, err := k.restful()
		if err == nil && ok {
			k.do(m)
			err = k.err
		}
		if err != nil {
			return restMoves(w), err
		}
		if !ok {
			break
		}
	}
	return nil, nil
}

// restMoves are the names of the moves that take w to where its rest fails.
func restMoves(w *world) (list []string) {
	k := w.clone()
	_ = k.rest(func(m move) { // it fails, as before
		list = append(list, k.name(m))
		k.do(m)
	})
	return list
}

// names are the moves that led to where the search is.
func (r *searcher) names(more []string) (list []string) {
	for _, f := range r.path {
		k := f.w.clone()
		for m := f.menu[f.next-1]; ; m = k.menu(nil)[0] {
			list = append(list, k.name(m))
			k.do(m)
			if k.err != nil || k.urgent() < 0 || len(k.menu(nil)) != 1 {
				break
			}
		}
	}
	return append(list, more...)
}

func (r *searcher) hash(w *world) uint64 {
	r.buf = w.key(r.buf[:0])
	return maphash.Bytes(seeds[0], r.buf)
}

// TestSearch visits the states of small worlds under the real rules. By itself
// it looks a little into each; with PARLEY_SEARCH=9m it takes that time, tells
// how far it got, and has failed if that was not far.
func TestSearch(t *testing.T) {
	t.Parallel()
	type job struct {
		*region
		faults int
	}
	var jobs []job
	for faults := range 4 {
		for i := range regions {
			jobs = append(jobs, job{&regions[i], faults})
		}
	}
	budget, long := time.Duration(0), false
	if text := os.Getenv(searchEnv); text != "" {
		var err error
		if budget, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		long = true
	} else {
		jobs = jobs[:2*len(regions)]
	}
	queue := make(chan job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	var mu sync.Mutex
	end, states, moves, whole := time.Now().Add(budget), 0, 0, 0
	search := func(j job) {
		s, r, begun := j.setting(j.faults), &searcher{}, time.Now()
		until := begun.Add(min(time.Until(end), budget/searchShare))
		done, made, err := r.search(s, func() bool {
			if !long {
				return r.moves > shortSearch
			}
			return r.moves&0xff == 0 && time.Now().After(until)
		})
		mu.Lock()
		defer mu.Unlock()
		states, moves = states+r.seen.states, moves+r.moves
		if err != nil {
			short := (&story{setting: s, moves: made}).shortest(err)
			t.Errorf("%s, %d faults: %v\n%s", j.name, j.faults, err, strings.Join(tell(s, short.moves), "\n"))
			return
		}
		bound := "and more"
		if done {
			bound = "all"
			whole++
		}
		t.Logf("%-18s %d faults: %9d states, %10d moves, %s", j.name, j.faults, r.seen.states, r.moves, bound)
	}
	var workers sync.WaitGroup
	for range searchers {
		workers.Go(func() {
			for j := range queue {
				if !long || time.Now().Before(end) {
					search(j)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("searched %d states by %d moves; %d of %d regions to their end", states, moves, whole, len(jobs))
	least := len(regions) - 2
	if long {
		least = wholeLong
	}
	if whole < least {
		t.Errorf("only %d of %d regions were searched to their end, and %d must be: give it more time (%s), or a machine that does nothing else; if the worlds have grown, make them smaller or say here why fewer will do",
			whole, len(jobs), least, searchEnv)
	}
}

const (
	searchers   = 2      // searches side by side
	searchShare = 6      // a region takes no more than this part of the time
	shortSearch = 30_000 // moves in a region
	wholeLong   = 40     // regions that a long search ends: 43 of 56 on two cores in nine minutes
)

// TestSearchFinds plants each wrong reading where the search must find it.
func TestSearchFinds(t *testing.T) {
	t.Parallel()
	for _, p := range readings {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(regions, func(r region) bool { return r.name == p.region })
			if i < 0 {
				t.Fatalf("no region %q", p.region)
			}
			s, r := regions[i].setting(p.faults), &searcher{}
			s.wrong = p.reading
			_, _, err := r.search(s, func() bool { return r.moves > 1_000_000 })
			if !slices.Contains(strings.Fields(p.laws), law(err)) {
				t.Errorf("%s: %v after %d moves, want %s", p.text, err, r.moves, p.laws)
			}
			t.Logf("%s: after %d states, %v", p.text, r.seen.states, err)
		})
	}
}

// Flags of a state.
const (
	visited = 1 << iota // with all that may follow
	restful             // its continuation without faults ends well
)

// A table is a set of states by their hashes, two bits of which say what is
// known of them. Two states with one hash are taken for one: with 62 bits that
// is one in a thousand searches of 100 million states.
type table struct {
	slots        []uint64
	used, states int
}

const flags = visited | restful

// add sets a flag and reports whether it was not set before.
func (t *table) add(h uint64, flag uint64) bool {
	if t.used*3 >= len(t.slots)*2 {
		t.grow()
	}
	p := t.find(h &^ flags)
	if *p&flag != 0 {
		return false
	}
	if *p == 0 {
		t.used++
	}
	if flag == visited {
		t.states++
	}
	*p |= h&^flags | flag
	return true
}

func (t *table) find(h uint64) *uint64 {
	mask := uint64(len(t.slots) - 1)
	for i := (h >> 2) & mask; ; i = (i + 1) & mask {
		if p := &t.slots[i]; *p == 0 || *p&^flags == h {
			return p
		}
	}
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]uint64, max(1<<12, 2*len(old)))
	for _, h := range old {
		if h != 0 {
			*t.find(h &^ flags) = h
		}
	}
}
