package agentworker

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
)

// cacheBytes bounds the histories that a worker keeps folded, by the size of
// their commits. A miss costs a read of the history, nothing else.
const cacheBytes = 128 << 20

// A conversation is a cached fold. Its lock makes the handlers of one process
// take turns; between processes the log's expected sequence decides.
type conversation struct {
	ref events.Ref

	mu    sync.Mutex
	state *events.Conversation
	seq   uint64 // of the newest commit in state
	bytes int
	// emitted remembers what this process has seen stored for the open calls
	// and timers, so that due(state) is not published again at every commit.
	emitted map[string]bool

	// Guarded by the cache's lock: the size counted for it, and its place.
	counted int
	place   *list.Element
}

// A cache holds the folds of recent conversations.
type cache struct {
	log     *eventlog.Log
	archive eventlog.Archive

	mu    sync.Mutex
	byRef map[events.Ref]*conversation
	lru   *list.List // of *conversation, the most recently used first
	bytes int
}

func newCache(log *eventlog.Log, archive eventlog.Archive) *cache {
	return &cache{log: log, archive: archive, byRef: map[events.Ref]*conversation{}, lru: list.New()}
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
	e := &conversation{ref: r, emitted: map[string]bool{}}
	e.place = c.lru.PushFront(e)
	c.byRef[r] = e
	return e
}

// settle counts e's size and evicts what no longer fits. The caller holds e.mu.
func (c *cache) settle(e *conversation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byRef[e.ref] != e {
		return
	}
	c.bytes += e.bytes - e.counted
	e.counted = e.bytes
	for c.bytes > cacheBytes && c.lru.Len() > 1 {
		old, ok := c.lru.Remove(c.lru.Back()).(*conversation)
		if !ok {
			return
		}
		delete(c.byRef, old.ref)
		c.bytes -= old.counted
	}
}

// refresh brings e up to the log's end. The caller holds e.mu.
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
	e.state, e.seq, e.bytes = events.NewConversation(e.ref), 0, 0
	clear(e.emitted)
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
	}
	return nil
}

func (e *conversation) apply(c *events.Commit, seq uint64, size int) error {
	if err := e.state.Apply(c); err != nil {
		return err
	}
	e.seq, e.bytes = seq, e.bytes+size
	if e.state.Active() == nil && len(e.state.Calls) == 0 {
		clear(e.emitted)
	}
	return nil
}
