package recorder

import (
	"container/list"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// A cache keeps the folds of the conversations that were written to last,
// bounded by the size of their commits. It is for one goroutine.
type cache struct {
	limit, size int
	recent      *list.List // of *entry, the newest in front
	entries     map[events.Ref]*list.Element
}

type entry struct {
	ref  events.Ref
	fold *readmodel.Fold
	size int // as counted in cache.size
}

// entryBytes is what an entry costs beside its commits.
const entryBytes = 2 << 10

func newCache(limit int) *cache {
	c := &cache{limit: limit}
	c.clear()
	return c
}

func (c *cache) clear() {
	c.size, c.recent, c.entries = 0, list.New(), map[events.Ref]*list.Element{}
}

// get returns the fold of r, or nil.
func (c *cache) get(r events.Ref) *readmodel.Fold {
	e, ok := c.entries[r]
	if !ok {
		return nil
	}
	return e.Value.(*entry).fold
}

// put makes f the newest, and drops the oldest beyond the limit; f itself stays.
func (c *cache) put(r events.Ref, f *readmodel.Fold) {
	e, ok := c.entries[r]
	if !ok {
		e = c.recent.PushFront(&entry{ref: r})
		c.entries[r] = e
	}
	c.recent.MoveToFront(e)
	v := e.Value.(*entry)
	c.size += f.Size() + entryBytes - v.size
	v.fold, v.size = f, f.Size()+entryBytes
	for c.size > c.limit && c.recent.Len() > 1 {
		old := c.recent.Remove(c.recent.Back()).(*entry)
		delete(c.entries, old.ref)
		c.size -= old.size
	}
}
