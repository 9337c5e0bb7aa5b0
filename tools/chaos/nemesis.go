package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
)

// A nemesis carries out a plan. Faults at different processes overlap; one that
// is in trouble already is left alone, and of the NATS nodes only one at a time
// is, so that a set of three keeps its majority.
type nemesis struct {
	w   *world
	out io.Writer

	mu     sync.Mutex
	busy   map[string]bool
	counts map[string]int
	spans  []span
	errs   []error
}

func newNemesis(w *world, out io.Writer) *nemesis {
	return &nemesis{w: w, out: out, busy: map[string]bool{}, counts: map[string]int{}}
}

// run returns when the plan is over and every fault has ended.
func (n *nemesis) run(ctx context.Context, plan []harm) {
	begun := time.Now()
	var all sync.WaitGroup
	defer all.Wait()
	for _, f := range plan {
		if !pause(ctx, f.At-time.Since(begun)) {
			return
		}
		key := f.Role + fmt.Sprint(f.Index)
		if f.Role == roleNATS || f.Role == "" {
			key = f.Role + f.Kind
			if f.Role == roleNATS {
				key = roleNATS
			}
		}
		n.mu.Lock()
		taken := n.busy[key]
		n.busy[key] = true
		n.mu.Unlock()
		if taken {
			continue
		}
		all.Go(func() {
			from := time.Now()
			err := n.do(ctx, f)
			n.mu.Lock()
			defer n.mu.Unlock()
			n.spans = append(n.spans, span{f.Kind, f.Role, from, time.Now()})
			delete(n.busy, key)
			if err != nil {
				n.errs = append(n.errs, fmt.Errorf("%v: %w", f, err))
				return
			}
			what := f.Kind
			if f.Role != "" {
				what += " " + f.Role
			}
			n.counts[what]++
		})
	}
}

func (n *nemesis) do(ctx context.Context, f harm) error {
	// Whatever has been begun is also ended, so that nothing is left paused.
	end := context.WithoutCancel(ctx)
	switch f.Kind {
	case faultPostgres:
		return n.w.restartPostgres(end, f.Hold)
	case faultStepDown:
		// The answer may be that there is no leader at the moment.
		_, _ = n.w.nc.Request("$JS.API."+leaders[f.Index], nil, time.Second)
		return nil
	}
	p := n.w.of(f.Role)[f.Index]
	if !p.running() {
		return nil
	}
	switch f.Kind {
	case faultPause:
		if err := p.signal(syscall.SIGSTOP, false); err != nil {
			return err
		}
		pause(ctx, f.Hold)
		return p.signal(syscall.SIGCONT, false)
	case faultTerm:
		if _, err := p.stop(end, 20*time.Second); err != nil {
			return err
		}
		return p.start()
	default:
		if err := p.kill(end); err != nil {
			return err
		}
		pause(ctx, f.Hold)
		return p.start()
	}
}
