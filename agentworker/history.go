package agentworker

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
)

// cacheBytes bounds the histories that a worker keeps folded, by the size of
// their commits. A miss costs a read of the history, nothing else.
const cacheBytes = 128 << 20

// entryBytes is what a conversation counts beside its commits.
const entryBytes = 4 << 10

// A conversation is a cached fold. Its lock makes the handlers of one process
// take turns; between processes the log's expected sequence decides.
type conversation struct {
	ref events.Ref
	// turn holds a value while the entry is locked. It may be held over an
	// outage, so whoever waits for it does so no longer than its own context.
	turn chan struct{}

	state *events.Conversation
	seq   uint64 // of the newest commit in state
	own   bool   // this process stored that commit
	bytes int

	emitted emissions

	// Guarded by the cache's lock: the size counted for it, and its place.
	counted int
	place   *list.Element
}

// lock fails only when ctx ends.
func (e *conversation) lock(ctx context.Context) error {
	select {
	case e.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *conversation) unlock() { <-e.turn }

// emissions remember what this process has seen stored for the open calls and
// timers, so that due(state) is not published again at every commit.
type emissions struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (m *emissions) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys[key]
}

func (m *emissions) add(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = map[string]bool{}
	}
	m.keys[key] = true
}

// keep forgets all that is not due any more. Forgetting too much is harmless:
// it is published again, and its id absorbs it.
func (m *emissions) keep(due Due) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.keys) == 0 {
		return
	}
	keep := make(map[string]bool, len(m.keys))
	for _, t := range due.Timers {
		if m.keys[t.key()] {
			keep[t.key()] = true
		}
	}
	for _, item := range due.Work {
		if m.keys[item.DedupeID()] {
			keep[item.DedupeID()] = true
		}
	}
	m.keys = keep
}

// A cache holds the folds of recent conversations.
type cache struct {
	log     *eventlog.Log
	archive eventlog.Archive
	limit   int

	mu    sync.Mutex
	byRef map[events.Ref]*conversation
	lru   *list.List // of *conversation, the most recently used first
	bytes int
}

func newCache(log *eventlog.Log, archive eventlog.Archive) *cache {
	return &cache{log: log, archive: archive, limit: cacheBytes, byRef: map[events.Ref]*conversation{}, lru: list.New()}
}

// get returns the entry of r. An entry that is evicted while a handler works on
// it stays valid for that handler; the log keeps two folds from disagreeing.
func (c *cache) get(r events.Ref) *conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byRef[r]; e != nil {
		c.lru.MoveToFront(e.place)
		return e
	}
	e := &conversation{ref: r, turn: make(chan struct{}, 1), bytes: entryBytes}
	e.place = c.lru.PushFront(e)
	c.byRef[r] = e
	return e
}

// all returns the entries, in no order.
func (c *cache) all() []*conversation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.byRef))
}

// settle counts e's size and evicts what no longer fits. The caller holds e.
func (c *cache) settle(e *conversation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byRef[e.ref] != e {
		return
	}
	c.bytes += e.bytes - e.counted
	e.counted = e.bytes
	for c.bytes > c.limit && c.lru.Len() > 1 {
		old, ok := c.lru.Remove(c.lru.Back()).(*conversation)
		if !ok {
			return
		}
		delete(c.byRef, old.ref)
		c.bytes -= old.counted
	}
}

// refresh brings e up to the log's end. The caller holds e.
func (c *cache) refresh(ctx context.Context, e *conversation) error {
	if e.state != nil {
		tail, err := c.log.Read(ctx, e.ref, e.seq+1)
		if err == nil {
			err = e.applyAll(tail)
		}
		if err == nil {
			c.settle(e)
			return nil
		}
		if !errors.Is(err, events.ErrGap) {
			return err
		}
		// The stream no longer continues this fold; begin again.
	}
	all, err := c.log.History(ctx, c.archive, e.ref, 0)
	if err != nil {
		return err
	}
	e.state, e.seq, e.own, e.bytes = events.NewConversation(e.ref), 0, false, entryBytes
	e.emitted.keep(Due{})
	if err := e.applyAll(all); err != nil {
		e.state = nil
		return fmt.Errorf("fold: %w", err)
	}
	c.settle(e)
	return nil
}

func (e *conversation) applyAll(list []eventlog.Stored) error {
	for _, s := range list {
		if err := e.apply(s.Commit, s.Seq, len(s.Raw)); err != nil {
			return err
		}
		e.own = false
	}
	return nil
}

func (e *conversation) apply(c *events.Commit, seq uint64, size int) error {
	if err := e.state.Apply(c); err != nil {
		return err
	}
	e.seq, e.bytes = seq, e.bytes+size
	return nil
}
