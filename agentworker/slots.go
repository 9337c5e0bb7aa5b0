package agentworker

import (
	"context"
	"sync"
)

// slots bounds the model calls of a worker. Results of tools are served before
// new messages, or new work would starve the runs that are under way.
//
// Whoever pulls holds a slot while it waits for a message. So one slot is for
// results alone, from the start: neither kind can take the other's last. A third
// is for those who come to a model call without one: a cancel that starts the
// next run, a message that waited for its turn.
type slots struct {
	mu    sync.Mutex
	free  int
	kept  bool         // the slot for results is free
	queue [2][]*waiter // first, second
}

// A waiter waits for a slot. Kept is set before ready is closed.
type waiter struct {
	ready chan struct{}
	kept  bool
}

// newSlots returns n slots, at least the three without which something may never move.
func newSlots(n int) *slots { return &slots{free: max(n, 3) - 1, kept: true} }

func (s *slots) first(ctx context.Context) (func(), error)  { return s.acquire(ctx, 0) }
func (s *slots) second(ctx context.Context) (func(), error) { return s.acquire(ctx, 1) }

func (s *slots) acquire(ctx context.Context, class int) (release func(), err error) {
	w := &waiter{ready: make(chan struct{})}
	s.mu.Lock()
	s.queue[class] = append(s.queue[class], w)
	s.grant()
	s.mu.Unlock()
	select {
	case <-w.ready:
		return func() { s.release(w.kept) }, nil
	default:
	}
	select {
	case <-w.ready:
		return func() { s.release(w.kept) }, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.queue[class] {
		if c == w {
			s.queue[class] = append(s.queue[class][:i], s.queue[class][i+1:]...)
			return nil, context.Cause(ctx)
		}
	}
	// Granted at the same moment: pass it on.
	s.give(w.kept)
	return nil, context.Cause(ctx)
}

func (s *slots) release(kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give(kept)
}

// give puts a slot back. The caller holds the lock.
func (s *slots) give(kept bool) {
	if kept {
		s.kept = true
	} else {
		s.free++
	}
	s.grant()
}

// grant hands free slots to who waits. The caller holds the lock.
func (s *slots) grant() {
	for class := range s.queue {
		for len(s.queue[class]) > 0 {
			w := s.queue[class][0]
			switch {
			case class == 0 && s.kept:
				s.kept, w.kept = false, true
			case s.free > 0:
				s.free--
			default:
				return // nothing for the second kind either
			}
			s.queue[class] = s.queue[class][1:]
			close(w.ready)
		}
	}
}
