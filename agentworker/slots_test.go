package agentworker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/parleychat/parley/internal/testkit"
)

// Each kind holds a slot while it waits for a message: whichever comes first
// must leave one for the other, and both one for a handler, however few there are.
func TestFewestSlotsServeBothKinds(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3} {
		for _, firstIsFirst := range []bool{true, false} {
			s := newSlots(n)
			kinds := []func(context.Context) (func(), error){s.first, s.second}
			if !firstIsFirst {
				kinds[0], kinds[1] = kinds[1], kinds[0]
			}
			kinds = append(kinds, s.first) // who comes to a model call without a slot
			for i, acquire := range kinds {
				ctx, cancel := context.WithCancel(testkit.Context(t))
				cancel() // what is free is given all the same
				release, err := acquire(ctx)
				if err != nil {
					t.Fatalf("%d slots, results first %t: kind %d waits for ever: %v", n, firstIsFirst, i, err)
				}
				defer release()
			}
		}
	}
}

func TestResultsGoBeforeMessagesAndNoSlotIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, resultsGoFirst)
}

func resultsGoFirst(t *testing.T) {
	ctx := t.Context()
	s := newSlots(3)
	var held []func()
	for _, acquire := range []func(context.Context) (func(), error){s.first, s.first, s.second} {
		release, err := acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, release)
	}
	got := make(chan string)
	begin := func(name string, class int) {
		go func() {
			release, err := s.acquire(ctx, class)
			if err != nil {
				got <- err.Error()
				return
			}
			got <- name
			release()
		}()
		synctest.Wait()
	}
	begin("message", 1)
	begin("result", 0)
	gone, cancel := context.WithCancelCause(ctx)
	cancel(errShutdown)
	if _, err := s.second(gone); !errors.Is(err, errShutdown) {
		t.Errorf("waiting on a context that has ended: %v", err)
	}
	held[2]()
	for _, want := range []string{"result", "message"} {
		if name := <-got; name != want {
			t.Errorf("%s came before %s", name, want)
		}
	}
	held[0]()
	held[1]()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free != 2 || !s.kept {
		t.Errorf("in the end %d slots are free, kept %t", s.free, s.kept)
	}
}
