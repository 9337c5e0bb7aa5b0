package agentworker

import (
	"context"
	"sync"
)

// slots bounds the model calls of a worker. Results of tools are served before
// new messages, or new work would starve the runs that are under way.
type slots struct {
	mu    sync.Mutex
	free  int
	queue [2][]chan struct{} // waiting for a slot: first, second
}

func newSlots(n int) *slots { return &slots{free: max(n, 2)} }

func (s *slots) first(ctx context.Context) (func(), error)  { return s.acquire(ctx, 0) }
func (s *slots) second(ctx context.Context) (func(), error) { return s.acquire(ctx, 1) }

func (s *slots) acquire(ctx context.Context, class int) (release func(), err error) {
	s.mu.Lock()
	// The last free slot is kept for results.
	if s.free > 1 || s.free == 1 && class == 0 {
		s.free--
		s.mu.Unlock()
		return s.release, nil
	}
	ready := make(chan struct{})
	s.queue[class] = append(s.queue[class], ready)
	s.mu.Unlock()
	select {
	case <-ready:
		return s.release, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range s.queue[class] {
		if c == ready {
			s.queue[class] = append(s.queue[class][:i], s.queue[class][i+1:]...)
			return nil, context.Cause(ctx)
		}
	}
	// Granted at the same moment: pass it on.
	s.free++
	s.grant()
	return nil, context.Cause(ctx)
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	s.grant()
}

// grant hands free slots to who waits. The caller holds the lock.
func (s *slots) grant() {
	for class, least := range []int{1, 2} {
		for s.free >= least && len(s.queue[class]) > 0 {
			close(s.queue[class][0])
			s.queue[class] = s.queue[class][1:]
			s.free--
		}
	}
}
