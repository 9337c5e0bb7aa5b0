package bench

import (
	"sync"
	"sync/atomic"
	"time"
)

// A book holds when the model was asked and when it wrote each token, for the
// answers that are under way.
type book struct {
	mu    sync.Mutex
	calls map[string][]*call
	total int
}

// A call is one call of the model for the text of an answer.
type call struct {
	received time.Duration
	written  []atomic.Int64 // of each token; 0: not yet
}

func newBook() *book { return &book{calls: map[string][]*call{}} }

// begin notes a call.
func (b *book) begin(a ask, received time.Duration) *call {
	c := &call{received: received, written: make([]atomic.Int64, a.Tokens)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[a.Key] = append(b.calls[a.Key], c)
	b.total++
	return c
}

// last returns the newest call of an answer, nil if there was none.
func (b *book) last(key string) *call {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.calls[key]
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}

// close forgets an answer that everybody has read.
func (b *book) close(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, key)
}

// at returns when token i was written.
func (c *call) at(i int) (time.Duration, bool) {
	if c == nil || i >= len(c.written) {
		return 0, false
	}
	w := c.written[i].Load()
	return time.Duration(w), w != 0
}

// modelTime is what the model itself took before its first token.
func (c *call) modelTime() time.Duration {
	first, ok := c.at(0)
	if !ok {
		return 0
	}
	return first - c.received
}
